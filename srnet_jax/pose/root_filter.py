"""Estimate the path of the hip live, frame by frame: the counterpart of `root_path` without later frames.

The translation of each frame is estimated as in `root_path`, starting from its prediction. The logarithm of the depth and the
ray to the hip are then filtered separately, by Kalman filters with a randomly changing speed. Outlying frames have little
weight.
"""

import math

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.pose.root_path import MIN_JOINTS, NEAREST_M, POINT, root_by_frame
from srnet_jax.pose.whittaker import LONGEST_GAP_S

# Standard error of a frame, and random change of the speed per second; chosen with launch.benchmark motion.
_DEPTH, _DEPTH_CHANGE = 0.03, 0.1  # of the logarithm
_RAY, _RAY_CHANGE = 0.006, 0.5
_STEPS = 2  # of reweighting, if there is a prediction
_FITS_M = 0.08  # a joint with this error has a quarter of the weight
_ODD, _MAX_ODD = 3.0, 10.0  # a frame has less weight from this many standard errors on, at most by this factor


class RootFilter:
    """Estimate one person's hip from one frame at a time.

    After a gap of more than `LONGEST_GAP_S` seconds, the next frame counts as the first.
    """

    def __init__(self, focal_px: float, center: tuple[float, float]) -> None:
        """Begin before the first frame.

        Args:
          focal_px: focal length, pixels.
          center: principal point, pixels.
        """
        self._focal_px, self._center = focal_px, center
        self._columns = np.array(center, np.float64)[:, None]
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the next frame counts as the first."""
        self._time = -math.inf
        self._parts: list[_Speeding] = []

    def push(self, pose: np.ndarray, keypoints: np.ndarray, confidences: np.ndarray, time: float) -> np.ndarray:
        """Estimate the hip in the next frame.

        Args:
          pose: [17, 3] joints relative to the hip, along the camera's axes, metres; NaN if the frame is not lifted.
          keypoints: [17, 2] pixels; NaN where not known.
          confidences: [17], 0 to 1; 0 for a joint that is not used.
          time: seconds, later than the previous frame's.

        Returns:
          [3] float64 hip in the camera frame, metres; NaN if the frame does not determine it.

        Raises:
          DataError: if the time is not later than the previous frame's.
        """
        passed = time - self._time
        if not passed > 0:
            raise DataError(f"time: found {time:g} s after {self._time:g} s, expected times that increase")
        if passed > LONGEST_GAP_S:
            self.reset()
        found = self._found(pose, keypoints, confidences, passed)
        if not found[2] > NEAREST_M:
            return np.full(3, np.nan)
        x, y, depth = found
        seen = math.log(depth), x / depth, y / depth
        self._time = time
        if not self._parts:
            self._parts = [_Speeding(seen[0], _DEPTH, _DEPTH_CHANGE), *(_Speeding(v, _RAY, _RAY_CHANGE) for v in seen[1:])]
        else:
            for part, value in zip(self._parts, seen, strict=True):
                part.update(value, passed)
        distance = math.exp(self._parts[0].value)
        return np.array([self._parts[1].value * distance, self._parts[2].value * distance, distance])

    def _found(self, pose: np.ndarray, keypoints: np.ndarray, confidences: np.ndarray, passed: float) -> list[float]:
        """Return the translation that makes the pose project onto the keypoints; NaN if it is not determined."""
        if not self._parts:
            return root_by_frame(pose[None], keypoints[None], confidences[None], self._focal_px, self._center)[0].tolist()
        u, v = (keypoints.T.astype(np.float64) - self._columns) / self._focal_px
        x, y, z = pose.T.astype(np.float64)
        seen = u + v
        known = seen - seen == 0  # finite
        weights = np.where(known, confidences, 0)
        if np.count_nonzero(weights > 0) < MIN_JOINTS or not math.isfinite(float(z.sum())):
            return [math.nan] * 3
        if not known.all():
            u, v = np.where(known, u, 0), np.where(known, v, 0)
        right, down = u * z - x, v * z - y  # t_x - u * t_z and t_y - v * t_z, as in `root_path.solve_translations`
        sums = np.stack([np.ones_like(u), u, v, u * u + v * v, right, down, u * right + v * down])
        logarithm, ray_x, ray_y = (part.value + part.rate * passed for part in self._parts)
        far = math.exp(logarithm)
        found = [ray_x * far, ray_y * far, far]
        for _ in range(_STEPS):
            off_x, off_y = found[0] - u * found[2] - right, found[1] - v * found[2] - down
            fits = (1 + (off_x * off_x + off_y * off_y) / _FITS_M**2) * np.maximum(z + found[2], NEAREST_M)
            total, *others = (sums @ (weights / (fits * fits))).tolist()
            mean_u, mean_v, square, mean_x, mean_y, product = (value / total for value in others)
            spread = square - mean_u * mean_u - mean_v * mean_v
            if not spread > POINT:
                return [math.nan] * 3
            far = (mean_u * mean_x + mean_v * mean_y - product) / spread
            found = [mean_x + mean_u * far, mean_y + mean_v * far, far]
        return found


class _Speeding:
    """A Kalman filter of a number and its speed: the number is measured with errors, the speed changes at random."""

    def __init__(self, value: float, error: float, change: float) -> None:
        self.value, self.rate = value, 0.0
        self._error, self._change = error * error, change * change
        self._covariance = (self._error, 0.0, self._change)

    def update(self, measured: float, passed: float) -> None:
        """Predict the state after `passed` seconds and correct it by a measurement."""
        own, both, speed = self._covariance
        self.value += self.rate * passed
        own += passed * (2 * both + passed * speed) + self._change * passed**3 / 3
        both += passed * speed + self._change * passed**2 / 2
        speed += self._change * passed
        off = measured - self.value
        error = self._error * min(max(off * off / (_ODD * _ODD * (own + self._error)), 1.0), _MAX_ODD)
        gain, rising = own / (own + error), both / (own + error)
        self.value += gain * off
        self.rate += rising * off
        self._covariance = (own * (1 - gain), both * (1 - gain), speed - rising * both)
