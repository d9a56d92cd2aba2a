"""Files in which frames, people, times or confidences are easily mistaken: they are read right, warned of, or refused."""

import re
import warnings

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.csv_columns import FRAME
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.keypoints.people import clock_seconds
from tests.keypoints.builders import (
    BODY,
    COCO,
    FRAMES,
    LANDMARKS,
    SIZE,
    WALK,
    flat,
    openpose,
    same,
    shares,
    table,
    walker,
    wide,
    write_folder,
    write_json,
)
from tests.keypoints.test_json_forms import annotations
from tests.keypoints.test_table_forms import labels


def results(ids, people):
    return [{"image_id": i, "category_id": 1, "keypoints": flat(p), "score": 1} for i, p in zip(ids, people, strict=True)]


def test_few_pictures_with_one_far_number_are_separate(tmp_path):
    path = write_json(tmp_path / "walk.json", results([100000, 100001, 100002, 100010, 100200], WALK[:5]))
    assert [len(track.keypoints) for track in keypoint_files.load(path)] == [1] * 5
    path = write_json(tmp_path / "walk.json", results([100000, 100001, 100002, 100010, 100011], WALK[:5]))
    (track,) = keypoint_files.load(path)
    assert (track.first_frame, len(track.keypoints)) == (100000, 12)


def test_pictures_in_which_nobody_stays_are_separate(tmp_path):
    """Ten pictures with consecutive ids, each of another person at another place."""
    places = np.random.default_rng(0).permutation(10)
    others = WALK[:10] + places[:, None, None] * [400, 0, 0]
    path = write_json(tmp_path / "walk.json", results(range(100000, 100010), others))
    with pytest.warns(UserWarning, match=r"walk\.json: found nobody near the same place in the next picture, reading separate"):
        assert [len(track.keypoints) for track in keypoint_files.load(path)] == [1] * 10
    both = [*results(range(100000, 100010), others), *results(range(100000, 100010), WALK[:10] - [900, 0, 0])]
    with warnings.catch_warnings(action="error"):  # somebody stays
        found = keypoint_files.load(write_json(path, both))
    assert max(len(track.keypoints) for track in found) == 10
    numbered = [{"frame_id": i, "keypoints": flat(p)} for i, p in enumerate(others)]  # frame numbers are a video's
    assert [len(track.keypoints) for track in keypoint_files.load(write_json(path, numbered))] == [10]


@pytest.mark.parametrize("name", ["fr", "n_frame", "Frame Nr.", "video_frame", "frm", "src_frame_idx", "#frame"])
def test_columns_of_the_frame_number(tmp_path, name):
    header, rows = wide(WALK, COCO, first=name)
    (tmp_path / "walk.csv").write_text(table([[2 * row[0] + 3, *row[1:]] for row in rows], header))
    (track,) = keypoint_files.load(tmp_path / "walk.csv")
    assert (track.first_frame, len(track.keypoints)) == (3, 2 * FRAMES - 1)
    assert (track.confidences[0] == 0.75).all()


def test_columns_that_are_no_frame_number():
    assert not {"framerate", "framewidth", "frametime", "totalframes", "face", "front"} & set(FRAME)


@pytest.mark.parametrize("key", ["fr", "nFrame", "frame_nr"])
def test_keys_of_the_frame_number(tmp_path, key):
    content = [{key: i + 4 * (i > 9), "keypoints": flat(p)} for i, p in enumerate(WALK)]
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    assert len(track.keypoints) == FRAMES + 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:01.2", "1.2"),
        ("1:02,50", "62.50"),
        ("100:00:00", "360000"),
        ("1970-01-02 00:00:00.004", "86400.004"),
        ("2024/02/30T00:00:00Z", "1709251200"),
        ("00:00:01:12", None),
        ("1.2", None),
        ("10:61", None),
        ("2024-13-01 00:00:00", None),
    ],
)
def test_times_as_text(text, seconds):
    assert clock_seconds(text) == seconds


@pytest.mark.parametrize("form", ["00:00:{:06.3f}", "0:{:05.2f}", "2024-05-01 10:00:{:09.6f}"])
def test_times_as_text_number_the_frames(tmp_path, form):
    kept = [i for i in range(FRAMES) if i not in (5, 6)]
    header, rows = wide(WALK, COCO, first="timestamp")
    (tmp_path / "walk.csv").write_text(table([[form.format(i / 25), *rows[i][1:]] for i in kept], header))
    (track,) = keypoint_files.load(tmp_path / "walk.csv")
    assert track.fps == pytest.approx(25)
    np.testing.assert_array_equal(np.flatnonzero(~track.detected), [5, 6])
    content = [{"frame": i, "time": form.format(i / 25), "keypoints": flat(WALK[i])} for i in kept]
    (track,) = keypoint_files.load(write_json(tmp_path / "walk.json", content))
    assert track.fps == pytest.approx(25)


def test_times_that_are_not_known_are_warned_of(tmp_path):
    header, rows = wide(WALK, COCO, first="time")
    (tmp_path / "walk.csv").write_text(table([[f"00:00:01:{row[0]:02}", *row[1:]] for row in rows], header))
    with pytest.warns(UserWarning, match="column 'time' not used: found '00:00:01:00', expected seconds or hours:minutes:sec"):
        same(tmp_path / "walk.csv", "coco")


def test_annotations_of_videos(tmp_path):
    content = annotations(WALK, COCO, "walk.mp4")
    for number, image in enumerate(content["images"]):
        image["frame_id"] = number + 7
    path = write_json(tmp_path / "walk.json", content)
    assert same_place(path) == [(7, FRAMES)]
    for image in content["images"][15:]:
        image |= {"file_name": "run_2.mp4", "frame_id": image["frame_id"] - 15}
    assert same_place(write_json(path, content)) == [(7, 15), (7, 10)]
    content = annotations(WALK, COCO, "walk.mp4", first_id=3)  # no frame numbers: the ids
    assert same_place(write_json(path, content)) == [(3, FRAMES)]


def same_place(path):
    return [(track.first_frame, len(track.keypoints)) for track in keypoint_files.load(path)]


def test_confidences_of_0_to_255(tmp_path):
    bytes_ = np.where([False, False, True], np.where(np.arange(17)[:, None] % 5 == 0, 40, 204), WALK)
    path = write_json(tmp_path / "walk.json", [{"frame": i, "keypoints": p.tolist()} for i, p in enumerate(bytes_)])
    with pytest.warns(UserWarning, match=r"found third numbers of 40 to 204, using them as confidences of 0 to 255"):
        (track,) = keypoint_files.load(path)
    np.testing.assert_allclose(track.confidences[0, :2], [40 / 255, 0.8], atol=1e-6)
    deep = bytes_ + [0, 0, 0.5]  # fractions: centimetres, for example
    path = write_json(tmp_path / "walk.json", [{"frame": i, "keypoints": p.tolist()} for i, p in enumerate(deep)])
    with pytest.raises(DataError, match="expected a confidence; are these points in 3D"):
        keypoint_files.load(path)


def test_arrays_with_other_axes(tmp_path):
    path = tmp_path / "walk.npy"
    for array in (
        WALK.transpose(2, 0, 1),
        WALK[:, None, None],
        WALK.transpose(2, 0, 1)[None, ..., None],
    ):
        np.save(path, array)
        same(path, "coco")
    for array in (WALK[:24], WALK[:24, :, :2]):  # 25 frames might be joints
        np.save(path, array.transpose(1, 0, 2))
        (track,) = keypoint_files.load(path)
        np.testing.assert_array_equal(track.keypoints, WALK[:24, :, :2].astype(np.float32))
    np.save(path, shares(WALK)[:, None, None][..., [1, 0, 2]])
    with pytest.warns(UserWarning, match="found MoveNet's output, using it as y, x, confidence of each joint"):
        same(path, "coco")
    np.save(path, np.zeros((0, 1, 1, 17, 3)))
    with pytest.raises(DataError, match="expected keypoints"):
        keypoint_files.load(path)


def test_depth_of_landmarks_in_pixels(tmp_path):
    depth = np.linspace(-300, 300, 33)[:, None] * [0, 0, 1]
    np.save(tmp_path / "walk.npy", LANDMARKS * [1, 1, 0] + depth)
    with pytest.warns(UserWarning, match="using them as the depth of MediaPipe's landmarks"):
        assert (same(tmp_path / "walk.npy", "mediapipe_33").confidences == 1).all()
    np.save(tmp_path / "walk.npy", (LANDMARKS - LANDMARKS.mean((0, 1))) * [1, 1, 0] + depth)
    with pytest.raises(DataError, match="are these points in 3D"):
        keypoint_files.load(tmp_path / "walk.npy", Hints(image_size=SIZE))


def test_labels_with_a_mark_commas_and_boxes(tmp_path):
    for i, p in enumerate(WALK):
        text = "\ufeff" + labels(p, 0.8731).replace(" ", ",") + "\n16 0.1 0.1 0.2 0.2\n16 0.1 0.1 0.2 0.2 0.51\n"
        (tmp_path / f"walk_{i + 1}.txt").write_text(text)
    same(tmp_path, "coco", first=1)


@pytest.mark.parametrize("name", ["a_settings.json", "settings.json"])
def test_another_file_beside_pictures_is_left_out(tmp_path, name):
    folder = write_folder(tmp_path / "walk", "b_{:012d}_keypoints.json", [openpose(p) for p in BODY])
    write_json(folder / name, [1, 2, 3])
    with pytest.warns(UserWarning, match=rf"found 1 of 26 files without keypoints, such as {name}"):
        same(folder, "body_25")


def test_only_points_in_3d(tmp_path):
    points = walker("h36m")
    message = re.escape(": found keypoints_3d, points in 3D already, expected a detector's 2D keypoints")
    np.savez(tmp_path / "walk.npz", keypoints_3d=points)
    content = [{"frame_id": i, "keypoints_3d": p.tolist()} for i, p in enumerate(points)]
    for path in (write_json(tmp_path / "walk.json", content), tmp_path / "walk.npz"):
        with pytest.raises(DataError, match=message):
            keypoint_files.load(path)
    both = [{"frame_id": i, "keypoints": flat(p), "keypoints_3d": flat(p)} for i, p in enumerate(WALK)]
    same(write_json(tmp_path / "walk.json", both), "coco")


def test_a_short_video_with_a_long_pause_stays_a_video(tmp_path):
    """Numbers of frames begin near 0, ids of a data set do not."""
    path = write_json(tmp_path / "walk.json", results([f"frame_{i:04d}.jpg" for i in (1, 2, 3, 4, 5, 60)], WALK[:6]))
    (track,) = keypoint_files.load(path)
    assert (track.first_frame, len(track.keypoints)) == (1, 60)


def test_joints_in_2d_are_taken_before_those_in_3d(tmp_path):
    np.savez(tmp_path / "walk.npz", joints=WALK / 1000, joints_2d=WALK[..., :2], image_size=SIZE)
    (track,) = keypoint_files.load(tmp_path / "walk.npz")
    np.testing.assert_allclose(track.keypoints, WALK[..., :2])
    np.savez(tmp_path / "clips.npz", **{"anna/walk/1": WALK / 1000})  # motion capture
    with pytest.raises(DataError, match="expected positions_2d, reconstruction, keypoints"):
        keypoint_files.load(tmp_path / "clips.npz", Hints(image_size=SIZE))


@pytest.mark.parametrize("box", [{"cx": 300, "cy": 300, "width": 150, "height": 400}, {"height": 172}], ids=str)
def test_sizes_of_boxes_and_people_are_not_those_of_the_image(box, tmp_path):
    path = write_json(tmp_path / "walk.json", [{"frame": t} | box | {"keypoints": flat(p)} for t, p in enumerate(WALK)])
    (track,) = keypoint_files.load(path)
    assert track.image_size is None


@pytest.mark.parametrize("flag", [1, True])
def test_flags_of_coco_beside_visibilities(flag, tmp_path):
    flagged = [[*joint[:2], 2] for joint in WALK[0].tolist()]
    path = write_json(tmp_path / "walk.json", [{"frame": 0, "keypoints": flagged, "visible": [flag] * len(COCO)}])
    (track,) = keypoint_files.load(path)
    np.testing.assert_array_equal(track.keypoints[0], WALK[0, :, :2])
    np.testing.assert_array_equal(track.confidences, 1)
