"""People and their ids, and the frames and videos that pictures belong to, in keypoint files."""

import warnings

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.keypoints.pictures import places
from tests.keypoints.builders import (
    COCO,
    LANDMARKS,
    SIZE,
    WALK,
    dots,
    flat,
    shares,
    table,
    walker,
    wide,
    write_folder,
    write_json,
)

OTHER = walker("coco", 300)
(HEADER,), ROWS = wide(WALK, COCO, ("_x", "_y"))
JOINTS = HEADER.partition(",")[2]
NUMBERS = range(len(WALK))


def load(path, **hints):
    return {track.name: track for track in keypoint_files.load(path, Hints(**hints))}


def from_table(tmp_path, rows, header, name="walk.csv"):
    (tmp_path / name).write_text(table(rows, [header]))
    return load(tmp_path / name)


def is_walker(track, person=WALK, first=0):
    assert track.first_frame == first
    np.testing.assert_allclose(track.keypoints, person[..., :2], atol=1e-2)


def yolo(person, **more):
    x, y, visible = person.T.tolist()
    return {"name": "person", "box": {"x1": 1}, "keypoints": {"x": x, "y": y, "visible": visible}} | more


@pytest.mark.parametrize("key", ["id", "track_id", "pid", "tracking_id"])
def test_ids_tell_people_apart_who_cross(tmp_path, key):
    """Two people move so fast that the nearest one in the next frame is the other."""
    steps = np.arange(len(WALK))[:, None, None] * [130, 0, 0]
    towards, away = WALK + steps, WALK + [3180, 0, 0] - steps
    frames = [
        {"frame": k, "persons": [{key: 1, "keypoints": towards[k].tolist()}, {key: 2, "keypoints": away[k].tolist()}]}
        for k in NUMBERS
    ]
    found = load(write_json(tmp_path / "walk.json", {"frames": frames}))
    is_walker(found["person_1"], towards)
    is_walker(found["person_2"], away)


def test_ids_of_detections_are_no_peoples(tmp_path):
    frames = [{"frame": k, "people": [{"id": 900 + k, "keypoints": p.tolist()}]} for k, p in enumerate(WALK)]
    is_walker(load(write_json(tmp_path / "walk.json", {"frames": frames}))["walk"])


ONE_PERSON = {
    "an object of frames": {"video": "a.mp4", "landmarks": [dots(p) for p in LANDMARKS]},
    "people in frames": {"landmarks": [[dots(p)] for p in LANDMARKS]},
    "a list with frames": [yolo(p, frame=k) for k, p in enumerate(WALK)],
    "a list without": [yolo(p) for p in WALK],
    "results": [{"frame": k, "results": [yolo(p)]} for k, p in enumerate(WALK)],
    "joints": {"fps": 25, "joints": WALK.tolist()},
    "people": {"fps": 25, "poses": WALK.tolist()},
    "times": {f"{k / 30:.3f}": p.tolist() for k, p in enumerate(WALK)},
}


@pytest.mark.parametrize("form", ONE_PERSON)
def test_frames_are_no_people(tmp_path, form):
    (track,) = load(write_json(tmp_path / "walk.json", ONE_PERSON[form]), image_size=SIZE).values()
    is_walker(track, LANDMARKS if "landmarks" in ONE_PERSON[form] else WALK)


def test_people_are_no_frames(tmp_path):
    """Five people side by side in one picture, in every form that may contain frames instead."""
    people = [WALK[0] + [200 * k, 0, 0] for k in range(5)]
    np.save(tmp_path / "walk.npy", np.stack(people)[None, ..., :2])
    forms = [
        write_json(tmp_path / "a.json", [yolo(p) for p in people]),
        write_json(tmp_path / "b.json", {"landmarks": [dots(LANDMARKS[0] + [200 * k, 0, 0]) for k in range(5)]}),
        tmp_path / "walk.npy",
    ]
    for path in forms:
        found = load(path, image_size=SIZE)
        assert [track.keypoints.shape[0] for track in found.values()] == [1] * 5
    five = np.stack([WALK[:5] + [200 * k, 0, 0] for k in range(6)])
    for array in (five, np.swapaxes(five, 0, 1)):
        np.save(tmp_path / "walk.npy", array)
        np.savez(tmp_path / "walk.npz", keypoints=array)
        for path in (tmp_path / "walk.npy", tmp_path / "walk.npz"):
            is_walker(load(path)["person_2"], five[1])


BY_PERSON = {
    "names": lambda a, b: {"person_1": a.tolist(), "person_2": b.tolist()},
    "numbers": lambda a, b: {"1": a.tolist(), "2": b.tolist()},
    "objects of frames": lambda a, b: {
        f"person_{number}": {str(k): p.tolist() for k, p in enumerate(person)} for number, person in ((1, a), (2, b))
    },
    "frames": lambda a, b: {
        str(number): {"frames": [{"frame": k, "keypoints": p.tolist()} for k, p in enumerate(person)]}
        for number, person in ((1, a), (2, b))
    },
    "numbered frames": lambda a, b: {
        str(number): [{"frame": k, "keypoints": p.tolist()} for k, p in enumerate(person)]
        for number, person in ((1, a), (2, b))
    },
    "a list": lambda a, b: {
        "people": [
            {"id": number, "frames": [{"frame": k, "keypoints": p.tolist()} for k, p in enumerate(person)]}
            for number, person in ((1, a), (2, b))
        ]
    },
}


@pytest.mark.parametrize("form", BY_PERSON)
def test_files_that_keep_each_person_apart(tmp_path, form):
    found = load(write_json(tmp_path / "walk.json", BY_PERSON[form](WALK, OTHER)))
    is_walker(found["person_1"])
    is_walker(found["person_2"], OTHER)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["frame0001_00033ms", "frame0002_00067ms", "frame0003_00100ms"], [("frame_00033ms", n) for n in (1, 2, 3)]),
        (["a_1_0.95", "a_2_0.97", "a_3_0.91"], [("a__0.95", n) for n in (1, 2, 3)]),
        (["f10_0333ms", "f20_0667ms", "f30_1000ms"], [("f_0333ms", n) for n in (10, 20, 30)]),
        ([f"vid{1 + n // 3}_frame_{n}" for n in range(6)], [(f"vid{1 + n // 3}_frame", n) for n in range(6)]),
        (["a/1.jpg", "b/1.jpg"], [("a", 1), ("b", 1)]),
        (["cam-1", "cam-2", "cam_1", "cam_2"], [("cam", 1), ("cam", 2), ("cam_2", 1), ("cam_2", 2)]),
        (["12-30-01", "12-30-02", "12-31-03"], [("12-30", n) for n in (1, 2, 3)]),
        (["0.000", "0.033", "0.067", "0.100"], [("", n) for n in range(4)]),
    ],
)
def test_the_number_that_counts_by_one_is_the_frame(names, expected):
    assert [tuple(places(names)[name])[:2] for name in names] == expected


IDS = [3, 60, 75, 200, 333, 334, 700, 1500, 1507, 1900]


@pytest.mark.parametrize("scale", [1, 1000])
def test_ids_of_images_are_no_frame_numbers(tmp_path, scale):
    ids = [scale * number for number in IDS]
    forms = [
        write_json(
            tmp_path / "a.json",
            {"annotations": [{"image_id": n, "keypoints": flat(p)} for n, p in zip(ids, WALK, strict=False)]},
        ),
        write_json(
            tmp_path / "b.json",
            {"frames": [{"image_id": n, "people": [{"keypoints": flat(p)}]} for n, p in zip(ids, WALK, strict=False)]},
        ),
        write_json(tmp_path / "d.json", {str(n): [p.tolist()] for n, p in zip(ids, WALK, strict=False)}),
    ]
    (tmp_path / "c.csv").write_text(table([[n, *row[1:]] for n, row in zip(ids, ROWS, strict=False)], [f"image_id,{JOINTS}"]))
    for path in (*forms, tmp_path / "c.csv"):
        assert {name: track.keypoints.shape[0] for name, track in load(path).items()} == {str(n): 1 for n in ids}
    frames = [{"frame": n, "people": [{"keypoints": flat(p)}]} for n, p in zip(IDS, WALK, strict=False)]
    (track,) = load(write_json(tmp_path / "e.json", {"frames": frames})).values()
    assert (track.first_frame, len(track.keypoints)) == (3, 1898)


@pytest.mark.parametrize("column", ["video", "clip", "file_name"])
def test_a_column_for_the_video(tmp_path, column):
    shifted = [[row[0], *(value + 50 for value in row[1:])] for row in ROWS]
    rows = [[name, *row] for name, own in (("a.mp4", ROWS), ("b.mp4", shifted)) for row in own]
    found = from_table(tmp_path, rows, f"{column},{HEADER}")
    assert set(found) == {"a", "b"}
    is_walker(found["a"])
    is_walker(found["b"], WALK + [50, 50, 0])
    (track,) = from_table(tmp_path, [[f"img_{row[0]:04}.png", *row] for row in ROWS], f"{column},{HEADER}").values()
    is_walker(track)  # the names of pictures


def test_videos_of_frames_in_json(tmp_path):
    content = [
        {"video": f"{v}.mp4", "frame": k, "keypoints": (p + s).tolist()}
        for v, s in (("a", 0), ("b", [9, 0, 0]))
        for k, p in enumerate(WALK)
    ]
    found = load(write_json(tmp_path / "walk.json", content))
    is_walker(found["a"])
    is_walker(found["b"], WALK + [9, 0, 0])


def test_people_without_frames_are_counted_each(tmp_path):
    _, others = wide(OTHER, COCO, ("_x", "_y"))
    rows = [[person, *row[1:]] for pair in zip(ROWS, others, strict=True) for person, row in zip((1, 2), pair, strict=True)]
    with pytest.warns(UserWarning, match=r"walk\.csv: found no column for the frame, counting the lines of each person"):
        found = from_table(tmp_path, rows, f"person,{JOINTS}")
    is_walker(found["person_1"])
    is_walker(found["person_2"], OTHER)


LONG = [[k, n, *v] for k, p in enumerate(WALK) for n, v in enumerate(p.tolist())]


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("id,frame,keypoint,x,y,conf", [[i, row[0], COCO[row[1]], *row[2:]] for i, row in enumerate(LONG)]),
        ("frame,id,x,y,conf", LONG),
        ("frame_id,kp_id,x,y,v", LONG),
        ("frame,person_id,kpt_index,x,y,s", [[row[0], 1, *row[1:]] for row in LONG]),
        ("id,frame,id2,joint,x,y,c", [[i, row[0], 7, *row[1:]] for i, row in enumerate(LONG)]),
    ],
)
def test_a_line_a_joint_whatever_else_is_numbered(tmp_path, header, rows):
    (track,) = from_table(tmp_path, rows, header).values()
    is_walker(track)


def test_sizes_of_images_are_each_ones(tmp_path):
    sizes = [(640, 480), (3000, 4000)]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": w, "height": h} for i, (w, h) in enumerate(sizes)]
    people = [{"image_id": i, "keypoints": flat(WALK[i])} for i in range(2)]
    path = write_json(tmp_path / "walk.json", {"images": images, "annotations": people})
    found = load(path)  # not a video, because the sizes differ
    assert {name: (len(track.keypoints), track.image_size) for name, track in found.items()} == {
        "0": (1, sizes[0]),
        "1": (1, sizes[1]),
    }
    with pytest.warns(UserWarning, match=r"found images of 3000 x 4000 pixels, using 640 x 480 \(--width, --height\)"):
        assert {track.image_size for track in load(path, image_size=(640, 480)).values()} == {(640, 480)}


def test_a_size_that_is_given_counts_for_shares_too(tmp_path):
    content = {"width": 640, "height": 480, "frames": [{"landmarks": dots(p)} for p in LANDMARKS]}
    path = write_json(tmp_path / "walk.json", content)
    with pytest.warns(UserWarning, match="found images of 640 x 480 pixels, using 1280 x 720"):
        (track,) = load(path, image_size=SIZE).values()
    assert track.image_size == SIZE
    is_walker(track, LANDMARKS)
    with warnings.catch_warnings(action="error"):
        load(path)


def test_boxes_without_keypoints_are_left_out(tmp_path):
    people = [
        {"image_id": k, "keypoints": flat(p)} if k != 4 else {"image_id": k, "bbox": [1, 2, 3, 4]} for k, p in enumerate(WALK)
    ]
    path = write_json(tmp_path / "walk.json", {"images": [], "annotations": people})
    (track,) = load(path).values()
    np.testing.assert_array_equal(np.flatnonzero(~track.detected), [4])
    with pytest.raises(DataError, match="frame 4: found a person with 'image_id', 'bbox', expected keypoints"):
        load(write_json(path, {"images": [], "annotations": people[4:5]}))


def labels(folder, person=WALK):
    for k, p in enumerate(person):
        path = folder / f"walk_{k}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(" ".join(f"{v:.8g}" for v in [0, 0.5, 0.5, 0.2, 0.6, *shares(p).ravel()]) + "\n")
    return folder


def test_the_format_that_is_given_is_the_one_that_is_read(tmp_path):
    folder = labels(tmp_path / "labels")
    is_walker(load(folder, image_size=SIZE, keypoint_format="yolo_txt")["labels"])
    (track,) = load(folder / "walk_3.txt", image_size=SIZE, keypoint_format="yolo_txt").values()
    np.testing.assert_allclose(track.keypoints[0], WALK[3, :, :2], atol=1e-2)
    write_json(folder / "data.json", {"names": ["person"]})
    is_walker(load(folder, image_size=SIZE)["labels"])
    (folder / "data.json").unlink()
    (tmp_path / "walk.csv").write_text(table(ROWS, [HEADER]))
    for path, name, message in [
        (folder, "csv", "found a folder, expected a file of the format csv"),
        (folder, "alphapose", r"found no \.json file, expected one for each picture"),
        (tmp_path / "walk.csv", "yolo_txt", "walk.csv: line 1: found text, expected class, box and keypoints as numbers"),
        (tmp_path / "walk.csv", "deeplabcut", "found a table, expected DeepLabCut's three header lines"),
    ]:
        with pytest.raises(DataError, match=message):
            load(path, image_size=SIZE, keypoint_format=name)


def test_files_beside_those_of_the_pictures(tmp_path):
    people = [{"version": 1.3, "people": [{"pose_keypoints_2d": flat(p)}]} for p in walker("body_25")]
    folder = write_folder(tmp_path / "walk", "w_{:012d}_keypoints.json", people)
    (folder / "README.txt").write_text("my files")
    (folder / "._w_000000000000_keypoints.json").write_bytes(b"\0\5\x16\7")
    is_walker(load(folder)["walk"], walker("body_25"))
    write_json(folder / "metadata.json", {"fps": 30, "video": "a.mp4"})
    with pytest.warns(UserWarning, match=r"walk: found 1 of 26 files without keypoints, such as metadata\.json"):
        is_walker(load(folder)["walk"], walker("body_25"))


def test_images_in_three_columns_of_deeplabcut(tmp_path):
    lines = [
        f"{first},,,{','.join(cells)}"
        for first, cells in (
            ("scorer", ["me"] * 34),
            ("bodyparts", [n for n in COCO for _ in "xy"]),
            ("coords", ["x", "y"] * 17),
        )
    ]
    (tmp_path / "walk.csv").write_text(table([["labeled-data", "v", f"img{row[0]:03}.png", *row[1:]] for row in ROWS], lines))
    is_walker(load(tmp_path / "walk.csv")["walk"])


@pytest.mark.parametrize(
    ("degrees", "raw"),
    [
        (90, lambda p: np.stack([p[..., 1], SIZE[0] - p[..., 0]], -1)),  # as seen by a camera rotated by 270 degrees
        (180, lambda p: np.stack([SIZE[0] - p[..., 0], SIZE[1] - p[..., 1]], -1)),
        (270, lambda p: np.stack([SIZE[1] - p[..., 1], p[..., 0]], -1)),
    ],
)
def test_keypoints_are_turned(tmp_path, degrees, raw):
    size = SIZE if degrees == 180 else SIZE[::-1]
    np.savez(tmp_path / "walk.npz", keypoints=raw(WALK[..., :2]), image_size=size)
    (track,) = load(tmp_path / "walk.npz", rotate=degrees).values()
    assert track.image_size == SIZE
    is_walker(track)
