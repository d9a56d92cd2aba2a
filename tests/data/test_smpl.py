import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.data.mocap import clip_files, smpl
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import RATIOS
from tests.data.test_recognise import convert

pytestmark = pytest.mark.filterwarnings("ignore:.*found the floor")
RIGHT_ELBOW = [name for name, _, _ in smpl._JOINTS].index("R_Elbow")
UPRIGHT = np.array([np.pi / 2, 0, 0])  # turns y, which is up in the body, to z


def amass(path, poses, others=None, **changes):
    arrays = {"poses": poses, "trans": np.zeros((len(poses), 3)), "betas": np.zeros(16), "gender": np.array("neutral")}
    arrays |= {"mocap_framerate": np.array(120.0)} | (others or {}) | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def standing(frames=5, columns=156):
    poses = np.zeros((frames, columns))
    poses[:, :3] = UPRIGHT
    poses[:, 3 * RIGHT_ELBOW + 1] = 1.0  # radians; or it is only a rest pose
    return poses


@pytest.mark.parametrize("columns", [72, 156, 165])
def test_a_body_at_rest(columns, tmp_path):
    """The T-pose but for the right forearm: arms along x, the left one in its positive direction, looking along -y."""
    trans = np.array([[1.0, 2.0, 0.95]]).repeat(5, 0)
    (found,), (line,) = convert(amass(tmp_path / "a.npz", standing(columns=columns), trans=trans))
    assert line == (
        "1 file of SMPL's parameters (AMASS): metres, z up; bones point as in the file, "
        "but have the lengths of a neutral body of 1.70 m (anthropometry)"
    )
    pose = found[0]
    r = {name: 1.7 * ratio for name, ratio in RATIOS.items()}
    np.testing.assert_allclose(pose[0], [1.0, 2.0, 0.95], atol=1e-6)
    np.testing.assert_allclose(pose[4], [1.0 + r["hip_half_width"], 2.0, 0.95], atol=1e-6)
    np.testing.assert_allclose(pose[6], pose[4] - [0, 0, r["thigh"] + r["shank"]], atol=1e-6)
    np.testing.assert_allclose(pose[8], pose[0] + [0, 0, r["lower_trunk"] + r["upper_trunk"]], atol=1e-6)
    np.testing.assert_allclose(pose[13], pose[8] + [r["shoulder_half_width"] + r["upper_arm"] + r["forearm"], 0, 0], atol=1e-6)
    np.testing.assert_allclose(pose[10], pose[8] + [0, 0, r["neck"] + r["head"] / 2], atol=1e-6)


def test_rotations_turn_what_hangs_on_the_joint(rng):
    rotvecs = rng.normal(0, 0.5, (7, 22, 3))
    places = dict(zip(smpl._NAMES, smpl.positions(rotvecs, np.zeros((7, 3))).transpose(1, 0, 2), strict=True))
    chain = ["Pelvis", "L_Hip", "L_Knee"]
    order = [name for name, _, _ in smpl._JOINTS]
    turn = Rotation.identity(7)
    for name in chain:
        turn = turn * Rotation.from_rotvec(rotvecs[:, order.index(name)])
    np.testing.assert_allclose(places["L_Ankle"] - places["L_Knee"], turn.apply([0, -1.7 * RATIOS["shank"], 0]), atol=1e-9)


def test_other_spellings(tmp_path):
    expected = convert(amass(tmp_path / "a.npz", standing()))[0][0]
    parts = {"root_orient": standing()[:, :3], "pose_body": standing()[:, 3:66], "mocap_frame_rate": np.array([120])}
    other = amass(tmp_path / "b.npz", standing(), parts | {"poses": None}, mocap_framerate=None)
    np.testing.assert_array_equal(convert(other)[0][0], expected)
    parts = {"global_orient": standing()[:, :3], "body_pose": standing()[:, 3:72], "transl": np.zeros((5, 3)), "poses": None}
    smplx = amass(tmp_path / "d.npz", standing(), parts | {"trans": None})
    np.testing.assert_allclose(convert(smplx)[0][0] - convert(smplx)[0][0][:, :1], expected - expected[:, :1], atol=1e-6)
    whole = amass(tmp_path / "c.npz", standing().reshape(5, 52, 3))
    np.testing.assert_array_equal(convert(whole)[0][0], expected)


@pytest.mark.parametrize("shape", [(5, 52, 3, 3), (5, 52 * 9)])
def test_rotation_matrices(shape, tmp_path):
    expected = convert(amass(tmp_path / "a.npz", standing()))[0][0]
    matrices = Rotation.from_rotvec(standing().reshape(-1, 3)).as_matrix().reshape(shape)
    found = convert(amass(tmp_path / "b.npz", matrices.astype(np.float32)))[0][0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    parts = {"global_orient": matrices.reshape(5, 52, 9)[:, 0], "body_pose": matrices.reshape(5, 52, 9)[:, 1:24].reshape(5, -1)}
    split = amass(tmp_path / "c.npz", standing(), parts | {"poses": None})
    np.testing.assert_allclose(convert(split)[0][0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("two columns", "found 6 numbers a joint, the first two columns of rotation matrices, expected axis times angle"),
        ("quaternions", "found 4 numbers a joint, quaternions, expected axis times angle, or whole rotation matrices"),
        ("degrees", "found joints turned by 57.3 in a typical frame, seemingly degrees, expected radians"),
    ],
)
def test_rotations_of_other_kinds_are_refused(kind, message, tmp_path):
    rotations = Rotation.from_rotvec(standing(columns=72).reshape(-1, 3))
    poses = {
        "two columns": rotations.as_matrix()[..., :2].reshape(5, -1),
        "quaternions": rotations.as_quat().reshape(5, -1),
        "degrees": np.degrees(np.tile(np.eye(3)[0], (5, 24))),
    }
    with pytest.raises(DataError, match=re.escape(f"a.npz: poses: {message}")):
        convert(amass(tmp_path / "a.npz", poses[kind]))


@pytest.mark.parametrize("broken", [np.nan, 0.0, 1.02, "reflected"])
@pytest.mark.parametrize("shape", [(5, 24, 3, 3), (5, 24 * 9)])
def test_matrices_that_are_no_rotations_are_refused(broken, shape, tmp_path):
    matrices = Rotation.random(5 * 24, rng=0).as_matrix().reshape(5, 24, 3, 3)
    matrices[2, 15] *= [1, 1, -1] if broken == "reflected" else broken
    with pytest.raises(DataError, match=r"a\.npz: poses: found matrices that are no rotations, expected axis times angle"):
        convert(amass(tmp_path / "a.npz", matrices.reshape(shape)))


def test_hands_without_rotations_do_not_matter(tmp_path):
    matrices = Rotation.from_rotvec(standing(columns=72).reshape(-1, 3)).as_matrix().reshape(5, 24, 3, 3)
    expected = convert(amass(tmp_path / "a.npz", matrices))[0][0]
    matrices[:, 22:] = 0
    np.testing.assert_array_equal(convert(amass(tmp_path / "b.npz", matrices))[0][0], expected)


@pytest.mark.parametrize(("shape", "numbers"), [((5, 22, 4), 4), ((5, 22, 3, 2), 6), ((5, 22, 6), 6), ((5, 22, 5), 5)])
def test_other_numbers_of_a_joint_are_named(shape, numbers, tmp_path):
    with pytest.raises(DataError, match=rf"a\.npz: poses: found {numbers} numbers a joint"):
        convert(amass(tmp_path / "a.npz", np.ones(shape)))


def test_a_joint_that_is_turned_by_more_than_a_turn_is_read(tmp_path):
    poses = standing()
    poses[:, 3 * 16] = 0.5
    expected = convert(amass(tmp_path / "a.npz", poses))[0][0]
    poses[:, 3 * 16] = 0.5 + 2 * np.pi
    np.testing.assert_allclose(convert(amass(tmp_path / "b.npz", poses))[0][0], expected, atol=1e-6)


def test_of_two_rates_amass_own_is_used(tmp_path):
    path = amass(tmp_path / "a.npz", standing(), {"fps": 0, "mocap_framerate": 60})
    assert smpl.read(path).fps == 60.0


@pytest.mark.parametrize(
    ("key", "value"), [("frame_rate", 60), ("mocap_fps", np.array("60.0")), ("FPS", np.array(60, object)), ("framerate", [60])]
)
def test_other_names_of_the_frame_rate(key, value, tmp_path):
    path = amass(tmp_path / "a.npz", standing(), {"mocap_framerate": None, key: value})
    assert smpl.read(path).fps == 60.0


def test_y_down_as_from_video(tmp_path):
    """Methods that estimate bodies from video give the camera's axes."""
    poses = standing()
    poses[:, :3] = [np.pi, 0, 0]
    with pytest.warns(UserWarning, match=r"SMPL's .*: the vertical axis is uncertain, used -y; set `up` in a mapping file"):
        (found,), (line,) = convert(amass(tmp_path / "a.npz", poses))
    assert "metres, -y up" in line
    assert found[0, 10, 2] > found[0, 0, 2] + 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses": None}, r"found 'trans', .*, expected poses, trans and mocap_framerate of a body model"),
        ({"trans": None}, r"found 'poses', .*, expected also trans, the positions of the pelvis"),
        ({"trans": np.zeros((4, 3))}, r"trans: found float64 of shape \(4, 3\)"),
        ({"mocap_framerate": None}, "found no mocap_framerate, and nothing that moves; set fps"),
        ({"mocap_framerate": np.array("fast")}, "mocap_framerate is str128 of shape"),
        ({"mocap_framerate": np.array(0.0)}, "mocap_framerate is float64 .*, expected 0.1 to 10,000"),
        ({"poses": np.zeros((5, 63))}, "poses has 63 columns, expected 3 for each of 22 or more joints"),
        ({"poses": np.zeros(5)}, r"poses: found float64 of shape \(5,\)"),
        ({"poses": np.full((5, 156), np.nan)}, "found numbers that are no rotations or positions"),
        ({"poses": np.full((5, 156), "x")}, "poses: found "),
    ],
)
def test_bad_parameters_are_refused(changes, message, tmp_path):
    path = amass(tmp_path / "a.npz", standing(), changes)
    with pytest.raises(DataError, match=rf"a\.npz: {message}") as caught:
        convert(path)
    assert "\n" not in str(caught.value)


def test_joint_positions_need_no_conversion(tmp_path, mocap_clips):
    clip_files.save(tmp_path / "clips.npz", mocap_clips, fps=30.0)
    with pytest.raises(
        DataError, match=r"clips\.npz: found joint positions, which need no conversion: use the file as config\.data\.path"
    ):
        convert(tmp_path / "clips.npz")
