"""Write the same person in every format, read the files, and compare; wrong files are rejected."""

import json

import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints

NO_HINTS = Hints()
FRAMES, MISSING, SIZE = 25, (9, 10, 11), 1024
SHOWN = [frame for frame in range(FRAMES) if frame not in MISSING]


def person(joints=17, start=(400, 300), step=(4, 1), frames=FRAMES):
    """Return keypoints [T, J, 3] of a walking person: x, y, confidence, in eighths of pixels, so that floats are exact."""
    rng = np.random.default_rng(0)
    body = np.round(rng.uniform((-60, -150), (60, 150), (40, 2)) * 8) / 8
    points = body + np.array(start) + np.arange(frames)[:, None, None] * np.array(step)
    return np.concatenate([points, np.broadcast_to(0.5 + np.arange(40)[:, None] / 128, (frames, 40, 1))], -1)[:, :joints]


# One writer for each format: people is {track id or None: [T, J, 3]}; frames in `missing` are left out.


def write_videopose3d(path, people, missing=MISSING, size=(("w", SIZE), ("h", SIZE), ("fps", 25)), **other):
    points = [blanked(values, missing) if missing else values for values in people.values()]
    content = {
        "positions_2d": np.array({"dance.mp4": {"custom": points}}, dtype=object),
        "metadata": np.array({"layout_name": "coco", "video_metadata": {"dance.mp4": dict(size)}}, dtype=object),
    }
    np.savez(path, **content | other)
    return path


def write_detectron2(path, people, missing=MISSING, **other):
    frames = len(next(iter(people.values())))
    boxes, points = (np.empty((frames, 2), object) for _ in range(2))
    for frame in range(frames):
        there = [values[frame] for values in people.values() if frame not in missing]
        scores = np.linspace(0.9, 0.2, len(there))
        rows = [np.stack([x, y, np.full_like(x, -3), sure]) for x, y, sure in (values.T for values in there)]
        for array, found in ((boxes, [[0, 0, 9, 9, score] for score in scores]), (points, rows)):
            array[frame, 0], array[frame, 1] = [], np.array(found, np.float32) if found else []
    np.savez_compressed(
        path, **{"boxes": boxes, "segments": [None] * frames, "keypoints": points, "metadata": {"w": SIZE, "h": SIZE}} | other
    )
    return path


def openpose(there):
    return {
        "version": 1.3,
        "people": [{"person_id": [-1 if name is None else int(name)], "pose_keypoints_2d": flat} for name, flat in there],
    }


def write_openpose(path, people, missing=MISSING, start=0):
    path.mkdir(exist_ok=True)
    for frame, there in enumerate(in_frames(people, missing)):
        name = f"dance2_{start + frame:012d}_keypoints.json"
        (path / name).write_text(json.dumps(openpose(there)))
    return path


def in_frames(people, missing):
    """Return, for each frame, (track id, flat x, y, confidence) of the people in it."""
    frames = len(next(iter(people.values())))
    return [
        [(name, values[frame].ravel().tolist()) for name, values in people.items() if frame not in missing]
        for frame in range(frames)
    ]


def alphapose(people, missing=MISSING):
    return [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": flat, "score": 2.5, "box": [0, 0, 1, 1]}
        | ({} if name is None else {"idx": [float(name)]})
        for frame, there in enumerate(in_frames(people, missing))
        for name, flat in there
    ]


def coco(people, missing=MISSING):
    return [
        {"image_id": frame, "category_id": 1, "keypoints": flat, "score": 0.5}
        for frame, there in enumerate(in_frames(people, missing))
        for _, flat in there
    ]


def mmpose(people, missing=MISSING, data_set="coco"):
    frames = []
    for frame, there in enumerate(in_frames(people, missing)):
        instances = [
            {"keypoints": np.reshape(flat, (-1, 3))[:, :2].tolist(), "keypoint_scores": flat[2::3], "bbox": [[0, 0, 1, 1]]}
            | ({} if name is None else {"track_id": int(name)})
            for name, flat in there
        ]
        frames.append({"frame_id": frame, "instances": instances})
    return {"meta_info": {"dataset_name": data_set, "num_keypoints": 17}, "instance_info": frames}


def mediapipe(people, missing=MISSING, width=SIZE):
    frames = []
    for there in in_frames(people, missing):
        landmarks = [
            {"x": x / SIZE, "y": y / SIZE, "z": 0.1, "visibility": sure}
            for x, y, sure in np.reshape([f for _, f in there], (-1, 3))
        ]
        frames.append({"landmarks": landmarks} if landmarks else None)
    return {"width": width, "height": SIZE, "fps": 25, "frames": frames}


def table(people, missing=MISSING, header=True, track=False):
    joints = len(next(iter(people.values()))[0])
    names = ["frame", *(["track"] if track else []), *(f"j{joint}_{axis}" for joint in range(joints) for axis in "xyc")]
    lines = [",".join(names)] if header else []
    for frame, there in enumerate(in_frames(people, missing)):
        lines += [",".join(map(str, [frame, *([name] if track else []), *flat])) for name, flat in there]
    return "\n".join(lines) + "\n"


def write_plain(path, values, **other):
    np.savez(path, keypoints=values, **other)
    return path


def write_json(path, content):
    path.write_text(json.dumps(content))
    return path


def write_text(path, content):
    path.write_text(content)
    return path


def blanked(values, missing=MISSING):
    return np.where(np.isin(np.arange(len(values)), missing)[:, None, None], 0, values)


WRITERS = {  # format or variant: (writer of one person, joints, layout, name, whether the file has size and fps)
    "videopose3d": (lambda f, p: write_videopose3d(f / "x.npz", p), 17, "coco", "dance", (True, True)),
    "detectron2": (lambda f, p: write_detectron2(f / "dance.mp4.npz", p), 17, "coco", "dance", (True, False)),
    "openpose": (lambda f, p: write_openpose(f / "dance", p), 25, "body_25", "dance", (False, False)),
    "openpose, 18": (lambda f, p: write_openpose(f / "dance", p), 18, "coco_18", "dance", (False, False)),
    "alphapose": (lambda f, p: write_json(f / "dance.json", alphapose(p)), 17, "coco", "dance", (False, False)),
    "alphapose, 26": (lambda f, p: write_json(f / "dance.json", alphapose(p)), 26, "halpe_26", "dance", (False, False)),
    "mmpose": (lambda f, p: write_json(f / "dance.json", mmpose(p)), 17, "coco", "dance", (False, False)),
    "mmpose, h36m": (
        lambda f, p: write_json(f / "dance.json", mmpose(p, data_set="h36m")),
        *(17, "h36m", "dance", (False, False)),
    ),
    "coco": (lambda f, p: write_json(f / "dance.json", coco(p)), 17, "coco", "dance", (False, False)),
    "mediapipe": (lambda f, p: write_json(f / "dance.json", mediapipe(p)), 33, "mediapipe_33", "dance", (True, True)),
    "npz": (
        lambda f, p: write_plain(f / "dance.npz", blanked(p[None]), fps=25.0, image_size=[SIZE, SIZE], layout="coco"),
        *(17, "coco", "dance", (True, True)),
    ),
    "npz, apart": (
        lambda f, p: write_plain(
            f / "dance.npz", blanked(p[None])[:, None, :, :2], confidences=blanked(p[None])[:, None, :, 2]
        ),
        *(17, None, "dance", (False, False)),
    ),
    "csv": (lambda f, p: write_text(f / "dance.csv", table(p)), 17, None, "dance", (False, False)),
    "csv, numbers only": (
        lambda f, p: write_text(f / "dance.txt", table(p, header=False)),
        26,
        "halpe_26",
        "dance",
        (False, False),
    ),
}


@pytest.mark.parametrize("variant", WRITERS)
def test_all_formats_hold_the_same(tmp_path, variant):
    write, joints, layout, name, (tells_size, tells_fps) = WRITERS[variant]
    values = person(joints)
    path = write(tmp_path, {None: values})
    for found in (keypoint_files.load(path), keypoint_files.load(str(path), Hints(variant.partition(",")[0]))):
        (track,) = found
        assert (track.name, track.layout, track.first_frame) == (name, layout, 0)
        np.testing.assert_array_equal(track.detected, np.isin(np.arange(FRAMES), SHOWN))
        assert track.keypoints.dtype == track.confidences.dtype == np.float32
        assert np.isnan(track.keypoints[list(MISSING)]).all()
        np.testing.assert_allclose(track.keypoints[SHOWN], values[SHOWN][..., :2], atol=1e-4)
        np.testing.assert_array_equal(track.confidences, blanked(values)[..., 2].astype(np.float32))
        assert track.image_size == ((SIZE, SIZE) if tells_size else None)
        assert track.fps == (25.0 if tells_fps else None)


def test_the_whole_body_is_cut_to_the_joints_of_its_layout(tmp_path):
    values = np.tile(person(34), (1, 4, 1))
    (track,) = keypoint_files.load(write_json(tmp_path / "x.json", alphapose({None: values})))
    assert (track.layout, track.keypoints.shape) == ("halpe_26", (FRAMES, 26, 2))
    (track,) = keypoint_files.load(write_json(tmp_path / "x.json", mmpose({None: values[:, :133]}, data_set="coco_wholebody")))
    assert (track.layout, track.keypoints.shape) == ("coco", (FRAMES, 17, 2))


def test_a_data_set_that_is_not_known_has_no_layout(tmp_path):
    (track,) = keypoint_files.load(write_json(tmp_path / "x.json", mmpose({None: person()}, data_set="posetrack18")))
    assert track.layout is None


def test_single_images(tmp_path):
    content = mmpose({None: person(), 3: person(start=(800, 300))})["instance_info"][0]["instances"]
    first, second = keypoint_files.load(write_json(tmp_path / "x.json", content))
    assert {first.name, second.name} == {"person_1", "person_3"}
    assert first.keypoints.shape == (1, 17, 2)
    folder = write_openpose(tmp_path / "open", {None: person(25)}, start=100)
    (track,) = keypoint_files.load(folder / "dance2_000000000107_keypoints.json")
    assert (track.name, len(track.keypoints)) == ("dance2_000000000107_keypoints", 1)


TRACKED = {
    "videopose3d": lambda f, p: write_videopose3d(f / "x.npz", p),
    "openpose": lambda f, p: write_openpose(f / "x", p),
    "alphapose": lambda f, p: write_json(f / "x.json", alphapose(p)),
    "mmpose": lambda f, p: write_json(f / "x.json", mmpose(p)),
    "npz": lambda f, p: write_plain(f / "x.npz", np.stack([blanked(values) for values in p.values()], 1)),
    "csv": lambda f, p: write_text(f / "x.csv", table(p, track=True)),
}


@pytest.mark.parametrize("name", TRACKED)
def test_people_who_cross_are_told_apart_by_ids(tmp_path, name):
    """Two people meet at the same place, where linking could exchange them: one turns back there."""
    towards, away = person(start=(400, 300), step=(8, 0)), person(start=(592, 300), step=(-8, 0))
    away[13:] = away[12::-1][:12]
    tracks = {track.name: track for track in keypoint_files.load(TRACKED[name](tmp_path, {"1": towards, "2": away}))}
    prefix = "dance_" if name == "videopose3d" else ""
    assert set(tracks) == {f"{prefix}person_1", f"{prefix}person_2"}
    np.testing.assert_array_equal(tracks[f"{prefix}person_1"].keypoints[SHOWN], towards[SHOWN][..., :2])
    np.testing.assert_array_equal(tracks[f"{prefix}person_2"].keypoints[SHOWN], away[SHOWN][..., :2])


def test_the_surest_box_of_detectron2_counts(tmp_path):
    (track,) = keypoint_files.load(write_detectron2(tmp_path / "x.npz", {"1": person(), "2": person(start=(800, 300))}))
    np.testing.assert_array_equal(track.keypoints[SHOWN], person()[SHOWN][..., :2])


def test_frame_numbers_of_names(tmp_path):
    people = {None: person()}
    assert keypoint_files.load(write_openpose(tmp_path / "open", people, start=40))[0].first_frame == 40
    content = alphapose(people)
    for entry in content:
        entry["image_id"] = f"clip2/frame_{100 + 2 * int(entry['image_id'][:-4]):06d}.mp4"
    (track,) = keypoint_files.load(write_json(tmp_path / "x.json", content))
    assert (track.first_frame, len(track.keypoints), track.detected.sum()) == (100, 2 * FRAMES - 1, len(SHOWN))
    np.testing.assert_array_equal(track.keypoints[::2][SHOWN], person()[SHOWN][..., :2])


def test_several_videos(tmp_path):
    positions = {
        "a/../b.avi": {"custom": [person()[:12]]},
        "empty.mp4": {"custom": [np.zeros((9, 17, 2))]},
        "b.avi": {"custom": [person()[..., :2]]},
        "B.mov": {"custom": [person()]},
    }
    sizes = {name: {"w": 640, "h": 480} for name in positions}
    found = keypoint_files.load(
        write_videopose3d(
            tmp_path / "x.npz",
            {None: person()},
            positions_2d=np.array(positions, dtype=object),
            metadata=np.array({"video_metadata": sizes}, dtype=object),
        )
    )
    assert [(track.name, len(track.keypoints)) for track in found] == [("b", 25), ("B_2", 25), ("a_.._b", 12)]
    assert found[0].confidences.min() == 1.0
    assert found[0].fps is None
    assert found[0].layout is None


def test_tables_of_pairs(tmp_path):
    values = person(6)
    rows = [",".join(map(str, [frame, *values[frame, :, :2].ravel()])) for frame in range(FRAMES)]  # 12 numbers: 6 pairs
    (track,) = keypoint_files.load(write_text(tmp_path / "x.csv", "\n".join(rows)))
    np.testing.assert_array_equal(track.keypoints, values[..., :2])
    assert (track.confidences == 1).all()
    header = "Frame,x0,y0,x1,y1\r\n"
    (track,) = keypoint_files.load(write_text(tmp_path / "x.csv", header + "\r\n".join(f"{i},5,6,7,8" for i in range(3))))
    np.testing.assert_array_equal(track.keypoints[0], [[5, 6], [7, 8]])


@pytest.mark.parametrize("nothing", ["0", "nan", "", "-1", "None"])
def test_what_is_missing_in_a_table(tmp_path, nothing):
    rows = table({None: person()}, missing=()).splitlines()
    cells = rows[3].split(",")
    cells[4], cells[5] = nothing, nothing  # joint 1 in frame 2
    (track,) = keypoint_files.load(write_text(tmp_path / "x.csv", "\n".join([*rows[:3], ",".join(cells), *rows[4:]])))
    assert np.argwhere(track.confidences == 0).tolist() == [[2, 1]]
    assert np.argwhere(np.isnan(track.keypoints).any(-1)).tolist() == [[2, 1]]


@pytest.mark.parametrize(
    "nothing", [(0, 0, 0.9), (None, None, None), (float("nan"), 5, 1), (-1, 5, 0.9), (5, 5, 0), (5, 5, 0.04)]
)
def test_what_is_missing_in_json(tmp_path, nothing):
    content = mmpose({None: person()}, missing=())
    instance = content["instance_info"][2]["instances"][0]
    *instance["keypoints"][1], instance["keypoint_scores"][1] = nothing
    (track,) = keypoint_files.load(write_json(tmp_path / "x.json", content))
    assert np.argwhere(track.confidences == 0).tolist() == [[2, 1]]
    (track,) = keypoint_files.load(tmp_path / "x.json", Hints(min_confidence=0.03))
    assert (track.confidences[2, 1] > 0) == (nothing == (5, 5, 0.04))


# Files that are rejected


def entries(**changes):
    """Return AlphaPose's entries with the third one changed."""
    content = alphapose({None: person()})
    content[2] |= changes
    return content


def landmarks(**changes):
    content = mediapipe({None: person(33)})
    content["frames"][2]["landmarks"][0] |= changes
    return content


FLAT = [1.0, 2.0, 3.0] * 17
DEEP: list = []
for _ in range(500):
    DEEP = [DEEP]
UNKNOWN = "expected a keypoint format; the nearest are"
WRONG_JSON = {
    "ragged": (entries(keypoints=FLAT[:48]), "frame 2.jpg: found 16 joints, expected 17 as in frame 0.jpg"),
    "no triples": (entries(keypoints=FLAT[:49]), "frame 2.jpg: found 49 numbers, expected x, y and confidence"),
    "text": (entries(keypoints=["x"] * 51), "frame 2.jpg: found 'x', expected a number"),
    "true": (entries(keypoints=[True] * 51), "frame 2.jpg: found True, expected a number"),
    "lists": (entries(keypoints=[[[[1]]]] * 51), "frame 2.jpg: found a list of 1, expected"),
    "deep": (entries(keypoints=DEEP), "frame 2.jpg: found"),
    "a number": (entries(keypoints=5), "frame 2.jpg: found 5, expected x, y"),
    "huge": (entries(keypoints=[10**400] * 51), "frame 2.jpg: found a number of hundreds of digits"),
    "far": (entries(keypoints=[1e6] * 51), "found keypoints of 1,000,000 or more in frame 2, expected pixels"),
    "id": (entries(idx={}), "frame 2.jpg: found the track id a dict of 0, expected a whole number"),
    "id of parts": (entries(idx=[[1.5]]), "frame 2.jpg: found the track id a float, expected a whole number"),
    "negative": (entries(image_id=-1), "entry 2: found -1, expected a frame number or an image name"),
    "image of lists": (entries(image_id=[1]), "entry 2: found a list of 1, expected a frame number or an image name"),
    "many frames": (entries(image_id="1000000.jpg"), "found frames 0 to 1000000, expected at most 1,000,000 frames"),
    "normalised": (coco({None: person() / 1000}), "which seem normalised, expected pixels, or the image's size"),
    "about the centre": (
        coco({None: person(start=(0, 0), step=(0, 0)) / [100, 100, 1]}),
        "as of points in 3D or relative to the",
    ),
    "depth": (
        coco({None: person() * [1, 1, -400]}),
        "as third number of a joint, expected a confidence; are these points in 3D",
    ),
    "nobody": (coco({None: person() * 0}), "dance.json: found no person in any frame"),
    "infinite": (coco({None: person() * np.inf}), "dance.json: found no person in any frame"),
    "empty list": ([], "no person in any frame"),
    "no frame shows one": ({"people": []}, "no person in any frame"),
    "number": (3, f"found 3, {UNKNOWN}"),
    "other list": ([{"a": 1}], f"found a list of objects with 'a', {UNKNOWN}"),
    "other object": ({"a": 1}, f"found an object with 'a', {UNKNOWN}"),
    "entry": ([*entries(), 3], "found 3 as entry 22, expected an object"),
    "people": ({"people": 3}, "found 3, expected a list of people"),
    "person": ({"people": [3]}, "found 3, expected an object for a person"),
    "instances": ({"instance_info": [{"frame_id": 1}]}, "frame 1: found a person with 'frame_id', expected keypoints"),
    "3D": (
        {"instance_info": [{"frame_id": 1, "instances": [{"keypoints": [[1, 2, 3]], "keypoint_scores": [1]}]}]},
        "frame 1: found points in 3D, expected a detector's 2D keypoints$",
    ),
    "scores": ([{"keypoints": [[1, 2]], "keypoint_scores": [1, 1]}], "found 2 confidences, expected one for each of 1 joints"),
    "no width": (mediapipe({None: person(33)}, width=None), "found the width a NoneType, expected the image's size in pixels"),
    "width of text": (mediapipe({None: person(33)}, width="x"), "found the width 'x', expected the image's size in pixels"),
    "pixels": (landmarks(x=640), "found a coordinate of 640, expected fractions of the image's width and height"),
    "frames": ({"frames": 3, "width": 5, "height": 5}, "frames: found 3, expected a list"),
    "frame": ({"frames": [3], "width": 5, "height": 5}, "frame 0: found 3, expected"),
    "fps": (mmpose({None: person()}) | {"fps": -1}, "found fps -1, expected frames per second"),
    "many joints": ([{"image_id": 1, "keypoints": FLAT * 100}], "found 1700 joints, expected at most 1000"),
}


@pytest.mark.parametrize("case", WRONG_JSON)
def test_wrong_json_is_named(tmp_path, case):
    content, message = WRONG_JSON[case]
    refused(write_json(tmp_path / "dance.json", content), message)


def refused(path, message, options=NO_HINTS):
    with pytest.raises(DataError, match=message) as error:
        keypoint_files.load(path, options)
    assert str(error.value).startswith(str(path))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[NaN]", "found a list of 1, expected a keypoint format"),
        ('{"people": [{"pose_keypoints_2d": [1e999, 1, 1]}]}', "no person in any frame"),
        ('{"people": [{"pose_keypoints_2d": [-Infinity, 1, 1]}]}', "no person in any frame"),
        ("[" * 100_000, "expected a JSON file .RecursionError"),
        ('{"people": [', "damaged, .*expected a JSON file"),
        ("[" + "9" * 5000 + "]", "damaged, .*expected a JSON file"),
        ('["\xff"]', "damaged, .*expected a JSON file .*utf-8"),
        ("", "empty file, expected keypoints"),
    ],
)
def test_damaged_json_is_named(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin1"))
    refused(path, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,2\n1,3\n", "line 2: found 2 columns, expected 3 as in line 1"),
        ("0,1,2\n1,x,4\n", "line 2: found 'x', expected a number"),
        ("0,1,2\n1.5,3,4\n", "line 2: found frame '1.5', expected a whole number"),
        ("0,1,2\n-1,3,4\n", "line 2: found frame '-1', expected a whole number"),
        ("0,1,2,3,4,5\n", "found 5 columns of keypoints, expected x, y or x, y, confidence"),
        ("frame,x,y,z_x\n0,1,2,3\n", "found the columns 'frame,x,y,z_x', expected x and y of each joint"),
        ("frame,nose_x\n0,1\n", "found the columns 'frame,nose_x', expected x and y of each joint"),
        ("frame,a_x,a_y\n0,1,2\n", "found joints named 'a', expected names such as nose"),
        ("frame,joint,x,y\n0,a,1,2\n0,b,1,2\n0,a,3,4", "line 4: found 'a' twice in frame 0, expected each joint once"),
        ("scorer,a\nfish,b\ncoords,x\n0,1\n", "DeepLabCut's header with 'fish', 'coords', '0', expected bodyparts, coords"),
        ("frame,nose_x,nose_y\n", "no person in any frame"),
        ("0,0.5,0.5\n", "which seem normalised"),
        ("\n\n", "empty file"),
        ('frame,"nose_x\n0,"1', "expected x and y of each joint"),
        ("\0\0\n", "found"),
    ],
)
def test_wrong_tables_are_named(tmp_path, text, message):
    refused(write_text(tmp_path / "x.csv", text), message)


POINTS = np.arange(5 * 17 * 2, dtype=np.float64).reshape(5, 17, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"people": {None: POINTS[0]}}, r"dance.mp4: found float64 of shape \(17, 2\), expected keypoints"),
        ({"people": {None: POINTS.astype(complex)}}, "found complex128 of shape .*, expected keypoints"),
        ({"people": {1: POINTS, 2: POINTS[:, :16]}}, "found people of 16 and 17 joints"),
        (
            {"people": {None: POINTS / 100 - 0.8}},
            "dance.mp4: found coordinates around 0 to .-1, as of points in 3D or relative",
        ),
        ({"people": {None: POINTS * 0}}, "no person in any frame"),
        ({"size": {"w": 1920}}, "video_metadata: found the height a NoneType, expected the image's size"),
        ({"size": {"w": 1920, "h": 1080, "fps": -1}}, "video_metadata: found fps -1, expected frames per second"),
        ({"size": {"w": 1920, "h": 1080, "fps": "x"}}, "video_metadata: found fps 'x', expected frames per second"),
        ({"positions_2d": np.zeros(3)}, "positions_2d holds .*, expected a dict"),
        ({"metadata": np.array({}, dtype=object)}, "found no video_metadata"),
        (
            {"metadata": np.array({"video_metadata": {"dance.mp4": 3}}, dtype=object)},
            "video_metadata: found the width a NoneType",
        ),
        ({"metadata": np.array({"video_metadata": {}, "layout_name": 3}, dtype=object)}, "metadata: found the layout 3"),
        ({"positions_2d": np.array({}, dtype=object)}, "positions_2d: found no video, expected at least one"),
        ({"positions_2d": np.array({"a\nb": {}}, dtype=object)}, "found the video name 'a..b', expected a file name"),
        ({"positions_2d": np.array({"dance.mp4": {"walk": [POINTS]}}, dtype=object)}, "found no action 'custom', expected one"),
        ({"positions_2d": np.array({"dance.mp4": {"custom": ["text"]}}, dtype=object)}, "found 'text', expected keypoints"),
    ],
)
def test_wrong_content_of_videopose3d_is_named(tmp_path, fields, message):
    refused(write_videopose3d(tmp_path / "x.npz", **{"people": {None: POINTS}, "missing": ()} | fields), message)


def pairs(*values):
    made = np.empty((1, 2), object)
    made[0, 0], made[0, 1] = values
    return made


BOX, FOUR = np.zeros((1, 5)), np.ones((1, 4, 17))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"boxes": pairs([], BOX)}, "found boxes of 1 frames and keypoints of 25, expected equal numbers"),
        (
            {"boxes": pairs([], 3), "keypoints": pairs([], FOUR)},
            "boxes: found 3, expected numbers of shape .people, 5",
        ),
        (
            {"boxes": pairs([], BOX), "keypoints": pairs([], BOX)},
            r"keypoints: found float64 of shape \(1, 5\).*4, joints",
        ),
        ({"boxes": pairs([], np.zeros((2, 5))), "keypoints": pairs([], FOUR)}, "frame 0: found 2 boxes and keypoints of 1"),
        ({"boxes": np.zeros(25)}, "frame 0: boxes: found .*, expected a pair of an empty entry and the people"),
        ({"boxes": np.array(3)}, "expected boxes and keypoints of each frame"),
        ({"metadata": {"w": 3}}, "metadata: found the height a NoneType, expected the image's size"),
        ({"boxes": np.zeros((2, 2, 0)), "keypoints": np.zeros((2, 2, 0))}, "no person in any frame"),
    ],
)
def test_wrong_content_of_detectron2_is_named(tmp_path, fields, message):
    refused(write_detectron2(tmp_path / "x.npz", {None: person()}, **fields), message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"values": POINTS[0]}, r"keypoints: found float64 of shape \(17, 2\), expected keypoints .*people if several"),
        (
            {"confidences": np.ones((5, 16))},
            r"confidences: found float64 of shape \(5, 16\), expected numbers of shape \(5, 17\)",
        ),
        ({"image_size": 3}, r"image_size: found int64 of shape \(\), expected width and height"),
        ({"image_size": [3.5, 4]}, "image_size: found the width a float"),
        ({"fps": 0}, "found fps 0, expected frames per second"),
        ({"layout": 3}, "found the layout 3, expected a name such as 'coco'"),
    ],
)
def test_wrong_content_of_plain_archives_is_named(tmp_path, fields, message):
    refused(write_plain(tmp_path / "x.npz", **{"values": POINTS} | fields), message)


def test_other_files_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", a=3)
    refused(tmp_path / "x.npz", "found the keys 'a', expected positions_2d, reconstruction, keypoints, or boxes, segments and")
    refused(tmp_path / "x.npz", "found the keys 'a', expected keypoints", Hints("npz"))
    refused(tmp_path / "x.npz", "found the keys 'a', expected positions_2d", Hints("videopose3d"))
    refused(tmp_path / "x.npz", "damaged, .*expected a JSON file", Hints("coco"))
    refused(tmp_path / "nothing.json", "no such file, expected")
    refused(
        write_text(tmp_path / "x.mp4", "\0\0\0 ftypisom"),
        "found a video, which is not read, expected the keypoints that a detector",
    )
    refused(write_text(tmp_path / "x.bin", "\0\0\0 ftypisom"), "found neither a NumPy file, nor JSON, nor a table")
    with pytest.raises(UserError, match=r"keypoint format 'alphapos': not known, expected one of .*did you mean alphapose"):
        keypoint_files.load(tmp_path, Hints("alphapos"))
    path = write_videopose3d(tmp_path / "x.npz", {None: person()})
    content = path.read_bytes()
    for size in (0, 1, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        refused(path, r"x\.npz")
    for array, message in (
        (np.zeros((3, 17)), r"found float64 of shape \(3, 17\), expected keypoints"),
        (np.zeros((3, 17, 5)), r"found float64 of shape \(3, 17, 5\), expected keypoints"),
        (np.zeros(3, "U3"), "found str96 of shape"),
        (np.array([{}], object), "damaged, cut short or another kind of file, expected an .npy array of numbers"),
        (
            np.ones((3, 17, 3)) * [1, 2, -9],
            "found -9 to -9 as third number of a joint, expected a confidence; are these points in 3D",
        ),
        (np.full((3, 17, 2), np.nan), "no person in any frame"),
    ):
        np.save(tmp_path / "x.npy", array)
        refused(tmp_path / "x.npy", message)


def test_folders(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    refused(folder, "found no .json or .txt file, expected one for each picture$")
    (folder / "cam1").mkdir()
    refused(folder, "found no .json or .txt file, expected one for each picture; is it the folder cam1 inside")
    write_json(folder / "a_keypoints.json", {"people": []})
    refused(folder, "no person in any frame")
    write_openpose(folder, {None: person(25)})
    write_json(folder / "dance2_000000000003_keypoints.json", openpose([(None, FLAT[:48])]))
    refused(folder, "frame dance2_000000000003: found 16 joints, expected 25 as in frame dance2_0")
    write_json(folder / "dance2_000000000003_keypoints.json", {"people": 1})
    refused(folder, "frame dance2_000000000003_keypoints.json: found 1, expected a list of people")
    write_json(folder / "dance2_000000000003_keypoints.json", [3])
    refused(folder, "dance2_000000000003_keypoints.json: found 3, expected an object for a person")
    for child in folder.glob("*.json"):
        child.unlink()
    write_json(folder / "all.json", alphapose({None: person()}))
    refused(folder, "all.json: found several frames of the format alphapose, expected one file or a folder of pictures")
    (folder / "all.json").rename(folder / "all.txt")
    refused(folder, "all.txt: line 1: found text, expected class, box and keypoints as numbers")
    (folder / "all.txt").write_text("0 0.5 0.5 0.1 0.1 0.5\n")
    refused(folder, "all.txt: line 1: found 1 numbers after the box, expected x, y, confidence of each joint")
    (folder / "all.txt").write_text("0 nan inf\n")
    refused(folder, "all.txt: line 1: found 0 numbers after the box")


def test_little_files_cannot_ask_for_much_memory(tmp_path):
    content = [{"image_id": i * 99_999, "keypoints": [5.0, 5, 1, 6, 5, 1] * 150} for i in range(10)]
    refused(write_json(tmp_path / "x.json", content), "refused: reading it would take more than")
    np.savez_compressed(tmp_path / "x.npz", keypoints=np.zeros((1_000_000, 60, 2), np.uint8))
    refused(tmp_path / "x.npz", "refused: reading it would take more than")
