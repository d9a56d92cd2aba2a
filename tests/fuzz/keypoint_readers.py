"""The readers of keypoint files, which 2D detectors write."""

import json
import warnings

import numpy as np

from tests.fuzz import mutate
from tests.fuzz.reader import JSON, NPZ, TEXT, Reader, contents


def _custom_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_videopose3d

    two = {1: person()[:3], 2: person()[:2, :, :2]}
    return contents(
        write_videopose3d(folder / "a.npz", {None: person()[:2]}, missing=()),
        write_videopose3d(folder / "b.npz", two, missing=(1,)),
    )


def _read_keypoints(name, keypoint_format=None):
    def read(folder):
        from srnet_jax.keypoints import keypoint_files

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            tracks = keypoint_files.load(folder / name, keypoint_files.Hints(keypoint_format, (640, 480)))
        for one in warned:  # our warnings name the file and are one line
            assert one.category is UserWarning
            assert str(folder) in str(one.message)
            assert str(one.message).isprintable()
        assert len({track.name for track in tracks}) == len(tracks) > 0
        for track in tracks:
            frames, joints = track.confidences.shape
            assert track.keypoints.dtype == track.confidences.dtype == np.float32
            assert track.keypoints.shape == (frames, joints, 2)
            np.testing.assert_array_equal(np.isfinite(track.keypoints), (track.confidences > 0)[..., None].repeat(2, -1))
            assert ((track.confidences >= 0) & (track.confidences <= 1)).all()
            assert track.detected.shape == (frames,)
            assert track.detected[[0, -1]].all()
            assert track.name.isprintable()
            assert "/" not in track.name
            assert track.fps is None or 0 < track.fps < 10_000
            assert track.image_size is None or min(track.image_size) > 0

    return read


def _detectron2_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_detectron2

    two = {1: person()[:3], 2: person(start=(800, 300))[:3]}
    return contents(
        write_detectron2(folder / "a.npz", two, missing=(1,)), write_detectron2(folder / "b.npz", {1: person()[:1]}, missing=())
    )


def _plain_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_plain

    two = np.stack([person()[:3], person(start=(800, 300))[:3]], 1)
    given = {"image_size": [640, 480], "fps": 25.0, "layout": "coco"}
    return contents(
        write_plain(folder / "a.npz", person()[:3], **given),
        write_plain(folder / "b.npz", two[..., :2], confidences=two[..., 2].astype(np.float32)),
    )


def _keypoint_json_seeds(name):
    def seeds(folder):
        from tests.keypoints import test_keypoint_files as build

        people = {1: build.person(5)[:4], 2: build.person(5, start=(800, 300))[:4]}
        if name == "mediapipe":
            people = {1: build.person(33)[:3]}
        content = getattr(build, name)(people, missing=(1,))
        if name == "mmpose":
            return [
                json.dumps(made).encode()
                for made in (content, content["instance_info"], content["instance_info"][0]["instances"])
            ]
        unnamed = (
            [{key: value for key, value in entry.items() if key != "idx"} for entry in content]
            if name == "alphapose"
            else content
        )
        return [json.dumps(content).encode(), json.dumps(unnamed).encode()]

    return seeds


def _openpose_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, write_openpose

    place = write_openpose(folder / "poses", {1: person(5)[:4], None: person(5, start=(800, 300))[:4]}, missing=(1,))
    return contents(place / "dance2_000000000002_keypoints.json", place / "dance2_000000000001_keypoints.json")


def _table_seeds(folder):
    from tests.keypoints.test_keypoint_files import person, table

    people = {1: person(3)[:4], 2: person(3, start=(800, 300))[:4]}
    one = {None: person(3)[:4]}
    return [table(people, track=True).encode(), table(one).encode(), table(one, header=False).replace("\n", "\r\n").encode()]


def _shorter(content):
    """Return only the first frames of a form in `test_json_forms`."""
    from tests.keypoints.builders import FRAMES

    if isinstance(content, list | dict) and len(content) == FRAMES:
        return content[:3] if isinstance(content, list) else dict(list(content.items())[:3])
    if isinstance(content, dict):
        return {key: _shorter(value) for key, value in content.items()}
    return content


def _form_seeds(folder):
    from tests.keypoints import builders, test_json_forms, test_people_and_frames

    whole = [_shorter(content) for content, _ in test_json_forms.JSON.values()]
    whole += [_shorter(content) for content in test_people_and_frames.ONE_PERSON.values()]
    whole += [_shorter(form(builders.WALK, test_people_and_frames.OTHER)) for form in test_people_and_frames.BY_PERSON.values()]
    lines = [_shorter(content) for content, _ in test_json_forms.LINES.values()]
    images = _shorter(test_json_forms.annotations(builders.WALK, builders.COCO, "a/{}.jpg"))
    return [json.dumps(content).encode() for content in [*whole, images]] + [
        "\n".join(map(json.dumps, content)).encode() for content in lines
    ]


def _table_form_seeds(folder):
    from tests.keypoints import test_table_forms

    return ["".join(content.splitlines(keepends=True)[:7]).encode() for content, _ in test_table_forms.TABLES.values()]


def _folder_seeds(folder):
    from tests.keypoints.builders import write_folder
    from tests.keypoints.test_json_forms import FOLDERS

    write_folder(folder / "poses", FOLDERS["mmpose"][0], FOLDERS["mmpose"][1][:3])
    return [json.dumps(content[1]).encode() for _, content, _ in FOLDERS.values()]


def _label_seeds(folder):
    from tests.keypoints.builders import WALK
    from tests.keypoints.test_table_forms import labels

    (folder / "poses").mkdir(exist_ok=True)
    for index in (1, 3):
        (folder / "poses" / f"walk_{index}.txt").write_text(labels(WALK[index], 3) + "\n")
    more = [(), (0.87,), (3,), (0.87, 3)]
    return ["\n".join(labels(WALK[2] + [0, 9 * k, 0], *one) for k in (0, 1)).encode() for one in more]


def _array_seeds(folder):
    from tests.keypoints.builders import walker

    made = []
    for array in (walker()[:3], walker()[None, :3, :, :2].astype(np.float32), (walker("body_25")[:2] * 8).astype(np.int64)):
        np.save(folder / "k.npy", array)
        made += contents(folder / "k.npy")
    return made


def _reconstruction_seeds(folder):
    from tests.keypoints.builders import walker

    np.savez(folder / "k.npz", reconstruction=walker("h36m")[None, :3, :, :2])
    np.savez_compressed(folder / "l.npz", reconstruction=walker("h36m")[:3].astype(np.float32))
    return contents(folder / "k.npz", folder / "l.npz")


def _values_in_a_list(rng, data):
    """Damage values of a JSON list or object."""
    try:
        json.loads(data)
    except json.JSONDecodeError:  # JSON Lines
        return mutate.text(rng, data)
    changed = json.loads(mutate.json_values(rng, b'{"content": %b}' % data))
    return json.dumps(changed.get("content")).encode()


_JSON_LIST = mutate.one_of(mutate.binary, mutate.text, *[_values_in_a_list] * 4)

READERS = {
    "custom_2d.npz": Reader("data_2d_custom_mine.npz", _custom_seeds, NPZ, _read_keypoints("data_2d_custom_mine.npz")),
    "detectron2.npz": Reader("d.npz", _detectron2_seeds, NPZ, _read_keypoints("d.npz", keypoint_format="detectron2")),
    "keypoints.npz": Reader("k.npz", _plain_seeds, NPZ, _read_keypoints("k.npz")),
    **{
        f"{name}.json": Reader(f"{name}.json", _keypoint_json_seeds(name), _JSON_LIST, _read_keypoints(f"{name}.json"))
        for name in ("alphapose", "mmpose", "coco", "mediapipe")
    },
    "openpose.json": Reader("poses/dance2_000000000002_keypoints.json", _openpose_seeds, JSON, _read_keypoints("poses")),
    "forms.json": Reader("k.json", _form_seeds, _JSON_LIST, _read_keypoints("k.json")),
    "folder.json": Reader("poses/frame_00001.json", _folder_seeds, _JSON_LIST, _read_keypoints("poses")),
    "forms.csv": Reader("k.csv", _table_form_seeds, TEXT, _read_keypoints("k.csv")),
    "labels.txt": Reader("poses/walk_2.txt", _label_seeds, TEXT, _read_keypoints("poses")),
    "keypoints.npy": Reader("k.npy", _array_seeds, mutate.one_of(mutate.binary, *[mutate.npy] * 3), _read_keypoints("k.npy")),
    "reconstruction.npz": Reader("k.npz", _reconstruction_seeds, NPZ, _read_keypoints("k.npz")),
    "keypoints.csv": Reader("k.csv", _table_seeds, TEXT, _read_keypoints("k.csv")),
}
