import contextlib
import math

import numpy as np
import pytest

from srnet_jax.data.mocap import bvh
from srnet_jax.errors import DataError
from srnet_jax.io import safe_pickle

# One joint of each kind: positions and rotations in odd orders, a single position, no channels, an End Site.
SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 7 7 7
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT arm
  {
    OFFSET 1.0 0 0
    CHANNELS 2 Yrotation Xrotation
    End Site
    {
      OFFSET 0 1e0 0
    }
  }
  JOINT left leg {
    OFFSET 5 6 7
    CHANNELS 1 ZPosition
    JOINT still
    {
      OFFSET 0 0 -1
      CHANNELS 0
    }
  }
}
MOTION
Frames: 2
Frame Time: .0083333
0 0 0 0 0 0 0 0 7
1 2 3 90 0 0 90 90 9.0
"""

END = "End Site\n{\nOFFSET 0 0 1\n}\n"


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "motion.bvh"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_forward_kinematics_by_hand(file):
    motion = bvh.read(file(SMALL))
    assert motion.joints == ("Hips", "arm", "arm_end", "left leg", "still")
    assert motion.parents == (-1, 0, 1, 0, 3)
    assert motion.fps == pytest.approx(120, rel=1e-5)
    assert motion.positions.dtype == np.float64
    np.testing.assert_allclose(motion.positions[0], [[0, 0, 0], [1, 0, 0], [1, 1, 0], [5, 6, 7], [5, 6, 6]], atol=1e-12)
    # The root turns x to y. The arm's end (0, 1, 0) is turned about x to z, about y to x, and by the root to y.
    np.testing.assert_allclose(motion.positions[1], [[1, 2, 3], [1, 3, 3], [1, 4, 3], [-5, 7, 12], [-5, 7, 11]], atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(".", ","),  # decimal commas
        lambda text: text.replace("End Site", "EndSite"),
        lambda text: text.replace("End Site", "END_SITE"),
        lambda text: text.replace("Frames:", "Frames").replace("Time:", "Time :"),
    ],
)
def test_the_same_file_in_other_clothes(file, change):
    expected = bvh.read(file(SMALL)).positions
    np.testing.assert_array_equal(bvh.read(file(change(SMALL))).positions, expected)


def test_joints_of_equal_names_are_numbered(file):
    text = SMALL.replace("JOINT left leg", "JOINT arm").replace("CHANNELS 1 ZPosition", "CHANNELS 1 ZPosition\n" + 2 * END)
    motion = bvh.read(file(text))
    assert motion.joints == ("Hips", "arm (1)", "arm_end (1)", "arm (2)", "arm_end (2)", "arm_end (3)", "still")
    np.testing.assert_array_equal(motion.positions[:, [0, 1, 2, 3, 6]], bvh.read(file(SMALL)).positions)


def axis_rotation(axis, degrees):
    """Return one rotation matrix by Rodrigues' formula, independently of the reader."""
    x, y, z = np.eye(3)["xyz".index(axis)]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def test_random_skeleton_against_frame_by_frame_matrices(file, rng):
    parents = [-1, 0, 1, 2, 2, 1, 0, 6]
    offsets = rng.normal(0, 0.5, (8, 3))
    orders = [list(rng.permutation(["Xrotation", "Yrotation", "Zrotation"])) for _ in parents]
    lines = []

    def joint(index):
        position = ["Yposition", "Xposition", "Zposition"] if index in (0, 4) else []
        orders[index] = orders[index] + position if index else position + orders[index]
        lines.extend(
            ["JOINT" if index else "ROOT", " ", f"joint{index}\n{{\nOFFSET {' '.join(map(repr, offsets[index].tolist()))}\n"]
        )
        lines.append(f"CHANNELS {len(orders[index])} {' '.join(orders[index])}\n")
        children = [child for child, parent in enumerate(parents) if parent == index]
        listed.append(index)
        for child in children:
            joint(child)
        lines.append("}\n")

    listed = []
    joint(0)
    width = sum(map(len, orders))
    values = rng.uniform(-180, 180, (5, width))
    rows = "\n".join(" ".join(f"{value:.10e}" for value in row) for row in values)
    motion = bvh.read(file(f"HIERARCHY\n{''.join(lines)}MOTION\nFrames: 5\nFrame Time: 0.04\n{rows}\n"))
    assert motion.fps == 25
    for row, found in zip(values, motion.positions, strict=True):
        world, column = {}, 0
        for index in listed:
            local, translation = np.eye(3), offsets[index].copy()
            for channel in orders[index]:
                if channel.endswith("position"):
                    translation["XYZ".index(channel[0])] = row[column]
                else:
                    local = local @ axis_rotation(channel[0].lower(), row[column])
                column += 1
            rotation, origin = world.get(parents[index], (np.eye(3), np.zeros(3)))
            world[index] = (rotation @ local, origin + rotation @ translation)
        for index in range(8):
            np.testing.assert_allclose(found[motion.joints.index(f"joint{index}")], world[index][1], atol=1e-8)


def test_many_frames_are_one_motion(file):
    """More frames than are computed at a time."""
    head, _, _ = SMALL.partition("Frames:")
    rows = "".join(f"{frame} 0 0 {frame % 360} 0 0 0 0 7\n" for frame in range(5000))
    positions = bvh.read(file(f"{head}Frames: 5000\nFrame Time: 0.01\n{rows}")).positions
    assert positions.shape == (5000, 5, 3)
    angle = np.radians(np.arange(5000))
    np.testing.assert_allclose(positions[:, 1, 0], np.arange(5000) + np.cos(angle), atol=1e-9)
    np.testing.assert_allclose(positions[:, 1, 1], np.sin(angle), atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY\n", "", r"line 1: found 'ROOT Hips', expected HIERARCHY"),
        (SMALL, " \n", "empty file"),
        ("MOTION", "ROOT Other\n{\nOFFSET 0 0 0\n}\nMOTION", "found another ROOT, expected one"),
        ("ROOT", "JOINT", r"line 2: found 'JOINT Hips', which is not allowed here"),
        ("JOINT left leg ", "JOINT", "found 'JOINT', expected a name"),
        ("      OFFSET 0 1e0 0\n", "", r"line 12: joint 'arm_end' ends here without an OFFSET"),
        ("      OFFSET 0 1e0 0\n", "      CHANNELS 0\n", r"line 12: found 'CHANNELS 0', which is not allowed here"),
        ("OFFSET 5 6 7", "OFFSET 5 6", r"line 16: found 2 numbers, expected 3"),
        ("OFFSET 5 6 7", "OFFSET 5 six 7", r"line 16: found 'six', expected a finite number"),
        ("OFFSET 5 6 7", "OFFSET 5 nan 7", r"line 16: found 'nan', expected a finite number"),
        ("CHANNELS 2 Yrotation", "CHANNELS 3 Yrotation", "expected their number and as many"),
        ("CHANNELS 2 Yrotation", "CHANNELS 2 Wrotation", "expected their number and as many"),
        ("CHANNELS 2 Yrotation", "CHANNELS 2 Xrotation", "expected their number and as many"),
        ("MOTION\n", "", "line 25: found 'Frames: 2', which is not allowed here"),
        ("}\nMOTION", "MOTION", "line 24: found 'MOTION', which is not allowed here"),
        ("Frames: 2", "Frames: -2", "found 'Frames: -2', expected a whole number"),
        ("Frames: 2", "Frames: 1.5", "found 'Frames: 1.5', expected a whole number"),
        ("Frames: 2", "Frames: two", "line 26: found 'two', expected a finite number"),
        ("Frame Time: .0083333", "Frame Time: -1", r"line 27: found 'Frame Time: -1', expected a number of seconds"),
        ("Frame Time: .0083333\n", "", "line 27: found '0 0 0 0 0 0 0 0 7', expected Frame Time"),
        ("0 0 0 0 0 0 0 0 7", "0 0 0 0 0 0 0 7", r"line 28: found 8 numbers, expected 9"),
        ("0 0 0 0 0 0 0 0 7\n1 2 3 90 0 0 90 90 9.0\n", "", r"found 0 frames and 9 channels, expected one or more of both"),
        ("1 2 3 90 0", "1 2 3 90 0 0", r"line 29: found 10 numbers, expected 9"),
        ("1 2 3 90 0", "1 2 3 9o 0", r"line 29: found '9o', expected a finite number"),
        ("1 2 3 90 0", "1 2 inf 90 0", r"line 29: found 'inf', expected a finite number"),
        ("1 2 3 90 0", "1e308 1e308 1e308 45 45", "numbers that are too large"),
    ],
)
def test_bad_files_are_refused_in_one_line(file, old, new, message):
    assert old in SMALL
    text = SMALL.replace(old, new, 1)
    if "1e308" in new:
        text = text.replace("OFFSET 1.0 0 0", "OFFSET 1e308 1e308 0")
    path = file(text)
    with pytest.raises(DataError, match=message) as caught:
        bvh.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.bvh: no such file"):
        bvh.read(tmp_path / "none.bvh")


def test_motions_out_of_proportion_are_refused(file, monkeypatch):
    """A small file can declare gigabytes: many joints without channels times many frames of one number."""
    monkeypatch.setattr(safe_pickle, "_FREE_BYTES", 2**20)
    joints = "".join(f"JOINT {number}\n{{\nOFFSET 0 0 0\n}}\n" for number in range(400))
    head = f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 1 Xposition\n{joints}}}\nMOTION\n"
    assert bvh.read(file(f"{head}Frames: 10\nFrame Time: 0.01\n" + "0\n" * 10)).positions.shape == (10, 401, 3)
    with pytest.raises(DataError, match=r"motion\.bvh: refused: .* out of proportion to the file"):
        bvh.read(file(f"{head}Frames: 1000\nFrame Time: 0.01\n" + "0\n" * 1000))


@pytest.mark.parametrize(
    ("old", "new", "frames", "note"),
    [
        ("Frames: 2", "Frames: 3", 2, "found 2 complete frames, expected the 3 that it declares"),
        ("Frames: 2", "Frames: 1", 2, "found 2 complete frames, expected the 1 that it declares"),
        ("Frames: 2", "Frames: 0", 2, "found 2 complete frames, expected the 0 that it declares"),
        (" 90 9.0\n", "", 1, "found 1 complete frames and one that is cut short, expected the 2 that it declares"),
        (" 9.0\n", " -", 1, "found 1 complete frames and one that is cut short, expected the 2 that it declares"),
        ("9.0\n", "9.0\n1 2 3", 2, "found 2 complete frames and one that is cut short, expected the 2 that it declares"),
    ],
)
def test_complete_frames_are_kept_whatever_is_declared(file, old, new, frames, note):
    assert bvh.read(file(SMALL)).notes == ()
    motion = bvh.read(file(SMALL.replace(old, new, 1)))
    np.testing.assert_array_equal(motion.positions, bvh.read(file(SMALL)).positions[:frames])
    assert motion.notes == (note,)


@pytest.mark.parametrize(("time", "fps"), [("1", 1.0), ("33.3", 1 / 33.3), ("0", 0.0), ("1e-300", 0.0), ("0.5e-3", 2000.0)])
def test_frame_times_are_as_the_file_says(file, time, fps):
    assert bvh.read(file(SMALL.replace(".0083333", time))).fps == pytest.approx(fps, rel=1e-12)


def test_truncated_files_are_refused_or_lose_a_frame(file):
    content = SMALL.encode()
    first_frame = content.index(b"\n1 2 3") - 1  # after its last digit
    for length in range(content.rindex(b" ") + 1):  # after this only digits of the last number would be lost
        if length > first_frame:
            assert len(bvh.read(file(content[:length])).positions) == 1
            continue
        with pytest.raises(DataError, match=r"motion\.bvh"):
            bvh.read(file(content[:length]))


def test_flipped_bits_are_refused_or_harmless(file, rng):
    content = SMALL.encode()
    for position in rng.integers(0, len(content), 400):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(DataError):  # anything else fails the test
            bvh.read(file(bytes(damaged)))
