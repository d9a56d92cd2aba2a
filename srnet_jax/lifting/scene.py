"""The scene that pictures, films and web pages show: one person's 2D keypoints and 3D poses."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from srnet_jax.pose.skeleton import H36M_17

Images = Callable[[np.ndarray], Iterator[tuple[int, np.ndarray]]]  # see `keypoints.footage.images`
SUFFIXES = (".html", ".gif", ".mp4", ".png")  # of pictures


@dataclasses.dataclass(frozen=True)
class Scene:
    """One person in 2D and in 3D.

    Attributes:
      keypoints_2d: [T, K, 2] keypoints of the detector, pixels; NaN where not seen.
      bones_2d: pairs of keypoints that are connected by a line.
      sides_2d: "left", "right" or "center" for each pair.
      names_2d: of the K keypoints.
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, camera frame, metres, relative to the hip.
      estimated: [T, 17] bool, joints that were not seen; their bones are dashed.
      image_size: width and height of the image, pixels.
      fps: frames per second.
      title: of the web page.
      first_frame: number, in the video, of the first frame.
      every: step, in frames of the video, from each frame to the next.
      times: [T] float64 times in the video, seconds; None if they are even.
      images: function that yields the number and the image, [H, W, 3] uint8 RGB, of the frames with the given increasing
        numbers; None to draw the keypoints alone.
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
        """The number [T] of each frame in the video."""
        return self.first_frame + self.every * np.arange(len(self.poses))

    @property
    def seconds(self) -> np.ndarray:
        """The time [T] of each frame in the video, seconds."""
        return self.numbers / (self.fps * self.every) if self.times is None else self.times


def bones_3d() -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """Return the bones of `skeleton.H36M_17`, as (parent, joint), and the side of each: "left", "right" or "center"."""
    joints = [joint for joint, parent in enumerate(H36M_17.parents) if parent >= 0]
    sides = dict.fromkeys(H36M_17.joints_left, "left") | dict.fromkeys(H36M_17.joints_right, "right")
    return tuple((H36M_17.parents[joint], joint) for joint in joints), tuple(sides.get(joint, "center") for joint in joints)


def thinned(scene: Scene, most: int) -> tuple[Scene, int]:
    """Keep every n-th frame of a scene, so that at most `most` are left; return the scene and n."""
    step = -(-len(scene.poses) // most)
    keypoints, poses, estimated = (of[::step] for of in (scene.keypoints_2d, scene.poses, scene.estimated))
    thin = dataclasses.replace(scene, keypoints_2d=keypoints, poses=poses, estimated=estimated)
    times = None if scene.times is None else scene.times[::step]
    return dataclasses.replace(thin, fps=scene.fps / step, every=scene.every * step, times=times), step
