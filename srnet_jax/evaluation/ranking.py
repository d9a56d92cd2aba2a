"""Rank the test poses of a config by rarity, and cache the ranking in a folder beside the data."""

import contextlib
import csv
import hashlib
import io
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data.dataset import Sequence
from srnet_jax.data.protocols import Split
from srnet_jax.errors import DataError
from srnet_jax.io.files import write_whole
from srnet_jax.io.safe_load import load_npz
from srnet_jax.pose import rarity
from srnet_jax.pose.normalization import root_relative
from srnet_jax.pose.rarity import Commonness

CACHE_FOLDER = "rarity_cache"
SIGMAS_MM = (50, 100, 200, 400)
_VARIANTS = {
    **{
        f"occurrence, sigma {sigma} mm, against {reference} poses": {
            "rare_ranking": "occurrence",
            "rare_sigma_mm": (float(sigma),),
            "rare_reference": reference,
            "rare_reference_step": 1,
        }
        for reference in ("train", "test")
        for sigma in SIGMAS_MM
    },
    "mean of exp(-distance / 200 mm), one in 10 train poses (official filter_data.py)": {
        "rare_ranking": "exponential",
        "rare_sigma_mm": (200.0,),
        "rare_reference": "train",
        "rare_reference_step": 10,
    },
    "mean distance, one in 10 train poses (official list)": {
        "rare_ranking": "mean_distance",
        "rare_reference": "train",
        "rare_reference_step": 10,
    },
}
_CACHE_VERSION = 1  # increase it when a change of `rarity.py` changes the values


def rank(
    poses: np.ndarray, reference: np.ndarray, protocol: ConfigDict, cache: Path | None, method: str = "auto"
) -> Commonness:
    """Return how common poses are, by the ranking of `config.protocol.rare_*`; read it from the cache if it is there.

    Args:
      poses: [N, J, 3] root-relative test poses, camera frame, metres.
      reference: [M, J, 3] all poses of the reference set; every `rare_reference_step`-th one is used.
      protocol: `config.protocol`.
      cache: folder of the cache; None for no cache. A file there is named after a hash of everything that the values depend on.
      method: see `rarity.commonness`.
    """
    reference = reference[:: protocol.rare_reference_step]
    sigma_m = tuple(sigma / 1000 for sigma in protocol.rare_sigma_mm)
    file = cache / f"{_key(poses, reference, sigma_m, protocol.rare_ranking, method)}.npz" if cache else None
    found = _read(file, len(poses)) if file else None
    if found is None:
        found = rarity.commonness(poses, reference, sigma_m=sigma_m, ranking=protocol.rare_ranking, method=method)
        if file:
            _write(file, found)
    return found


def rank_test_poses(config: ConfigDict, parts: Split, method: str = "auto") -> Commonness:
    """Return how common the test poses of a split are, in the order of its test sequences.

    Args:
      config: of the data, the protocol and its ranking.
      parts: the split with the test and training sequences.
      method: see `rarity.commonness`.
    """
    poses = root_relative_poses(parts.test)
    reference = root_relative_poses(parts.train) if config.protocol.rare_reference == "train" else poses
    tested = config.test_data if config.protocol.name == "cross_dataset" else config.data
    return rank(poses, reference, config.protocol, cache_folder(tested), method)


def root_relative_poses(sequences: tuple[Sequence, ...]) -> np.ndarray:
    """Return the root-relative poses of sequences, one sequence after another: [N, J, 3], camera frame, metres."""
    return np.concatenate([root_relative(s.poses_3d) for s in sequences])


def agreements(config: ConfigDict, parts: Split) -> list[tuple[str, float, list[float]]]:
    """Compare the config's ranking with rankings by other sigmas, reference sets and formulas.

    Args:
      config: of the data, the protocol and its ranking.
      parts: the split with the test and training sequences.

    Returns:
      For each other ranking: its name, its rank correlation (Spearman's) with the config's ranking, and for each of
      `protocol.rare_percents` the share, 0 to 1, of the rarest poses that both rankings have.
    """
    own = rank_test_poses(config, parts).values
    found = []
    for name, fields in _VARIANTS.items():
        variant = config.copy_and_resolve_references()
        variant.protocol.update(fields)
        values = rank_test_poses(variant, parts).values
        correlation = float(np.corrcoef(_ranks(own), _ranks(values))[0, 1])
        rare = [(rarity.rarest(own, percent), rarity.rarest(values, percent)) for percent in config.protocol.rare_percents]
        found.append((name, correlation, [len(np.intersect1d(a, b)) / len(a) for a, b in rare]))
    return found


def find_rarest(config: ConfigDict, parts: Split, commonness: np.ndarray) -> dict[str, np.ndarray]:
    """Find the rarest test poses by other sigmas and reference sets.

    Args:
      config: of the data and the protocol.
      parts: the split with the test and training sequences.
      commonness: not used; the signature is that of `subsets.find`.

    Returns:
      Indices of test poses by name, such as "sigma 50 mm, train, rarest 10 %".
    """
    del commonness
    found = {}
    for sigma in SIGMAS_MM:
        for reference in ("train", "test"):
            variant = config.copy_and_resolve_references()
            variant.protocol.update(rare_ranking="occurrence", rare_sigma_mm=(float(sigma),), rare_reference=reference)
            values = rank_test_poses(variant, parts).values
            for percent in config.protocol.rare_percents:
                found[f"sigma {sigma} mm, {reference}, rarest {percent:g} %"] = rarity.rarest(values, percent)
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def to_csv(parts: Split, ranking: Commonness) -> str:
    """Return the test poses as CSV, rarest first: their sequence and frame, commonness, and the percentage of rarer poses."""
    order = rarity.rarest(ranking.values, 100)
    names = [(s.subject, s.action, s.trial, s.camera.name, frame) for s in parts.test for frame in range(s.num_frames)]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["subject", "action", "trial", "camera", "frame", "commonness", "rarer_percent"])
    for place, pose in enumerate(order):
        table.writerow([*names[pose], f"{ranking.values[pose]:.9g}", f"{100 * place / len(order):.4f}"])
    return text.getvalue()


def cache_folder(data: ConfigDict) -> Path | None:
    """Return the cache folder of these data: in the folder of `data.path`, or beside the file; None if no path is set."""
    path = Path(data.path)
    return (path if path.is_dir() else path.parent) / CACHE_FOLDER if data.path else None


def _key(poses: np.ndarray, reference: np.ndarray, sigma_m: tuple[float, ...], ranking: str, method: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((_CACHE_VERSION, sigma_m, ranking, method, poses.shape, reference.shape)).encode())
    for array in (poses, reference):
        digest.update(np.ascontiguousarray(array, "<f4").data)
    return digest.hexdigest()


def _read(file: Path, count: int) -> Commonness | None:
    """Read a cache file; None if there is none or it is damaged."""
    try:
        stored = load_npz(file)
        values, how = stored["values"], stored["how"]
    except (DataError, OSError, KeyError):
        return None
    good = values.shape == (count,) and values.dtype == np.float64 and np.isfinite(values).all()
    return Commonness(values, str(how)) if good else None


def _write(file: Path, ranking: Commonness) -> None:
    """Write a cache file, whole or not at all; do nothing if the folder is read-only."""
    content = io.BytesIO()
    np.savez(content, values=ranking.values, how=np.array(ranking.how))
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        write_whole(file, content.getvalue())
