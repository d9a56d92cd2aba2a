"""Files of current tools in which joints, frames or people would be mistaken without their names and numbers."""

import csv
import datetime
import io
import json

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.points import joint_names
from tests.keypoints.builders import COCO, LANDMARKS, SIZE, WALK, dots, flat, same, walker, write_json

ORDER = np.random.default_rng(1).permutation(17)


def without(person, *places):
    """Return a person's joints [T, J, 2], of which some are missing."""
    points = person[..., :2].astype(np.float32)
    for place in places:
        points[place] = np.nan
    return points


def transformers(person, kept):
    return {
        "keypoints": person[kept, :2].tolist(),
        "scores": person[kept, 2].tolist(),
        "labels": list(map(int, kept)),
        "bbox": [1.0, 2.0, 3.0, 4.0],
    }


@pytest.mark.parametrize("lost", [(9, 15), (15, 16), (0, 1)], ids=str)
def test_labels_number_the_joints_that_transformers_keeps(tmp_path, lost):
    content = [[transformers(p, [j for j in range(17) if j not in lost])] for p in WALK]
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    assert track.layout == "coco"
    np.testing.assert_array_equal(track.keypoints, without(WALK, (slice(None), list(lost))))
    content[3] = [transformers(WALK[3], list(range(12)))]  # another number of joints
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    np.testing.assert_array_equal(track.keypoints[3], without(WALK[3], slice(12, None)))


def test_labels_of_people_number_no_joints(tmp_path):
    content = [
        {"frame": i, "keypoints": [p.tolist(), (p + [300, 0, 0]).tolist()], "labels": [1, 0]} for i, p in enumerate(WALK)
    ]
    assert [track.keypoints.shape for track in keypoint_files.load(write_json(tmp_path / "walk.json", content))] == [
        (25, 17, 2),
        (25, 17, 2),
    ]


def roboflow(people, categories, number):
    """Return annotations whose category `number` is a person, with the joints in another order."""
    return {
        "images": [
            {"id": i, "file_name": f"f_{i:04}_jpg.rf.{i:032x}.jpg", "width": SIZE[0], "height": SIZE[1]}
            for i in range(len(people))
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": number, "keypoints": flat(p[ORDER] * [1, 1, 0] + [0, 0, 2])}
            for i, p in enumerate(people)
        ],
        "categories": [*categories, {"id": number, "name": "person", "keypoints": [COCO[j] for j in ORDER]}],
    }


@pytest.mark.parametrize("change", [{"category_id": None}, {"category_id": 1}, {"category_id": 9}], ids=str)
def test_annotations_of_categories_without_names_are_of_people(tmp_path, change):
    content = roboflow(WALK, [{"id": 1, "name": "human", "keypoints": []}], 2)
    content["annotations"] = [annotation | change for annotation in content["annotations"]]
    assert same(write_json(tmp_path / "walk.json", content), "coco").layout == "coco"


def test_names_of_joints_in_a_later_category(tmp_path):
    content = roboflow(WALK, [{"id": 0, "name": "pose", "supercategory": "none"}], 1)
    assert same(write_json(tmp_path / "walk.json", content), "coco").layout == "coco"
    content = roboflow(WALK, [{"id": 1, "name": "dog", "keypoints": ["head", "tail"]}], 2)
    content["annotations"] += [{"id": 99, "image_id": 3, "category_id": 1, "keypoints": [1, 2, 2] * 2}]
    same(write_json(tmp_path / "walk.json", content), "coco")


@pytest.mark.parametrize("key", ["world_landmarks", "pose_world_landmarks", "poseWorldLandmarks"])
def test_world_landmarks_alone_are_in_3d(tmp_path, key):
    content = [{"frame": i, key: [dots(p)]} for i, p in enumerate(LANDMARKS)]
    message = f"found {key}, points in 3D already, expected a detector's 2D keypoints"
    with pytest.raises(DataError, match=message):
        keypoint_files.load(write_json(tmp_path / "walk.json", content))


def test_poses_of_people_who_differ_are_of_one_picture(tmp_path):
    people = [{"keypoints": (WALK[0] + [300 * k, 0, 0]).tolist()} for k in range(4)]
    found = keypoint_files.load(write_json(tmp_path / "a.json", {"poses": people}))
    assert [len(track.keypoints) for track in found] == [1] * 4


ONE = {"keypoints": WALK[0, :, :2].tolist(), "scores": WALK[0, :, 2].tolist()}


AXES = [f"{name}_{axis}" for name in COCO for axis in ("x", "y", "score")]


def cells_of(person):
    """Return the text of Python objects, as in the cells of `results.to_csv()`."""
    columns = {"x": person[:, 0].tolist(), "y": person[:, 1].tolist(), "visible": person[:, 2].tolist()}
    return ["person", 0, 0.9, str({"x1": 1.5, "y1": None}), str(columns)]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (["frame", "name", "class", "confidence", "box", "keypoints"], lambda i, p: [i, *cells_of(p)]),
        (["", "name", "class", "confidence", "box", "keypoints"], lambda i, p: [i, *cells_of(p)]),
        (["frame", "track_id", "keypoints", "scores"], lambda i, p: [i, 1, str(p[:, :2].tolist()), str(p[:, 2].tolist())]),
        (["image_id", "keypoints"], lambda i, p: [f"{i}.jpg", str(flat(p))]),
        (["frame", "score", "score", "keypoints"], lambda i, p: [i, 0.1, 0.2, str(p.tolist())]),
        (["frame", "pose"], lambda i, p: [i, json.dumps({"keypoints": p.tolist(), "name": "the dancer's"})]),
        (["frame", "skeleton", *AXES], lambda i, p: [i, "[0, 1]", *flat(p)]),
    ],
    ids=["ultralytics", "index", "lists", "flat", "repeated", "apostrophe", "columns"],
)
def test_cells_that_contain_joints(tmp_path, header, line):
    text = io.StringIO()
    csv.writer(text).writerows([header, *(line(i, p) for i, p in enumerate(WALK))])
    (tmp_path / "walk.csv").write_text(text.getvalue())
    same(tmp_path / "walk.csv", "coco")


def test_arrays_that_begin_with_the_frame(tmp_path):
    for array in (WALK, WALK[..., :2]):
        rows = np.concatenate([np.arange(3, 28)[:, None], array.reshape(25, -1)], axis=1)
        np.save(tmp_path / "walk.npy", rows)
        assert same(tmp_path / "walk.npy", "coco", first=3).layout in ("coco", None)
    np.save(tmp_path / "walk.npy", walker("halpe_26")[..., :2].reshape(25, -1))  # as wide
    same(tmp_path / "walk.npy", "halpe_26")


@pytest.mark.parametrize("dtype", ["U", object])
def test_names_of_joints_in_archives(tmp_path, dtype):
    names = np.array([COCO[j] for j in ORDER], dtype)
    np.savez(tmp_path / "walk.npz", keypoints=WALK[:, ORDER], joint_names=names)
    assert same(tmp_path / "walk.npz", "coco").layout == "coco"
    two = np.stack([WALK, WALK + [300, 0, 0]])[:, :, ORDER]
    np.savez(tmp_path / "walk.npz", keypoints=two[..., :2], scores=two[..., 2], names=names)
    first, second = keypoint_files.load(tmp_path / "walk.npz")
    np.testing.assert_array_equal(first.keypoints, WALK[..., :2])
    np.testing.assert_array_equal(second.keypoints, WALK[..., :2] + [300, 0])


@pytest.mark.parametrize("name", ["frame_{:04}", "{}", "arr_{}"])
def test_archives_with_an_array_for_each_frame(tmp_path, name):
    for shape in ((17, 3), (1, 17, 3)):
        np.savez(tmp_path / "walk.npz", **{name.format(i): p.reshape(shape) for i, p in enumerate(WALK)})
        same(tmp_path / "walk.npz", "coco")
    people = [np.stack([p, p + [300, 0, 0]])[: 2 - i % 2] for i, p in enumerate(WALK)]
    np.savez(tmp_path / "walk.npz", **{name.format(i): own for i, own in enumerate(people)})
    with pytest.raises(DataError, match=r"of shapes such as \(2, 17, 3\) and \(1, 17, 3\), expected the same shape"):
        keypoint_files.load(tmp_path / "walk.npz")


@pytest.mark.parametrize("other", [(25, 17, 3), (25, 17, 2), (25, 3), (25, 2, 2), (1, 2)], ids=str)
def test_archives_of_keypoints_and_of_other_arrays_without_names(tmp_path, other):
    np.savez(tmp_path / "walk.npz", WALK[..., :2], np.full(other, 0.5))
    (track,) = keypoint_files.load(tmp_path / "walk.npz")
    np.testing.assert_array_equal(track.keypoints, WALK[..., :2])
    np.savez(tmp_path / "walk.npz", WALK[:15, :, :2], np.full((15, 17, 2), 0.5))
    (track,) = keypoint_files.load(tmp_path / "walk.npz")
    np.testing.assert_array_equal(track.keypoints, WALK[:15, :, :2])


def test_archives_with_an_array_for_each_person(tmp_path):
    np.savez(tmp_path / "walk.npz", person_1=WALK, person_2=WALK + [300, 0, 0])
    first, second = keypoint_files.load(tmp_path / "walk.npz")
    np.testing.assert_array_equal(first.keypoints, WALK[..., :2])
    np.testing.assert_array_equal(second.keypoints, WALK[..., :2] + [300, 0])


def test_people_by_id_in_each_frame(tmp_path):
    by_number = {str(i): {"2": (p + [300, 0, 0]).tolist(), "1": p.tolist()} for i, p in enumerate(WALK)}
    by_name = {f"frame_{i}": {f"person_{k}": {"keypoints": own[str(k)]} for k in (1, 2)} for i, own in by_number.items()}
    for content in (by_number, by_name):
        found = keypoint_files.load(write_json(tmp_path / "walk.json", content))
        first, second = sorted(found, key=lambda track: track.name)
        np.testing.assert_array_equal(first.keypoints, WALK[..., :2])
        np.testing.assert_array_equal(second.keypoints, WALK[..., :2] + [300, 0])
    same(
        write_json(tmp_path / "walk.json", {"keypoints": {str(i + 2): p.tolist() for i, p in enumerate(WALK)}}), "coco", first=2
    )


@pytest.mark.parametrize("count", [14, 24, 32])
def test_numbers_of_joints_of_which_the_first_may_be_missing(tmp_path, count):
    """1 to 32 may be MediaPipe's 33 landmarks without the nose, or Human3.6M's 32 joints; 14 are LSP's, 24 SMPL's."""
    content = [
        {"frame": i, "keypoints": [{"id": j, "x": p[j, 0], "y": p[j, 1]} for j in range(1, count + 1)]}
        for i, p in enumerate(LANDMARKS)
    ]
    message = f"found joints numbered 1 to {count}, expected 0 to {count}, or 1 to a layout's number of joints"
    with pytest.raises(DataError, match=message):
        keypoint_files.load(write_json(tmp_path / "walk.json", content))


def test_objects_of_numbered_joints_and_of_their_scores(tmp_path):
    content = {key: {str(j): value for j, value in enumerate(values)} for key, values in ONE.items()}
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    np.testing.assert_array_equal(track.keypoints, WALK[:1, :, :2])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("walk.parquet", "found a binary table, which is not read, expected a table as text; pandas writes it by to_csv"),
        ("walk.h5", "found an HDF5 file, which is not read, expected a table as text; DeepLabCut and SLEAP export CSV too"),
        ("walk.pkl", "found a pickle, which is not read, expected JSON, CSV or .npz"),
        ("walk.XLSX", "found a spreadsheet, which is not read, expected a table as text"),
        ("walk.trc", "found markers or joints of motion capture, which is not read, expected a detector's 2D keypoints"),
        ("walk.mp4", "found a video, which is not read, expected the keypoints that a detector found in it"),
    ],
)
def test_files_of_other_kinds(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"PK\x03\x04,;\t\0")
    with pytest.raises(DataError, match=message):
        keypoint_files.load(tmp_path / name)
    if name != "walk.parquet":
        return
    write_json(tmp_path / name, WALK.tolist())  # its content is what counts
    same(tmp_path / name, "coco")


def test_a_folder_of_tables_is_named(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.csv").write_text("frame,nose_x")
    with pytest.raises(DataError, match=r"found no .json or .txt file but 2 .csv, expected one .*; is it one of these files\?"):
        keypoint_files.load(tmp_path)


def test_names_of_apples_vision(tmp_path):
    own = {"shoulder": "shoulder_1", "elbow": "forearm", "wrist": "hand", "hip": "upLeg", "knee": "leg", "ankle": "foot"}
    names = []
    for name in COCO:
        side, _, part = name.partition("_")
        names.append(f"{side}_{own.get(part, part)}_joint" if part else name)
    assert joint_names(names) == list(COCO)
    content = [{"frame": i, "joints": dict(zip(names, p.tolist(), strict=True))} for i, p in enumerate(WALK)]
    same(write_json(tmp_path / "walk.json", content), "coco")
    assert joint_names(["left_hand", "left_wrist", "left_hand_3", "LeftLeg", "left_knee"])[:2] == [None, "left_wrist"]
    assert joint_names(["left_hand", "left_wrist", "left_hand_3", "LeftLeg", "left_knee"])[2:] == [None, None, "left_knee"]


def test_pictures_named_by_their_time(tmp_path):
    start = datetime.datetime(2024, 5, 1, 10, 0, 0, 620_000)
    times = [start + datetime.timedelta(milliseconds=40 * i + i % 3) for i in range(25)]
    content = [
        {"image_id": f"{t:%Y%m%d_%H%M%S_%f}.jpg", "keypoints": flat(p), "score": 1} for t, p in zip(times, WALK, strict=True)
    ]
    same(write_json(tmp_path / "walk.json", content[::-1]), "coco")
