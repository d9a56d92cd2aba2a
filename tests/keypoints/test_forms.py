"""The forms that detectors and people write: the same walking person is read from each of them."""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import keypoint_files, tracks, which_layout
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.pose.layouts import LAYOUTS
from tests.keypoints.builders import (
    FRAMES,
    MEDIAPIPE,
    SIZE,
    flat,
    named,
    shares,
    table,
    walker,
    wide,
    write_folder,
    write_json,
)

COCO = LAYOUTS["coco"].joints
CAMEL = [re.sub("_(.)", lambda found: found[1].upper(), name) for name in COCO]  # leftEye
WALK, LANDMARKS, HALPE = walker("coco"), walker("mediapipe_33"), walker("halpe_26")
BODY = walker("body_25")


def dots(person):
    return [{"x": x, "y": y, "z": -0.1, "visibility": v} for x, y, v in shares(person).tolist()]


def openpose(person, key="pose_keypoints_2d"):
    return {"version": 1.3, "people": [{"person_id": [-1], key: flat(person)}]}


def wholebody(person, joints):
    return np.concatenate([person, np.tile(person[:1], (joints - len(person), 1))])


HEADER, ROWS = wide(WALK, COCO)
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
}
LINES = {
    "openpifpaf": (
        [{"frame": i, "predictions": [{"keypoints": flat(p), "bbox": [], "score": 0.9, "id_": 1}]} for i, p in enumerate(WALK)],
        "coco",
    ),
    "mediapipe": ([{"frame": i, "landmarks": dots(p)} for i, p in enumerate(LANDMARKS)], "mediapipe_33"),
    "lists": ([dots(p) for p in LANDMARKS], "mediapipe_33"),
}


def same(path, layout, first=0):
    """Read a file and compare it with the walking person."""
    (track,) = keypoint_files.load(path, Hints(image_size=SIZE))
    expected = walker(layout)
    assert track.first_frame == first
    alike = sum(len(one.joints) == len(LAYOUTS[layout].joints) for one in LAYOUTS.values())
    assert track.layout == layout or (track.layout is None and alike > 1)
    np.testing.assert_allclose(track.keypoints, expected[..., :2], atol=1e-2)
    assert ((track.confidences == 1) | (np.abs(track.confidences - 0.75) < 1e-6)).all()
    return track


@pytest.mark.parametrize("form", JSON)
def test_json(tmp_path, form):
    same(write_json(tmp_path / "walk.json", JSON[form][0]), JSON[form][1])


@pytest.mark.parametrize("form", LINES)
def test_json_lines(tmp_path, form):
    same(write_json(tmp_path / "walk.json", LINES[form][0], lines=True), LINES[form][1])


FOLDERS = {  # form: (file name, content of each file, layout)
    "openpose": ("walk_{:012d}_keypoints.json", [openpose(p) for p in BODY], "body_25"),
    "openpose, old": ("walk_{:012d}_keypoints.json", [openpose(p, "pose_keypoints") for p in walker("coco_18")], "coco_18"),
    "openpose, 15 joints": ("a_{}_keypoints.json", [openpose(p) for p in walker("openpose_mpi_15")], "openpose_mpi_15"),
    "cameras": ("cam01.{:04d}.json", [openpose(p) for p in BODY], "body_25"),
    "numbers": ("{}.json", [openpose(p) for p in BODY], "body_25"),
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


def labels(person, *more):
    return " ".join(f"{value:.8g}" for value in [0, 0.5, 0.5, 0.2, 0.6, *shares(person).ravel(), *more])


@pytest.mark.parametrize("more", [(), (0.8731,), (3,), (0.87, 3)], ids=["plain", "confidence", "track", "both"])
def test_yolo_labels(tmp_path, more):
    for i, p in enumerate(WALK):
        (tmp_path / f"walk_{i + 1}.txt").write_text(labels(p, *more) + "\n")
    (tmp_path / "classes.txt").write_text("person")
    track = same(tmp_path, "coco", first=1)
    assert track.name == ("person_3" if 3 in more else tmp_path.name)


def long(person, names, header="frame,landmark,x,y,z,visibility"):
    return table(
        [[i, n, *s[:2], 0.1, s[2]] for i, p in enumerate(person) for n, s in zip(names, p.tolist(), strict=True)], [header]
    )


PLAIN = [[f"{v:g}" for v in row] for row in ROWS]
DOTS4 = [np.insert(shares(p), 2, 0.1, axis=1) for p in LANDMARKS]
LAST = [c.replace("_", " ").title() for c in COCO]
DLC = [
    ",".join(["scorer", *["net"] * 51]),
    ",".join(["bodyparts", *(n for n in COCO for _ in "xyc")]),
    ",".join(["coords", *["x", "y", "likelihood"] * 17]),
]
TABLES = {  # form: (content, layout)
    "plain": (table(ROWS, HEADER), "coco"),
    "windows": (table(ROWS, HEADER, end="\r\n"), "coco"),
    "byte order mark": ("\ufeff" + table(ROWS, HEADER), "coco"),
    "quoted": (table([[f'"{c}"' for c in row] for row in PLAIN], ['"' + HEADER[0].replace(",", '","') + '"']), "coco"),
    "semicolons": (table(ROWS, [HEADER[0].replace(",", ";")], ";"), "coco"),
    "decimal commas": (
        table([[c.replace(".", ",") for c in row] for row in PLAIN], [HEADER[0].replace(",", ";")], ";"),
        "coco",
    ),
    "tabs": (table(ROWS, [HEADER[0].replace(",", "\t")], "\t"), "coco"),
    "blanks": (table(ROWS, [HEADER[0].replace(",", " ")], " "), "coco"),
    "frame_no, dots": (table(*reversed(wide(WALK, COCO, (".x", ".y", ".prob"), "frame_no"))), "coco"),
    "capitals": (table(*reversed(wide(WALK, COCO, ("_X", "_Y", "_Conf"), "Frame Number"))), "coco"),
    "camel": (table(*reversed(wide(WALK, CAMEL, ("X", "Y"), "frameIndex"))), "coco"),
    "blanks in names": (table(*reversed(wide(WALK, LAST, (" x (px)", " y (px)", " likelihood"), "Frame"))), "coco"),
    "axes first": (table(ROWS, ["frame," + ",".join(f"{a}_{n}" for n in COCO for a in ("x", "y", "c"))]), "coco"),
    "openpose names": (
        table(
            *reversed(
                wide(
                    walker("h36m"),
                    [
                        "Hip",
                        "RHip",
                        "RKnee",
                        "RAnkle",
                        "LHip",
                        "LKnee",
                        "LAnkle",
                        "Spine",
                        "Thorax",
                        "SkullBase",
                        "Head",
                        "LShoulder",
                        "LElbow",
                        "LWrist",
                        "RShoulder",
                        "RElbow",
                        "RWrist",
                    ],
                )
            )
        ),
        "h36m",
    ),
    "numbers": (table(*reversed(wide(WALK, range(17), ("_x", "_y", "_c")))), "coco"),
    "x0, y0, z0, v0": (
        table(
            [[i, *p.ravel()] for i, p in enumerate(DOTS4)], ["frame," + ",".join(f"{a}{j}" for j in range(33) for a in "xyzv")]
        ),
        "mediapipe_33",
    ),
    "landmark_00_x": (
        table(
            [[i, *p.ravel()] for i, p in enumerate(DOTS4)],
            ["frame," + ",".join(f"landmark_{j:02}_{a}" for j in range(33) for a in ("x", "y", "z", "visibility"))],
        ),
        "mediapipe_33",
    ),
    "mediapipe": (
        table(
            [[i, *p.ravel()] for i, p in enumerate(DOTS4)],
            ["frame," + ",".join(f"{n}_{a}" for n in MEDIAPIPE for a in ("x", "y", "z", "visibility"))],
        ),
        "mediapipe_33",
    ),
    "no frame": (table([row[1:] for row in ROWS], [HEADER[0].partition(",")[2]]), "coco"),
    "index": (table(ROWS, [HEADER[0].removeprefix("frame")]), "coco"),
    "index and frame": (table([[900 + r[0], *r] for r in ROWS], ["," + HEADER[0]]), "coco"),
    "id of the line": (table([[900 + r[0], *r] for r in ROWS], ["id," + HEADER[0]]), "coco"),
    "time and label": (
        table([[r[0], r[0] / 30, *r[1:], "walk"] for r in ROWS], [HEADER[0].replace("frame,", "frame,time,") + ",label"]),
        "coco",
    ),
    "units": (table(ROWS, [*HEADER, "," + ",".join(["px"] * 51)]), "coco"),
    "no header": (table(ROWS), "coco"),
    "image names": (table([[f"img_{r[0]:04}.png", *r[1:]] for r in ROWS], HEADER), "coco"),
    "a line a joint": (long(WALK, COCO), "coco"),
    "a line a joint, numbered": (long(shares(LANDMARKS), range(33)), "mediapipe_33"),
    "a line a joint, label": (long(WALK, COCO, "frame,label,x,y,z,score"), "coco"),
    "a line a joint, pixels": (long(WALK, COCO, "frame,joint,x_px,y_px,z,conf"), "coco"),
    "comment": (table(ROWS, ["# of my camera", *HEADER]), "coco"),
    "numpy's header": (table(ROWS, ["# " + HEADER[0]]), "coco"),
    "columns numbered by pandas": (table([r[1:] for r in ROWS], [",".join(map(str, range(51)))]), "coco"),
    "joints over axes": (table(ROWS, ["," + DLC[1].partition(",")[2], "," + DLC[2].partition(",")[2]]), "coco"),
    "merged joints over axes": (
        table(ROWS, ["frame," + ",,,".join(COCO) + ",,", "," + ",".join(["x", "y", "c"] * 17)]),
        "coco",
    ),
    "separator for excel": (table(ROWS, ["sep=;", HEADER[0].replace(",", ";")], ";"), "coco"),
    "noise in names": (table(*reversed(wide(WALK, [f"kp_{name}" for name in COCO], ("_x", "_y", "_kp_conf")))), "coco"),
    "axes u, v": (table(*reversed(wide(WALK, COCO, ("_u", "_v", "_c")))), "coco"),
    "axes px, py": (table(*reversed(wide(WALK, COCO, ("_px", "_py", "_conf")))), "coco"),
    "axes col, row": (table(*reversed(wide(WALK, COCO, (" Col", " Row", " accuracy")))), "coco"),
    "axes u, v, a line a joint": (long(WALK, COCO, "fr,joint,u,v,z,acc"), "coco"),
    "points in brackets": (
        table([[i, *(f"({x}, {y})" for x, y, _ in p)] for i, p in enumerate(WALK)], ["f;" + ";".join(COCO)], ";"),
        "coco",
    ),
    "points in brackets, no frame": (table([[f'"{p.tolist()}"' for p in one] for one in WALK], [",".join(COCO)]), "coco"),
    "points of numpy": (
        table([[i, *(str(p) for p in one)] for i, one in enumerate(WALK)], ["frame," + ",".join(COCO)]),
        "coco",
    ),
    "no header, frame and person": (table([[row[0], 3, *row[1:]] for row in ROWS]), "coco"),
    "no header, person and frame, pairs": (table([[0, i, *p[:, :2].ravel()] for i, p in enumerate(WALK)]), "coco"),
    "deeplabcut": (table(ROWS, DLC), "coco"),
    "deeplabcut, animals": (table(ROWS, [DLC[0], ",".join(["individuals", *["me"] * 51]), *DLC[1:]]), "coco"),
}


@pytest.mark.parametrize("form", TABLES)
def test_tables(tmp_path, form):
    path = tmp_path / "walk.csv"
    path.write_bytes(TABLES[form][0].encode())
    same(path, TABLES[form][1])


def test_a_table_in_utf_16(tmp_path):
    path = tmp_path / "walk.txt"
    path.write_bytes(table(ROWS, [HEADER[0].replace(",", "\t")], "\t").encode("utf-16"))
    same(path, "coco")


def test_arrays(tmp_path):
    np.save(tmp_path / "walk.npy", WALK)
    same(tmp_path / "walk.npy", "coco")
    np.save(tmp_path / "walk.npy", BODY[None, ..., :2])
    same(tmp_path / "walk.npy", "body_25")
    for array in (WALK.reshape(25, -1), WALK[:, None, :, :2], np.insert(WALK, 2, 0.1, axis=-1)):
        np.save(tmp_path / "walk.npy", array)
        same(tmp_path / "walk.npy", "coco")
    np.save(tmp_path / "walk.npy", WALK[0])
    assert keypoint_files.load(tmp_path / "walk.npy")[0].keypoints.shape == (1, 17, 2)
    np.save(tmp_path / "walk.npy", np.array([wholebody(p, 136) for p in HALPE]))
    same(tmp_path / "walk.npy", "halpe_26")
    np.save(tmp_path / "walk.npy", np.array(DOTS4).reshape(FRAMES, -1))
    same(tmp_path / "walk.npy", "mediapipe_33")
    np.save(tmp_path / "walk.npy", np.array(DOTS4)[..., :3] * [1, 1, -1])
    with pytest.warns(UserWarning, match="using them as the depth of MediaPipe's landmarks"):
        assert (same(tmp_path / "walk.npy", "mediapipe_33").confidences == 1).all()
    whole = np.stack([wholebody(p, 553) for p in LANDMARKS * [1, 1, -100]])  # FreeMoCap's array of two cameras
    np.save(tmp_path / "walk.npy", np.stack([whole, whole + [300, 0, 0]]))
    first, second = keypoint_files.load(tmp_path / "walk.npy")
    assert first.layout == "mediapipe_33"
    np.testing.assert_allclose(second.keypoints - first.keypoints, np.broadcast_to([300, 0], (25, 33, 2)))
    np.savez(tmp_path / "walk.npz", reconstruction=walker("h36m")[None, ..., :2])
    same(tmp_path / "walk.npz", "h36m")


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


def test_frame_numbers_beside_the_joints(tmp_path):
    for key in ("frames", "frame_ids", "frameNumbers"):
        path = write_json(tmp_path / "walk.json", {key: list(range(4, 4 + FRAMES)), "keypoints": WALK.tolist()})
        same(path, "coco", first=4)
    with pytest.raises(DataError, match="found 1 frame numbers for 25 frames, expected equal numbers"):
        keypoint_files.load(write_json(path, {"frames": [1], "keypoints": WALK.tolist()}))
    for key in ("frames", "frame_idx", "frame_ids"):
        np.savez(tmp_path / "walk.npz", keypoints=WALK, **{key: np.arange(FRAMES) + 4})
        same(tmp_path / "walk.npz", "coco", first=4)
    np.savez(tmp_path / "walk.npz", keypoints=WALK, timestamps=np.arange(FRAMES) / 25, width=1280, height=720)
    (track,) = keypoint_files.load(tmp_path / "walk.npz")
    assert (track.image_size, round(track.fps, 3)) == (SIZE, 25)


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


def test_body_25b_is_told_from_body_25(tmp_path):
    for layout in ("body_25", "body_25b"):
        folder = write_folder(tmp_path / layout, "w_{:04d}_keypoints.json", [openpose(p) for p in walker(layout)])
        assert same(folder, layout).layout == layout


def test_layouts_are_told_by_how_people_look(tmp_path):
    for layout in ("coco", "h36m", "mpi_inf_3dhp", "body_25", "body_25b", "mpii"):
        np.savez(tmp_path / "walk.npz", keypoints=walker(layout))
        (track,) = keypoint_files.load(tmp_path / "walk.npz")
        assert (track.layout or which_layout.guess(track, "walk.npz")) == layout
    noise = np.random.default_rng(0).uniform(100, 500, (9, 17, 2))
    np.savez(tmp_path / "walk.npz", keypoints=noise)
    with pytest.raises(UserError, match=r"--layout: not set and not in walk.npz, expected coco or .* for 17 joints"):
        which_layout.guess(*keypoint_files.load(tmp_path / "walk.npz"), "walk.npz")


def test_joints_in_another_layout_than_said_are_warned_of():
    points = walker("h36m")
    track = tracks.Track("walk", points[..., :2], points[..., 2], 0, "coco", SIZE, 30, np.ones(len(points), bool))
    with pytest.warns(UserWarning, match="walk: joint distances do not fit a person in layout coco; they fit layout h36m"):
        which_layout.warn_if_implausible(track)
    right = dataclasses.replace(track, layout="h36m")
    with warnings.catch_warnings(action="error"):
        which_layout.warn_if_implausible(right)
    with pytest.warns(UserWarning, match="walk: found people upside down, expected y to increase from the top of the image"):
        which_layout.warn_if_implausible(dataclasses.replace(right, keypoints=points[..., :2] * [1, -1] + [0, 720]))


def test_low_confidence_is_missing(tmp_path):
    person = WALK.copy()
    person[:, 15:] = person[:, 15:] * [1, 1, 0] + [0, 200, 0.02]  # guessed ankles
    content = [{"image_id": f"{i}.jpg", "keypoints": flat(p), "score": 1} for i, p in enumerate(person)]
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    assert (track.confidences[:, 15:] == 0).all()
    assert (track.confidences[:, :15] > 0).all()
    (track,) = keypoint_files.load(tmp_path / "walk.json", Hints(min_confidence=0.0))
    assert (track.confidences > 0).all()


def test_what_is_in_3d_already_is_refused(tmp_path):
    points = walker("h36m") / 400 - 1
    scores = [1.0] * 17
    content = {
        "instance_info": [
            {"frame_id": i, "instances": [{"keypoints": p.tolist(), "keypoint_scores": scores}]} for i, p in enumerate(points)
        ]
    }
    np.save(tmp_path / "walk.npy", (points - points[:, :1])[..., [0, 1, 1]])
    np.savez(tmp_path / "walk.npz", reconstruction=(points - points[:, :1])[None, ..., [0, 1, 1]])
    for path in (write_json(tmp_path / "walk.json", content), tmp_path / "walk.npy", tmp_path / "walk.npz"):
        with pytest.raises(DataError, match="3D"):
            keypoint_files.load(path, Hints(image_size=SIZE))
    header, rows = wide((points - points[:, :1]) * 1000, LAYOUTS["h36m"].joints, ("_x", "_y", "_z"))
    (tmp_path / "walk.csv").write_text(table([[r[0], *(v / 1000 for v in r[1:])] for r in rows], header))
    with pytest.raises(DataError, match="points in 3D"):
        keypoint_files.load(tmp_path / "walk.csv", Hints(image_size=SIZE))


def test_shares_of_the_image_need_its_size(tmp_path):
    path = write_json(tmp_path / "walk.json", [dots(p) for p in LANDMARKS])
    with pytest.raises(DataError, match=r"seem normalised, expected pixels, or the image's size \(--width and --height\)"):
        keypoint_files.load(path)
    low = LANDMARKS.copy()
    low[:, 27:] += [0, 900, 0]  # feet far below the image
    path = write_json(tmp_path / "walk.json", [dots(p) for p in low])
    (track,) = keypoint_files.load(path, Hints(image_size=SIZE))
    np.testing.assert_allclose(track.keypoints, low[..., :2], atol=1e-2)


def test_several_people_in_a_table(tmp_path):
    other = walker("coco", 300)
    (header,), rows = wide(WALK, COCO)
    _, more = wide(other, COCO)
    both = [row for pair in zip(rows, more, strict=True) for row in pair]
    twice = [",".join([first, *2 * cells]) for first, *cells in (line.split(",") for line in DLC)]
    two_animals = [twice[0], ",".join(["individuals", *["a"] * 51, *["b"] * 51]), *twice[1:]]
    tables = [
        table([[r[0], k % 2 + 1, *r[1:]] for k, r in enumerate(both)], [header.replace("frame", "frame,person_id")]),
        table(both, [header]),
        table([[*a, *b[1:]] for a, b in zip(rows, more, strict=True)], two_animals),
    ]
    for content in tables:
        (tmp_path / "walk.csv").write_text(content)
        found = sorted(keypoint_files.load(tmp_path / "walk.csv"), key=lambda track: track.keypoints[0, 0, 0])
        for track, person in zip(found, (WALK, other), strict=True):
            np.testing.assert_allclose(track.keypoints, person[..., :2], atol=1e-2)
            assert track.layout == "coco"


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


@pytest.mark.parametrize("lines", ["#\n#\n", "# \n#\n#\n"])
def test_comments_without_text_are_no_header(tmp_path, lines):
    path = tmp_path / "walk.csv"
    path.write_text(lines)
    with pytest.raises(DataError, match=r"walk\.csv"):
        keypoint_files.load(path, Hints(image_size=SIZE))
    form = next(iter(TABLES))
    path.write_text(lines + TABLES[form][0])
    assert keypoint_files.load(path, Hints(image_size=SIZE))
