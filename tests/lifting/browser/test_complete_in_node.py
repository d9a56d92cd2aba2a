"""Compare the browser's completion of missing joints, and its guess of the layout, with the package's."""

import numpy as np
import pytest

from srnet_jax.lifting.browser import reading_tables
from srnet_jax.pose import layouts
from srnet_jax.pose.complete import complete
from tests.keypoints.builders import walker
from tests.lifting.browser.node import needs_node, run

pytestmark = needs_node
FRAMES = 100


def damaged(layout, kind, rng):
    """Return a walker's keypoints [T, J, 2] and confidences [T, J] with missing joints."""
    person = walker(layout, frames=FRAMES) + [*rng.normal(0, 30, 2), 0]
    person[..., :2] += rng.normal(0, 2, person[..., :2].shape)
    person[..., 2] = rng.uniform(0.2, 1, person.shape[:2])
    hidden = np.zeros(person.shape[:2], bool)
    joints = person.shape[1]
    match kind:
        case "scattered":
            hidden = rng.random(hidden.shape) < rng.choice([0.05, 0.3, 0.7])
        case "gaps":
            for _ in range(12):
                start, length = rng.integers(FRAMES), rng.choice([1, 5, 20, 40, FRAMES])
                hidden[start : start + length, rng.choice(joints, rng.integers(1, joints))] = True
        case "nobody":
            for length in (3, 12, 45):
                start = rng.integers(FRAMES)
                hidden[start : start + length] = rng.random(joints) < 0.95
        case "leaps":
            for _ in range(10):
                start = rng.integers(FRAMES)
                person[start : start + rng.integers(1, 4), rng.integers(joints), :2] += rng.choice([-200, 200], 2)
    person[hidden] = [np.nan, np.nan, 0]
    return person[..., :2].astype(np.float32), person[..., 2].astype(np.float32)


def test_complete_equals_the_package(rng):
    kinds = ("whole", "scattered", "gaps", "nobody", "leaps")
    cases = [
        (layout, (None, 12.5)[(place + number) % 2], *damaged(layout, kind, rng))
        for place, layout in enumerate(layouts.LAYOUTS)
        for number, kind in enumerate(kinds)
    ]
    tracks = [
        {"keypoints": points, "confidences": sure, "frames": FRAMES, "joints": points.shape[1], "layout": layout, "fps": fps}
        for layout, fps, points, sure in cases
    ]
    script = """
      const { complete, missing } = await load('complete.js');
      const people = inputs.tracks.map((track) => complete(track, inputs.tables));
      return people.map((person) => ({ ...person, missing: missing(person, inputs.tables) }));
    """
    people = run(script, tracks=tracks, tables=reading_tables.tables())
    for (layout, fps, points, sure), person in zip(cases, people, strict=True):
        expected = complete(points, sure, layout, fps)
        np.testing.assert_allclose(person["points"].reshape(-1, 17, 2), expected.points, atol=1e-3)
        np.testing.assert_array_equal(person["confidences"].reshape(-1, 17), expected.confidences)
        np.testing.assert_array_equal(person["lifted"], expected.lifted)
        np.testing.assert_array_equal(person["sources"].reshape(-1, 17), expected.sources)
        assert person["missing"] == pytest.approx(expected.missing)
