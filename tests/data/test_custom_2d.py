import numpy as np
import pytest

from srnet_jax.data import custom_2d
from srnet_jax.errors import DataError

POINTS = np.arange(5 * 17 * 2, dtype=np.float64).reshape(5, 17, 2)
SIZE = {"w": 1920, "h": 1080}


def write(path, points=POINTS, size=SIZE, **other):
    content = {
        "positions_2d": np.array({"video.mp4": {"custom": [points]}}, dtype=object),
        "metadata": np.array({"video_metadata": {"video.mp4": size}}, dtype=object),
    }
    np.savez(path, **content | other)
    return path


def test_videos_come_back(tmp_path):
    (video,) = custom_2d.load(write(tmp_path / "x.npz", size=SIZE | {"fps": 25}))
    np.testing.assert_array_equal(video.inputs_2d, POINTS.astype(np.float32))
    assert (video.name, video.width, video.height, video.fps) == ("video.mp4", 1920, 1080, 25.0)
    with_scores = np.concatenate([POINTS, np.ones((5, 17, 1))], -1)
    (video,) = custom_2d.load(write(tmp_path / "x.npz", points=with_scores))
    assert video.inputs_2d.shape == (5, 17, 2)
    assert video.fps is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"points": POINTS[0]}, r"found \(17, 2\) of float64, expected keypoints"),
        ({"points": np.where(POINTS == 40, np.nan, POINTS)}, "NaN or infinity at frame 1"),
        ({"points": "text"}, "found a str, expected keypoints"),
        ({"size": {"w": 1920}}, "video_metadata has h a NoneType, expected the image's size"),
        ({"size": 3}, "video_metadata has w a NoneType"),
        ({"positions_2d": np.zeros(3)}, "positions_2d holds .*, expected a dict"),
        ({"metadata": np.array({}, dtype=object)}, "found no video_metadata"),
        ({"positions_2d": np.array({}, dtype=object)}, "holds no video"),
        ({"positions_2d": np.array({"v": {"walk": [POINTS]}}, dtype=object)}, "expected the action 'custom'"),
    ],
)
def test_wrong_content_is_named(tmp_path, fields, message):
    path = write(tmp_path / "x.npz", **fields)
    with pytest.raises(DataError, match=message) as error:
        custom_2d.load(path)
    assert str(error.value).startswith(f"{path}: ")


def test_damaged_files_are_named(tmp_path):
    path = write(tmp_path / "x.npz")
    content = path.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"x\.npz"):
            custom_2d.load(path)
    with pytest.raises(DataError, match="no such file"):
        custom_2d.load(tmp_path / "nothing.npz")
