import contextlib
import pickle

import numpy as np
import pytest

from srnet_jax import cameras
from srnet_jax.data import mocap
from srnet_jax.errors import DataError

TWO = cameras.virtual_cameras(number=2, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)


def test_clips_come_back_centred(mocap_file, mocap_clips):
    dataset = mocap.load(mocap_file, fps=30.0, cameras=TWO)
    assert dataset.names("subject") == ("a", "b", "c")
    assert len(dataset.sequences) == 2 * len(mocap_clips)
    for sequence in dataset.sequences:
        clip = mocap_clips[f"{sequence.subject}/{sequence.action}/{sequence.trial}"]
        world = cameras.camera_to_world(sequence.poses_3d, sequence.camera)
        np.testing.assert_allclose(world[:, 0, :2].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(np.diff(world, axis=0), np.diff(clip, axis=0), atol=1e-5)
        np.testing.assert_allclose(world[..., 2], clip[..., 2], atol=1e-5)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("missing", None, "no such file"),
        ("text", b"not an archive", "not a readable .npz"),
        ("pickle", pickle.dumps(Bomb()), "not a readable .npz"),
        ("no_clips", {}, "holds no arrays"),
        ("key", {"walk": np.zeros((3, 17, 3))}, "expected <subject>/<action>/<clip>"),
        ("joints", {"a/b/1": np.zeros((3, 16, 3))}, r"found shape \(3, 16, 3\)"),
        ("integers", {"a/b/1": np.zeros((3, 17, 3), int)}, "of int64"),
        ("objects", {"a/b/1": np.array([Bomb()], object)}, "not a readable .npz"),
        ("nan", {"a/b/1": np.full((3, 17, 3), np.nan)}, "NaN or infinity at frame 0"),
        ("mm", {"a/b/1": 1000 * np.random.default_rng(0).normal(0, 0.3, (3, 17, 3))}, "are these millimetres"),
    ],
)
def test_bad_files_are_named(tmp_path, name, make, message):
    path = tmp_path / f"{name}.npz"
    if isinstance(make, bytes):
        path.write_bytes(make)
    elif make is not None:
        np.savez(path, **make)
    with pytest.raises(DataError, match=message) as caught:
        mocap.load(path, fps=30.0, cameras=TWO)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_files_are_named(tmp_path, mocap_file):
    content = mocap_file.read_bytes()
    path = tmp_path / "short.npz"
    for length in range(0, len(content), max(len(content) // 25, 1)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"short\.npz"):
            mocap.load(path, fps=30.0, cameras=TWO)


def test_flipped_bits_are_named_or_harmless(tmp_path, mocap_clips, rng):
    path = tmp_path / "flipped.npz"
    np.savez_compressed(path, **{"a/walk/1": mocap_clips["a/walk/1"]})
    content = path.read_bytes()
    for position in rng.integers(0, len(content), 300):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with contextlib.suppress(DataError):  # anything else fails the test
            mocap.load(path, fps=30.0, cameras=TWO)
