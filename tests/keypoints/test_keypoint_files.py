"""Every format holds the same person, whom the readers find again."""

import json

import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import keypoint_files

FRAMES, MISSING, SIZE = 25, (9, 10, 11), 1024
SHOWN = [frame for frame in range(FRAMES) if frame not in MISSING]


def person(joints=17, start=(400, 300), step=(4, 1), frames=FRAMES):
    """Return keypoints [T, J, 3] of somebody who walks: x, y, confidence; eighths of pixels, so that floats are exact."""
    rng = np.random.default_rng(0)
    body = np.round(rng.uniform((-60, -150), (60, 150), (40, 2)) * 8) / 8
    points = body + np.array(start) + np.arange(frames)[:, None, None] * np.array(step)
    return np.concatenate([points, np.broadcast_to(0.5 + np.arange(40)[:, None] / 128, (frames, 40, 1))], -1)[:, :joints]


# Writers, one a format: people is {track id or None: [T, J, 3]}; frames in `missing` are not there.


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
    """Return, for each frame, (track id, flat x, y, confidence) of those who are there."""
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


WRITERS = {  # format or variant: (writer of one person, joints, layout, name, whether size and fps are told)
    "videopose3d": (lambda f, p: write_videopose3d(f / "x.npz", p), 17, "coco", "dance", (True, True)),
    "detectron2": (lambda f, p: write_detectron2(f / "dance.mp4.npz", p), 17, "coco", "dance", (True, False)),
    "openpose": (lambda f, p: write_openpose(f / "dance", p), 25, "body_25", "dance", (False, False)),
    "openpose, 18": (lambda f, p: write_openpose(f / "dance", p), 18, "coco_18", "dance", (False, False)),
    "alphapose": (lambda f, p: write_json(f / "dance.json", alphapose(p)), 17, "coco", "dance", (False, False)),
    "alphapose, 26": (lambda f, p: write_json(f / "dance.json", alphapose(p)), 26, "halpe_26", "dance", (False, False)),
    "mmpose": (lambda f, p: write_json(f / "dance.json", mmpose(p)), 17, "coco", "dance", (False, False)),
    "mmpose, h36m": (
        lambda f, p: write_json(f / "dance.json", mmpose(p, data_set="h36m")),
        17,
        "h36m",
        "dance",
        (False, False),
    ),
    "mmpose, list": (
        lambda f, p: write_json(f / "dance.json", mmpose(p)["instance_info"]),
        *(17, "coco", "dance", (False, False)),
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
    "csv, numbers only": (lambda f, p: write_text(f / "dance.txt", table(p, header=False)), 26, None, "dance", (False, False)),
}


@pytest.mark.parametrize("variant", WRITERS)
def test_all_formats_hold_the_same(tmp_path, variant):
    write, joints, layout, name, (tells_size, tells_fps) = WRITERS[variant]
    values = person(joints)
    path = write(tmp_path, {None: values})
    for found in (keypoint_files.load(path), keypoint_files.load(str(path), keypoint_format=variant.partition(",")[0])):
        (track,) = found
        assert (track.name, track.layout, track.first_frame) == (name, layout, 0)
        np.testing.assert_array_equal(track.detected, np.isin(np.arange(FRAMES), SHOWN))
        assert track.keypoints.dtype == track.confidences.dtype == np.float32
        np.testing.assert_allclose(track.keypoints, values[..., :2], atol=1e-4)  # walks evenly, so filling finds the truth
        np.testing.assert_array_equal(track.keypoints[SHOWN], values[SHOWN][..., :2])
        np.testing.assert_array_equal(track.confidences, blanked(values)[..., 2])
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
    assert {first.name, second.name} == {"person_3", "person_2"}
    assert first.keypoints.shape == (1, 17, 2)
    folder = write_openpose(tmp_path / "open", {None: person(25)}, start=100)
    (track,) = keypoint_files.load(folder / "dance2_000000000107_keypoints.json")
    assert (track.name, track.first_frame, len(track.keypoints)) == ("dance2_000000000107_keypoints", 107, 1)


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
    """They meet in the same place, where linking could exchange them: one turns back there."""
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


def test_tables_of_pairs_and_triples(tmp_path):
    values = person(6)
    rows = [",".join(map(str, [frame, *values[frame, :, :2].ravel()])) for frame in range(FRAMES)]  # 12 numbers: 6 pairs
    (track,) = keypoint_files.load(write_text(tmp_path / "x.csv", "\n".join(rows)))
    np.testing.assert_array_equal(track.keypoints, values[..., :2])
    assert (track.confidences == 1).all()
    header = "Frame,x0,y0,x1,y1\r\n"
    (track,) = keypoint_files.load(write_text(tmp_path / "x.csv", header + "\r\n".join(f"{i},5,6,7,8" for i in range(3))))
    np.testing.assert_array_equal(track.keypoints[0], [[5, 6], [7, 8]])
    (track,) = keypoint_files.load(write_text(tmp_path / "x.csv", '"x","y","frame"\n5,6,0\n7,8,1\n'))
    np.testing.assert_array_equal(track.keypoints[:, 0], [[5, 6], [7, 8]])


# What is refused.


def entries(**changes):
    """Return AlphaPose's entries, the third of which is changed."""
    content = alphapose({None: person()})
    content[2] |= changes
    return content


def landmarks(**changes):
    content = mediapipe({None: person(33)})
    content["frames"][2]["landmarks"][0] |= changes
    return content


FLAT = [1.0, 2.0, 3.0] * 17
WRONG_JSON = {
    "ragged": (entries(keypoints=FLAT[:48]), "frame 2: found 16 joints, expected 17, as in frame 0"),
    "no triples": (entries(keypoints=FLAT[:50]), "frame 2: keypoints hold 50 numbers, expected x, y and confidence"),
    "text": (entries(keypoints=["x"] * 51), "frame 2: keypoints: found 'x', expected numbers"),
    "true": (entries(keypoints=[True] * 51), "frame 2: keypoints: found True, expected numbers"),
    "no keypoints": (entries(keypoints=None), "frame 2: keypoints: found a NoneType, expected a list of numbers"),
    "huge": (entries(keypoints=[10**400] * 51), "frame 2: keypoints: found a number of hundreds of digits"),
    "far": (entries(keypoints=[1e6] * 51), "keypoints of 1,000,000 or more at frame 2, expected pixels"),
    "id": (entries(idx={}), "frame 2: found the track id a dict of 0, expected a whole number"),
    "id of parts": (entries(idx=[[1.5]]), "frame 2: found the track id a float, expected a whole number"),
    "no number": (entries(image_id="a.jpg"), "entry 2: image_id: found 'a.jpg', expected the number of a frame"),
    "negative": (entries(image_id=-1), "entry 2: image_id: found -1, expected the number of a frame"),
    "gap": (entries(image_id=100_025), "dance: no keypoints from frame 24 to 100025, expected a gap of at most 100,000"),
    "many frames": (entries(image_id=1_000_000), "found frames 0 to 1000000, expected at most 1,000,000 frames"),
    "normalised": (coco({None: person() / 1000}), "all keypoints are within .*, they seem normalised, expected pixels"),
    "nobody": (coco({None: person() * 0}), "dance.json: no person in any frame"),
    "empty list": ([], "no person in any frame"),
    "no frame shows one": ({"people": []}, "no person in any frame"),
    "number": (3, "found 3, expected an object or a list of objects"),
    "other list": ([{"a": 1}], "found a list of objects with 'a', expected image_id"),
    "other object": ({"a": 1}, "found the keys 'a', expected people, instance_info or frames"),
    "entry": ([*entries(), 3], "found 3 as entry 22, expected an object"),
    "people": ({"people": 3}, "people: found 3, expected a list of objects"),
    "instances": ({"instance_info": [{"frame_id": 1}]}, "frame 1: instances: found a NoneType, expected a list"),
    "no pairs": (
        {"instance_info": [{"frame_id": 1, "instances": [{"keypoints": [[1, 2, 3]]}]}]},
        r"frame 1: keypoints hold a list of 1, expected a list of \[x, y\]",
    ),
    "scores": (
        [{"keypoints": [[1, 2]], "keypoint_scores": [1, 1]}],
        "frame 0: found 2 keypoint_scores, expected one for each of 1 keypoints",
    ),
    "no width": (mediapipe({None: person(33)}, width=None), "has w a NoneType, expected the image's size in pixels"),
    "pixels": (landmarks(x=640), "frame 2: a landmark at 640, expected shares of the image's width and height"),
    "landmark": (landmarks(y=None), "frame 2: landmarks: found a NoneType, expected numbers"),
    "few landmarks": (mediapipe({None: person(30)}), "frame 0: found 30 landmarks, expected 33"),
    "no frames": ({"frames": 3, "width": 5, "height": 5}, "frames hold 3, expected a list"),
    "no object": ({"frames": [3], "width": 5, "height": 5}, "frame 0: found 3, expected an object with landmarks"),
}


@pytest.mark.parametrize("case", WRONG_JSON)
def test_wrong_json_is_named(tmp_path, case):
    content, message = WRONG_JSON[case]
    refused(write_json(tmp_path / "dance.json", content), message)


def refused(path, message, **options):
    with pytest.raises(DataError, match=message) as error:
        keypoint_files.load(path, **options)
    assert str(error.value).startswith(str(path))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[NaN]", "found NaN, expected finite numbers"),
        ('{"people": [{"pose_keypoints_2d": [1e999, 1, 1]}]}', "NaN or infinity at frame 0"),
        ('{"people": [{"pose_keypoints_2d": [-Infinity, 1, 1]}]}', "found -Infinity, expected finite"),
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
        ("0,1,2\n0,3,4\n", "line 2: found frame 0 again, expected each once, or a column track"),
        ("0,1,2\n1,3\n", "line 2: found 2 columns, expected 3, as in line 1"),
        ("0,1,2\n1,x,4\n", "line 2: found 'x', expected a finite number"),
        ("0,1,2\n1,nan,4\n", "line 2: found 'nan', expected a finite number"),
        ("0,1,2\n1,,4\n", "line 2: found '', expected a finite number"),
        ("0,1,2\n1.5,3,4\n", "line 2: found a float, expected the number of a frame"),
        ("0,1,2,3,4,5\n", "line 1: found 5 columns of keypoints, expected x, y or x, y, confidence"),
        ("frame,x,y,z_x\n0,1,2,3\n", "line 1: found 3 columns of keypoints"),
        ("frame,y,x\n0,1,2\n", "line 1: found the column 'y', expected x, y or x, y, confidence"),
        ("frame,x0,y0,c,x1,y1,x2\n0,1,2,3,4,5,6\n", "line 1: found the column 'x2'"),
        ("time,x,y\n0,1,2\n", "line 1: found 'time,x,y', expected a column frame"),
        ("frame,x,y\n", "no person in any frame"),
        ("0;1;2\n", "line 1: found '0;1;2', expected frame, x, y, ... with commas"),
        ("0,0.5,0.5\n", "they seem normalised"),
        ("\n\n", "empty file"),
    ],
)
def test_wrong_tables_are_named(tmp_path, text, message):
    refused(write_text(tmp_path / "x.csv", text), message)


POINTS = np.arange(5 * 17 * 2, dtype=np.float64).reshape(5, 17, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"people": {None: POINTS[0]}}, r"dance.mp4: found float64 of shape \(17, 2\), expected keypoints"),
        ({"people": {None: np.where(POINTS == 40, np.nan, POINTS)}}, "NaN or infinity at frame 1"),
        ({"people": {None: POINTS.astype(complex)}}, "found complex128 of shape .*, expected keypoints"),
        ({"people": {1: POINTS, 2: POINTS[:, :16]}}, "found people of 16 and 17 joints"),
        ({"people": {None: POINTS / 1000}}, "dance.mp4: all keypoints are within .*, they seem normalised"),
        ({"people": {None: POINTS * 0}}, "no person in any frame"),
        ({"size": {"w": 1920}}, "video_metadata has h a NoneType, expected the image's size"),
        ({"size": {"w": 1920, "h": 1080, "fps": -1}}, "video_metadata has fps -1, expected frames per second"),
        ({"size": {"w": 1920, "h": 1080, "fps": "x"}}, "video_metadata has fps 'x', expected frames per second"),
        ({"positions_2d": np.zeros(3)}, "positions_2d holds .*, expected a dict"),
        ({"metadata": np.array({}, dtype=object)}, "found no video_metadata"),
        ({"metadata": np.array({"video_metadata": {"dance.mp4": 3}}, dtype=object)}, "video_metadata has w a NoneType"),
        ({"metadata": np.array({"video_metadata": {}, "layout_name": 3}, dtype=object)}, "metadata has the layout 3"),
        ({"positions_2d": np.array({}, dtype=object)}, "holds no video"),
        ({"positions_2d": np.array({"a\nb": {}}, dtype=object)}, "holds a video of the name 'a..b', expected a file's"),
        ({"positions_2d": np.array({"dance.mp4": {"walk": [POINTS]}}, dtype=object)}, "expected the action 'custom'"),
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
        ({"boxes": pairs([], BOX)}, "found boxes of 1 frames and keypoints of 25, expected the same"),
        ({"boxes": pairs([], 3), "keypoints": pairs([], FOUR)}, "frame 0: boxes: found 3, expected numbers .people <= 1000, 5"),
        (
            {"boxes": pairs([], BOX), "keypoints": pairs([], BOX)},
            r"keypoints: found float64 of shape \(1, 5\).*4, joints",
        ),
        ({"boxes": pairs([], np.zeros((2, 5))), "keypoints": pairs([], FOUR)}, "frame 0: found 2 boxes and keypoints of 1"),
        ({"boxes": np.zeros(25)}, "frame 0: boxes: found .*, expected nothing and the people"),
        ({"boxes": np.array(3)}, "expected boxes and keypoints of each frame"),
        ({"metadata": {"w": 3}}, "metadata has h a NoneType, expected the image's size"),
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
            r"confidences hold float64 of shape \(5, 16\), expected numbers of shape \(5, 17\)",
        ),
        ({"confidences": np.full((5, 17), np.inf)}, "NaN or infinity at frame 0"),
        ({"image_size": 3}, r"image_size holds int64 of shape \(\), expected width and height"),
        ({"image_size": [3.5, 4]}, "image_size has w a float"),
        ({"fps": 0}, "has fps 0, expected frames per second"),
        ({"layout": 3}, "has the layout 3, expected a name such as 'coco'"),
    ],
)
def test_wrong_content_of_plain_archives_is_named(tmp_path, fields, message):
    refused(write_plain(tmp_path / "x.npz", **{"values": POINTS} | fields), message)


def test_other_files_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", a=3)
    refused(tmp_path / "x.npz", "found the keys 'a', expected positions_2d, keypoints, or boxes, segments and keypoints")
    refused(tmp_path / "x.npz", "found the keys 'a', expected keypoints", keypoint_format="npz")
    refused(tmp_path / "x.npz", "found the keys 'a', expected positions_2d", keypoint_format="videopose3d")
    refused(tmp_path / "x.npz", "damaged, .*expected a JSON file", keypoint_format="coco")
    refused(tmp_path / "nothing.json", "no such file, expected")
    refused(write_text(tmp_path / "x.mp4", "\0\0\0 ftypisom"), "found neither a NumPy archive, nor JSON, nor a table")
    with pytest.raises(UserError, match=r"keypoint format 'alphapos': not known, expected one of .*did you mean alphapose"):
        keypoint_files.load(tmp_path, keypoint_format="alphapos")
    path = write_videopose3d(tmp_path / "x.npz", {None: person()})
    content = path.read_bytes()
    for size in (0, 1, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        refused(path, r"x\.npz")


def test_folders_of_openpose(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    refused(folder, "found no .*_keypoints.json, expected the files that OpenPose writes")
    refused(folder, "a folder, expected a file of the format csv", keypoint_format="csv")
    write_json(folder / "a_keypoints.json", {"people": []})
    refused(folder, "a_keypoints.json: found 'a', expected the number of a frame")
    (folder / "a_keypoints.json").unlink()
    write_openpose(folder, {None: person(25)})
    write_json(folder / "dance2_000000000003_keypoints.json", openpose([(None, FLAT[:48])]))
    refused(folder, "frame 3: found 16 joints, expected 25, as in frame 0")
    write_json(folder / "dance2_000000000003_keypoints.json", {"people": 1})
    refused(folder, "dance2_000000000003_keypoints.json: people: found 1, expected a list")
    write_json(folder / "b_3_keypoints.json", {"people": []})
    refused(folder, "dance2_000000000003_keypoints.json: found frame 3 again, expected each frame of one video once")


def test_little_files_cannot_ask_for_much_memory(tmp_path):
    content = [{"image_id": i * 99_999, "keypoints": [5.0, 5, 1] * 300} for i in range(10)]
    refused(write_json(tmp_path / "x.json", content), "refused: reading it would take more than")
    np.savez_compressed(tmp_path / "x.npz", keypoints=np.zeros((1_000_000, 60, 2), np.uint8))
    refused(tmp_path / "x.npz", "refused: reading it would take more than")
