"""Compare the path of the hip, up and the floor that the browser estimates with the package's."""

import dataclasses
import warnings

import numpy as np
import pytest

from srnet_jax.lifting.motion import MotionSettings, finished, in_one_world
from srnet_jax.lifting.result import Result
from srnet_jax.pose.complete import Source
from tests.lifting.browser import lifting
from tests.lifting.browser.node import needs_node, run
from tests.pose.walks import FOCAL, FPS, SIZE, walk

pytestmark = needs_node
NEAR_M = 1e-4


def person(name="a", noise=0.02, times=None, clip="", **fields):
    """Return a result with noisy poses of a walk and gaps, and its keypoints with errors and joints that were not seen."""
    one, rng = walk(**fields), np.random.default_rng(1)
    frames = len(one.times)
    poses = (one.relative + rng.normal(0, noise, one.relative.shape) * (np.arange(17) > 0)[:, None]).astype(np.float32)
    points = (one.pixels + rng.normal(0, 2, one.pixels.shape)).astype(np.float32)
    points[::9, 5] += 300  # a wrong joint
    sure = rng.uniform(0.2, 1, (frames, 17)).astype(np.float32)
    sure[rng.random(sure.shape) < 0.1] = 0
    sure[20:24, 3:] = 0  # too few to locate
    sources = np.where(sure > 0, Source.SEEN, Source.FILLED).astype(np.uint8)
    for array in (poses, points):
        array[:2] = array[30:35] = np.nan
    sources[:2] = sources[30:35] = Source.NOT_LIFTED
    made = Result(
        name=name,
        poses_3d=poses,
        confidences=sure,
        sources=sources,
        keypoints_2d=points,
        detected=np.ones(frames, bool),
        layout="h36m",
        image_size=SIZE,
        fps=FPS,
        model="true",
        focal_px=FOCAL,
        times=times,
    )
    return made, clip


def in_browser(people, up=None):
    """Return the people, placed in one world by the browser."""
    script = """
      const { placed, inOneWorld, jointsWorld } = await load('motion.js');
      const lines = [];
      const people = inputs.people.map((person) => {
        const times = person.times.map((time) => time - person.times[0]);
        return { ...person, ...placed(person, times, inputs.up, (line) => lines.push(line), inputs.tables) };
      });
      return [lines, inOneWorld(people).map((person) => ({ ...person, world: jointsWorld(person, inputs.tables) }))];
    """
    given = [
        {
            "name": one.name,
            "poses": one.poses_3d,
            "focalPx": one.focal_px,
            "track": {"frames": len(one.poses_3d), "imageSize": one.image_size, "clip": clip},
            "completed": {"points": one.keypoints_2d, "confidences": one.confidences, "sources": one.sources},
            "times": one.seconds,
        }
        for one, clip in people
    ]
    return run(script, people=given, up=up, tables=lifting.TABLES)


def uneven():
    return np.cumsum(np.random.default_rng(2).uniform(0.02, 0.05, len(walk().times)))


@pytest.mark.parametrize(
    ("people", "up"),
    [
        ([{"pitch_deg": 15, "heading_deg": 60}], None),
        ([{"heading_deg": 90, "times": uneven()}, {"name": "b", "noise": 0.05}, {"name": "c", "clip": "other"}], None),
        ([{"pitch_deg": 15, "heading_deg": 60}], (0.0, -2.0, 0.5)),
        ([{}], (0.0, 1.0, 0.0)),
    ],
)
def test_path_up_and_floor_are_the_packages(people, up):
    people = [person(**fields) for fields in people]
    lines, found = in_browser(people, up)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        own = [finished(one, one.keypoints_2d, MotionSettings(None, up)) for one, _ in people]
    expected = in_one_world(own, [clip for _, clip in people])
    assert lines == [str(warning.message) for warning in caught]
    for made, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(made["root"].reshape(-1, 3), wanted.root, atol=NEAR_M)
        np.testing.assert_allclose(made["up"], wanted.up, atol=NEAR_M)
        np.testing.assert_allclose(made["upErrorDeg"], wanted.up_error_deg, rtol=1e-3)
        np.testing.assert_allclose(made["ground"], wanted.ground, atol=NEAR_M)
        np.testing.assert_allclose(made["origin"], wanted.origin, atol=NEAR_M)
        np.testing.assert_allclose(made["world"].reshape(-1, 17, 3), wanted.joints_world(), atol=3 * NEAR_M)


def test_feet_that_nobody_saw_give_no_floor():
    one, clip = person()
    sources = one.sources.copy()
    sources[:, [3, 6]] = Source.FILLED
    _, (found,) = in_browser([(dataclasses.replace(one, sources=sources), clip)])
    assert found["ground"] is None
    expected = finished(dataclasses.replace(one, sources=sources), one.keypoints_2d, MotionSettings(None))
    np.testing.assert_allclose(found["up"], expected.up, atol=NEAR_M)
