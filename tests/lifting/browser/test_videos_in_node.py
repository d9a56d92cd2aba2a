"""Test which dropped files the page reads together, and how it names the videos that they hold."""

import json

from srnet_jax.lifting.browser import reading_tables
from tests.keypoints import builders
from tests.lifting.browser.node import needs_node, run

pytestmark = needs_node
WALK = builders.walker()


def picture(row):
    return {"people": [{"pose_keypoints_2d": builders.walker("body_25")[row].ravel().tolist()}]}


def groups(files):
    """Return the names of the files that are read together, the frames of each of their tracks, and their refusal."""
    script = """
      const { readGroups } = await load('videos.js');
      const found = await readGroups(inputs.files, inputs.tables, {});
      return found.map(({ files, tracks, refused }) => {
        return [files.map(({ name }) => name), tracks.map(({ frames }) => frames), refused];
      });
    """
    given = [{"name": name, "bytes": json.dumps(content).encode()} for name, content in files.items()]
    return run(script, files=given, tables=reading_tables.tables())


def test_pictures_of_one_video_are_read_together():
    files = {f"walk_{row:04}_keypoints.json": picture(row) for row in range(5)}
    assert groups(files) == [[list(files), [5], ""]]
    files["walk_0003_keypoints.json"] = []
    assert groups(files) == [[list(files), [5], ""]]
    files["walk_0003_keypoints.json"] = {"people": 3}
    ((names, tracks, refused),) = groups(files)
    assert (names, tracks) == (list(files), [])
    assert refused.startswith("walk_0003_keypoints.json: ")


def test_whole_videos_and_other_names_are_read_alone():
    frames = [{"frame": row, "keypoints": WALK[row].tolist()} for row in range(25)]
    for video in (WALK.tolist(), frames):
        files = {"walk1.json": video, "walk2.json": video[:9], "walk3.json": {"people": 3}}
        (first, second, third) = groups(files)
        assert [first, second] == [[["walk1.json"], [25], ""], [["walk2.json"], [9], ""]]
        assert third[2].startswith("walk3.json: ")
    assert groups({"a1.json": picture(0), "b1.json": picture(1)}) == [[["a1.json"], [1], ""], [["b1.json"], [1], ""]]


def test_each_video_of_a_file_has_a_name_and_a_stem_of_its_own():
    script = """
      const { videosOf } = await load('videos.js');
      return inputs.cases.map(([files, people]) => videosOf(files.map((name) => ({ name })), people));
    """
    one, two, still = [
        {"name": name, "clip": clip, "track": {"frames": frames}}
        for name, clip, frames in [("p1", "", 9), ("p2", "", 8), ("x", "y", 1)]
    ]
    kitchen, garden = one | {"clip": "kitchen"}, two | {"clip": "garden"}
    cases = [
        (["a.b.csv"], [one, two]),
        (["a.csv"], [kitchen, garden, kitchen]),
        (["1.json", "2.json"], [one]),
        ([".csv"], [still]),
    ]
    assert run(script, cases=cases) == [
        [{"name": "a.b", "stem": "a.b", "people": [one, two]}],
        [
            {"name": "a: kitchen", "stem": "a_kitchen", "people": [kitchen, kitchen]},
            {"name": "a: garden", "stem": "a_garden", "people": [garden]},
        ],
        [{"name": "pictures", "stem": "pictures", "people": [one]}],
        [{"name": ".csv: x", "stem": ".csv_x", "people": [still]}],
    ]
