"""Project recorded motions into virtual cameras, and move the cameras so that people stay in the image.

Virtual cameras are placed around the origin, and each motion is centred there. A person who walks far would leave the image or
come close to a camera. A camera moves if a joint leaves its image by more than 5 % of the width or height, or comes nearer to
it than 1 m. It moves sideways and back, without turning, until it sees the whole motion with a margin. If it would have to move
back by more than its distance from the person, the motion is cut into two halves, each of which is centred at the origin and
filmed separately; motions of fewer than 128 frames are not cut. The other cameras stay in place.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from srnet_jax.data.dataset import Sequence, film
from srnet_jax.pose.cameras import Camera, moved_until_visible, out_of_view, world_to_camera
from srnet_jax.pose.skeleton import ROOT

_TOLERANCE = 0.05  # fraction of the image by which a joint may be outside before the camera moves
_MARGIN = 0.05  # fraction of the image by which all joints are inside after it moved
_NEAREST_M = 1.0  # distance of a joint below which the camera moves
_SHORTEST = 64  # frames of a piece; shorter motions are not cut


@dataclasses.dataclass(frozen=True)
class Motion:
    """A recorded motion, not yet seen by a camera.

    Attributes:
      subject: name of the person.
      action: name of the action.
      trial: which recording of the action this is.
      poses: [T, J, 3] joints, world frame, metres.
      scene: place of the recording, for data whose results are reported by scene.
    """

    subject: str
    action: str
    trial: str
    poses: np.ndarray
    scene: str = ""

    @classmethod
    def named(cls, key: str, poses: np.ndarray, scene: str = "") -> "Motion":
        """Return a motion whose names are the parts of a joint-position file's key, `<subject>/<action>/<clip>`."""
        subject, action, trial = key.split("/")
        return cls(subject, action, trial, poses, scene)


def centred(poses: np.ndarray) -> np.ndarray:
    """Move poses [T, J, 3], world frame, metres, horizontally until the mean hip is above the origin."""
    return poses - [*poses[:, ROOT, :2].mean(0), 0]


def film_all(motions: Iterable[Motion], cameras: tuple[Camera, ...]) -> tuple[tuple[Sequence, ...], str]:
    """Project motions into virtual cameras, and move the cameras where a person would leave the image.

    Args:
      motions: centred at the origin.
      cameras: placed around the origin, without distortion.

    Returns:
      A sequence for each camera and each motion, or piece of a motion that was cut; and one line on how many frames the
      cameras would have missed and how far they were moved.
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
    return out_of_view(poses, camera, beyond=_TOLERANCE, nearest_m=_NEAREST_M)


def _pieces(poses: np.ndarray, cameras: tuple[Camera, ...]) -> Iterator[tuple[np.ndarray, tuple[Camera, ...], float]]:
    """Yield the pieces of a motion [T, J, 3], the cameras that see each, and the farthest that one moved back, metres."""
    placed, farthest = [], 0.0
    for camera in cameras:
        if _missed(poses, camera).any():
            distance = float(world_to_camera(poses[:, ROOT], camera)[:, 2].mean())
            camera, back = moved_until_visible(poses, camera, margin=_MARGIN, nearest_m=_NEAREST_M)
            if back > distance and len(poses) >= 2 * _SHORTEST:
                half = len(poses) // 2
                yield from _pieces(centred(poses[:half]), cameras)
                yield from _pieces(centred(poses[half:]), cameras)
                return
            farthest = max(farthest, back)
        placed.append(camera)
    yield poses, tuple(placed), farthest
