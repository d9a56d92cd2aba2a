"""The embedded data set: recorded motion that ships with the project.

`motion.npz` holds a part of the CMU Graphics Lab Motion Capture Database as joint positions at 30 frames a second. It is free
for all uses, but not to be resold; `CREDIT` must go with it. `select` makes it from a joint-position file of the database
(`mocap.clip_files`), by rules that looked at the recordings and at no network's result:

- The file holds the 12 people of `SUBJECTS_TRAIN` and `SUBJECTS_TEST`: walking, running, jumping, dance, climbing, sword play,
  work with the hands, martial arts, acrobatics, basketball. Nobody is in both lists; 60 and 61 dance with each other and are
  in one.
- The clips of `LEFT_OUT` are damaged, and are left out.
- Of each clip the middle 12 seconds are kept, so that long dances do not outweigh the rest; of `PARTS` the part with motion.
- Each clip is moved so that its mean hip is above the origin and its floor at 0: the hundredth part of its frames has an
  ankle below `ANKLE_M`. The recordings' own floors are up to 1 m lower.

Positions are rounded to a fifth of a millimetre. The archive has an array [T, 17, 3] int16 a clip, the key as in
joint-position files: the hip and, for the other joints, the difference to the hip, each as the change since the frame before,
which compresses best. An array `credit` holds the credit as text.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from srnet_jax.data.dataset import PoseDataset
from srnet_jax.data.filming import Motion, centred, film_all
from srnet_jax.data.mocap.clip_files import CONVENTIONS
from srnet_jax.errors import DataError
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.skeleton import H36M_17, ROOT

FILE = Path(__file__).with_name("motion.npz")
FPS = 30.0
CREDIT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217. Free for all uses, not to be resold."
)
SUBJECTS_TRAIN = ("01", "02", "03", "05", "07", "60", "61", "94")
SUBJECTS_TEST = ("06", "88", "90", "135")
LEFT_OUT = {
    **dict.fromkeys(("01_06", "60_09-daz", "60_10-daz", "60_13-daz", "60_15-daz", "94_04-daz", "94_07-daz"), "joints jump"),
    "03_02": "begins in a pose of rest and jumps",
    "07_01-cc": "the hip has one height",
}
PARTS = {"90_02-sk01": (70, 150)}  # frames; he stands with his arms out before and after
ANKLE_M = 0.08
_LONGEST = 360  # frames
_UNIT_M = 2e-4


def load(cameras: tuple[Camera, ...]) -> PoseDataset:
    """Read the data set, filmed by cameras that keep the people in the image, see `filming`."""
    motions = (Motion.named(key, poses) for key, poses in clips().items())
    sequences, views = film_all(motions, cameras)
    return PoseDataset("embedded", H36M_17, FPS, sequences, CONVENTIONS, views=views)


def clips() -> dict[str, np.ndarray]:
    """Return the clips, {"subject/action/clip": [T, 17, 3] float32 joints, world frame, metres}."""
    with np.load(FILE, allow_pickle=False) as archive:
        return {key: _decoded(archive[key]) for key in archive.files if key != "credit"}


def select(recordings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Choose the clips and bring them to the form of the file.

    Args:
      recordings: the clips of a joint-position file of CMU's database at 30 frames a second.

    Returns:
      {name: array} of the file.

    Raises:
      DataError: if a person of the data set, or a clip of `LEFT_OUT` or `PARTS`, is not there.
    """
    chosen = {key: recordings[key] for key in sorted(recordings) if key.split("/")[0] in (*SUBJECTS_TRAIN, *SUBJECTS_TEST)}
    names = {key.split("/")[0] for key in chosen} | {key.split("/")[2] for key in chosen}
    for name in (*SUBJECTS_TRAIN, *SUBJECTS_TEST, *LEFT_OUT, *PARTS):
        if name not in names:
            raise DataError(f"found no {name}, expected the joint positions of CMU's people that `data/embedded.py` names")
    arrays = {"credit": np.array(CREDIT)}
    for key, poses in chosen.items():
        name = key.split("/")[2]
        middle = max(len(poses) - _LONGEST, 0) // 2
        begin, end = PARTS.get(name, (middle, middle + _LONGEST))
        if name not in LEFT_OUT:
            arrays[key] = _encoded(_on_floor(centred(poses[begin:end].astype(np.float64))))
    return arrays


def _on_floor(poses: np.ndarray) -> np.ndarray:
    """Return poses [T, 17, 3] whose floor is at 0."""
    feet = [H36M_17.joints.index(side + "Foot") for side in "LR"]
    lowest = poses[:, feet, 2].min(1)
    return poses - [0, 0, np.percentile(lowest, 1) - ANKLE_M]


def _encoded(poses: np.ndarray) -> np.ndarray:
    """Return poses [T, 17, 3] in metres as int16 [T, 17, 3], see the module."""
    whole = np.rint(poses / _UNIT_M).astype(np.int64)
    others = np.arange(len(H36M_17.joints)) != ROOT
    whole[:, others] -= whole[:, ROOT : ROOT + 1]
    changes = np.diff(whole, axis=0, prepend=0)
    if np.abs(changes).max() > np.iinfo(np.int16).max:
        raise DataError("found a position or a step of more than 6.5 m, expected a clip around the origin")
    return changes.astype(np.int16)


def _decoded(changes: np.ndarray) -> np.ndarray:
    """Return int16 [T, 17, 3] as poses [T, 17, 3] float32 in metres, see the module."""
    whole = changes.cumsum(0, dtype=np.int64)
    others = np.arange(len(H36M_17.joints)) != ROOT
    whole[:, others] += whole[:, ROOT : ROOT + 1]
    return (whole * _UNIT_M).astype(np.float32)
