import copy
import re

import numpy as np
import pytest

from srnet_jax.data.dataset import film
from srnet_jax.data.h36m import npz_files, verification
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError

METADATA = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]}
FRAMES = 3  # of each recording here


@pytest.fixture(scope="module")
def whole():
    """Return the motions and the keypoints of all recordings, short ones."""
    rng = np.random.default_rng(0)
    motions, views = {}, {}
    for subject, cameras in CAMERAS.items():
        names = [f"{action}{trial}" for action in verification.ACTIONS for trial in ("", " 1")]
        motions[subject] = {name: rng.normal([0, 0, 0.9], 0.4, (FRAMES, 17, 3)).astype(np.float32) for name in names}
        if subject == "S11":
            del motions[subject]["Directions"]
        views[subject] = {
            name: [s.inputs_2d for s in film(world, cameras, subject=subject, action=name, trial="")]
            for name, world in motions[subject].items()
        }
    return motions, views


@pytest.fixture
def files(whole):
    return copy.deepcopy(whole)


@pytest.fixture(autouse=True)
def few_frames(monkeypatch):
    for subjects in verification._FRAMES:
        recordings = sum(29 if subject == "S11" else 30 for subject in subjects.split())
        monkeypatch.setitem(verification._FRAMES, subjects, recordings * 4 * FRAMES)


def check(folder, files, keypoints="gt"):
    motions, views = files
    np.savez(folder / "data_3d_h36m.npz", positions_3d=motions)
    np.savez(folder / f"data_2d_h36m_{keypoints}.npz", positions_2d=views, metadata=METADATA)
    return verification.check(folder, keypoints=keypoints)


def wrong(rows):
    return {row.item: row.found for row in rows if not row.ok}


def test_published_counts(monkeypatch):
    monkeypatch.undo()
    frames = verification._FRAMES
    training = "S1 S5 S6 S7 S8"
    assert (frames[training], frames["S9 S11"]) == (1_559_752, 543_344)
    assert frames["S1"] + frames["S5"] + frames["S6"] + frames["S7 S8"] == frames[training]
    assert len(verification.ACTIONS) == 15


def test_a_whole_set(tmp_path, files):
    rows = check(tmp_path, files)
    assert wrong(rows) == {}
    assert len({row.item for row in rows}) == len(rows)
    shown = {row.item: (row.expected, row.found) for row in rows}
    assert shown["S1: motions"] == ("30 recordings of 15 actions",) * 2
    assert shown["S11: keypoints"] == ("29 recordings of 15 actions",) * 2
    assert shown["S9: cameras of each recording"] == ("4", "4")
    assert shown["frames over all cameras: training (S1 S5 S6 S7 S8)"] == ("1,800", "1,800")
    assert shown["frames over all cameras: test (S9 S11)"] == ("708", "708")
    assert rows[-1].item == "all files"


def test_a_detector_s_file(tmp_path, files, rng):
    """A detector's file may be longer than the motions, and have more subjects and the corrupt recording."""
    _, views = files
    for recordings in views.values():
        for name, arrays in recordings.items():
            recordings[name] = [np.pad(view, ((0, 2), (0, 0), (0, 0))) + rng.normal(0, 5, (17, 2)) for view in arrays]
    views["S2"], views["S11"]["Directions"] = views["S1"], views["S11"]["Directions 1"]
    rows = check(tmp_path, files, "cpn_ft_h36m_dbb")
    assert wrong(rows) == {}
    shown = {row.item: row.found for row in rows}
    assert shown["data_2d_h36m_cpn_ft_h36m_dbb.npz: subjects"].endswith("S11, and 'S2'")
    cut = "1,672 in 836 videos, at most 2; S1/Directions/54138969: 2"
    assert shown["frames of keypoints after the motion's end"] == cut
    for recordings in views.values():
        for name, arrays in recordings.items():
            recordings[name] = arrays[::-1]
    with pytest.warns(UserWarning, match="times the person's size .* arrays in the order of the cameras"):
        found = wrong(check(tmp_path, files, "cpn_ft_h36m_dbb"))
    assert list(found) == ["distance of keypoints from projected joints"]


def without_an_action(motions, views):
    for recordings in (motions["S5"], views["S5"]):
        del recordings["Photo"], recordings["Photo 1"]


def without_a_camera(motions, views):
    del views["S9"]["Walking 1"][2]


def with_other_frames(motions, views):
    motions["S6"]["Eating"] = motions["S6"]["Eating"][:2]


def with_a_short_view(motions, views):
    views["S8"]["Posing"][3] = views["S8"]["Posing"][3][:1]


def with_other_names(motions, views):
    for recordings in (motions["S1"], views["S1"]):
        recordings["Jumping"] = recordings.pop("Walking")


def without_a_subject(motions, views):
    del motions["S9"], views["S9"]


def with_cameras_exchanged(motions, views):
    views["S7"]["Sitting 1"].reverse()


def with_odd_values(motions, views):
    motions["S1"]["Walking"], views["S1"]["Walking"] = None, {}
    views["S5"]["Walking"] = [None] * 4


FRAME_ROWS = "frames over all cameras: "
TRAINING, TEST = FRAME_ROWS + "training (S1 S5 S6 S7 S8)", FRAME_ROWS + "test (S9 S11)"
CUT, DISTANCE = "frames of keypoints after the motion's end", "distance of keypoints from projected joints"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            without_an_action,
            {
                "S5: motions": "28 recordings of 14 actions; Photo: 0, expected 2",
                "S5: keypoints": "28 recordings of 14 actions; Photo: 0, expected 2",
                FRAME_ROWS + "S5": "336",
                TRAINING: "1,776",
            },
        ),
        (
            without_a_camera,
            {"S9: cameras of each recording": "3 or 4; Walking 1: 3", TEST: "705", "all files": "S9/Walking 1: .* 4 arrays"},
        ),
        (with_other_frames, {FRAME_ROWS + "S6": "356", TRAINING: "1,796", CUT: "4 in 4 videos, .*; S6/Eating/54138969: 1"}),
        (
            with_a_short_view,
            {
                FRAME_ROWS + "S7 S8": "718",
                TRAINING: "1,798",
                CUT: "0; 1 videos end before their motion; S8/Posing/60457274: 1 of 3",
                "all files": "S8/Posing/60457274: found keypoints of 1 frames",
            },
        ),
        (
            with_other_names,
            {
                "S1: motions": "30 recordings of 16 actions; Walking: 1, expected 2",
                "S1: keypoints": "30 recordings of 16 actions; Walking: 1, expected 2",
            },
        ),
        (
            without_a_subject,
            {
                "data_3d_h36m.npz: subjects": "S1, S5, S6, S7, S8, S11",
                "data_2d_h36m_gt.npz: subjects": "S1, S5, S6, S7, S8, S11",
                "S9: motions": "0 recordings of 0 actions; Directions: 0, expected 2",
                "S9: keypoints": "0 recordings of 0 actions; Directions: 0, expected 2",
                "S9: cameras of each recording": "nothing",
                TEST: "348",
            },
        ),
        (with_cameras_exchanged, {DISTANCE: "px; the worst S7/Sitting/1/"}),
        (
            with_odd_values,
            {
                "S1: cameras of each recording": "0 or 4; Walking: 0",
                FRAME_ROWS + "S1": "348",
                FRAME_ROWS + "S5": "348",
                TRAINING: "1,776",
                CUT: "0; 4 videos end before their motion; S5/Walking/54138969: 0 of 3",
                "all files": "S1/Walking",
            },
        ),
    ],
)
def test_a_wrong_set(tmp_path, files, change, expected):
    change(*files)
    rows = check(tmp_path, files)
    found = wrong(rows)
    assert list(found) == [row.item for row in rows if row.item in expected]
    assert found.keys() == expected.keys()
    for item, message in expected.items():
        assert re.search(message, found[item]), found[item]


def test_files_that_cannot_be_read(tmp_path, files):
    with pytest.raises(DataError, match="no such folder"):
        verification.check(tmp_path / "absent")
    with pytest.raises(DataError, match="found no keypoints"):
        verification.check(tmp_path)
    check(tmp_path, files)
    with pytest.raises(DataError, match=r"found keypoints gt .*, expected 'cpn'"):
        verification.check(tmp_path, keypoints="cpn")
    file = tmp_path / "data_3d_h36m.npz"
    file.write_bytes(file.read_bytes()[:-1000])
    found = wrong(verification.check(tmp_path))
    assert "damaged, cut short" in found["data_3d_h36m.npz: subjects"]
    assert "damaged, cut short" in found["all files"]
    assert "S1: keypoints" not in found
    file.unlink()
    found = wrong(verification.check(tmp_path))
    assert "no such file" in found["data_3d_h36m.npz: subjects"]
    assert all(len(text.splitlines()) == 1 for text in found.values())


def test_every_subject_is_checked():
    subjects = {subject for names in verification._FRAMES for subject in names.split()}
    assert subjects == set(npz_files.SUBJECTS)
