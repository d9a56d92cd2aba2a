"""The forms of JSON that detectors and people write: the same walking person is read from each of them."""

import json

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.pose.layouts import LAYOUTS
from tests.keypoints.builders import (
    BODY,
    CAMEL,
    COCO,
    HALPE,
    LANDMARKS,
    MEDIAPIPE,
    SIZE,
    WALK,
    dots,
    flat,
    named,
    openpose,
    same,
    shares,
    walker,
    wholebody,
    wide,
    write_folder,
    write_json,
)

HEADER, ROWS = wide(WALK, COCO)
NAMES = HEADER[0].split(",")

JSON = {  # form: (content, layout)
    "mmpose, list of frames": (
        [
            {"frame_id": i, "instances": [{"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist()}]}
            for i, p in enumerate(WALK)
        ],
        "coco",
    ),
    "alphapose": (
        [
            {"image_id": f"{i}.jpg", "keypoints": flat(p), "score": 3.1, "box": [1, 2, 3, 4], "idx": 0}
            for i, p in enumerate(WALK)
        ],
        "coco",
    ),
    "alphapose, halpe 136": (
        [{"image_id": f"{i}.jpg", "keypoints": flat(wholebody(p, 136)), "idx": [1]} for i, p in enumerate(HALPE)],
        "halpe_26",
    ),
    "alphapose, cmu": ({f"{i}.jpg": {"version": 0.1, "bodies": [{"joints": flat(p)}]} for i, p in enumerate(WALK)}, "coco"),
    "alphapose, open": (
        {f"{i}.jpg": {"people": [{"pose_keypoints_2d": flat(p)}]} for i, p in enumerate(walker("coco_18"))},
        "coco_18",
    ),
    "alphapose, poseflow": (
        {f"{i}.jpg": [{"keypoints": flat(p), "scores": 2.5, "idx": 1}] for i, p in enumerate(WALK)},
        "coco",
    ),
    "coco results": (
        [{"image_id": i, "category_id": 1, "keypoints": flat(p), "score": 0.9} for i, p in enumerate(WALK)],
        "coco",
    ),
    "detectron instances": (
        [
            {"image_id": i, "category_id": 0, "bbox": [0, 0, 1, 1], "score": 0.9, "keypoints": flat(p)}
            for i, p in enumerate(WALK)
        ],
        "coco",
    ),
    "detectron, fields": ([{"frame": i, "pred_keypoints": [p.tolist()], "scores": [0.9]} for i, p in enumerate(WALK)], "coco"),
    "motionbert": ({"annotations": [{"frame_id": i, "keypoints": flat(p)} for i, p in enumerate(WALK)]}, "coco"),
    "yolo": (
        [
            [
                {
                    "name": "person",
                    "class": 0,
                    "box": {},
                    "keypoints": {"x": p[:, 0].tolist(), "y": p[:, 1].tolist(), "visible": p[:, 2].tolist()},
                }
            ]
            for p in WALK
        ],
        "coco",
    ),
    "kinetics": (
        {
            "data": [
                {"frame_index": i, "skeleton": [{"pose": shares(p)[:, :2].ravel().tolist(), "score": p[:, 2].tolist()}]}
                for i, p in enumerate(walker("coco_18"))
            ],
            "label": "walk",
        },
        "coco_18",
    ),
    "mediapipe, lists": ([dots(p) for p in LANDMARKS], "mediapipe_33"),
    "mediapipe, several people": ([[dots(p)] for p in LANDMARKS], "mediapipe_33"),
    "mediapipe, rows": (
        [{"frame": i, "landmarks": [[*d.values()] for d in dots(p)]} for i, p in enumerate(LANDMARKS)],
        "mediapipe_33",
    ),
    "mediapipe, frames": (
        {
            "frames": [
                {"frame_index": i, "pose_landmarks": dots(p), "pose_world_landmarks": dots(p)} for i, p in enumerate(LANDMARKS)
            ]
        },
        "mediapipe_33",
    ),
    "mediapipe, javascript": ([{"poseLandmarks": dots(p), "time": i / 30} for i, p in enumerate(LANDMARKS)], "mediapipe_33"),
    "mediapipe, names": (
        {f"frame_{i:04}": dict(zip(MEDIAPIPE, dots(p), strict=True)) for i, p in enumerate(LANDMARKS)},
        "mediapipe_33",
    ),
    "mediapipe, numbers": (
        {str(i): {str(j): d for j, d in enumerate(dots(p))} for i, p in enumerate(LANDMARKS)},
        "mediapipe_33",
    ),
    "movenet": ([{"keypoints": named(p, COCO), "score": 0.8} for p in WALK], "coco"),
    "movenet, poses of frames": ([[{"keypoints": named(p, CAMEL), "score": 0.8}] for p in WALK], "coco"),
    "movenet, frames": (
        {"frames": [{"timestamp": 33 * i, "poses": [{"score": 1, "keypoints": named(p, COCO)}]} for i, p in enumerate(WALK)]},
        "coco",
    ),
    "posenet": (
        [
            {
                "score": 0.9,
                "keypoints": [
                    {"part": name, "score": s, "position": {"x": x, "y": y}}
                    for name, (x, y, s) in zip(CAMEL, p.tolist(), strict=True)
                ],
            }
            for p in WALK
        ],
        "coco",
    ),
    "vitpose": ({"keypoints": [{"0": p[:, [1, 0, 2]].tolist()} for p in WALK], "skeleton": dict(enumerate(COCO))}, "coco"),
    "vitpose, joints by number": (
        {"keypoints": [{"0": dict(enumerate(p[:, [1, 0, 2]].tolist()))} for p in WALK], "skeleton": dict(enumerate(COCO))},
        "coco",
    ),
    "rtmlib": (
        [{"frame": i, "keypoints": [p[:, :2].tolist()], "scores": [p[:, 2].tolist()]} for i, p in enumerate(WALK)],
        "coco",
    ),
    "rtmlib, 26": (
        {"frames": [{"people": [{"keypoints": p[:, :2].tolist(), "scores": p[:, 2].tolist()}]} for p in HALPE]},
        "halpe_26",
    ),
    "openpose in one file": ([openpose(p) for p in walker("body_25")], "body_25"),
    "objects of frames": (
        {"frames": {str(i): {"people": [{"id": 1, "keypoints": p.tolist()}]} for i, p in enumerate(WALK)}},
        "coco",
    ),
    "arrays": ({"fps": 25, "keypoints": WALK.tolist()}, "coco"),
    "lists": (WALK.tolist(), "coco"),
    "flat lists": ([flat(p) for p in BODY], "body_25"),
    "lists of people": ([[p.tolist()] for p in WALK], "coco"),
    "object of lists": ({f"frame_{i}": p.tolist() for i, p in enumerate(WALK)}, "coco"),
    "texts": ([json.dumps([{"keypoints": p.tolist(), "box": {}}]) for p in WALK], "coco"),
    "landmarks as keypoints": ([{"frame": i, "keypoints": dots(p)} for i, p in enumerate(LANDMARKS)], "mediapipe_33"),
    "mediapipe, landmark": ({"frames": [{"landmark": dots(p)} for p in LANDMARKS]}, "mediapipe_33"),
    "other spellings of keys": ([{"frameNumber": i, "Keypoints": p.tolist()} for i, p in enumerate(WALK)], "coco"),
    "short names of keys": (
        [{"frame_num": i, "kpts": p[:, :2].tolist(), "kp_score": p[:, 2:].tolist()} for i, p in enumerate(WALK)],
        "coco",
    ),
    "numbers as texts": ([{"image_id": f"{i}.jpg", "keypoints": [*map(str, flat(p))]} for i, p in enumerate(WALK)], "coco"),
    "flat pairs": ([{"frame": i, "keypoints": flat(p[:, :2])} for i, p in enumerate(WALK)], "coco"),
    "flat x, y, z, visibility": (
        [{"frame": i, "landmarks": flat(np.insert(shares(p), 2, -0.1, axis=1))} for i, p in enumerate(LANDMARKS)],
        "mediapipe_33",
    ),
    "joints' numbers first": ([[[j, x, y] for j, (x, y, _) in enumerate(p.tolist())] for p in WALK], "coco"),
    "rows by joint name": ([dict(zip(COCO, p.tolist(), strict=True)) for p in WALK], "coco"),
    "enumeration names": (
        [{f"PoseLandmark.{n.upper()}": d for n, d in zip(MEDIAPIPE, dots(p), strict=True)} for p in LANDMARKS],
        "mediapipe_33",
    ),
    "mediapipe, poses of frames": (
        {"frames": [{"frameNumber": i, "poses": [{"landmarks": dots(p)}]} for i, p in enumerate(LANDMARKS)]},
        "mediapipe_33",
    ),
    "mediapipe, pose of frames": (
        [{"frame": i, "pose": {"landmarks": dots(p)}} for i, p in enumerate(LANDMARKS)],
        "mediapipe_33",
    ),
    "alphapose, tracked with box": (
        {f"{i}.jpg": [{"keypoints": flat(p), "scores": 2.5, "idx": 1, "box": [1, 2, 3, 4]}] for i, p in enumerate(WALK)},
        "coco",
    ),
    "yolo, object of frames": (
        {f"frame_{i}": [{"name": "person", "box": {}, "keypoints": p.tolist()}] for i, p in enumerate(WALK)},
        "coco",
    ),
    "yolo, attributes": (
        [{"frame": i, "keypoints": {"xy": [p[:, :2].tolist()], "conf": [p[:, 2].tolist()]}} for i, p in enumerate(WALK)],
        "coco",
    ),
    "mmpose, inferencer": (
        [{"predictions": [[{"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist()}]]} for p in WALK],
        "coco",
    ),
    "tracks by id": ({"tracks": {"1": [{"frame": i, "keypoints": p.tolist()} for i, p in enumerate(WALK)]}}, "coco"),
    "records of a table": (
        [{"frame": i, **dict(zip(HEADER[0].split(",")[1:], flat(p), strict=True))} for i, p in enumerate(WALK)],
        "coco",
    ),
    "records of joints": (
        [
            {"frame": i, "joint": n, "x": x, "y": y}
            for i, p in enumerate(WALK)
            for n, (x, y, _) in zip(COCO, p.tolist(), strict=True)
        ],
        "coco",
    ),
    "dwpose, 134": ([openpose(wholebody(p, 134)) for p in walker("coco_18")], "coco_18"),
    "alphapose, raw": (
        [
            {"imgname": f"{i}.jpg", "result": [{"keypoints": p[:, :2].tolist(), "kp_score": p[:, 2:].tolist(), "idx": 1}]}
            for i, p in enumerate(WALK)
        ],
        "coco",
    ),
    "kinetics, list": (
        [
            {"frame_index": i, "skeleton": [{"pose": shares(p)[:, :2].ravel().tolist(), "score": p[:, 2].tolist()}]}
            for i, p in enumerate(walker("coco_18"))
        ],
        "coco_18",
    ),
    "skeleton": ([{"fr": i, "skeleton": p.tolist()} for i, p in enumerate(WALK)], "coco"),
    "lmList": (
        [{"n_frame": i, "lmList": [[j, x, y] for j, (x, y, _) in enumerate(p.tolist())]} for i, p in enumerate(LANDMARKS)],
        "mediapipe_33",
    ),
    "people by id": ([{"frame": i, "people": {"3": {"keypoints": p.tolist()}}} for i, p in enumerate(WALK)], "coco"),
    "pandas, columns": ({n: {str(i): row[k] for i, row in enumerate(ROWS)} for k, n in enumerate(NAMES)}, "coco"),
    "pandas, list": ({n: [row[k] for row in ROWS] for k, n in enumerate(NAMES)}, "coco"),
    "pandas, index": ({str(i): dict(zip(NAMES, row, strict=True)) for i, row in enumerate(ROWS)}, "coco"),
    "pandas, split": ({"columns": NAMES, "index": [*range(len(ROWS))], "data": ROWS}, "coco"),
    "pandas, values": (ROWS, "coco"),
    "pandas, table": ({"schema": {"fields": []}, "data": [dict(zip(NAMES, row, strict=True)) for row in ROWS]}, "coco"),
    "pandas, columns of objects": (
        {"frame": {str(i): i for i in range(25)}, "keypoints": {str(i): p.tolist() for i, p in enumerate(WALK)}},
        "coco",
    ),
    "frames of each joint": ({n: WALK[:, j].tolist() for j, n in enumerate(COCO)}, "coco"),
    "frames of each joint, with rate": ({"fps": 25, "joints": {n: WALK[:, j].tolist() for j, n in enumerate(COCO)}}, "coco"),
    "frames of each joint's axes": (
        {n: dict(zip(("x", "y", "score"), WALK[:, j].T.tolist(), strict=True)) for j, n in enumerate(COCO)},
        "coco",
    ),
    "supervision": (
        [
            {"frame": i, "xy": [p[:, :2].tolist()], "confidence": [p[:, 2].tolist()], "class_id": [0]}
            for i, p in enumerate(WALK)
        ],
        "coco",
    ),
    "detectron, instances": (
        [
            {"file_name": f"frame_{i:06}.jpg", "instances": {"pred_boxes": [[1, 2, 3, 4]], "pred_keypoints": [p.tolist()]}}
            for i, p in enumerate(WALK)
        ],
        "coco",
    ),
    "ml5, poses of frames": (
        [{"frame": i, "poses": [{"keypoints": named(p, COCO), "box": {"xMin": 1}, "id": 1}]} for i, p in enumerate(WALK)],
        "coco",
    ),
    "poses, one a frame": ({"width": 1280, "height": 720, "poses": [{"keypoints": named(p, COCO)} for p in WALK]}, "coco"),
    "names of joints beside frames": (
        {"joint_names": list(COCO[::-1]), "frames": [{"keypoints": p[::-1].tolist()} for p in WALK]},
        "coco",
    ),
    "numbers of joints beside frames": (
        {
            "info": {"joints": {n: i for i, n in enumerate(COCO[::-1])}},
            "frames": [{"keypoints": p[::-1].tolist()} for p in WALK],
        },
        "coco",
    ),
}

LINES = {
    "openpifpaf": (
        [{"frame": i, "predictions": [{"keypoints": flat(p), "bbox": [], "score": 0.9, "id_": 1}]} for i, p in enumerate(WALK)],
        "coco",
    ),
    "mediapipe": ([{"frame": i, "landmarks": dots(p)} for i, p in enumerate(LANDMARKS)], "mediapipe_33"),
    "lists": ([dots(p) for p in LANDMARKS], "mediapipe_33"),
}

FOLDERS = {  # form: (file name, content of each file, layout)
    "openpose": ("walk_{:012d}_keypoints.json", [openpose(p) for p in BODY], "body_25"),
    "openpose, old": ("walk_{:012d}_keypoints.json", [openpose(p, "pose_keypoints") for p in walker("coco_18")], "coco_18"),
    "openpose, 15 joints": ("a_{}_keypoints.json", [openpose(p) for p in walker("openpose_mpi_15")], "openpose_mpi_15"),
    "cameras": ("cam01.{:04d}.json", [openpose(p) for p in BODY], "body_25"),
    "numbers": ("{}.json", [openpose(p) for p in BODY], "body_25"),
    "openpose, 135 joints": (
        "walk_{:012d}_keypoints.json",
        [openpose(wholebody(p, 135)) for p in walker("body_25b")],
        "body_25b",
    ),
    "pose2sim": ("cam01_{:06d}.json", [openpose(p) for p in HALPE], "halpe_26"),
    "dates": ("2024-05-01_12-30-00_{:05d}_1280x720_keypoints.json", [openpose(p) for p in BODY], "body_25"),
    "roboflow": ("walk_{0:04d}_jpg.rf.{0:06x}00ab.json", [openpose(p) for p in BODY], "body_25"),
    "times": ("17145560{:05d}000_keypoints.json", [openpose(p) for p in BODY], "body_25"),
    "mmpose": (
        "frame_{:05d}.json",
        [[{"keypoints": p[:, :2].tolist(), "keypoint_scores": p[:, 2].tolist(), "bbox": [[0, 0, 1, 1]]}] for p in WALK],
        "coco",
    ),
    "openpifpaf": ("walk_{:04d}.jpg.predictions.json", [[{"keypoints": flat(p), "category_id": 1}] for p in WALK], "coco"),
    "mediapipe": ("{:06d}.json", [{"landmarks": dots(p)} for p in LANDMARKS], "mediapipe_33"),
    "alphapose, cmu": ("{:06d}.json", [{"version": 0.1, "bodies": [{"joints": flat(p)}]} for p in WALK], "coco"),
    "yolo": (
        "im_{}.json",
        [[{"box": {}, "keypoints": {"x": p[:, 0].tolist(), "y": p[:, 1].tolist(), "visible": p[:, 2].tolist()}}] for p in WALK],
        "coco",
    ),
}


@pytest.mark.parametrize("form", JSON)
def test_json(tmp_path, form):
    same(write_json(tmp_path / "walk.json", JSON[form][0]), JSON[form][1])


@pytest.mark.parametrize("form", LINES)
def test_json_lines(tmp_path, form):
    same(write_json(tmp_path / "walk.json", LINES[form][0], lines=True), LINES[form][1])


@pytest.mark.parametrize("form", FOLDERS)
def test_folders_of_json(tmp_path, form):
    name, content, layout = FOLDERS[form]
    same(write_folder(tmp_path / "walk", name, content), layout)


def test_empty_files_beside_full_ones(tmp_path):
    folder = write_folder(tmp_path / "walk", "w_{:012d}_keypoints.json", [openpose(p) for p in BODY])
    (folder / f"w_{5:012d}_keypoints.json").write_text("")
    write_json(folder / f"w_{6:012d}_keypoints.json", {"version": 1.3, "people": []})
    write_json(folder / f"w_{7:012d}_keypoints.json", openpose(BODY[7] * 0))
    (track,) = keypoint_files.load(folder)
    np.testing.assert_array_equal(np.flatnonzero(~track.detected), [5, 6, 7])
    np.testing.assert_array_equal(track.keypoints[8:], BODY[8:, :, :2].astype(np.float32))


def test_the_size_and_the_rate_of_a_video_under_other_keys(tmp_path):
    frames = [{"landmarks": dots(p)} for p in LANDMARKS]
    for content in (
        {"metadata": {"frame_rate": 25, "frame_width": 1280, "frame_height": 720}, "frames": frames},
        {"video_info": {"fps": 25, "resolution": [1280, 720]}, "frames": frames},
        {"framerate": 25, "imageSize": [1280, 720], "frames": frames},
        {"fps": 25, "frames": [one | {"canvas_width": 1280, "canvas_height": 720} for one in frames]},
    ):
        (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
        assert (track.image_size, track.fps) == (SIZE, 25)
    people = [{"x": 5, "y": 6, "width": 70, "height": 80, "keypoints": p.tolist()} for p in WALK]
    for content in ([{"frame": i, **one} for i, one in enumerate(people)], [{"predictions": [one]} for one in people]):
        (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
        assert track.image_size is None


def annotations(person, names, file_name, first_id=1):
    images = [
        {"id": first_id + i, "file_name": file_name.format(i), "width": SIZE[0], "height": SIZE[1]} for i in range(len(person))
    ]
    found = [
        {"id": i, "image_id": first_id + i, "category_id": 1, "keypoints": flat(p * [1, 1, 2])} for i, p in enumerate(person)
    ]
    return {"images": images, "annotations": found, "categories": [{"id": 1, "name": "person", "keypoints": list(names)}]}


def test_annotations_of_coco_and_posetrack(tmp_path):
    path = write_json(
        tmp_path / "walk.json", annotations(np.where([False, False, True], 1, WALK), COCO, "walk/{:06d}.jpg", 100)
    )
    track = same(path, "coco")
    assert (track.layout, track.image_size) == ("coco", SIZE)
    names = ["nose", "head_bottom", "head_top", *LAYOUTS["posetrack"].joints[3:]]
    content = annotations(
        np.where([False, False, True], 1, walker("posetrack")), names, "images/val/000342_mpii_test/{:06d}.jpg"
    )
    assert same(write_json(tmp_path / "walk.json", content), "posetrack").layout == "posetrack"
    one, two = annotations(WALK, COCO, "a/{:04d}.jpg"), annotations(WALK[:9], COCO, "b/{:04d}.jpg", 500)
    content = {key: one[key] + two[key] for key in ("images", "annotations")}
    found = keypoint_files.load(write_json(tmp_path / "both.json", content))
    assert [(track.name, len(track.keypoints)) for track in found] == [("a", 25), ("b", 9)]


def test_pictures_that_are_no_video_are_lifted_one_by_one(tmp_path):
    """Pictures with unrelated names, or with ids that are far and unevenly spaced; one person in each."""
    folder = tmp_path / "images"
    for index, name in enumerate(["bend_1200x900", "jump", "reach_2", "IMG_20240501_1200x900"]):
        write_json(folder / f"{name}_keypoints.json", openpose(BODY[index]))
    found = keypoint_files.load(folder)
    assert {track.name for track in found} == {"bend_1200x900", "jump", "reach_2", "IMG_20240501_1200x900"}
    assert {track.keypoints.shape for track in found} == {(1, 25, 2)}
    ids = [139, 285, 632, 724, 776, 785, 802, 872, 885, 1000]
    content = [
        {"image_id": n, "category_id": 1, "keypoints": flat(p + [300 * k, 0, 0]), "score": 1}
        for n, p in zip(ids, WALK, strict=False)
        for k in (0, 1)
    ]
    found = keypoint_files.load(write_json(tmp_path / "results.json", content))
    assert len(found) == 20
    assert {len(track.keypoints) for track in found} == {1}
    for number, entry in enumerate(content):
        entry["image_id"] = number // 2
    assert [len(track.keypoints) for track in keypoint_files.load(write_json(tmp_path / "results.json", content))] == [10, 10]


def test_image_names_with_sizes_and_dates(tmp_path):
    names = {
        "walk_{:04d}_720p.jpg": 0,
        "2024-05-01_{:04d}.png": 0,
        "20240501_1230{:02d}.jpg": 123000,
        "1280x720/cam1/{:06d}.jpg": 0,
    }
    for name, first in names.items():
        content = [{"image_id": name.format(i), "keypoints": flat(p), "score": 1} for i, p in enumerate(WALK)]
        same(write_json(tmp_path / "walk.json", content), "coco", first)


def test_frames_without_people(tmp_path):
    kinetics = {"data": [], "label": "unknown", "label_index": -1, "has_skeleton": False}
    for content in (kinetics, {"frames": []}, [[], []], {"keypoints": [], "skeleton": {}}, {"images": [], "annotations": []}):
        with pytest.raises(DataError, match=r"walk\.json: (found no person in any frame|found .*, expected a keypoint format)"):
            keypoint_files.load(write_json(tmp_path / "walk.json", content), Hints(image_size=SIZE))
    content = [[], *JSON["movenet, poses of frames"][0][1:]]
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    assert (track.first_frame, len(track.keypoints)) == (1, 24)


def test_a_joint_that_an_object_lacks_is_missing(tmp_path):
    content = [{"keypoints": named(p, COCO)} for p in WALK]
    del content[4]["keypoints"][9]
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    assert np.argwhere(np.isnan(track.keypoints[..., 0])).tolist() == [[4, 9]]
