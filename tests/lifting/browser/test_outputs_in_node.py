"""Compare the files that the browser offers with those that the package writes."""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest

from srnet_jax.lifting import lift_file
from srnet_jax.lifting.formats import bvh
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.lifting.lifted_people import LiftedPeople
from srnet_jax.lifting.motion import USUAL, MotionSettings
from tests.lifting.browser import lifting
from tests.lifting.browser.node import needs_node, run
from tests.lifting.browser.test_lift_in_node import moving

pytestmark = needs_node
SUFFIXES = (".json", ".csv", ".bvh")


def in_browser(lifter, tracks, **options):
    """Return the browser's files of people, {name: text}, and its warnings."""
    script = (
        lifting.LIFT
        + """
      const { files } = await load('outputs.js');
      const warn = (line) => lines.push(line);
      const made = inputs.suffixes.flatMap((suffix) => files(people, 'found', suffix, inputs.tables, warn));
      return [Object.fromEntries(made.map(({ name, text }) => [name, text])), lines];
    """
    )
    tracks = [lifting.as_json(track) for track in tracks]
    return run(script, tracks=tracks, options=options, suffixes=SUFFIXES, **lifting.given(lifter, 1))


def in_python(folder, lifter, tracks, settings=USUAL):
    """Return the people, and the package's files of them, {name: text}."""
    with warnings.catch_warnings(action="ignore"):
        people = LiftedPeople(lift_file.lift(tracks, lifter, settings=settings), folder / "x.json")
        for suffix in SUFFIXES[1:]:
            people.save(folder / f"found{suffix}")
    return people, {path.name: path.read_text() for path in folder.iterdir()}


def same(found, expected, atol):
    """Check that texts differ only in their numbers, by at most a tolerance."""
    number = r"-?\d+\.\d+"
    assert re.sub(number, "#", found) == re.sub(number, "#", expected)
    np.testing.assert_allclose([*map(float, re.findall(number, found))], [*map(float, re.findall(number, expected))], atol=atol)


def uneven(frames=60):
    return 3 + np.cumsum(np.random.default_rng(1).uniform(0.02, 0.05, frames)) + 2.0 * (np.arange(frames) > 45)


@pytest.mark.parametrize(
    ("tracks", "settings"),
    [
        ([{}, {"name": "b", "seed": 1, "every": 2}], USUAL),
        ([{"times": uneven(), "frames": 60}], USUAL),
        ([{"fps": None, "frames": 20}], MotionSettings(None, up=(0.0, -1.0, 0.0))),
        ([{"fps": None, "frames": 1}, {"name": "b", "fps": None, "frames": 1, "seed": 1}], USUAL),
    ],
)
def test_files_are_the_packages(tmp_path, tracks, settings):
    lifter = lifting.linear()
    tracks = [lifting.track(**fields) for fields in tracks]
    filters = {} if settings.filters else {"filters": None}
    found, _ = in_browser(lifter, tracks, up=settings.up, **filters)
    people, expected = in_python(tmp_path, lifter, tracks, settings)
    documents = {name: found.pop(name) for name in list(found) if name.endswith(".json")}
    assert set(found) == set(expected)
    for name, text in found.items():
        same(text, expected[name], 2e-4 if name.endswith(".csv") else 0.02)  # metres; centimetres and degrees
    for text, person in zip(documents.values(), people, strict=True):
        document, arrays = json.loads(text), person.arrays()
        unknown = {name for name, value in document.items() if value is None}
        assert set(document) - unknown <= set(arrays) <= set(document)
        assert unknown <= {"fps", "times", "focal_px", "ground"}
        for key in set(document) - unknown:
            value = arrays[key]
            if value.dtype.kind == "f":
                np.testing.assert_allclose(np.array(document[key], float), value, atol=5e-4 if key == "keypoints_2d" else 1e-4)
            else:
                np.testing.assert_array_equal(document[key], value)


def test_an_animation_of_any_pose_is_the_packages(tmp_path):
    poses = moving(frames=90, bent=0).astype(np.float64)
    points = poses[..., [0, 2, 1]] * [1, 1, -1]
    frames = np.arange(len(points))
    motion = Motion("x", points, frames, frames / 30, 30.0, level=True, moves=True, floor=False)
    bvh.write(tmp_path / "x.bvh", motion)
    script = "const { toBvh } = await load('bvh.js'); return toBvh(inputs.motion, inputs.tables);"
    given = {"points": points, "seconds": motion.seconds, "fps": 30.0, "floor": False}
    found = run(script, motion=given, tables=lifting.TABLES)
    same(found, (tmp_path / "x.bvh").read_text(), 2e-4)


def test_a_person_without_a_pose_has_no_motion():
    nobody = lifting.track("b", frames=3)
    nobody = dataclasses.replace(nobody, keypoints=nobody.keypoints * np.nan, confidences=nobody.confidences * 0)
    found, lines = in_browser(lifting.linear(), [lifting.track(frames=10), nobody])
    assert set(found) == {"found_walk.json", "found_b.json", "found_walk.csv", "found_walk.bvh"}
    assert lines.count("b: no frame has a pose, motions are not written") == 2
    assert json.loads(found["found_b.json"])["poses_3d"][0][0] == [None, None, None]
