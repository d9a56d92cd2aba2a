"""The motion of one person, from which all motion files are written: joints with z up, and flags about their place."""

import dataclasses

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.pose.complete import LONGEST_GAP_S
from srnet_jax.pose.frames import interpolated

_UNEVEN = 0.05  # share of a frame's time
_MOST_FRAMES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Motion:
    """One person's motion.

    Attributes:
      name: of the person.
      points: [T, 17, 3] float64 joints of `skeleton.H36M_17`, x right, y away from the camera, z up, metres; NaN in frames
        without a pose.
      frames: [T] int, number of each frame in the video.
      seconds: [T] float64, time of each frame in the video.
      fps: frames per second.
      level: whether z is vertical; otherwise z is the camera's up.
      moves: whether the hip follows its path; otherwise it is at the origin in every frame.
      floor: whether z is 0 on the floor.
    """

    name: str
    points: np.ndarray
    frames: np.ndarray
    seconds: np.ndarray
    fps: float
    level: bool
    moves: bool
    floor: bool

    @property
    def known(self) -> np.ndarray:
        """[T] bool, whether each frame has a pose."""
        return np.isfinite(self.points).all((1, 2))

    @property
    def y_up(self) -> np.ndarray:
        """[T, 17, 3] float64 joints with x right, y up, z towards the camera, metres."""
        return self.points[..., [0, 2, 1]] * [1, 1, -1]

    @property
    def even(self) -> "Motion":
        """The motion interpolated to even times, `fps` frames a second, for formats without times of frames.

        Frames are numbered from the first frame's number. A pause of more than LONGEST_GAP_S seconds has no pose.

        Raises:
          UserError: if the result would have more than 1,000,000 frames.
        """
        times = self.seconds - self.seconds[0]
        if len(times) < 2 or np.abs(np.diff(times) * self.fps - 1).max() <= _UNEVEN:
            return self
        if times[-1] * self.fps > _MOST_FRAMES:
            raise UserError(
                f"{self.name}: found {times[-1]:,.0f} s at {self.fps:g} frames per s, expected at most {_MOST_FRAMES:,} frames"
            )
        grid = np.arange(int(times[-1] * self.fps + 1.5)) / self.fps
        places = np.interp(grid, times, np.arange(len(times)))
        points = interpolated(self.points, places)
        before = np.minimum(places.astype(int), len(times) - 2)
        points[(np.diff(times) > LONGEST_GAP_S)[before] & (places % 1 > 0)] = np.nan
        frames = self.frames[0] + np.arange(len(grid))
        return dataclasses.replace(self, points=points, frames=frames, seconds=self.seconds[0] + grid)

    @property
    def held(self) -> "Motion":
        """The motion in which a frame without a pose has the last pose before it, or else the first pose."""
        known = np.flatnonzero(self.known)
        nearest = known[np.maximum(np.searchsorted(known, np.arange(len(self.points)), side="right") - 1, 0)]
        return dataclasses.replace(self, points=self.points[nearest])
