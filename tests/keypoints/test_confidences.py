"""Confidences, numbered and named joints, and third coordinates in keypoint files."""

import warnings

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.pose.layouts import LAYOUTS
from srnet_jax.pose.skeleton import H36M_17
from tests.keypoints.builders import COCO, LANDMARKS, SIZE, WALK, named, shares, table, walker, wide, write_json

ANKLES = [15, 16]
GUESSED = WALK.copy()
GUESSED[:, ANKLES] = GUESSED[:, ANKLES] * [1, 1, 0] + [200, -150, 0.02]


def load(path, **hints):
    (track,) = keypoint_files.load(path, Hints(**hints))
    return track


def from_table(tmp_path, rows, header, **hints):
    (tmp_path / "walk.csv").write_text(table(rows, header))
    return load(tmp_path / "walk.csv", **hints)


def is_walker(track, person=WALK, without=()):
    seen = [joint for joint in range(person.shape[1]) if joint not in without]
    np.testing.assert_allclose(track.keypoints[:, seen], person[:, seen, :2], atol=1e-2)
    assert (track.confidences[:, list(without)] == 0).all()


@pytest.mark.parametrize("key", ["confidences", "scores", "keypoint_scores", "conf"])
def test_confidences_of_an_archive_by_any_name(tmp_path, key):
    np.savez(tmp_path / "walk.npz", keypoints=GUESSED[..., :2], **{key: GUESSED[..., 2]})
    is_walker(load(tmp_path / "walk.npz"), without=ANKLES)


@pytest.mark.parametrize("key", ["kp_score", "keypoints_conf", "confidence", "conf", "visibility", "kptScores"])
def test_confidences_beside_the_joints_by_any_name(tmp_path, key):
    """A guess of low confidence is missing."""
    people = [{"keypoints": p[:, :2].tolist(), key: p[:, 2].tolist(), "score": 0.9} for p in GUESSED]
    is_walker(
        load(write_json(tmp_path / "walk.json", [{"frame": i, "people": [p]} for i, p in enumerate(people)])), without=ANKLES
    )
    is_walker(load(write_json(tmp_path / "walk.json", {"keypoints": GUESSED.tolist()})), without=ANKLES)


@pytest.mark.parametrize("key", ["certainty", "scores", "kp_conf", "C"])
def test_confidences_of_a_table_by_other_names(tmp_path, key):
    header, rows = wide(GUESSED, COCO, ("_x", "_y", f"_{key}"))
    is_walker(from_table(tmp_path, rows, header), without=ANKLES)


def test_the_same_negative_number_twice_is_missing(tmp_path):
    person = WALK.copy()
    person[:, ANKLES] = [-999, -999, 1]
    is_walker(load(write_json(tmp_path / "walk.json", person.tolist())), without=ANKLES)
    person[..., :2] = np.where(person[..., :2] < 0, -9, person[..., :2] / SIZE)
    is_walker(load(write_json(tmp_path / "walk.json", person.tolist()), image_size=SIZE), without=ANKLES)


@pytest.mark.parametrize("cell", ["-", "<NA>", "#N/A", "?"])
def test_cells_that_mean_missing(tmp_path, cell):
    header, rows = wide(WALK, COCO)
    for row in rows:
        row[1 + 3 * ANKLES[0] :] = [cell] * 6
    is_walker(from_table(tmp_path, rows, header), without=ANKLES)


def test_confidences_of_a_reconstruction(tmp_path):
    person = walker("h36m")
    person[:, 3, 2] = 0.02
    np.savez(tmp_path / "walk.npz", reconstruction=person[None, ..., :2], scores=person[None, ..., 2])
    is_walker(load(tmp_path / "walk.npz"), person, [3])


def test_an_archive_of_other_keys(tmp_path):
    for key in ("kpts", "arr_0"):
        np.savez(tmp_path / "walk.npz", **{key: WALK[..., :2]})
        is_walker(load(tmp_path / "walk.npz"))
    np.savez(tmp_path / "walk.npz", keypoints=WALK[..., :2], certainty=WALK[..., 2])
    with pytest.warns(UserWarning, match="'certainty' not used, expected confidences under the name confidences"):
        load(tmp_path / "walk.npz")
    np.savez(tmp_path / "walk.npz", keypoints=WALK * [1, 1, 900], scores=WALK[..., 2])
    with pytest.raises(DataError, match="found points in 3D"):
        load(tmp_path / "walk.npz")


@pytest.mark.parametrize("shape", [(0, 2, 1), (0, 1, 2)])
@pytest.mark.parametrize("size", [2, 3])
def test_arrays_with_the_joints_last(tmp_path, shape, size):
    np.save(tmp_path / "walk.npy", WALK[..., :size].transpose(shape))
    is_walker(load(tmp_path / "walk.npy"))


KEPT = [joint for joint in range(17) if joint != 3]
ORDER = np.random.default_rng(0).permutation(KEPT).tolist()


def long(start=0):
    return [[k, j + start, *p[j]] for k, p in enumerate(WALK.tolist()) for j in KEPT]


def test_a_numbered_joint_that_lacks_leaves_its_place(tmp_path):
    for start in (0, 1):
        is_walker(from_table(tmp_path, long(start), ["frame,joint_id,x,y,score"]), without=[3])
        header, rows = wide(WALK[:, KEPT], [f"kp{j + start}" for j in KEPT])
        is_walker(from_table(tmp_path, rows, header), without=[3])
    content = [{"frame": k, "keypoints": {str(j): p[j] for j in KEPT}} for k, p in enumerate(WALK.tolist())]
    is_walker(load(write_json(tmp_path / "walk.json", content)), without=[3])
    people = [{"0": {str(j): [p[j][1], p[j][0], p[j][2]] for j in KEPT[:-2]}} for p in WALK.tolist()]
    content = {"keypoints": people, "skeleton": dict(enumerate(COCO))}
    is_walker(load(write_json(tmp_path / "walk.json", content)), without=[3, 15, 16])
    hands_and_feet = [*range(17, 23), *range(29, 33)]
    rows = [[k, j, *p[j]] for k, p in enumerate(LANDMARKS.tolist()) for j in range(33) if j not in hands_and_feet]
    is_walker(from_table(tmp_path, rows, ["frame,landmark_id,x,y,score"]), LANDMARKS, without=hands_and_feet)


def test_numbers_that_do_not_say_where_they_begin_are_refused(tmp_path):
    rows = [[k, j, *p[j]] for k, p in enumerate(WALK.tolist()) for j in range(2, 17)]
    with pytest.raises(DataError, match=r"walk\.csv: found joints numbered 2 to 16, expected them to start at 0 or 1"):
        from_table(tmp_path, rows, ["frame,joint_id,x,y,score"])
    for high in (10**20, 2000):
        with pytest.raises(DataError, match=r"found joints numbered 0 to [0-9]+, expected each number once, and at most 1000"):
            from_table(tmp_path, [*rows, [0, 0, 1, 1, 1], [0, high, 1, 1, 1]], ["frame,joint_id,x,y,score"])


@pytest.mark.parametrize("key", ["name", "label", "joint", "keypoint", "part", "id", "index", "keypoint_id", "jointId"])
def test_joints_as_objects_say_which_they_are(tmp_path, key):
    numbers = key.lower().endswith(("id", "index"))
    content = [
        {"frame": k, "keypoints": [{key: j if numbers else COCO[j], "x": p[j][0], "y": p[j][1], "score": 0.9} for j in ORDER]}
        for k, p in enumerate(WALK.tolist())
    ]
    is_walker(load(write_json(tmp_path / "walk.json", content)), without=[3])


@pytest.mark.parametrize("header", ["frame,", "", "index,"])
def test_a_comma_at_the_end_of_rows_is_no_column(tmp_path, header):
    for size in (2, 3):
        (names,), rows = wide(WALK, COCO, ("_x", "_y", "_conf")[:size])
        names = header + names.partition(",")[2]
        is_walker(from_table(tmp_path, [[*(row if header else row[1:]), ""] for row in rows], [names]))
        if header:
            is_walker(from_table(tmp_path, rows, [names.partition(",")[2]]))  # an index column without a name


@pytest.mark.parametrize("presence", [None, 0.0, 0.99])
def test_visibility_goes_before_presence(tmp_path, presence):
    person = LANDMARKS.copy()
    person[:, [27, 28], 2] = 0.02
    content = [
        {"frame": k, "landmarks": [{"x": x, "y": y, "z": 0, "visibility": v, "presence": presence} for x, y, v in p]}
        for k, p in enumerate(shares(person).tolist())
    ]
    is_walker(load(write_json(tmp_path / "walk.json", content), image_size=SIZE), LANDMARKS, [27, 28])
    cell = "" if presence is None else presence
    rows = [[k, j, *xyv, cell] for k, p in enumerate(shares(person).tolist()) for j, xyv in enumerate(p)]
    header = "frame,landmark_id,x,y,visibility,presence"
    is_walker(from_table(tmp_path, rows, [header], image_size=SIZE), LANDMARKS, [27, 28])
    rows = [
        [k, *(cell for xyv in p for cell in (*xyv, "" if presence is None else presence))]
        for k, p in enumerate(GUESSED.tolist())
    ]
    axes = [f"{name}_{axis}" for name in COCO for axis in ("x", "y", "visibility", "presence")]
    is_walker(from_table(tmp_path, rows, ["frame," + ",".join(axes)]), without=ANKLES)


def test_confidences_in_percent(tmp_path):
    header, rows = wide(GUESSED * [1, 1, 100], COCO)
    with pytest.warns(UserWarning, match=r"walk\.csv: found third numbers of 2 to 75, using them as confidences in percent"):
        track = from_table(tmp_path, rows, header)
    is_walker(track, without=ANKLES)
    assert track.confidences.max() == 0.75


MILLIMETRES = np.concatenate([WALK[..., :2] * 2, 3000 + WALK[..., :1] / 10], -1)


def test_a_third_coordinate_without_a_confidence_is_warned_of(tmp_path):
    header, rows = wide(MILLIMETRES, COCO, ("_x", "_y", "_z"))
    (tmp_path / "a.csv").write_text(table(rows, header))
    long = [[k, name, *p] for k, frame in enumerate(MILLIMETRES.tolist()) for name, p in zip(COCO, frame, strict=True)]
    (tmp_path / "b.csv").write_text(table(long, ["frame,joint,x,y,z"]))
    write_json(tmp_path / "c.json", [{"keypoints": named(p, COCO, ("x", "y", "z"))} for p in MILLIMETRES])
    for name in ("a.csv", "b.csv", "c.json"):
        with pytest.warns(
            UserWarning, match="found a third coordinate of joints, using x and y as pixels; are these points in 3D"
        ):
            load(tmp_path / name)
    header, rows = wide(WALK * [1, 1, -0.3], COCO, ("_x", "_y", "_z"))  # MediaPipe's depth
    with warnings.catch_warnings(action="error"):
        is_walker(from_table(tmp_path, rows, header))


DOTS = np.insert(LANDMARKS, 2, -0.3, axis=-1)


def test_a_number_beyond_all_bounds_in_a_table_without_a_header_is_one_line(tmp_path):
    rows = [[str(frame), *map(str, WALK[frame, :, :2].ravel())] for frame in range(4)]
    rows[1][0] = rows[2][0] = "9" * 400
    (tmp_path / "x.csv").write_text("\n".join(map(",".join, rows)))
    with pytest.raises(DataError, match=r"x\.csv: line 2: found frame '9999.*expected a whole number"):
        load(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("person", "layout", "first"),
    [
        (WALK[..., :2], "coco", False),
        (WALK, "coco", False),
        (WALK, "coco", True),
        (WALK * [1, 1, 100], "coco", True),
        (shares(DOTS[..., [0, 1, 3]])[..., [0, 1, 2]], "mediapipe_33", False),
        (DOTS, "mediapipe_33", False),
        (DOTS[..., :3], "mediapipe_33", True),
    ],
)
def test_tables_without_a_header(tmp_path, person, layout, first):
    rows = [[*([k] if first else []), *p.ravel().tolist()] for k, p in enumerate(person)]
    with warnings.catch_warnings(action="ignore"):  # confidences in percent
        track = from_table(tmp_path, rows, [], image_size=SIZE)
    assert track.keypoints.shape[1] == len(LAYOUTS[layout].joints)
    is_walker(track, walker(layout))


@pytest.mark.parametrize("name", ["kp_{}_{}", "{1}_{0}_2d", "{1}_{0}_px", "{1}{0}"])
def test_columns_are_named_in_any_order(tmp_path, name):
    names = [name.format(axis, number) for number in range(17) for axis in "xy"]
    if name == "{1}{0}":
        names = [f"{axis}{number}" for number in range(17) for axis in "xy"]
    _, rows = wide(WALK, COCO, ("_x", "_y"))
    is_walker(from_table(tmp_path, rows, ["frame," + ",".join(names)]))


@pytest.mark.parametrize("more", ["bbox_x,bbox_y,bbox_w,bbox_h", "center_x,center_y", "x1,y1,x2,y2"])
def test_boxes_beside_numbered_joints(tmp_path, more):
    (header,), rows = wide(WALK, [f"kp{j}" for j in range(17)], ("_x", "_y"))
    rows = [[row[0], *range(more.count(",") + 1), *row[1:]] for row in rows]
    is_walker(from_table(tmp_path, rows, [header.replace("frame", f"frame,{more}")]))


@pytest.mark.parametrize("inside", ["info", "metadata"])
def test_what_precedes_the_frames_does_not_hide_them(tmp_path, inside):
    frames = [{"landmarks": [{"x": x, "y": y, "visibility": v} for x, y, v in p.tolist()]} for p in LANDMARKS]
    is_walker(load(write_json(tmp_path / "walk.json", {inside: {"fps": 30}, "frames": frames})), LANDMARKS)
    names = [
        {"frame": k} | {n.upper(): {"x": x, "y": y} for n, (x, y, _) in zip(COCO, p, strict=True)}
        for k, p in enumerate(WALK.tolist())
    ]
    is_walker(load(write_json(tmp_path / "walk.json", names)))


def test_our_own_joint_names_are_known(tmp_path):
    header, rows = wide(walker("h36m"), H36M_17.joints)
    track = from_table(tmp_path, rows, header)
    assert track.layout == "h36m"
    is_walker(track, walker("h36m"))
    feet = [*COCO, "left_foot", "right_foot"]  # in addition to ankles, feet are other joints
    header, rows = wide(np.concatenate([WALK, WALK[:, :2]], 1), feet)
    is_walker(from_table(tmp_path, rows, header))


def test_a_first_row_without_anything_is_a_frame(tmp_path):
    (header,), rows = wide(WALK, COCO, ("_x", "_y"))
    for nothing in ("None", "nan", "NA"):
        cells = [[nothing] * 34, *(row[1:] for row in rows[1:])]
        track = from_table(tmp_path, cells, [header.partition(",")[2]])
        assert (track.first_frame, len(track.keypoints)) == (1, 24)


def test_refusals_name_the_nearest_formats(tmp_path):
    np.savez(tmp_path / "a.npz", keys=WALK[..., :1], segments_of=3)
    (tmp_path / "a.csv").write_text("frame,a,b\n1,2,3\n")
    (tmp_path / "a.bin").write_text("\0\0\0")
    for name, nearest in (("a.npz", "videopose3d and"), ("a.csv", "csv and deeplabcut"), ("a.bin", "")):
        with pytest.raises(DataError, match=rf"; the nearest are {nearest}.*\(--list_formats shows all\)"):
            load(tmp_path / name)
