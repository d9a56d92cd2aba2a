"""Arrays, and what all forms share: layouts, frame numbers, confidences, shares of the image, and poses that are 3D already."""

import dataclasses
import warnings

import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import keypoint_files, tracks, which_layout
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.pose.layouts import LAYOUTS
from tests.keypoints.builders import (
    BODY,
    DOTS4,
    FRAMES,
    HALPE,
    LANDMARKS,
    SIZE,
    WALK,
    dots,
    flat,
    openpose,
    same,
    table,
    walker,
    wholebody,
    wide,
    write_folder,
    write_json,
)


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
