import contextlib
import math

import numpy as np
import pytest

from srnet_jax.data.mocap import asf_amc
from srnet_jax.errors import DataError

ASF = """# a comment
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.5
  angle deg
:documentation
   made by hand: 1 2 3
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 2
     name b
     direction 0 1 0
     length 1
    dof rx ry
    limits (-20.0 45.0)
           (-inf inf)
  end
  begin
     id 1
     name a
     direction 0 0 1e0   # of length 2
     length 2.0
     axis 0 0 90   XYZ
    dof rx
    limits (-10.0 170.0)
  end
  begin
     id 3
     name c
     direction 1 0 0
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root a c
    a b
  end
"""
AMC = """#!OML:ASF made by hand
:FULLY-SPECIFIED
:DEGREES
1
root 0 0 0 0 0 0
a 0
b 0 0
2
root 1 2 3 0 0 90
a 90.0
b 90 9e1
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(asf=ASF, amc=AMC, **arguments):
        for name, content in (("s.asf", asf), ("m.amc", amc)):
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return asf_amc.read(tmp_path / "s.asf", tmp_path / "m.amc", **arguments)

    return write_and_read


def test_forward_kinematics_by_hand(read):
    motion = read()
    assert motion.joints == ("root", "a", "c", "b")
    assert motion.parents == (-1, 0, 0, 1)
    assert motion.fps == 120
    # Divided by the unit of length, 0.5.
    np.testing.assert_allclose(motion.positions[0], [[0, 0, 0], [0, 0, 4], [6, 0, 0], [0, 2, 4]], atol=1e-12)
    # a turns about its own x, which is y, so that it points to x; the root turns x to y.
    # b turns (0, 1, 0) about x to z, then about y to x; a turns this to -z, where the root leaves it.
    np.testing.assert_allclose(motion.positions[1], [[2, 4, 6], [2, 8, 6], [2, 10, 6], [2, 8, 4]], atol=1e-12)
    assert read(fps=60.0).fps == 60


def test_the_same_in_radians(read):
    expected = read().positions
    radians = repr(math.pi / 2)
    asf = ASF.replace("0 0 90 ", f"0 0 {radians} ")
    amc = AMC.replace("0 90\na 90.0\nb 90 9e1", f"0 {radians}\na {radians}\nb {radians} {radians}")
    np.testing.assert_allclose(read(amc=amc.replace(":DEGREES", ":RADIANS")).positions, expected, atol=1e-12)
    amc = amc.replace(":DEGREES\n", "")  # then the unit of the skeleton
    np.testing.assert_allclose(read(asf.replace("angle deg", "angle rad"), amc).positions, expected, atol=1e-12)


def test_root_presets_and_order(read):
    """The preset position is added; the preset orientation is the root's axes, which cancel without motion."""
    asf = ASF.replace("position 0 0 0", "position 1 1 1").replace("orientation 0 0 0", "orientation 0 0 90")
    positions = read(asf).positions
    np.testing.assert_allclose(positions[0] - read().positions[0], np.full((4, 3), 2.0), atol=1e-12)
    asf = ASF.replace("TX TY TZ RX RY RZ", "RZ TZ RX TX RY TY")
    amc = AMC.replace("root 1 2 3 0 0 90", "root 90 3 0 1 0 2")
    np.testing.assert_allclose(read(asf, amc).positions, read().positions, atol=1e-12)


@pytest.mark.parametrize(("word", "degrees"), [("DEG", True), ("degrees", True), ("Radians", False)])
def test_names_of_the_unit_of_angles(read, word, degrees):
    asf = ASF if degrees else ASF.replace("0 0 90 ", f"0 0 {math.pi / 2} ")
    expected, found = read().positions[0], read(asf.replace("angle deg", f"angle {word}")).positions[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_other_programs_declare_the_frame_rate(read):
    amc = AMC.replace(":DEGREES\n", ":DEGREES\n:SAMPLES-PER-SECOND 60\n")
    assert read(amc=amc).fps == 60
    np.testing.assert_array_equal(read(amc=amc).positions, read().positions)
    with pytest.raises(DataError, match=r"line 4: :SAMPLES-PER-SECOND: found 'fast', expected a finite number"):
        read(amc=amc.replace("60", "fast"))


def axis_rotation(axis, degrees):
    """Return one rotation matrix by Rodrigues' formula, independently of the reader."""
    x, y, z = np.eye(3)["xyz".index(axis)]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def rotation_about_fixed_axes(axes, degrees):
    matrix = np.eye(3)
    for axis, angle in zip(axes, degrees, strict=True):
        matrix = axis_rotation(axis, angle) @ matrix
    return matrix


def test_random_skeleton_against_frame_by_frame_matrices(read, rng):
    parents = ["root", "bone0", "bone1", "bone1", "bone3", "root"]
    sequences = ["xyz", "zyx", "yxz", "xyz", "zxy", "xyz"]
    freedoms = ["xyz", "x", "zx", "", "yzx", "xyz"]
    axes, directions = rng.uniform(-180, 180, (6, 3)), rng.normal(0, 1, (6, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = rng.uniform(0.5, 3, 6)

    def text(values):
        return " ".join(f"{value:.12e}" for value in values)

    bones = "".join(
        f"begin\nid {i}\nname bone{i}\ndirection {text(directions[i])}\nlength {lengths[i]:.12e}\n"
        f"axis {text(axes[i])} {sequences[i].upper()}\n" + (f"dof {' '.join('r' + f for f in dof)}\n" if dof else "") + "end\n"
        for i, dof in enumerate(freedoms)
    )
    hierarchy = "".join(f"{parent} bone{i}\n" for i, parent in enumerate(parents))
    head, _, _ = ASF.partition(":bonedata")
    asf = f"{head}:bonedata\n{bones}:hierarchy\nbegin\n{hierarchy}end\n"
    frames = rng.uniform(-180, 180, (4, 6 + sum(map(len, freedoms))))
    amc = ":FULLY-SPECIFIED\n:DEGREES\n"
    for number, row in enumerate(frames, 1):
        rest = list(row)
        amc += f"{number}\nroot {text(rest[:6])}\n"
        del rest[:6]
        for i, dof in enumerate(freedoms):
            amc += f"bone{i} {text(rest[: len(dof)])}\n" if dof else ""
            del rest[: len(dof)]

    motion = read(asf, amc)
    for row, found in zip(frames, motion.positions, strict=True):
        world = {"root": (rotation_about_fixed_axes("xyz", row[3:6]), row[:3])}
        column = 6
        for i, dof in enumerate(freedoms):
            own = rotation_about_fixed_axes(dof, row[column : column + len(dof)])
            column += len(dof)
            c = rotation_about_fixed_axes(sequences[i], axes[i])
            rotation = world[parents[i]][0] @ c @ own @ np.linalg.inv(c)
            world[f"bone{i}"] = (rotation, world[parents[i]][1] + rotation @ directions[i] * lengths[i])
        for joint, position in zip(motion.joints, found, strict=True):
            np.testing.assert_allclose(position, world[joint][1] / 0.5, atol=1e-8)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (ASF, "", "empty file"),
        (ASF, "HIERARCHY\n", r"line 1: found 'HIERARCHY', expected a section"),
        (":root", ":foot", "found no section :root"),
        (":bonedata", ":bones", "found no section :bonedata"),
        (":hierarchy", ":tree", "found no section :hierarchy"),
        ("length 0.5", "length 0", "found the unit of length 0, expected a positive"),
        ("length 0.5", "length half", "found 'half', expected a finite number"),
        ("angle deg", "angle grad", "found the unit of angles 'grad', expected deg or rad"),
        ("TX TY TZ RX RY RZ", "TX TY TZ RX RY", "expected TX TY TZ RX RY RZ in any order"),
        ("TX TY TZ RX RY RZ", "TX TY TZ RX RY RX", "found the channels"),
        ("position 0 0 0", "position 0 0", "found 2 numbers, expected 3"),
        ("orientation 0 0 0", "orientation 0 0 inf", "found 'inf', expected a finite number"),
        ("axis XYZ", "axis XYY", "found the sequence of axes 'xyy'"),
        ("axis 0 0 90   XYZ", "axis 0 0   XYZ", "found 'XYZ', expected a finite number"),
        ("     name a\n", "", "line 25: found a bone without name"),
        ("     name a\n", "     name b\n", "line 25: found bone 'b' again"),
        ("     length 2.0\n", "", "line 25: found a bone without length"),
        ("direction 0 0 1e0", "direction 0 0 one", "line 28: found 'one', expected a finite number"),
        ("dof rx ry\n", "dof rx tx\n", "found the channels 'rx tx', expected some of rx, ry, rz"),
        ("     id 1\n", "     idea 1\n", "line 26: found 'idea 1', expected one of name, direction"),
        ("    limits (-10.0 170.0)\n  end\n", "", "line 32: found 'begin', expected begin and end in turn"),
        ("    a b\n  end\n", "    a b\n", "line 42: found no end of the block that begins here"),
        ("    a b\n", "    a d\n", "line 44: found 'd', expected a bone"),
        ("    a b\n", "", "found no path from the root to 'b', expected every bone in :hierarchy"),
        ("    a b\n", "    a b c\n", "line 44: found a second parent of a bone"),
        ("    a b\n", "    b root\n", "line 44: found a second parent of a bone"),
    ],
)
def test_bad_skeletons_are_refused_in_one_line(read, old, new, message):
    assert old in ASF
    with pytest.raises(DataError, match=rf"s\.asf: .*{message}") as caught:
        read(asf=ASF.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (AMC, "", "empty file"),
        (AMC, ":FULLY-SPECIFIED\n", "found no frames"),
        ("1\nroot", "root", r"line 4: found 'root 0 0 0 0 0 0', expected a frame's number or a bone"),
        ("2\nroot", "3\nroot", "line 8: found frame 3, expected frame 2"),
        ("2\nroot", "root", "line 8: found 'root' again, expected each bone once in a frame"),
        ("a 0\n", "", r"line 7: found 2 bones in the frame before, expected 3 \('a' is missing\)"),
        ("a 0\n", "a 0 0\n", "line 6: a: found 2 numbers, expected 1"),
        ("a 0\n", "a zero\n", "line 6: a: found 'zero', expected a finite number"),
        ("a 0\n", "a nan\n", "line 6: a: found 'nan', expected a finite number"),
        ("a 0\n", "d 0\n", "line 6: found 'd 0', expected a frame's number or a bone"),
        ("a 0\n", "a 0\nc 0\n", "line 7: found 'c 0', expected a frame's number or a bone"),
        ("2\n", "9" * 5000 + "\n", "expected a frame's number or a bone"),
        ("root 1 2 3", "root 1e308 2 3", "numbers that are too large"),
    ],
)
def test_bad_motions_are_refused_in_one_line(read, old, new, message):
    assert old in AMC
    with pytest.raises(DataError, match=rf"m\.amc: .*{message}") as caught:
        read(amc=AMC.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_missing_files_are_refused(tmp_path, read):
    read()
    for asf, amc in (("s.asf", "none.amc"), ("none.asf", "m.amc")):
        with pytest.raises(DataError, match=r"none\.a..: no such file"):
            asf_amc.read(tmp_path / asf, tmp_path / amc)


def test_truncated_files_are_refused_or_have_fewer_frames(read):
    for length in range(0, ASF.rindex("end"), 3):
        with pytest.raises(DataError, match=r"s\.asf"):
            read(asf=ASF[:length])
    second = AMC.index("2\nroot")
    for length in range(AMC.rindex(" ") + 1):  # after this only digits of the last number would be lost
        if length < second - 1:
            with pytest.raises(DataError, match=r"m\.amc"):
                read(amc=AMC[:length])
            continue
        motion = read(amc=AMC[:length])
        assert len(motion.positions) == 1
        cut = ("found a last frame that is cut short, left it out of 2",)
        assert motion.notes == (cut if length > second else ())  # nothing in the file says how many there should be


def test_flipped_bits_are_refused_or_harmless(read, rng):
    for name, content in (("asf", ASF.encode()), ("amc", AMC.encode())):
        for position in rng.integers(0, len(content), 200):
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(rng.integers(8))
            with contextlib.suppress(DataError):  # anything else fails the test
                read(**{name: bytes(damaged)})
