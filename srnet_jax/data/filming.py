"""Virtual cameras that keep the people whom they film in the image.

Virtual cameras are placed around the origin, and each motion is put there. Whoever walks far would leave the image, or come
close to a camera. So each camera whose image a joint leaves by more than a twentieth of its width or height, or to which one
comes nearer than a metre, moves sideways and back until it sees the whole motion with a margin; it does not turn. Where it
would have to go back by more than its own distance, the motion is cut in halves, each of which is put at the origin and
filmed for itself; motions of fewer than 128 frames are not cut. The other cameras stay where they are.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from srnet_jax.data.dataset import Sequence, film
from srnet_jax.pose.cameras import Camera, misses, moved_to_see, world_to_camera
from srnet_jax.pose.skeleton import ROOT

_TOLERANCE = 0.05  # shares of the image: how far a joint may be outside before a camera moves,
_MARGIN = 0.05  # and how far inside all joints are afterwards
_NEAREST_M = 1.0
_SHORTEST = 64  # frames of a piece; shorter motions are not cut


@dataclasses.dataclass(frozen=True)
class Motion:
    """A recorded motion.

    Attributes:
      subject: who moves.
      action: what they do.
      trial: which recording of the action.
      poses: [T, J, 3] joints, world frame, metres.
      scene: see `dataset.Sequence`.
    """

    subject: str
    action: str
    trial: str
    poses: np.ndarray
    scene: str = ""

    @classmethod
    def named(cls, key: str, poses: np.ndarray, scene: str = "") -> "Motion":
        """Return the motion that a joint-position file holds under a key `<subject>/<action>/<clip>`."""
        subject, action, trial = key.split("/")
        return cls(subject, action, trial, poses, scene)


def centred(poses: np.ndarray) -> np.ndarray:
    """Return poses [T, J, 3], world frame, moved until the mean hip is above the origin."""
    return poses - [*poses[:, ROOT, :2].mean(0), 0]


def film_all(motions: Iterable[Motion], cameras: tuple[Camera, ...]) -> tuple[tuple[Sequence, ...], str]:
    """Film motions with cameras that keep them in the image.

    Args:
      motions: around the origin.
      cameras: around the origin, without distortion.

    Returns:
      A sequence for each motion, or piece of one, and each camera; and a line that says what the cameras would have missed.
    """
    sequences: list[Sequence] = []
    frames = missed = count = moved = cut = 0
    farthest = 0.0
    for motion in motions:
        count += 1
        frames += len(cameras) * len(motion.poses)
        outside = sum(int(_missed(motion.poses, camera).sum()) for camera in cameras)
        missed += outside
        pieces = list(_pieces(motion.poses, cameras)) if outside else [(motion.poses, cameras, 0.0)]
        cut += len(pieces) > 1
        moved += any(placed != cameras for _, placed, _ in pieces)
        for poses, placed, back in pieces:
            farthest = max(farthest, back)
            filmed = film(poses, placed, subject=motion.subject, action=motion.action, trial=motion.trial)
            sequences += (dataclasses.replace(one, scene=motion.scene) for one in filmed)
    if not missed:
        return tuple(sequences), f"virtual cameras: all {count:,} motions stay in the image"
    share = 100 * missed / frames
    return tuple(sequences), (
        f"virtual cameras: {share:.1f} % of the frames would be outside the image or nearer than {_NEAREST_M:g} m; cameras "
        f"were moved for {moved:,} of {count:,} motions, up to {farthest:.1f} m back, and {cut:,} were cut into pieces"
    )


def _missed(poses: np.ndarray, camera: Camera) -> np.ndarray:
    return misses(poses, camera, beyond=_TOLERANCE, nearest_m=_NEAREST_M)


def _pieces(poses: np.ndarray, cameras: tuple[Camera, ...]) -> Iterator[tuple[np.ndarray, tuple[Camera, ...], float]]:
    """Yield pieces of a motion [T, J, 3], the cameras that see each, and how far one of them went back, metres."""
    placed, farthest = [], 0.0
    for camera in cameras:
        if _missed(poses, camera).any():
            distance = float(world_to_camera(poses[:, ROOT], camera)[:, 2].mean())
            camera, back = moved_to_see(poses, camera, margin=_MARGIN, nearest_m=_NEAREST_M)
            if back > distance and len(poses) >= 2 * _SHORTEST:
                half = len(poses) // 2
                yield from _pieces(centred(poses[:half]), cameras)
                yield from _pieces(centred(poses[half:]), cameras)
                return
            farthest = max(farthest, back)
        placed.append(camera)
    yield poses, tuple(placed), farthest
