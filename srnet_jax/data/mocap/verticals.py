"""Which axis of a motion points up: along it heads are above hips, and hips above ankles, in most frames.

Names do not say it, so the poses do, over all files of one skeleton. Looked at alone, of 409 clips of CMU and HDM05 none was
wrong, and 21 were not sure: people lie on the floor or bend in them.

People who lie all the time look like people who stand along a sideways axis. So an axis that is not the usual one is sure only
if people walk across it.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from srnet_jax.data.mocap.plausibility import walks_along
from srnet_jax.data.mocap.skeleton_maps import UP_AXES, median
from srnet_jax.pose.skeleton import ROOT

_STANDING, _ALONG = 1.5, 0.5  # cosines with the vertical: of trunk and legs together, of one of them
_SOME = 0.1  # of the frames of the most frequent axis
_NEARLY_ALL = 0.9  # of a clip's frames; of 409 clips, none stands along another axis in more than 0.61
_HEAD, _ANKLES = 10, [3, 6]


@dataclasses.dataclass(frozen=True)
class Vertical:
    """What a clip tells of the vertical, for each of UP_AXES.

    Attributes:
      frames: how many the clip has.
      standing: [6] in how many of them somebody stands or sits along the axis.
      first: the axis of the first such frame, -1 if there is none.
      along: [6] median cosine of trunk and legs with the axis.
      either: [6] that of trunk or legs, whichever is higher.
      walks: the axis, such as -y, along which people stand while they walk across it; empty if they do not.
    """

    frames: int
    standing: np.ndarray
    first: int
    along: np.ndarray
    either: np.ndarray
    walks: str = ""


def look(poses: np.ndarray) -> Vertical:
    """Look for the vertical of poses [T, 17, 3], metres, in a file's axes: heads are above hips, and hips above ankles."""
    trunk, leg = (_directions(way) for way in (poses[:, _HEAD] - poses[:, ROOT], poses[:, ROOT] - poses[:, _ANKLES].mean(1)))
    along = trunk + leg  # [T, 6] cosines
    standing = along > _STANDING
    upright = standing.any(1)
    first = int(np.argmax(standing[np.argmax(upright)])) if upright.any() else -1
    either = np.maximum(median(trunk), median(leg))
    return Vertical(len(poses), standing.sum(0), first, median(along), either, walks_along(poses, turned=False))


def up_axis(clips: Sequence[Vertical], usual: str) -> tuple[str, bool]:
    """Return the axis that points up in all clips of one source, and whether that is sure.

    It is the one along which people stand or sit in most frames. Who lies on the floor stands along another axis then; if there
    are such frames, or none at all, the usual axis is taken where it is one of those, and otherwise that of the first such
    frame.
    """
    standing = np.sum([clip.standing for clip in clips], axis=0)  # [6]
    likely = standing > _SOME * standing.max()
    if likely.sum() == 1:
        axis = UP_AXES[int(np.argmax(standing))]
        return axis, axis == usual or any(clip.walks == axis for clip in clips)
    weights = [clip.frames for clip in clips]
    along, either = (
        np.average([getattr(clip, name) for clip in clips], axis=0, weights=weights) for name in ("along", "either")
    )
    if (likely if likely.any() else either > _ALONG)[UP_AXES.index(usual)]:
        return usual, False
    first = [clip.first for clip in clips if clip.first >= 0]
    return UP_AXES[first[0] if first else int(np.argmax(along))], False


def stands_along(clip: Vertical, up: str) -> str:
    """Return the axis along which people stand in nearly all frames of a clip, if it is another than `up`; empty otherwise."""
    axis = int(np.argmax(clip.standing))
    return UP_AXES[axis] if clip.standing[axis] > _NEARLY_ALL * clip.frames and UP_AXES[axis] != up else ""


def _directions(ways: np.ndarray) -> np.ndarray:
    """Return the cosines [T, 6] of ways [T, 3] with UP_AXES."""
    directions = ways / np.maximum(np.linalg.norm(ways, axis=-1, keepdims=True), 1e-9)
    return np.concatenate([directions, -directions], axis=1)
