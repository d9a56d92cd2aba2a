"""The tables that detectors and people write: the same walking person is read from each of them."""

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints
from tests.keypoints.builders import (
    CAMEL,
    COCO,
    DOTS4,
    LANDMARKS,
    MEDIAPIPE,
    SIZE,
    WALK,
    same,
    shares,
    table,
    walker,
    wide,
)


def labels(person, *more):
    return " ".join(f"{value:.8g}" for value in [0, 0.5, 0.5, 0.2, 0.6, *shares(person).ravel(), *more])


@pytest.mark.parametrize("more", [(), (0.8731,), (3,), (0.87, 3)], ids=["plain", "confidence", "track", "both"])
def test_yolo_labels(tmp_path, more):
    for i, p in enumerate(WALK):
        (tmp_path / f"walk_{i + 1}.txt").write_text(labels(p, *more) + "\n")
    (tmp_path / "classes.txt").write_text("person")
    track = same(tmp_path, "coco", first=1)
    assert track.name == ("person_3" if 3 in more else tmp_path.name)


def long(person, names, header="frame,landmark,x,y,z,visibility"):
    return table(
        [[i, n, *s[:2], 0.1, s[2]] for i, p in enumerate(person) for n, s in zip(names, p.tolist(), strict=True)], [header]
    )


HEADER, ROWS = wide(WALK, COCO)

PLAIN = [[f"{v:g}" for v in row] for row in ROWS]

LAST = [c.replace("_", " ").title() for c in COCO]

DLC = [
    ",".join(["scorer", *["net"] * 51]),
    ",".join(["bodyparts", *(n for n in COCO for _ in "xyc")]),
    ",".join(["coords", *["x", "y", "likelihood"] * 17]),
]

TABLES = {  # form: (content, layout)
    "plain": (table(ROWS, HEADER), "coco"),
    "windows": (table(ROWS, HEADER, end="\r\n"), "coco"),
    "byte order mark": ("\ufeff" + table(ROWS, HEADER), "coco"),
    "quoted": (table([[f'"{c}"' for c in row] for row in PLAIN], ['"' + HEADER[0].replace(",", '","') + '"']), "coco"),
    "semicolons": (table(ROWS, [HEADER[0].replace(",", ";")], ";"), "coco"),
    "decimal commas": (
        table([[c.replace(".", ",") for c in row] for row in PLAIN], [HEADER[0].replace(",", ";")], ";"),
        "coco",
    ),
    "tabs": (table(ROWS, [HEADER[0].replace(",", "\t")], "\t"), "coco"),
    "blanks": (table(ROWS, [HEADER[0].replace(",", " ")], " "), "coco"),
    "frame_no, dots": (table(*reversed(wide(WALK, COCO, (".x", ".y", ".prob"), "frame_no"))), "coco"),
    "capitals": (table(*reversed(wide(WALK, COCO, ("_X", "_Y", "_Conf"), "Frame Number"))), "coco"),
    "camel": (table(*reversed(wide(WALK, CAMEL, ("X", "Y"), "frameIndex"))), "coco"),
    "blanks in names": (table(*reversed(wide(WALK, LAST, (" x (px)", " y (px)", " likelihood"), "Frame"))), "coco"),
    "axes first": (table(ROWS, ["frame," + ",".join(f"{a}_{n}" for n in COCO for a in ("x", "y", "c"))]), "coco"),
    "openpose names": (
        table(
            *reversed(
                wide(
                    walker("h36m"),
                    [
                        "Hip",
                        "RHip",
                        "RKnee",
                        "RAnkle",
                        "LHip",
                        "LKnee",
                        "LAnkle",
                        "Spine",
                        "Thorax",
                        "SkullBase",
                        "Head",
                        "LShoulder",
                        "LElbow",
                        "LWrist",
                        "RShoulder",
                        "RElbow",
                        "RWrist",
                    ],
                )
            )
        ),
        "h36m",
    ),
    "numbers": (table(*reversed(wide(WALK, range(17), ("_x", "_y", "_c")))), "coco"),
    "x0, y0, z0, v0": (
        table(
            [[i, *p.ravel()] for i, p in enumerate(DOTS4)], ["frame," + ",".join(f"{a}{j}" for j in range(33) for a in "xyzv")]
        ),
        "mediapipe_33",
    ),
    "landmark_00_x": (
        table(
            [[i, *p.ravel()] for i, p in enumerate(DOTS4)],
            ["frame," + ",".join(f"landmark_{j:02}_{a}" for j in range(33) for a in ("x", "y", "z", "visibility"))],
        ),
        "mediapipe_33",
    ),
    "mediapipe": (
        table(
            [[i, *p.ravel()] for i, p in enumerate(DOTS4)],
            ["frame," + ",".join(f"{n}_{a}" for n in MEDIAPIPE for a in ("x", "y", "z", "visibility"))],
        ),
        "mediapipe_33",
    ),
    "no frame": (table([row[1:] for row in ROWS], [HEADER[0].partition(",")[2]]), "coco"),
    "index": (table(ROWS, [HEADER[0].removeprefix("frame")]), "coco"),
    "index and frame": (table([[900 + r[0], *r] for r in ROWS], ["," + HEADER[0]]), "coco"),
    "id of the line": (table([[900 + r[0], *r] for r in ROWS], ["id," + HEADER[0]]), "coco"),
    "time and label": (
        table([[r[0], r[0] / 30, *r[1:], "walk"] for r in ROWS], [HEADER[0].replace("frame,", "frame,time,") + ",label"]),
        "coco",
    ),
    "units": (table(ROWS, [*HEADER, "," + ",".join(["px"] * 51)]), "coco"),
    "no header": (table(ROWS), "coco"),
    "image names": (table([[f"img_{r[0]:04}.png", *r[1:]] for r in ROWS], HEADER), "coco"),
    "a line a joint": (long(WALK, COCO), "coco"),
    "a line a joint, numbered": (long(shares(LANDMARKS), range(33)), "mediapipe_33"),
    "a line a joint, label": (long(WALK, COCO, "frame,label,x,y,z,score"), "coco"),
    "a line a joint, pixels": (long(WALK, COCO, "frame,joint,x_px,y_px,z,conf"), "coco"),
    "comment": (table(ROWS, ["# of my camera", *HEADER]), "coco"),
    "numpy's header": (table(ROWS, ["# " + HEADER[0]]), "coco"),
    "columns numbered by pandas": (table([r[1:] for r in ROWS], [",".join(map(str, range(51)))]), "coco"),
    "joints over axes": (table(ROWS, ["," + DLC[1].partition(",")[2], "," + DLC[2].partition(",")[2]]), "coco"),
    "merged joints over axes": (
        table(ROWS, ["frame," + ",,,".join(COCO) + ",,", "," + ",".join(["x", "y", "c"] * 17)]),
        "coco",
    ),
    "separator for excel": (table(ROWS, ["sep=;", HEADER[0].replace(",", ";")], ";"), "coco"),
    "noise in names": (table(*reversed(wide(WALK, [f"kp_{name}" for name in COCO], ("_x", "_y", "_kp_conf")))), "coco"),
    "axes u, v": (table(*reversed(wide(WALK, COCO, ("_u", "_v", "_c")))), "coco"),
    "axes px, py": (table(*reversed(wide(WALK, COCO, ("_px", "_py", "_conf")))), "coco"),
    "axes col, row": (table(*reversed(wide(WALK, COCO, (" Col", " Row", " accuracy")))), "coco"),
    "axes u, v, a line a joint": (long(WALK, COCO, "fr,joint,u,v,z,acc"), "coco"),
    "points in brackets": (
        table([[i, *(f"({x}, {y})" for x, y, _ in p)] for i, p in enumerate(WALK)], ["f;" + ";".join(COCO)], ";"),
        "coco",
    ),
    "points in brackets, no frame": (table([[f'"{p.tolist()}"' for p in one] for one in WALK], [",".join(COCO)]), "coco"),
    "points of numpy": (
        table([[i, *(str(p) for p in one)] for i, one in enumerate(WALK)], ["frame," + ",".join(COCO)]),
        "coco",
    ),
    "no header, frame and person": (table([[row[0], 3, *row[1:]] for row in ROWS]), "coco"),
    "no header, person and frame, pairs": (table([[0, i, *p[:, :2].ravel()] for i, p in enumerate(WALK)]), "coco"),
    "deeplabcut": (table(ROWS, DLC), "coco"),
    "deeplabcut, animals": (table(ROWS, [DLC[0], ",".join(["individuals", *["me"] * 51]), *DLC[1:]]), "coco"),
    "decimal commas in quotes": (
        table([[row[0], *(f'"{c}"'.replace(".", ",") for c in row[1:])] for row in PLAIN], HEADER),
        "coco",
    ),
    "header again": (table(ROWS[:9], HEADER) + table(ROWS[9:], HEADER), "coco"),
    "pairs as names": (
        table(ROWS, [",".join(["frame", *(f"\"('{n}', '{axis}')\"" for n in COCO for axis in ("x", "y", "score"))])]),
        "coco",
    ),
    "pandas, axes that repeat": (
        table(ROWS, [",".join(["frame", *(f"{axis}.{j}" if j else axis for j in range(17) for axis in ("x", "y", "score"))])]),
        "coco",
    ),
    "axes that repeat": (table(ROWS, [",".join(["frame", *["x", "y", "score"] * 17])]), "coco"),
    "landmarks, axes that repeat": (
        table(
            [p.ravel().tolist() for p in DOTS4],
            [",".join([*"xyzv", *(f"{axis}.{j}" for j in range(1, 33) for axis in "xyzv")])],
        ),
        "mediapipe_33",
    ),
    "three lines, one person": (
        table(
            ROWS, [",".join(["", *line]) for line in (["me"] * 51, [n for n in COCO for _ in "xyc"], ["x", "y", "score"] * 17)]
        ),
        "coco",
    ),
    "hands and face": (
        table(
            [
                row
                for i, p in enumerate(DOTS4)
                for row in (
                    *([i, f"{i}-face-{j}", "face", j, 0.4, 0.4, 0] for j in range(5)),
                    *([i, f"{i}-pose-{j}", "pose", j, x, y, 0] for j, (x, y, *_) in enumerate(p.tolist())),
                    *([i, f"{i}-right_hand-{j}", "right_hand", j, 0.4, 0.4, 0] for j in range(21)),
                )
            ],
            ["frame,row_id,type,landmark_index,x,y,z"],
        ),
        "mediapipe_33",
    ),
}


@pytest.mark.parametrize("form", TABLES)
def test_tables(tmp_path, form):
    path = tmp_path / "walk.csv"
    path.write_bytes(TABLES[form][0].encode())
    same(path, TABLES[form][1])


def test_a_table_in_utf_16(tmp_path):
    path = tmp_path / "walk.txt"
    path.write_bytes(table(ROWS, [HEADER[0].replace(",", "\t")], "\t").encode("utf-16"))
    same(path, "coco")


def test_several_people_in_a_table(tmp_path):
    other = walker("coco", 300)
    (header,), rows = wide(WALK, COCO)
    _, more = wide(other, COCO)
    both = [row for pair in zip(rows, more, strict=True) for row in pair]
    twice = [",".join([first, *2 * cells]) for first, *cells in (line.split(",") for line in DLC)]
    two_animals = [twice[0], ",".join(["individuals", *["a"] * 51, *["b"] * 51]), *twice[1:]]
    tables = [
        table([[r[0], k % 2 + 1, *r[1:]] for k, r in enumerate(both)], [header.replace("frame", "frame,person_id")]),
        table(both, [header]),
        table([[*a, *b[1:]] for a, b in zip(rows, more, strict=True)], two_animals),
    ]
    for content in tables:
        (tmp_path / "walk.csv").write_text(content)
        found = sorted(keypoint_files.load(tmp_path / "walk.csv"), key=lambda track: track.keypoints[0, 0, 0])
        for track, person in zip(found, (WALK, other), strict=True):
            np.testing.assert_allclose(track.keypoints, person[..., :2], atol=1e-2)
            assert track.layout == "coco"


@pytest.mark.parametrize("lines", ["#\n#\n", "# \n#\n#\n"])
def test_comments_without_text_are_no_header(tmp_path, lines):
    path = tmp_path / "walk.csv"
    path.write_text(lines)
    with pytest.raises(DataError, match=r"walk\.csv"):
        keypoint_files.load(path, Hints(image_size=SIZE))
    form = next(iter(TABLES))
    path.write_text(lines + TABLES[form][0])
    assert keypoint_files.load(path, Hints(image_size=SIZE))


LARGE = np.concatenate([WALK[..., :2] * 10 + 1000, WALK[..., 2:]], axis=-1)


@pytest.mark.parametrize(
    ("form", "comma"),
    [("{:,.2f}", ","), ("{:,.2f}", ";"), ("{:_.2f}", ";"), ("{:,.0f}", ",")],
    ids=["quotes", "semicolons", "dots and decimal commas", "whole numbers"],
)
def test_marks_between_thousands(tmp_path, form, comma):
    def cell(value):
        text = f"{value:.2f}" if value < 1 else form.format(value)
        text = text.replace(".", ",").replace("_", ".") if "_" in form else text
        return f'"{text}"' if "," in text else text

    rows = [[i, *map(cell, p.ravel().tolist())] for i, p in enumerate(LARGE)]
    (tmp_path / "walk.csv").write_text(table(rows, [HEADER[0].replace(",", comma)], comma=comma))
    (track,) = keypoint_files.load(tmp_path / "walk.csv")
    np.testing.assert_allclose(track.keypoints, LARGE[..., :2], atol=0.51)
    assert (track.confidences == 0.75).all()


def test_decimal_commas_of_three_digits_are_no_thousands(tmp_path):
    rows = [[i, *(f'"{v:.3f}"'.replace(".", ",") for v in p[:, :2].ravel())] for i, p in enumerate(WALK)]
    (tmp_path / "walk.csv").write_text(table(rows, [",".join(["frame", *(f"{n}_{axis}" for n in COCO for axis in "xy")])]))
    same(tmp_path / "walk.csv", "coco")


PEOPLE = {  # of two people in one line: their columns' names
    "before": [f"person{k}_{n}_{axis}" for k in (1, 2) for n in COCO for axis in ("x", "y", "score")],
    "letter": [f"p{k}.{n}.{axis}" for k in (0, 1) for n in COCO for axis in ("x", "y", "score")],
    "pandas": [f"{n}_{axis}{end}" for end in ("", ".1") for n in COCO for axis in ("x", "y", "score")],
    "repeated": [f"{n}_{axis}" for _ in range(2) for n in COCO for axis in ("x", "y", "score")],
    "after": [f"{n}_{axis}{end}" for end in ("", "_2") for n in COCO for axis in ("x", "y", "score")],
}


@pytest.mark.parametrize("form", [*PEOPLE, "lines"])
def test_people_in_one_line(tmp_path, form):
    rows = [[i, *p.ravel().tolist(), *(p + [300, 0, 0]).ravel().tolist()] for i, p in enumerate(WALK)]
    header = [",".join(["frame", *PEOPLE.get(form, ())])]
    if form == "lines":
        parts, axes = [n for n in COCO for _ in "xyc"] * 2, ["x", "y", "score"] * 34
        header = [",".join(["", *line]) for line in ([*["Anna"] * 51, *["Ben"] * 51], parts, axes)]
    (tmp_path / "walk.csv").write_text(table(rows, header))
    first, second = sorted(keypoint_files.load(tmp_path / "walk.csv"), key=lambda track: track.name)
    assert first.layout == "coco"
    np.testing.assert_array_equal(first.keypoints, WALK[..., :2])
    np.testing.assert_array_equal(second.keypoints, WALK[..., :2] + [300, 0])


def test_fractions_beside_pixels_are_no_second_person(tmp_path):
    rows = [[i, *p.ravel().tolist(), *shares(p).ravel().tolist()] for i, p in enumerate(WALK)]
    (tmp_path / "walk.csv").write_text(table(rows, [",".join(["frame", *PEOPLE["pandas"]])]))
    same(tmp_path / "walk.csv", "coco")


def test_joints_of_the_face_in_lines_of_their_own_are_read(tmp_path):
    rows = [[i, "face" if j < 5 else "body", n, *p[j]] for i, p in enumerate(WALK) for j, n in enumerate(COCO)]
    (tmp_path / "walk.csv").write_text(table(rows, ["frame,category,keypoint,x,y,score"]))
    same(tmp_path / "walk.csv", "coco")
