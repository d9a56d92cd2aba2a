"""Pinhole cameras: convert points between world, camera and screen coordinates.

The *world* frame is right-handed with z up. In the *camera* frame, x points to the right of the image, y down and z forward, so
that depth is positive in front of the camera. Both are in metres. The *screen* frame is in pixels, with the origin in the upper
left corner. All functions use NumPy and keep the input's float dtype.
"""

import dataclasses
import functools
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Attributes:
      name: shown in messages and tables.
      orientation: unit quaternion (w, x, y, z) of the rotation from camera to world axes.
      translation: position of the camera in the world, metres.
      focal: focal lengths (fx, fy), pixels.
      center: principal point (cx, cy), pixels.
      width: image width, pixels.
      height: image height, pixels.
      radial: radial distortion (k1, k2, k3), zeros for none.
      tangential: tangential distortion (p1, p2), zeros for none.
    """

    name: str
    orientation: tuple[float, float, float, float]
    translation: tuple[float, float, float]
    focal: tuple[float, float]
    center: tuple[float, float]
    width: int
    height: int
    radial: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)

    @property
    def rotation(self) -> np.ndarray:
        """Rotation matrix [3, 3] from camera to world axes, float64, read-only."""
        return _to_matrix(self.orientation)


@functools.lru_cache(1000)
def _to_matrix(quaternion: tuple[float, float, float, float]) -> np.ndarray:
    """Return the rotation matrix [3, 3] of a quaternion (w, x, y, z); SciPy gives the same but takes a second to import."""
    w, x, y, z = quaternion
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not norm:
        raise ValueError("a quaternion of zeros, expected a rotation")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    matrix = np.array(
        [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
    )
    matrix.setflags(write=False)
    return matrix


def _to_quaternion(matrix: np.ndarray) -> tuple[float, float, float, float]:
    """Return the unit quaternion (w, x, y, z), w not negative, of a rotation matrix [3, 3].

    Source: Shepperd, Quaternion from Rotation Matrix, 1978: the largest component first, which is accurate for every angle.
    """
    m = matrix.tolist()
    trace = m[0][0] + m[1][1] + m[2][2]
    i = int(np.argmax([m[0][0], m[1][1], m[2][2], trace]))
    if i == 3:
        w, vector = 1 + trace, [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]]
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        w, vector = m[k][j] - m[j][k], [0.0, 0.0, 0.0]
        vector[i], vector[j], vector[k] = 1 - trace + 2 * m[i][i], m[j][i] + m[i][j], m[k][i] + m[i][k]
    x, y, z = vector
    norm = math.copysign(math.sqrt(x * x + y * y + z * z + w * w), w)
    return w / norm, x / norm, y / norm, z / norm


def world_to_camera(points_world: np.ndarray, camera: Camera) -> np.ndarray:
    """Transform points from the world frame to the camera frame.

    Args:
      points_world: [..., 3] points, world frame, metres.
      camera: defines the camera frame.

    Returns:
      [..., 3] points, camera frame, metres, in the input's dtype.

    Example:
      A camera at (0, -4, 1) looks along y; a point 1 m above the origin is 4 m in front of it.

      >>> import numpy as np
      >>> from srnet_jax.pose.cameras import Camera, look_at, world_to_camera
      >>> orientation = look_at((0.0, -4.0, 1.0), (0.0, 0.0, 1.0))
      >>> camera = Camera("front", orientation, (0.0, -4.0, 1.0), (1100.0, 1100.0), (500.0, 500.0), 1000, 1000)
      >>> world_to_camera(np.array([0.0, 0.0, 1.0]), camera).round(6).tolist()
      [0.0, 0.0, 4.0]
    """
    moved = (points_world - np.asarray(camera.translation)) @ camera.rotation  # rows times R = R^T times columns
    return moved.astype(points_world.dtype)


def camera_to_world(points_cam: np.ndarray, camera: Camera) -> np.ndarray:
    """Transform points from the camera frame to the world frame.

    Args:
      points_cam: [..., 3] points, camera frame, metres.
      camera: defines the camera frame.

    Returns:
      [..., 3] points, world frame, metres, in the input's dtype.

    Example:
      A camera at (0, -4, 1) looks along y; a point 4 m in front of it is 1 m above the origin.

      >>> import numpy as np
      >>> from srnet_jax.pose.cameras import Camera, camera_to_world, look_at
      >>> orientation = look_at((0.0, -4.0, 1.0), (0.0, 0.0, 1.0))
      >>> camera = Camera("front", orientation, (0.0, -4.0, 1.0), (1100.0, 1100.0), (500.0, 500.0), 1000, 1000)
      >>> camera_to_world(np.array([0.0, 0.0, 4.0]), camera).round(6).tolist()
      [0.0, 0.0, 1.0]
    """
    moved = points_cam @ camera.rotation.T + np.asarray(camera.translation)
    return moved.astype(points_cam.dtype)


def project(points_cam: np.ndarray, camera: Camera) -> np.ndarray:
    """Project points from the camera frame onto the image.

    If the camera has distortion, the ray (X, Y) / Z is first clipped to [-1, 1], as in the Human3.6M files of VideoPose3D,
    because the distortion polynomial is not valid beyond. Without distortion, the projection is exact everywhere.

    Args:
      points_cam: [..., 3] points, camera frame, metres.
      camera: the camera that sees them.

    Returns:
      [..., 2] pixels, in the input's dtype.

    Source: the official code (Brown's model with three radial and two tangential terms).
    """
    points = points_cam.astype(np.float64)
    ray = points[..., :2] / points[..., 2:]
    if any((*camera.radial, *camera.tangential)):
        ray = _distorted(np.clip(ray, -1, 1), camera)
    return (ray * np.asarray(camera.focal) + np.asarray(camera.center)).astype(points_cam.dtype)


def _distorted(ray: np.ndarray, camera: Camera) -> np.ndarray:
    """Return where the camera's lens puts rays (X, Y) / Z [..., 2]."""
    squared = np.sum(ray**2, -1, keepdims=True)
    k1, k2, k3 = camera.radial
    tangential = np.asarray(camera.tangential)
    radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
    skew = np.sum(ray * tangential, -1, keepdims=True)
    return ray * (radial + skew) + tangential * squared


def look_at(position: tuple[float, float, float], target: tuple[float, float, float]) -> tuple[float, float, float, float]:
    """Return the orientation of a level camera that looks at a point.

    Args:
      position: of the camera, world frame, metres.
      target: the point in the middle of the image, world frame, metres; not vertically above or below the camera.

    Returns:
      Unit quaternion (w, x, y, z) of the rotation from camera to world axes.
    """
    forward = np.subtract(target, position).astype(np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    return _to_quaternion(np.stack([right, down, forward], axis=1))


def rolled(camera: Camera, angle: float) -> Camera:
    """Return the camera rotated about its optical axis by an angle in radians, from its x axis towards its y axis."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_quat(camera.orientation, scalar_first=True) * Rotation.from_rotvec([0.0, 0.0, angle])
    return dataclasses.replace(camera, orientation=tuple(rotation.as_quat(canonical=True, scalar_first=True).tolist()))


def out_of_view(points_world: np.ndarray, camera: Camera, *, beyond: float, nearest_m: float) -> np.ndarray:
    """Return which poses a camera does not see completely: a joint is too near, or too far outside the image.

    Args:
      points_world: [T, J, 3] joints, world frame, metres.
      camera: without distortion.
      beyond: fraction of the image's width and height by which a joint may be outside; negative for a margin inside.
      nearest_m: smallest depth of a joint, metres.

    Returns:
      [T] bool.
    """
    points = world_to_camera(points_world, camera)
    near = points[..., 2] < nearest_m
    size, center = np.array([camera.width, camera.height]), np.asarray(camera.center)
    with np.errstate(divide="ignore", invalid="ignore"):  # at depth zero, which counts as too near
        pixels = points[..., :2] / points[..., 2:] * np.asarray(camera.focal) + center
    outside = (pixels < -beyond * size) | (pixels > (1 + beyond) * size)
    return (near | outside.any(-1)).any(-1)


def moved_until_visible(points_world: np.ndarray, camera: Camera, *, margin: float, nearest_m: float) -> tuple[Camera, float]:
    """Move a camera sideways and back, without turning it, until it sees all points.

    The camera goes back no farther than needed and never comes nearer. It sees people from the same direction as before.

    Args:
      points_world: [..., 3] points, world frame, metres.
      camera: a level camera without distortion, with its principal point inside the image.
      margin: fraction of the image's width and height that stays free at each border, below 0.5.
      nearest_m: smallest depth of a point, metres.

    Returns:
      The moved camera, and the distance by which it went back along its optical axis, metres.
    """
    x, y, z = world_to_camera(points_world.reshape(-1, 3).astype(np.float64), camera).T
    low, high = (
        (np.array([camera.width, camera.height]) * share - camera.center) / camera.focal for share in (margin, 1 - margin)
    )  # bounds of x / z and y / z
    # After a move by `aside` and `back`, low * (z + back) <= x - aside <= high * (z + back) for each point.
    most, least = float((x - high[0] * z).max()), float((x - low[0] * z).min())
    back = max(
        (most - least) / float(high[0] - low[0]),
        float((y / high[1] - z).max()),
        float((y / low[1] - z).max()),
        nearest_m - float(z.min()),
        0.0,
    )
    aside = ((most - high[0] * back) + (least - low[0] * back)) / 2
    position = np.asarray(camera.translation) + camera.rotation @ [aside, 0, -back]
    return dataclasses.replace(camera, translation=tuple(position.tolist())), back


def virtual_cameras(
    *,
    number: int,
    distance_m: float,
    height_m: float,
    focal_px: float,
    width_px: int,
    height_px: int,
    target_height_m: float = 0.9,
    distance_spread: float = 0.1,
    height_spread_m: float = 0.0,
    seed: int = 0,
) -> tuple[Camera, ...]:
    """Place level cameras around the world's origin, all looking at one point above it.

    Azimuths are evenly spaced from 45 degrees and then shifted by up to 15 degrees each: in a real capture room, no camera is
    exactly in its corner.

    Args:
      number: how many cameras.
      distance_m: horizontal distance from the origin, metres.
      height_m: height of the cameras above the floor, metres.
      focal_px: focal length, pixels.
      width_px: image width, pixels.
      height_px: image height, pixels.
      target_height_m: height of the point that they look at, metres.
      distance_spread: largest relative difference of a camera's distance from `distance_m`.
      height_spread_m: largest difference of a camera's height from `height_m`, metres; no camera is below the floor.
      seed: random seed of these displacements.

    Returns:
      The cameras, named camera0, camera1, ...
    """
    rng = np.random.default_rng([seed, number])
    azimuths = np.pi / 4 + 2 * np.pi * np.arange(number) / number + np.radians(rng.uniform(-15, 15, number))
    distances = distance_m * rng.uniform(1 - distance_spread, 1 + distance_spread, number)
    heights = np.maximum(height_m + height_spread_m * rng.uniform(-1, 1, number), 0)
    cameras = []
    for index, (azimuth, distance, height) in enumerate(zip(azimuths, distances, heights, strict=True)):
        position = (float(distance * np.cos(azimuth)), float(distance * np.sin(azimuth)), float(height))
        cameras.append(
            Camera(
                name=f"camera{index}",
                orientation=look_at(position, (0.0, 0.0, target_height_m)),
                translation=position,
                focal=(focal_px, focal_px),
                center=(width_px / 2, height_px / 2),
                width=width_px,
                height=height_px,
            )
        )
    return tuple(cameras)
