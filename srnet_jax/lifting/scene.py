"""What pictures, films and pages show of a lifted person."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from srnet_jax.pose.skeleton import H36M_17

Images = Callable[[np.ndarray], Iterator[tuple[int, np.ndarray]]]  # see `footage.images`
SUFFIXES = (".html", ".gif", ".mp4", ".png")  # of pictures


@dataclasses.dataclass(frozen=True)
class Scene:
    """One person in 2D and in 3D.

    Attributes:
      keypoints_2d: [T, K, 2] pixels, in the joints of the detector.
      bones_2d: pairs of them that lines connect.
      sides_2d: left, right or center, of each such pair.
      names_2d: of the detector's joints.
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, camera frame, metres, relative to the hip.
      estimated: [T, 17] bool, joints that were not seen, drawn dashed.
      image_size: width and height of the image, pixels.
      fps: frames per second.
      title: of the page.
      first_frame: number of the video's frame that is the first here.
      every: how many frames of the video each is after the one before.
      times: [T] seconds in the video, if they are uneven.
      images: gives the number and the image, [H, W, 3] uint8 RGB, of the video's frames with increasing numbers; None draws
        the keypoints alone.
    """

    keypoints_2d: np.ndarray
    bones_2d: tuple[tuple[int, int], ...]
    sides_2d: tuple[str, ...]
    names_2d: tuple[str, ...]
    poses: np.ndarray
    estimated: np.ndarray
    image_size: tuple[int, int]
    fps: float
    title: str
    first_frame: int = 0
    every: int = 1
    times: np.ndarray | None = None
    images: Images | None = None

    @property
    def numbers(self) -> np.ndarray:
        """The numbers [T] of the video's frames."""
        return self.first_frame + self.every * np.arange(len(self.poses))

    @property
    def seconds(self) -> np.ndarray:
        """When the frames [T] are in the video."""
        return self.numbers / (self.fps * self.every) if self.times is None else self.times


def bones_3d() -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """Return the bones of `skeleton.H36M_17`, parent first, and the side of each."""
    joints = [joint for joint, parent in enumerate(H36M_17.parents) if parent >= 0]
    sides = dict.fromkeys(H36M_17.joints_left, "left") | dict.fromkeys(H36M_17.joints_right, "right")
    return tuple((H36M_17.parents[joint], joint) for joint in joints), tuple(sides.get(joint, "center") for joint in joints)


def thinned(scene: Scene, most: int) -> tuple[Scene, int]:
    """Return a scene of every n-th frame, at most `most` of them, and n."""
    step = -(-len(scene.poses) // most)
    keypoints, poses, estimated = (of[::step] for of in (scene.keypoints_2d, scene.poses, scene.estimated))
    thin = dataclasses.replace(scene, keypoints_2d=keypoints, poses=poses, estimated=estimated)
    times = None if scene.times is None else scene.times[::step]
    return dataclasses.replace(thin, fps=scene.fps / step, every=scene.every * step, times=times), step
