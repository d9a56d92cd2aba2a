"""Make the keypoints of a walking person in any layout, and files of them, for the tests of readers and of lifting."""

import json
import re

import numpy as np

from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.pose import layouts

FRAMES, SIZE = 25, (1280, 720)
_FACE = (
    "nose",
    *(f"{side}_eye{part}" for side in ("left", "right") for part in ("_inner", "", "_outer")),
    "left_ear",
    "right_ear",
)
_BODY = (*("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel", "foot_index"),)
MEDIAPIPE = (*_FACE, "mouth_left", "mouth_right", *(f"{side}_{part}" for part in _BODY for side in ("left", "right")))


def walker(layout="coco", shift=0.0, frames=FRAMES):
    """Return [T, J, 3] x, y, confidence in eighths of pixels; equal joints are at the same place in all layouts."""
    base = {
        **{"left_hip": (420, 400), "right_hip": (380, 400), "left_knee": (430, 500), "right_knee": (370, 490)},
        **{"left_ankle": (425, 600), "right_ankle": (375, 590), "left_shoulder": (440, 260), "right_shoulder": (360, 260)},
        **{"left_elbow": (460, 330), "right_elbow": (340, 330), "left_wrist": (470, 400), "right_wrist": (330, 390)},
    }
    places = {name: np.array(place, float) for name, place in base.items()}
    places["pelvis"] = (places["left_hip"] + places["right_hip"]) / 2
    places["thorax"] = (places["left_shoulder"] + places["right_shoulder"]) / 2
    places["spine"] = (places["pelvis"] + places["thorax"]) / 2
    places["head"] = places["thorax"] + [4, -60]
    places["skull_base"] = places["thorax"] + 0.6 * (places["head"] - places["thorax"])
    places["head_top"] = places["thorax"] + (places["head"] - places["thorax"]) / 0.6
    for side, x in (("left", 8), ("right", -8)):
        places[f"{side}_ear"] = places["head"] + [2 * x, 0]
        places[f"{side}_eye"] = places["head"] + [x, -8]
        for toe in ("big_toe", "small_toe", "foot_index", "heel"):
            places[f"{side}_{toe}"] = places[f"{side}_ankle"] + [x, 16]
    joints = layouts.find(layout).joints
    points = np.stack([places.get(joint, places["head"]) for joint in joints])
    swing = np.sin(np.arange(frames) / 4)[:, None] * (["wrist" in joint or "ankle" in joint for joint in joints])
    moved = points + [shift, 0] + np.arange(frames)[:, None, None] * [2, 0] + swing[..., None] * [15, 5]
    return np.concatenate([np.round(moved * 8) / 8, np.full((frames, len(joints), 1), 0.75)], -1)


COCO = layouts.LAYOUTS["coco"].joints
CAMEL = [re.sub("_(.)", lambda found: found[1].upper(), name) for name in COCO]  # leftEye
WALK, LANDMARKS, HALPE = walker("coco"), walker("mediapipe_33"), walker("halpe_26")
BODY = walker("body_25")


def flat(person):
    """Return x, y, confidence of each joint [J, 3] as a list."""
    return person.ravel().tolist()


def shares(person):
    """Return a person's [..., J, 3] joints as fractions of the image size."""
    return person / [*SIZE, 1]


def named(person, names, keys=("x", "y", "score")):
    return [{"name": name} | dict(zip(keys, joint.tolist(), strict=True)) for name, joint in zip(names, person, strict=True)]


def write_json(path, content, lines=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content))
    return path


def write_folder(folder, name, content):
    """Write one file for each item; `name` contains {} for the frame number."""
    for number, item in enumerate(content):
        write_json(folder / name.format(number), item)
    return folder


def table(rows, header=(), comma=",", end="\n"):
    lines = [*header, *(comma.join(f"{cell:.10g}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows)]
    return end.join(lines) + end


def wide(person, names, axes=("_x", "_y", "_score"), first="frame", comma=","):
    """Return a table's header and rows: frame, then the axes of each joint."""
    header = comma.join([first, *(f"{name}{axis}" for name in names for axis in axes)])
    return [header], [[number, *values[:, : len(axes)].ravel().tolist()] for number, values in enumerate(person)]


def dots(person):
    """Return a person's [J, 3] joints as MediaPipe's landmarks."""
    return [{"x": x, "y": y, "z": -0.1, "visibility": v} for x, y, v in shares(person).tolist()]


def openpose(person, key="pose_keypoints_2d"):
    return {"version": 1.3, "people": [{"person_id": [-1], key: flat(person)}]}


DOTS4 = [np.insert(shares(p), 2, 0.1, axis=1) for p in LANDMARKS]


def wholebody(person, joints):
    return np.concatenate([person, np.tile(person[:1], (joints - len(person), 1))])


def same(path, layout, first=0):
    """Read a file and compare it with the walking person."""
    (track,) = keypoint_files.load(path, Hints(image_size=SIZE))
    expected = walker(layout)
    assert track.first_frame == first
    alike = sum(len(one.joints) == len(layouts.LAYOUTS[layout].joints) for one in layouts.LAYOUTS.values())
    assert track.layout == layout or (track.layout is None and alike > 1)
    np.testing.assert_allclose(track.keypoints, expected[..., :2], atol=1e-2)
    assert ((track.confidences == 1) | (np.abs(track.confidences - 0.75) < 1e-6)).all()
    return track
