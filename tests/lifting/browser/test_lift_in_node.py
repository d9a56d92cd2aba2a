"""Compare poses that the browser lifts, and their filters, with the package's."""

import dataclasses
import json
import warnings

import numpy as np
import pytest

from srnet_jax.data import synthetic
from srnet_jax.lifting import lift_file
from srnet_jax.pose.filters import LiveFilter, Settings, filtered
from srnet_jax.pose.hinges import wrong_bends
from tests.lifting.browser import lifting
from tests.lifting.browser.node import needs_node, run

pytestmark = needs_node
NEAR_M = 1e-5


def lifted(network, tracks, frames, **options):
    """Return what the browser makes of tracks: poses and errors of each person, and the warnings."""
    script = lifting.LIFT + "return [people.map(({ poses, errors }) => [poses, errors]), lines];"
    people, lines = run(
        script, tracks=[lifting.as_json(track) for track in tracks], options=options, **lifting.given(network, frames)
    )
    return [(poses.reshape(-1, 17, 3), errors.reshape(-1, 17)) for poses, errors in people], lines


def expected(network, tracks, **options):
    """Return what the package makes of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        people = lift_file.lift(tracks, network, **options)
    return people, [str(warning.message) for warning in caught]


def uneven(frames=40):
    return 3 + np.cumsum(np.random.default_rng(1).uniform(0.02, 0.05, frames))


@pytest.mark.parametrize(
    ("network", "frames", "tracks", "options"),
    [
        ({"normalization": "basic"}, 1, [{}], {}),
        ({"normalization": "centered"}, 3, [{}], {"flip": False}),
        ({}, 1, [{"fps": None}, {"frames": 1, "seed": 1}], {"focal_px": 1500}),
        ({"field": 9}, 20, [{"fps": 50.0}, {"frames": 12, "every": 3}], {}),
        ({"field": 9, "causal": True}, 9, [{"frames": 40, "times": uneven()}], {}),
    ],
)
def test_poses_errors_and_warnings_are_the_packages(network, frames, tracks, options):
    lifter = lifting.linear(**network)
    people = [lifting.track(f"p{index}", **{"frames": 60, **fields}) for index, fields in enumerate(tracks)]
    made, lines = lifted(lifter, people, frames, filters=None, flip=options.get("flip", True), focalPx=options.get("focal_px"))
    wanted, warned = expected(lifter, people, **options)
    for (poses, errors), person in zip(made, wanted, strict=True):
        np.testing.assert_allclose(poses, person.poses_3d, atol=NEAR_M)
        np.testing.assert_allclose(errors, person.errors_m, atol=NEAR_M)
    assert lines == [line.removesuffix(" (--fps)") for line in warned]


@pytest.mark.parametrize("up", [(0.3, -0.9, 0.2), (0.01, -0.02, 0.99)])
def test_a_rolled_camera_is_level(up):
    lifter, people = lifting.linear(), [lifting.track(frames=20)]
    ((poses, _),), _ = lifted(lifter, people, 1, filters=None, up=up)
    plain = lifter.lift([completed(track) for track in people], [track.image_size for track in people], [None], up=np.array(up))
    np.testing.assert_allclose(poses, plain[0], atol=NEAR_M)


def completed(track):
    return lift_file.complete(track.keypoints, track.confidences, track.layout, track.fps)


def test_nobody_to_lift_is_a_mistake():
    nobody = lifting.track(frames=3)
    nobody = dataclasses.replace(nobody, keypoints=nobody.keypoints * np.nan, confidences=nobody.confidences * 0)
    script = (
        lifting.LIFT.replace("const people", "try { const people") + "} catch (error) { return [error.name, error.message]; }"
    )
    found = run(script, tracks=[lifting.as_json(nobody)], options={}, **lifting.given(lifting.linear(), 1))
    assert found == ["UserError", "walk: no frame shows 4 of the 17 joints"]


def moving(frames=120, bent=0.25):
    """Return a moving person [T, 17, 3] with noise, gaps, and knees and elbows that bend the wrong way."""
    rng = np.random.default_rng(0)
    *_, poses = next(synthetic.recordings(frames * 210, seed=0))
    poses = (poses - poses[:, :1])[:frames, :, [0, 2, 1]] * [1, -1, 1]
    poses[:, [3, 6, 13, 16]] += rng.normal(0, bent, (frames, 4, 3)) * (rng.random((frames, 1, 1)) < 0.3)
    poses += rng.normal(0, 0.01, poses.shape)
    poses[[0, 40, 41, 42]] = np.nan
    return poses.astype(np.float32)


CHANGES = [
    {},
    {"elbows": True, "stature_m": 1.8},
    {"smooth": False, "alike": False, "leg_m": 0.7},
    {"constant_bones": False, "cutoff_hz": 2.0},
    {"knees": False},
]


def test_filters_are_the_packages():
    poses, shorter = moving(), uneven(120)
    shorter[90:] += 2
    sure = np.random.default_rng(1).uniform(0, 1, poses.shape[:2]).astype(np.float32)
    cases = [(times, changes) for times in (np.arange(120) / 30, np.arange(120) / 9, shorter) for changes in CHANGES]
    script = """
      const { filtered } = await load('filters.js');
      return inputs.cases.map(([times, settings]) => filtered(inputs.poses, inputs.sure, times, settings, inputs.tables));
    """
    given = [(times, dataclasses.asdict(Settings(**changes))) for times, changes in cases]
    made = run(script, poses=poses, sure=sure, cases=given, tables=lifting.TABLES)
    for found, (times, changes) in zip(made, cases, strict=True):
        expected = filtered(poses, sure, times, Settings(**changes))
        np.testing.assert_allclose(found.reshape(poses.shape), expected, atol=NEAR_M, err_msg=str(changes))
    assert np.nanmax(wrong_bends(poses)) > 5


def test_live_filters_are_the_packages():
    poses = moving()
    sure = np.random.default_rng(1).uniform(0, 1, poses.shape[:2]).astype(np.float32)
    steps = np.where(np.arange(len(poses)) == 60, 2, 1 / 30)
    script = """
      const { LiveFilter } = await load('filters.js');
      const row = (array, width, t) => array.slice(t * width, (t + 1) * width);
      return inputs.all.map((settings) => {
        const live = new LiveFilter(settings, inputs.tables);
        return Array.from(inputs.steps, (dt, t) => live.push(row(inputs.poses, 51, t), row(inputs.sure, 17, t), dt));
      });
    """
    every = [Settings(**changes) for changes in CHANGES]
    given = {"poses": poses, "sure": sure, "steps": steps, "all": [dataclasses.asdict(settings) for settings in every]}
    for made, settings in zip(run(script, tables=lifting.TABLES, **given), every, strict=True):
        live = LiveFilter(settings, 30)
        expected = [live.push(pose, own, dt=dt) for pose, own, dt in zip(poses, sure, steps, strict=True)]
        np.testing.assert_allclose(np.array(made).reshape(poses.shape), expected, atol=NEAR_M, err_msg=str(settings))


def test_tables_are_json():
    json.dumps(lifting.TABLES, allow_nan=False)
