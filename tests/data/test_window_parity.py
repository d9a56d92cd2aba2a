"""Windows, their order and their mirror images against numbers computed by the official code; see parity/README.md."""

import os
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.data.windows import TrainingWindows
from srnet_jax.pose.frames import Frames
from srnet_jax.pose.normalization import View, mirror, mirror_view
from srnet_jax.pose.skeleton import H36M_17, Mirrored

FOLDER = Path(os.environ.get("PARITY", Path(__file__).parent / "parity"))
with np.load(FOLDER / "chunks.npz") as file:
    ARRAYS = dict(file)
CONFIGURATIONS = sorted(
    {name.split("/")[0] for name in ARRAYS if name.startswith("pad")} - {"pad1_aug1_chunk3"}
)  # one target a window
WHOLE = sorted({name.split("/")[0] for name in ARRAYS if name.startswith("unchunked")})


@pytest.fixture
def frames():
    """The inputs; the official parameters (kappa, rho, root x, root y, root depth) in the fields of a view."""
    count = len([name for name in ARRAYS if name.startswith("in/p2_")])
    inputs, targets = (np.concatenate([ARRAYS[f"in/{p}_{i}"] for i in range(count)]) for p in ("p2", "p3"))
    parameters = np.concatenate([ARRAYS[f"in/params_{i}"] for i in range(count)])
    cameras = [np.broadcast_to(ARRAYS[f"in/intrinsic_{i}"][:4], (len(ARRAYS[f"in/params_{i}"]), 1, 4)) for i in range(count)]
    focal, center = np.split(np.concatenate(cameras), 2, axis=-1)
    views = View(parameters[..., 2:4], parameters[..., 4:5], focal, center, 0 * center)
    lengths = np.array([len(ARRAYS[f"in/p2_{i}"]) for i in range(count)])
    return Frames(inputs, targets, views, np.cumsum(lengths) - lengths, lengths, "proj")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_training_windows_are_the_official_chunks(frames, name):
    """Given the same permutation the batches are identical, float64 bits included."""
    field = 1 + 2 * int(name.split("_")[0].removeprefix("pad"))
    windows = TrainingWindows(
        frames,
        receptive_field=field,
        causal="causal" in name,
        mirrored=Mirrored(H36M_17.mirrored, H36M_17.mirrored) if "aug1" in name else None,
        seed=0,
    )
    pairs = ARRAYS[f"{name}/pairs"].tolist()
    assert len(windows) == len(pairs)
    for epoch in range(2):
        permutation = ARRAYS.get(f"{name}/perm{epoch}", ARRAYS[f"{name}/pairs"]).tolist()
        batch = windows.samples.take(np.array([pairs.index(pair) for pair in permutation]))
        for ours, theirs in (("inputs_2d", "x2d"), ("targets", "x3d"), ("views", "params")):
            batches = [ARRAYS.get(f"{name}/e{epoch}b{b}/{theirs}") for b in range(-(-len(pairs) // 10))]
            if batches[0] is None:
                assert epoch == 1 or theirs == "params"
                continue
            expected = np.concatenate(batches)
            found = batch[ours] if theirs != "params" else np.concatenate(batch[ours][:2], -1)
            np.testing.assert_array_equal(found, expected if theirs != "params" else expected[..., 2:5])


@pytest.mark.parametrize("name", WHOLE)
def test_whole_sequences_are_padded_as_officially(frames, name):
    pad, shift = (int(part.lstrip("padcs")) for part in name.split("_")[1:3])
    for sequence, (start, length) in enumerate(zip(frames.starts, frames.lengths, strict=True)):
        first, where = np.array([start - pad - shift]), np.array([sequence])
        straight = frames.gather(first, where, length + 2 * pad)[0]
        expected = ARRAYS[f"{name}/seq{sequence}/x2d"]
        np.testing.assert_array_equal(straight, expected[0])
        if len(expected) == 2:
            np.testing.assert_array_equal(mirror(straight, H36M_17.mirrored), expected[1])
            views = mirror_view("proj", frames.views.map(lambda x: x[start : start + length]))
            np.testing.assert_array_equal(np.concatenate(views[:2], -1), ARRAYS[f"{name}/seq{sequence}/params"][1][..., 2:5])
