"""TRC and C3D files, gaps of markers, and joint centres from skin markers."""

import ezc3d
import numpy as np
import pytest

from srnet_jax.data.mocap import c3d, gait_markers, motion_files, trc
from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.errors import DataError, UserError
from srnet_jax.lifting.formats import c3d as own_c3d
from srnet_jax.lifting.formats import trc as own_trc
from srnet_jax.lifting.formats.motion import Motion as OwnMotion
from tests.data.test_recognise import INDEX, convert

FPS = 50.0
POSE2SIM = ("Hip", "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "Neck", "Head", "Nose")
POSE2SIM += ("RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist")


def write_trc(path, names, points, *, fps=FPS, unit="m", rows=None):
    """Write markers [T, J, 3] as Pose2Sim does."""
    count = len(points)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{fps:g}\t{fps:g}\t{count}\t{len(names)}\t{unit}\t{fps:g}\t0\t{count}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number + 1}" for number in range(len(names)) for axis in "XYZ"),
        "",
    ]
    for frame, row in enumerate(points.reshape(count, -1)):
        fields = "\t".join("" if np.isnan(value) else f"{value:.6f}" for value in row)
        lines.append(f"{frame}\t{frame / fps:.4f}\t{fields}")
    path.write_text("\n".join(lines) + "\n")
    return path


def write_c3d(path, names, points, *, fps=FPS, unit="mm"):
    """Write markers [T, J, 3]."""
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [fps]
    file["parameters"]["POINT"]["UNITS"]["value"] = [unit]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(names)
    data = np.ones((4, len(names), len(points)))
    data[:3] = points.transpose(2, 1, 0)
    file["data"]["points"] = data
    file["data"]["meta_points"]["residuals"] = np.where(np.isnan(points).any(-1), -1.0, 0.0).T[None]
    file.write(str(path))
    return path


def pose2sim(poses):
    """Return the markers of Pose2Sim [T, J, 3] for joints [T, 17, 3]; y up."""
    top = poses[:, 8] + (poses[:, 10] - poses[:, 8]) / 0.6
    own = {"RAnkle": "RFoot", "LAnkle": "LFoot", "Neck": "Thorax"}
    places = {
        "Head": top,
        "Nose": poses[:, 10] + [0, 0.1, 0],
        "Hip": poses[:, [1, 4]].mean(1),
        "Neck": poses[:, [11, 14]].mean(1),
    }
    world = np.stack([places[n] if n in places else poses[:, INDEX[own.get(n, n)]] for n in POSE2SIM], axis=1)
    return y_up(world)


def y_up(world):
    """Return points [..., 3] with z up in axes with y up."""
    return np.stack([world[..., 0], world[..., 2], -world[..., 1]], -1)


def own_motion(poses):
    frames = np.arange(len(poses))
    return OwnMotion("anna", poses, frames, frames / FPS, FPS, level=True, moves=True, floor=True)


@pytest.mark.filterwarnings("ignore:.*the vertical axis is uncertain, used z")  # in place
def test_what_this_program_exports_comes_back(walker, tmp_path):
    gapped = walker.copy()
    gapped[10:13] = np.nan
    own_trc.write(tmp_path / "a.trc", own_motion(gapped))
    own_c3d.write(tmp_path / "b.c3d", own_motion(gapped), "z up")
    for name in ("a.trc", "b.c3d"):
        with pytest.warns(UserWarning, match=rf"{name}: filled 51 marker positions in gaps of at most 0\.2 s$"):
            (found,), (line,) = convert(tmp_path / name, fps=FPS)
        assert line.startswith("1 file of this program's joints as markers: ")
        known = np.r_[0:10, 13:40]
        turned = found if name == "b.c3d" else found[..., [1, 0, 2]] * [1, -1, 1]  # x is away in the .trc
        near = turned - turned[:, :1] - (walker - walker[:, :1])
        if name == "b.c3d":
            np.testing.assert_allclose(near[known], 0, atol=0.001)
        np.testing.assert_allclose(found[known][..., 2], walker[known][..., 2], atol=0.001)


@pytest.mark.parametrize(("unit", "unit_m"), [("m", 1.0), ("mm", 0.001), ("cm", 0.01)])
@pytest.mark.parametrize("write", [write_trc, write_c3d])
def test_pose2sims_markers(write, unit, unit_m, walker, tmp_path):
    suffix = "trc" if write is write_trc else "c3d"
    path = write(tmp_path / f"walk.{suffix}", [f"anna:{name}" for name in POSE2SIM], pose2sim(walker) / unit_m, unit=unit)
    (found,), (line,) = convert(path, fps=FPS)
    says = {1.0: "metres", 0.001: "millimetres", 0.01: "centimetres"}[unit_m]
    assert line == f"1 file of Pose2Sim's markers: {says}, y up"
    limbs = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]
    np.testing.assert_allclose(found[:, limbs], walker[:, limbs], atol=0.001)
    assert np.linalg.norm(found[:, 10] - walker[:, 10], axis=-1).max() < 0.05


def test_a_head_that_only_the_nose_shows_is_marked(walker, tmp_path):
    names = [name for name in POSE2SIM if name != "Head"]
    points = pose2sim(walker)[:, [POSE2SIM.index(name) for name in names]]
    (found,), (line,) = convert(write_trc(tmp_path / "walk.trc", names, points), fps=FPS)
    assert line.endswith("y up; head from the face, some centimetres in front of its middle")
    np.testing.assert_allclose(found[:, 10], walker[:, 10] + [0, 0.1, 0], atol=0.001)


def test_a_wrong_unit_in_the_file_is_noticed(walker, tmp_path):
    (found,), (line,) = convert(write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker), unit="mm"), fps=FPS)
    assert "metres, y up" in line
    np.testing.assert_allclose(found[:, 3], walker[:, 3], atol=0.001)


def test_of_long_gaps_the_longest_stretch_is_kept(walker, tmp_path):
    points = pose2sim(walker)
    points[12:30, POSE2SIM.index("LWrist")] = np.nan
    points[3:5, POSE2SIM.index("Hip")] = np.nan
    points[:, POSE2SIM.index("Nose")] = np.nan  # not needed
    with pytest.warns(UserWarning, match=r"filled 2 marker .*; kept frames 1 to 12 of 40, the longest stretch in which all"):
        (found,), _ = convert(write_trc(tmp_path / "walk.trc", POSE2SIM, points), fps=FPS)
    assert len(found) == 12
    points[:, POSE2SIM.index("LWrist")] = np.nan
    with pytest.raises(DataError, match=r"walk\.trc: found no frame that shows LWrist, expected every marker"):
        convert(write_trc(tmp_path / "walk.trc", POSE2SIM, points))
    points = pose2sim(walker)
    points[:20, POSE2SIM.index("LWrist")] = points[20:, POSE2SIM.index("RWrist")] = np.nan
    with pytest.raises(DataError, match=r"walk\.trc: found no frame in which all markers of the skeleton are seen"):
        convert(write_trc(tmp_path / "walk.trc", POSE2SIM, points))


def test_two_markers_are_no_person(tmp_path):
    path = write_trc(tmp_path / "walk.trc", ("RHip", "LHip"), np.ones((2, 2, 3)))
    with pytest.raises(DataError, match=r"joints 'RHip, LHip', .* Pose2Sim's markers, lacks RKnee, RAnkle, LKnee, LAnkle"):
        convert(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("PathFileType", "Path", "line 1: found 'Path.*', expected PathFileType"),
        ("DataRate\tCamera", "Rate\tCamera", "line 3: found no DataRate"),
        ("\n50\t", "\n0\t", "a DataRate of 0, expected 0.1"),
        ("\n50\t", "\nfast\t", "line 3: DataRate: found 'fast', expected a finite number"),
        ("\t2\tm\t", "\t3\tm\t", "line 4: found 2 markers, expected the 3 that NumMarkers declares"),
        ("\tm\t50", "\tmiles\t50", "found the unit 'miles', expected one of m,"),
        ("Frame#", "Row", "line 4: found 'Row.*', expected Frame#, Time"),
        ("\tLHip", "\tRHip", "line 4: found 'RHip', expected each marker's name once"),
        ("\t1.000000\n", "\tone\n", "line 7: found 'one', expected a finite number"),
        ("\t1.000000\n", "\t1\t1\n", "line 7: found 7 coordinates, expected 3 of each of 2 markers"),
    ],
)
def test_bad_trc_files_are_refused_in_one_line(tmp_path, old, new, message):
    path = write_trc(tmp_path / "walk.trc", ("RHip", "LHip"), np.ones((2, 2, 3)))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        trc.read(path)
    assert "\n" not in str(caught.value)


def test_trc_files_by_hand(tmp_path):
    text = write_trc(tmp_path / "a.trc", ("RHip", "L Hip"), np.arange(12.0).reshape(2, 2, 3) + 1, unit="mm").read_text()
    motion = trc.read(tmp_path / "a.trc")
    assert (motion.joints, motion.fps, motion.unit_m) == (("RHip", "L Hip"), 50.0, 0.001)
    np.testing.assert_array_equal(motion.positions, np.arange(12.0).reshape(2, 2, 3) + 1)
    head, _, last = text.rstrip("\n").rpartition("\n")
    (tmp_path / "a.trc").write_text(f"{head}\n" + last.replace("10.000000\t11.000000\t12.000000", "0.0\t0\t0") + "\t\t\n")
    assert np.isnan(trc.read(tmp_path / "a.trc").positions[1, 1]).all()
    (tmp_path / "a.trc").write_text(f"{head}\n" + last.replace("\t10.000000\t11.000000\t12.000000", ""))
    assert np.isnan(trc.read(tmp_path / "a.trc").positions[1, 1]).all()


@pytest.mark.parametrize(
    ("old", "new", "unit_m"),
    [
        ("\tm\t", "\tMillimeters\t", 0.001),
        ("\tm\t", "\t\t", None),  # the person's height decides
        ("\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n", "", 1.0),
    ],
)
def test_other_heads_of_trc_files(tmp_path, old, new, unit_m):
    path = write_trc(tmp_path / "walk.trc", ("RHip", "LHip"), np.arange(12.0).reshape(2, 2, 3) + 1)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    motion = trc.read(path)
    assert (motion.fps, motion.unit_m) == (50.0, unit_m)
    np.testing.assert_array_equal(motion.positions, np.arange(12.0).reshape(2, 2, 3) + 1)


def test_times_decide_where_the_declared_rate_differs(walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker))
    path.write_text(path.read_text().replace("50\t50\t40", "100\t100\t40"))
    with pytest.warns(UserWarning, match="found times of 50 frames a second and a DataRate of 100, used the times"):
        (found,), _ = convert(path, fps=FPS)
    assert len(found) == len(walker)


def test_frames_without_a_line(walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker))
    whole = trc.read(path).positions
    lines = path.read_text().splitlines()
    del lines[16:19]  # frames 10 to 12
    path.write_text("\n".join(lines))
    motion = trc.read(path)
    assert motion.notes == (
        "found 37 frames, expected the 40 that NumFrames declares",
        "found no line of 3 frames, to be filled",
    )
    expected = whole.copy()
    expected[10:13] = np.nan
    np.testing.assert_array_equal(motion.positions, expected)


def edited(path, change):
    """Change the number and the time of each frame of a .trc file: `change` maps (index, number, time) to the new two."""
    lines = path.read_text().splitlines()
    head, cells = lines[:5], [row.split("\t") for row in lines[5:] if row.strip()]
    for index, row in enumerate(cells):
        row[:2] = map(str, change(index, int(row[0]), float(row[1])))
    path.write_text("\n".join([*head, *map("\t".join, cells)]))


@pytest.mark.parametrize(
    "change",
    [
        lambda index, number, time: (number, time + 10 * (index >= 20)),  # trials joined, frames numbered anew
        lambda index, number, time: (number + 400 * (index >= 20), time),  # times go on
        lambda index, number, time: (number, time + 3 * (index == 39)),  # one late time
        lambda index, number, time: (number, "inf" if index else "-inf"),
        lambda index, number, time: (number, 1e307 * index - 1e308),
        lambda index, number, time: (1e307 * index - 1e308, time),
        lambda index, number, time: (number, "nan"),
        lambda index, number, time: (number, round(time, 2)),
    ],
)
def test_odd_times_and_numbers_change_nothing(change, walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker))
    whole = trc.read(path)
    edited(path, change)
    motion = trc.read(path)
    assert (motion.fps, motion.notes) == (whole.fps, ())
    np.testing.assert_array_equal(motion.positions, whole.positions)


def test_over_long_gaps_without_lines_frames_are_joined(walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker))
    whole = trc.read(path)
    edited(path, lambda index, number, time: (number + 400 * (index >= 20), time + 8 * (index >= 20)))
    motion = trc.read(path)
    assert motion.notes == ("found no line of 400 frames in gaps longer than 0.2 s, joined over them",)
    np.testing.assert_array_equal(motion.positions, whole.positions)


def test_commas_in_names_and_beside_points_are_no_decimal_commas(walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", ["A,b", *POSE2SIM[1:]], pose2sim(walker))
    assert trc.read(path).joints[0] == "A,b"
    edited(path, lambda index, number, time: (number, "0,02" if index == 1 else time))
    assert trc.read(path).fps == 50
    first = path.read_text().splitlines()[5].split("\t")[2]
    path.write_text(path.read_text().replace(first, "1,234", 1))
    with pytest.raises(DataError, match=r"walk\.trc: line 6: found '1,234', expected a finite number"):
        trc.read(path)


def test_numbers_of_every_other_frame(walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:5] + lines[5::2]))
    motion = trc.read(path)
    assert (motion.fps, motion.positions.shape[0]) == (25.0, 20)
    assert motion.notes[0] == "found times of 25 frames a second and a DataRate of 50, used the times"


def test_decimal_commas_and_other_names_of_columns(walker, tmp_path):
    path = write_trc(tmp_path / "walk.trc", POSE2SIM, pose2sim(walker))
    whole = trc.read(path)
    text = path.read_text().replace(".", ",").replace("Frame#\tTime", "Frame\tTime (Seconds)")
    path.write_text(text.replace("DataRate", "datarate").replace("NumMarkers", "numMarkers"))
    found = trc.read(path)
    np.testing.assert_array_equal(found.positions, whole.positions)
    assert (found.joints, found.fps, found.notes) == (whole.joints, whole.fps, ())


@pytest.mark.parametrize("axis", [0, 2])
def test_points_in_a_plane_are_no_3d(axis, walker, tmp_path):
    """Sports2D writes 2D points as .trc files."""
    flat = pose2sim(walker)
    flat[..., axis] = 0
    with pytest.raises(DataError, match="found all joints of a frame in one plane, expected 3D"):
        convert(write_trc(tmp_path / "walk.trc", POSE2SIM, flat), fps=FPS)


def test_a_c3d_file_without_a_unit_is_measured(tmp_path, walker):
    path = write_c3d(tmp_path / "walk.c3d", POSE2SIM, pose2sim(walker) * 1000, unit="")
    (found,), (line,) = convert(path, fps=FPS)
    assert line.startswith("1 file of Pose2Sim's markers: millimetres")
    np.testing.assert_allclose(found[:, 13], walker[:, 13], atol=0.001)


def test_c3d_files(tmp_path, monkeypatch):
    points = np.arange(12.0).reshape(2, 2, 3) + 1
    points[1, 0] = np.nan
    motion = c3d.read(write_c3d(tmp_path / "a.c3d", ("s:LASI", "s:RASI"), points))
    assert (motion.joints, motion.fps, motion.unit_m) == (("s:LASI", "s:RASI"), 50.0, 0.001)
    np.testing.assert_allclose(motion.positions, points)
    content = (tmp_path / "a.c3d").read_bytes()
    for bad in (b"no C3D file", b"\0" * 600, content[:700], content[:512] + b"\xff" * 512):
        (tmp_path / "b.c3d").write_bytes(bad)
        with pytest.raises(DataError, match=r"b\.c3d: ") as caught:
            c3d.read(tmp_path / "b.c3d")
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"a\.c3d: needs ezc3d, which is not installed, expected `pip install -e \.\[c3d\]`"):
        c3d.read(tmp_path / "a.c3d")


def gait(poses, prefix=""):
    """Return Plug-in Gait's markers of a person whose pelvis fits Harrington's regression; x right, z up."""
    width, depth = 0.24, 0.16
    hips = poses[:, [1, 4]].mean(1)
    aside = unit(poses[:, 1] - poses[:, 4])
    up = unit(np.cross(aside, np.cross(poses[:, 8] - hips, aside)))
    ahead = np.cross(up, aside)
    reach = 0.33 * width + 0.0073
    front = hips + (0.24 * depth + 0.0099) * ahead + (0.30 * width + 0.0109) * up
    right, left = hips + reach * aside, hips - reach * aside
    markers = {"RASI": front + width / 2 * aside, "LASI": front - width / 2 * aside}
    markers |= {"RPSI": front - depth * ahead + 0.04 * aside, "LPSI": front - depth * ahead - 0.04 * aside}
    centres = {"RHJC": right, "LHJC": left}
    for side, sign in (("R", 1), ("L", -1)):
        for joint, marker, wand, distance in (("Knee", "KNE", "THI", 0.059), ("Foot", "ANK", "TIB", 0.044)):
            above = centres[f"{side}HJC"] if joint == "Knee" else poses[:, INDEX[f"{side}Knee"]]
            centre = poses[:, INDEX[side + joint]]
            bone = unit(centre - above)
            outwards = unit(sign * aside - (sign * aside * bone).sum(-1, keepdims=True) * bone)
            markers[side + marker] = centre + distance * outwards
            markers[side + wand] = (above + centre) / 2 + 0.1 * outwards
        markers |= {f"{side}ELB": poses[:, INDEX[f"{side}Elbow"]]}
        markers |= {
            f"{side}WRA": poses[:, INDEX[f"{side}Wrist"]] + 0.03 * up,
            f"{side}WRB": poses[:, INDEX[f"{side}Wrist"]] - 0.03 * up,
        }
    markers |= {"C7": poses[:, 8] - 0.06 * ahead, "CLAV": poses[:, 8] + 0.06 * ahead}
    sacrum = (markers["LPSI"] + markers["RPSI"]) / 2
    down = unit(sacrum - poses[:, 8]) * np.linalg.norm(poses[:, 11] - poses[:, 14], axis=-1, keepdims=True) * 0.17
    markers |= {"LSHO": poses[:, 11] - down, "RSHO": poses[:, 14] - down}
    for name, way in (("LFHD", ahead - aside), ("RFHD", ahead + aside), ("LBHD", -ahead - aside), ("RBHD", -ahead + aside)):
        markers[name] = poses[:, 10] + 0.07 * way
    names = tuple(markers)
    return tuple(prefix + name for name in names), np.stack([markers[name] for name in names], axis=1), left, right


def unit(ways):
    return ways / np.linalg.norm(ways, axis=-1, keepdims=True)


@pytest.mark.filterwarnings("ignore:.*the vertical axis is uncertain, used z")  # in place
@pytest.mark.parametrize("prefix", ["", "anna:", "cmu:"])
def test_plug_in_gait(prefix, walker, tmp_path):
    names, points, left, right = gait(walker, prefix)
    if prefix == "cmu:":  # whose names differ
        for plug_in, cmu in (("ASI", "FWT"), ("PSI", "BWT"), ("TIB", "SHN")):
            names = tuple(name.replace(plug_in, cmu) for name in names)
    (found,), (line,) = convert(write_c3d(tmp_path / "walk.c3d", names, points * 1000), fps=FPS)
    assert line.startswith(
        "1 file of Plug-in Gait's markers: millimetres, z up; joint centres from markers: hips after Harrington"
    )
    np.testing.assert_allclose(found[:, 1], right, atol=0.001)
    np.testing.assert_allclose(found[:, 4], left, atol=0.001)
    exact = [2, 3, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]
    np.testing.assert_allclose(found[:, exact], walker[:, exact], atol=0.001)


@pytest.mark.parametrize("prefixes", [("Anna:", "Bob:"), ("Bob:", "Anna:"), ("", "Bob:"), ("anna_", "BOB_")])
def test_two_people_with_gait_markers_are_refused(prefixes, walker, tmp_path):
    people = [gait(walker + [shift, 0, 0], prefix)[:2] for shift, prefix in enumerate(prefixes)]
    names = [name for some, _ in people for name in some]
    path = write_trc(tmp_path / "walk.trc", names, np.concatenate([points for _, points in people], 1))
    with pytest.raises(
        DataError, match=r"walk\.trc: found two skeletons, with the prefixes '.*' and '.*', expected one person"
    ):
        convert(path)


@pytest.mark.parametrize("spelled", [str.lower, lambda name: f"Anna_{name[0]}_{name[1:]}", lambda name: f"anna:{name.lower()}"])
def test_spelling_makes_no_difference_for_gait_markers(spelled, walker, tmp_path):
    names, points, left, _ = gait(walker)
    (found,), _ = convert(write_trc(tmp_path / "walk.trc", [spelled(name) for name in names], y_up(points)), fps=FPS)
    np.testing.assert_allclose(found[:, 4], left, atol=0.001)
    np.testing.assert_allclose(found[:, 13], walker[:, 13], atol=0.001)


def test_what_gait_markers_do_not_give(walker):
    names, points, _, _ = gait(walker)
    motion = Motion(names, (-1,) * len(names), FPS, points)
    made = gait_markers.with_centres(motion).joints[len(names) :]
    assert {"LHJC", "RKJC", "LAJC", "RSJC", "LEJC", "RWJC", "ThoraxCentre", "HeadCentre"} <= set(made)
    own = Motion((*names, "LHJC"), (-1,) * (len(names) + 1), FPS, np.concatenate([points, points[:, :1]], 1))
    kept = gait_markers.with_centres(own)
    np.testing.assert_array_equal(kept.positions[:, kept.joints.index("LHJC")], points[:, 0])
    without = [index for index, name in enumerate(names) if name not in ("LPSI", "LFHD")]
    fewer = Motion(tuple(names[index] for index in without), (-1,) * len(without), FPS, points[:, without])
    assert not {"LHJC", "LKJC", "HeadCentre", "LSJC"} & set(gait_markers.with_centres(fewer).joints)
    assert gait_markers.with_centres(Motion(("LASI",), (-1,), FPS, points[:, :1])).joints == ("LASI",)


def test_motions_that_are_not_read_are_said_unless_a_file_of_their_name_is(tmp_path):
    files = [tmp_path / name for name in ("walk.bvh", "walk.fbx", "run.fbx", "jump.glb", "subjects.csv", "._sit.fbx")]
    for file in files:
        file.touch()
    assert motion_files.passed_over(tmp_path, motion_files.find(tmp_path)) == [
        (str(tmp_path / "jump.glb"), "not read; export them as .bvh"),
        (str(tmp_path / "run.fbx"), "not read; export them as .bvh"),
    ]


def test_files_of_other_kinds_get_a_right_hint(tmp_path):
    with pytest.raises(DataError, match=r"found no motion file, expected \.bvh, \.amc, \.trc, \.c3d or \.npz$"):
        motion_files.find(tmp_path)
    (tmp_path / "walk.fbx").write_bytes(b"Kaydara FBX")
    with pytest.raises(DataError, match=r"or \.npz; found \.fbx: export them as \.bvh$"):
        motion_files.find(tmp_path)
    (tmp_path / "walk.csv").touch()
    with pytest.raises(DataError, match=r"found \.csv: export them as \.c3d or \.trc; found \.fbx: export them as \.bvh$"):
        motion_files.find(tmp_path)
    with pytest.raises(DataError, match=r"walk\.fbx: found a file that ends in '\.fbx', expected \.bvh, .*; export them"):
        convert(tmp_path / "walk.fbx")
    (tmp_path / "shape.npz").write_bytes(b"of AMASS")
    (tmp_path / "anna_stagei.npz").write_bytes(b"of AMASS")
    with pytest.raises(DataError, match="found no motion file"):
        motion_files.find(tmp_path)
