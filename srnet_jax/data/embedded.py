"""Load the embedded data set: recorded motion that ships with the project.

`motion.npz` holds a part of the CMU Graphics Lab Motion Capture Database as joint positions at 30 frames a second. The data are
free for all uses, but must not be resold, and `CREDIT` must go with them. `select` makes the file from a joint-position file of
the database (`mocap.clip_files`). Its rules were chosen by looking at the recordings, never at a network's results:

- The file holds the 12 people of `SUBJECTS_TRAIN` and `SUBJECTS_TEST`. They walk, run, jump, dance, climb, play with swords,
  work with their hands, and do martial arts, acrobatics and basketball. No person is in both lists; 60 and 61 dance with each
  other, so both are in the same list.
- The clips of `LEFT_OUT` are damaged and left out.
- The middle 12 seconds of each clip are kept, so that long dances do not outweigh the rest. Of the clips in `PARTS`, the part
  with motion is kept.
- Each clip is moved until its mean hip is above the origin and its floor is at 0: in 1 % of its frames an ankle is below
  `ANKLE_M`. The floors of the original recordings are up to 1 m lower.

Positions are rounded to 0.2 mm. The archive has one array [T, 17, 3] int16 for each clip, with the keys of joint-position
files. It stores the hip, and for the other joints the difference to the hip, each as the change since the frame before: this
compresses best. An array `credit` holds the credit as text.
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
    "03_02": "begins in a rest pose and jumps out of it",
    "07_01-cc": "the height of the hip is constant",
}
PARTS = {"90_02-sk01": (70, 150)}  # frames; before and after, the person stands in a T-pose
ANKLE_M = 0.08
_LONGEST = 360  # frames
_UNIT_M = 2e-4


def load(cameras: tuple[Camera, ...]) -> PoseDataset:
    """Load the data set as virtual cameras see it; the cameras move where a person would leave the image (`filming`)."""
    motions = (Motion.named(key, poses) for key, poses in clips().items())
    sequences, views = film_all(motions, cameras)
    return PoseDataset("embedded", H36M_17, FPS, sequences, CONVENTIONS, views=views)


def clips() -> dict[str, np.ndarray]:
    """Load the clips: {"subject/action/clip": [T, 17, 3] float32 joints, world frame, metres}."""
    with np.load(FILE, allow_pickle=False) as archive:
        return {key: _decoded(archive[key]) for key in archive.files if key != "credit"}


def select(recordings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Choose the clips of the embedded set and encode them for `motion.npz`.

    Args:
      recordings: {"subject/action/clip": [T, 17, 3] joints, world frame, metres}, the clips of a joint-position file of CMU's
        database at 30 frames a second.

    Returns:
      The arrays of the file, by name.

    Raises:
      DataError: if a person of the data set, or a clip of `LEFT_OUT` or `PARTS`, is missing.
    """
    chosen = {key: recordings[key] for key in sorted(recordings) if key.split("/")[0] in (*SUBJECTS_TRAIN, *SUBJECTS_TEST)}
    names = {key.split("/")[0] for key in chosen} | {key.split("/")[2] for key in chosen}
    for name in (*SUBJECTS_TRAIN, *SUBJECTS_TEST, *LEFT_OUT, *PARTS):
        if name not in names:
            raise DataError(f"found no subject or clip {name}, expected all that `srnet_jax/data/embedded.py` names")
    arrays = {"credit": np.array(CREDIT)}
    for key, poses in chosen.items():
        name = key.split("/")[2]
        middle = max(len(poses) - _LONGEST, 0) // 2
        begin, end = PARTS.get(name, (middle, middle + _LONGEST))
        if name not in LEFT_OUT:
            arrays[key] = _encoded(_on_floor(centred(poses[begin:end].astype(np.float64))))
    return arrays


def _on_floor(poses: np.ndarray) -> np.ndarray:
    """Move poses [T, 17, 3], metres, up or down until their floor is at 0."""
    feet = [H36M_17.joints.index(side + "Foot") for side in "LR"]
    lowest = poses[:, feet, 2].min(1)
    return poses - [0, 0, np.percentile(lowest, 1) - ANKLE_M]


def _encoded(poses: np.ndarray) -> np.ndarray:
    """Encode poses [T, 17, 3] in metres as int16 [T, 17, 3], in the file's form."""
    whole = np.rint(poses / _UNIT_M).astype(np.int64)
    others = np.arange(len(H36M_17.joints)) != ROOT
    whole[:, others] -= whole[:, ROOT : ROOT + 1]
    changes = np.diff(whole, axis=0, prepend=0)
    if np.abs(changes).max() > np.iinfo(np.int16).max:
        raise DataError("found a position or a step of more than 6.5 m, expected a clip around the origin")
    return changes.astype(np.int16)


def _decoded(changes: np.ndarray) -> np.ndarray:
    """Decode int16 [T, 17, 3] of the file to poses [T, 17, 3], metres."""
    whole = changes.cumsum(0, dtype=np.int64)
    others = np.arange(len(H36M_17.joints)) != ROOT
    whole[:, others] += whole[:, ROOT : ROOT + 1]
    return (whole * _UNIT_M).astype(np.float32)
