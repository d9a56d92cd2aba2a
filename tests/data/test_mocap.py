import contextlib
import pickle

import numpy as np
import pytest

from srnet_jax.data import prepare
from srnet_jax.data.mocap import clip_files, conversion
from srnet_jax.errors import ConfigError, DataError, UserError
from srnet_jax.pose import cameras
from srnet_jax.pose.skeleton import H36M_17

TWO = cameras.virtual_cameras(number=2, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)


# Joint-position files.


def test_clips_come_back_centred(mocap_file, mocap_clips):
    dataset = clip_files.load(mocap_file, fps=30.0, cameras=TWO)
    assert dataset.fps == 30
    assert dataset.names("subject") == ("a", "b", "c")
    assert len(dataset.sequences) == 2 * len(mocap_clips)
    for sequence in dataset.sequences:
        clip = mocap_clips[f"{sequence.subject}/{sequence.action}/{sequence.trial}"]
        world = cameras.camera_to_world(sequence.poses_3d, sequence.camera)
        np.testing.assert_allclose(world[:, 0, :2].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(np.diff(world, axis=0), np.diff(clip, axis=0), atol=1e-5)
        np.testing.assert_allclose(world[..., 2], clip[..., 2], atol=1e-5)


def test_a_saved_file_knows_its_frame_rate(tmp_path, mocap_clips):
    path = tmp_path / "new" / "clips.npz"
    clip_files.save(path, mocap_clips, fps=25.0)
    dataset = clip_files.load(path, fps=30.0, cameras=TWO)
    assert dataset.fps == 25
    assert len(dataset.sequences) == 2 * len(mocap_clips)
    assert [file.name for file in path.parent.iterdir()] == ["clips.npz"]
    with pytest.raises(AttributeError):
        clip_files.save(path.with_name("other.npz"), {"a/b/c": Unsaveable()}, fps=25.0)
    for bad, message in ((path, "exists already"), (tmp_path / "x.txt", "ending in"), (path / "x.npz", "not a folder")):
        with pytest.raises(UserError, match=message):
            clip_files.save(bad, mocap_clips, fps=25.0)
    assert [file.name for file in path.parent.iterdir()] == ["clips.npz"]
    assert len(clip_files.load(path, fps=30.0, cameras=TWO).sequences) == 2 * len(mocap_clips)


class Unsaveable:
    def __array__(self, *args, **kwargs):
        raise AttributeError


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


CLIP = np.zeros((3, 17, 3))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("missing", None, "no such file"),
        ("text", b"not an archive", "expected a NumPy .npz archive"),
        ("pickle", pickle.dumps(Bomb()), "expected a NumPy .npz archive"),
        ("no_clips", {}, "found no clips"),
        ("only_fps", {"fps": np.float64(30)}, "found no clips"),
        ("key", {"walk": CLIP}, "expected <subject>/<action>/<clip>"),
        ("line", {"a/b/c\nd": CLIP}, r"'a/b/c\\nd': found this key"),
        ("joints", {"a/b/1": np.zeros((3, 16, 3))}, r"found shape \(3, 16, 3\)"),
        ("integers", {"a/b/1": np.zeros((3, 17, 3), int)}, "of int64"),
        ("bomb", {"a/b/1": np.array([Bomb()], object)}, "refused: the file asks for"),
        ("objects", {"a/b/1": np.array([{}], object)}, "of object, expected"),
        ("nan", {"a/b/1": np.full((3, 17, 3), np.nan)}, "NaN or infinity at frame 0"),
        ("large", {"a/b/1": np.full((3, 17, 3), 1e300)}, "NaN or infinity at frame 0"),
        ("mm", {"a/b/1": 1000 * np.random.default_rng(0).normal(0, 0.3, (3, 17, 3))}, "are these millimetres"),
        ("far", {"a/b/1": CLIP + 2e4}, r"a joint is 2e\+04 m from the origin, expected at most 10,000 m"),
        ("jump", {"a/b/1": CLIP + np.array([0, 0, 500])[:, None, None]}, "the hip moves by 866 m after frame 1"),
        ("fps_text", {"a/b/1": CLIP, "fps": np.array("30")}, "fps has shape"),
        ("fps_many", {"a/b/1": CLIP, "fps": np.array([30.0])}, r"fps has shape \(1,\)"),
        ("fps_zero", {"a/b/1": CLIP, "fps": np.array(0)}, "expected one positive number"),
        ("fps_nan", {"a/b/1": CLIP, "fps": np.array(np.nan)}, "expected one positive number"),
    ],
)
def test_bad_files_are_named(tmp_path, name, make, message):
    path = tmp_path / f"{name}.npz"
    if isinstance(make, bytes):
        path.write_bytes(make)
    elif make is not None:
        np.savez(path, **make)
    with pytest.raises(DataError, match=message) as caught:
        clip_files.load(path, fps=30.0, cameras=TWO)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_files_are_named(tmp_path, mocap_file):
    content = mocap_file.read_bytes()
    path = tmp_path / "short.npz"
    for length in range(0, len(content), max(len(content) // 25, 1)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"short\.npz"):
            clip_files.load(path, fps=30.0, cameras=TWO)


def test_flipped_bits_are_named_or_harmless(tmp_path, mocap_clips, rng):
    path = tmp_path / "flipped.npz"
    np.savez_compressed(path, **{"a/walk/1": mocap_clips["a/walk/1"]})
    content = path.read_bytes()
    for position in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):  # anything else fails the test
            clip_files.load(path, fps=30.0, cameras=TWO)


# Conversion. A person stands with bent knees and looks along -y; world frame, z up, metres.

_SIDE = {"Hip": (0.1, 0, 0.9), "Knee": (0.11, -0.1, 0.5), "Foot": (0.1, 0, 0.1)}
_SIDE |= {"Shoulder": (0.2, 0, 1.4), "Elbow": (0.3, 0.05, 1.1), "Wrist": (0.3, -0.1, 0.9)}
_PERSON = {"Hip": (0, 0, 0.9), "Spine": (0, 0, 1.05), "Thorax": (0, 0, 1.4), "Neck": (0, 0, 1.5), "Head": (0, 0, 1.65)}
_PERSON |= {f"L{name}": place for name, place in _SIDE.items()}
_PERSON |= {f"R{name}": (-x, y, z) for name, (x, y, z) in _SIDE.items()}
POSE = np.array([_PERSON[joint] for joint in H36M_17.joints], float)
BANDAI = ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
VICON = ("hipjoint", "femur", "tibia", "clavicle", "humerus", "wrist")


def walk(frames, fps):
    """Poses [T, 17, 3] of the person who glides along -y at 1 m/s and waves the left arm."""
    times = np.arange(frames) / fps
    poses = np.tile(POSE, (frames, 1, 1))
    poses[..., 1] -= times[:, None]
    angles = 0.6 * np.sin(3 * times)
    _, y, z = POSE[13] - POSE[12]  # turned about the elbow
    poses[:, 13, 1] = poses[:, 12, 1] + y * np.cos(angles) - z * np.sin(angles)
    poses[:, 13, 2] = poses[:, 12, 2] + y * np.sin(angles) + z * np.cos(angles)
    return poses


def bandai_joints(poses):
    joints = {
        f"{name}_{side}": poses[:, H36M_17.joints.index(side + part)]
        for side in "LR"
        for part, name in zip(_SIDE, BANDAI, strict=True)
    }
    return joints | {"Spine": poses[:, 7], "Neck": poses[:, 8], "Head": poses[:, 9]}


def write_bvh(path, poses, fps, *, scale=0.01):
    """Write Bandai-Namco's joints, with positions as the only channels, centimetres, y up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joints = bandai_joints(poses)
    lines = ["HIERARCHY", "ROOT joint_Root", "{", "OFFSET 0 0 0", "CHANNELS 1 Xposition"]
    for name in joints:
        lines += [f"JOINT {name}", "{", "OFFSET 1 2 3", "CHANNELS 3 Zposition Yposition Xposition", "}"]
    lines += ["}", "MOTION", f"Frames: {len(poses)}", f"Frame Time: {1 / fps:.7f}"]
    values = np.stack([np.stack([-p[:, 1], p[:, 2], p[:, 0]], -1) for p in joints.values()], 1).reshape(len(poses), -1) / scale
    lines += ["0 " + " ".join(f"{value:.5f}" for value in row) for row in values]
    path.write_text("\n".join(lines) + "\n")


def write_asf(path, *, inches=1.0, mirrored=False):
    """Write Vicon's skeleton in the person's pose, y up; lengths are `inches` of 0.45."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joints = {"root": POSE[7], "thorax": POSE[8], "upperneck": POSE[9], "head": POSE[10]}
    for side, key in zip("rl" if mirrored else "lr", "LR", strict=True):
        joints |= {side + name: POSE[H36M_17.joints.index(key + part)] for part, name in zip(_SIDE, VICON, strict=True)}
    bones = ""
    for name, end in list(joints.items())[1:]:
        x, y, z = (end - joints["root"]) / 0.0254 * 0.45 * inches
        bones += f"begin\nid 1\nname {name}\ndirection {x:.8f} {z:.8f} {-y:.8f}\nlength 1\naxis 0 0 0 XYZ\nend\n"
    path.write_text(
        ":units\nlength 0.45\nangle deg\n:root\norder TX TY TZ RX RY RZ\n:bonedata\n"
        f"{bones}:hierarchy\nbegin\nroot {' '.join(list(joints)[1:])}\nend\n"
    )


def write_amc(path, poses):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [":FULLY-SPECIFIED", ":DEGREES"]
    for number, (x, y, z) in enumerate(poses[:, 7] / 0.0254 * 0.45, 1):
        lines += [str(number), f"root {x:.8f} {z:.8f} {-y:.8f} 0 0 0"]
    path.write_text("\n".join(lines) + "\n")


def test_bvh_files_give_the_same_poses_back(tmp_path):
    poses = walk(61, 60)
    poses[:, 10] = poses[:, 9] + 1.5 * (poses[:, 9] - poses[:, 8])
    write_bvh(tmp_path / "dataset-1_walk_happy_001.bvh", poses, 60)
    write_bvh(tmp_path / "deeper" / "dataset-2_walk-back_old_002.BVH", poses[:59], 60)
    seen = []
    clips = conversion.convert(tmp_path, "bandai", track=lambda items: seen.extend(items) or items).clips
    assert list(clips) == ["dataset-1/walk/happy_001", "dataset-2/walk-back/old_002"]
    assert len(seen) == 2
    for clip in clips.values():
        assert clip.dtype == np.float32
        np.testing.assert_allclose(clip, poses[::2][: len(clip)], atol=1e-5)
    assert [len(clip) for clip in clips.values()] == [31, 30]
    clip_files.save(tmp_path / "clips.npz", clips, fps=30.0)
    assert clip_files.load(tmp_path / "clips.npz", fps=1.0, cameras=TWO).names("action") == ("walk", "walk-back")


def test_asf_amc_files_give_the_same_poses_back(tmp_path):
    poses = walk(9, 120)
    poses[:, 13] = poses[:, 12] + POSE[13] - POSE[12]  # this skeleton has no joints to turn
    for subject in ("bd", "tr"):
        write_asf(tmp_path / f"HDM_{subject}.asf")
        write_amc(tmp_path / "cut" / f"HDM_{subject}_depositFloorR_001_120.amc", poses)
    write_asf(tmp_path / "decoy" / "HDM.asf", inches=1.01)
    clips = conversion.convert(tmp_path, "hdm05").clips
    assert sorted(clips) == ["bd/depositFloorR/001", "tr/depositFloorR/001"]
    for clip in clips.values():
        np.testing.assert_allclose(clip, poses[::4], atol=1e-5)
    write_asf(tmp_path / "cut" / "HDM_bd.asf")
    rates = conversion.Options(fps=120.0, source_fps=60.0)
    with pytest.warns(UserWarning, match="found 60 frames a second, interpolated to 120"):
        one = conversion.convert(tmp_path / "cut" / "HDM_bd_depositFloorR_001_120.amc", "cmu", rates).clips
    assert {key: len(clip) for key, clip in one.items()} == {"bd/depositFloorR/001": 17}


def test_resampling():
    times = np.arange(13) / 120
    poses = np.multiply.outer(times, np.ones((17, 3)))  # so that each coordinate is its time
    for fps, expected in ((30.0, [0, 4, 8, 12]), (29.9999, [0, 4, 8, 12]), (60.0, range(0, 13, 2)), (120.0, range(13))):
        np.testing.assert_array_equal(conversion.resampled(poses, 120.0, fps), poses[list(expected)])
    for fps, count in ((50.0, 6), (25.0, 3), (240.0, 25), (119.0, 12)):
        found = conversion.resampled(poses, 120.0, fps)
        assert len(found) == count
        np.testing.assert_allclose(found[:, 0, 0], np.arange(count) / fps, atol=1e-12)
    assert len(conversion.resampled(poses[:1], 120.0, 50.0)) == 1
    assert len(conversion.resampled(poses, 1 / 0.0083333, 30.0)) == 4  # as BVH files write 120


def test_a_mapping_file_can_set_the_frame_rate(tmp_path):
    joints = {side + part: f"{name}_{side}" for side in "LR" for part, name in zip(_SIDE, BANDAI, strict=True)}
    joints |= {"Spine": "Spine", "Thorax": "Neck", "Neck": "Head"}
    mapping = 'unit = 0.01\nup = "y"\nfps = 60\n[joints]\n' + "".join(f'{key} = "{name}"\n' for key, name in joints.items())
    mapping += 'Hip = ["UpperLeg_L", "UpperLeg_R"]\nHead = {Head = 2.5, Neck = -1.5}\n'
    (tmp_path / "mine.toml").write_text(mapping)
    write_bvh(tmp_path / "anna" / "jump_1.bvh", walk(5, 60), 30)
    clips = conversion.convert(tmp_path, tmp_path / "mine.toml").clips
    np.testing.assert_allclose(clips["anna/jump/1"][:, 13], walk(5, 60)[::2, 13], atol=1e-5)


def test_swapped_left_and_right_give_a_warning(tmp_path):
    swapped = walk(8, 30)[:, list(H36M_17.mirrored)]
    write_bvh(tmp_path / "dataset-1_walk_old_001.bvh", swapped, 30)
    with pytest.warns(
        UserWarning, match=r"dataset-1_walk_old_001\.bvh: knees: .*; the knees bend backwards; are left and right swapped\?$"
    ):
        clips = conversion.convert(tmp_path, "bandai").clips
    clip_files.save(tmp_path / "clips.npz", clips | {"a/b/c": walk(3, 30)}, fps=30.0)
    with pytest.warns(
        UserWarning, match=r"clips\.npz: in 1 of 2 clips, first dataset-1/walk/old_001, the knees bend backwards"
    ):
        clip_files.load(tmp_path / "clips.npz", fps=30.0, cameras=TWO)


def test_unusable_folders_and_files_are_refused(tmp_path):
    def refused(message, source=tmp_path, skeleton="cmu"):
        with pytest.raises(DataError, match=message) as caught:
            prepare.mocap_file(source, tmp_path / "out.npz", skeleton=skeleton, options=conversion.Options())
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out.npz").exists()

    refused("none: no such file or folder", tmp_path / "none")
    refused(r"found no motion file, expected \.bvh, \.amc, \.trc, \.c3d or \.npz$")
    refused("no such skeleton, expected cmu", skeleton="cmv")
    with pytest.raises(ConfigError, match=r"^fps: 0 is not allowed, expected 0\.1 to 10,000 frames"):
        conversion.Options(fps=0)
    with pytest.raises(ConfigError, match=r"^source_fps: nan is not allowed"):
        conversion.Options(source_fps=float("nan"))
    write_amc(tmp_path / "02" / "02_01.amc", walk(2, 120))
    refused(r"02_01\.amc: found none as its skeleton, expected one \.asf file whose name is the beginning of this")
    for name in ("one", "two"):
        write_asf(tmp_path / "02" / f"{name}.asf")
    refused(r"02_01\.amc: found .*one\.asf, .*two\.asf as its skeleton")
    write_asf(tmp_path / "02.asf", inches=100)
    refused(r"02_01\.amc: height: found 157 m from ankle to head with 0\.0254 m a unit, .*no usual unit fits")
    write_asf(tmp_path / "02" / "02.asf")
    assert len(conversion.convert(tmp_path, "cmu").clips) == 1
    write_bvh(tmp_path / "bvh" / "dataset-1_a_b.bvh", walk(2, 30), 30)
    expected = r"dataset-1_a_b\.bvh: found the joints 'joint_Root, UpperLeg_L, .*expected those of CMU, MotionBuilder"
    refused(expected, tmp_path / "bvh")


def test_the_only_skeleton_beside_a_motion_is_its_own(tmp_path):
    write_amc(tmp_path / "walk.amc", walk(2, 120))
    write_asf(tmp_path / "actor.asf", mirrored=True)
    with pytest.warns(UserWarning, match=r"walk\.amc: knees: .*the knees bend backwards"):
        assert len(conversion.convert(tmp_path, "cmu").clips) == 1


def test_a_skeleton_may_be_in_a_folder_above_its_motions(tmp_path):
    for subject in ("anna", "ben"):
        write_asf(tmp_path / subject / "skeleton.asf")
        write_amc(tmp_path / subject / "amc" / "walk_1.amc", walk(2, 120))
    assert sorted(conversion.convert(tmp_path, "cmu").clips) == ["anna/walk/1", "ben/walk/1"]
