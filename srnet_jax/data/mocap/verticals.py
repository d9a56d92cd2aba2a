"""Find the axis of a motion that points up: along it, heads are above hips and hips above ankles in most frames.

Files do not declare this axis, so it is found from the poses in all files of one skeleton. When each of 409 clips of CMU and
HDM05 was examined alone, none was wrong, and 21 were uncertain because people lie on the floor or bend in them.

People who lie all the time look like people who stand along a horizontal axis. So an axis that is not the usual one is certain
only if people walk across it.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from srnet_jax.data.mocap.plausibility import walks_along
from srnet_jax.data.mocap.skeleton_maps import UP_AXES, directions, median
from srnet_jax.pose.skeleton import ROOT

_STANDING, _ALONG = 1.5, 0.5  # minimum cosines with the vertical: sum of trunk and legs, one of them
_SOME = 0.1  # fraction of the most frequent axis' frames, from which another axis is likely
_NEARLY_ALL = 0.9  # fraction of a clip's frames; in none of 409 clips do people stand along another axis in more than 0.61
_HEAD, _ANKLES = 10, [3, 6]


@dataclasses.dataclass(frozen=True)
class Vertical:
    """Evidence of a clip for each of the six UP_AXES to be the vertical.

    Attributes:
      frames: number of frames of the clip.
      standing: [6] number of frames in which the person stands or sits along the axis.
      first: index of the axis in the first such frame; -1 if there is none.
      along: [6] median of the sum of the cosines of trunk and legs with the axis.
      either: [6] median cosine of trunk or legs with the axis, the larger of the two.
      walks: the axis, such as -y, along which the person stands while walking across it; empty if there is none.
    """

    frames: int
    standing: np.ndarray
    first: int
    along: np.ndarray
    either: np.ndarray
    walks: str = ""


def measure(poses: np.ndarray) -> Vertical:
    """Measure along which axes a person stands, sits and walks.

    Args:
      poses: [T, 17, 3] joints, the file's axes, metres.
    """
    trunk, leg = map(_cosines, (poses[:, _HEAD] - poses[:, ROOT], poses[:, ROOT] - poses[:, _ANKLES].mean(1)))
    along = trunk + leg  # [T, 6] cosines
    standing = along > _STANDING
    upright = standing.any(1)
    first = int(np.argmax(standing[np.argmax(upright)])) if upright.any() else -1
    either = np.maximum(median(trunk), median(leg))
    return Vertical(len(poses), standing.sum(0), first, median(along), either, walks_along(poses, turned=False))


def up_axis(clips: Sequence[Vertical], usual: str) -> tuple[str, bool]:
    """Return the axis that points up in all clips of one source, and whether it is certain.

    The axis is the one along which people stand or sit in most frames. A person who lies on the floor seems to stand along
    another axis. If several axes are likely for this reason, or none is, the usual axis is returned if it is likely; otherwise
    that of the first frame in which a person stands or sits.

    Args:
      clips: evidence of each clip.
      usual: the axis that most sources use.
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
    """Return the axis along which people stand in nearly all frames of a clip, if it is not `up`; empty otherwise."""
    axis = int(np.argmax(clip.standing))
    return UP_AXES[axis] if clip.standing[axis] > _NEARLY_ALL * clip.frames and UP_AXES[axis] != up else ""


def _cosines(vectors: np.ndarray) -> np.ndarray:
    """Return the cosines [T, 6] of vectors [T, 3] with UP_AXES."""
    units = directions(vectors)
    return np.concatenate([units, -units], axis=1)
