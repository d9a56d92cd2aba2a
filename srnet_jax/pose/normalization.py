"""Normalise the network's 2D input and 3D target, undo the normalisation, and mirror poses left to right.

Networks see normalised keypoints and predict normalised joints. `config.model.normalization` names one of seven ways. `basic`
and `centered` need only the image, `turned` also the focal length; the others use the TRUE depth of the root.

`basic` is VideoPose3D's: 2D screen coordinates divided by half the image width; 3D joints in metres, relative to the root.

`centered` works for input from any camera. Each frame's 2D joints are relative to the root and divided by their root mean
square distance from it. The 3D joints are those of `basic`.

`turned` works for input from any camera whose focal length is known, at least roughly. The input is what `centered` gives for a
virtual camera at the same place, rotated so that the root is on its optical axis and its x axis stays level with the camera's.
The 3D joints are along the axes of the virtual camera. A network that sees 2D around the root cannot know the direction of
the ray to the root; in `turned` it does not need to. The root's own 2D entry, which is otherwise zero, holds (0, log(10 s)),
where s is the root mean square distance at depth 1. It is the person's apparent size, and so the strength of the perspective.
In the mirror image it is the same.

The other normalisations use pixels and depths relative to the root: (pixels - origin) * scale_px and (Z - Z_0) * scale_m. They
differ in three numbers for each frame, and use the true depth Z_0 of the root, at test time too:

    name       2D input, and x and y of the target      z of the target
    pixel      pixels over half the image's width       pixels at the root's depth over half the image's width
    lcn        pixels over W / 2, W = floor(2 cx)       metres times (1 + fx / Z_0), with Z_0 in millimetres
    proj       around the root, metres at its depth     metres
    weak_proj  as proj, but the target's x and y are projected at the root's depth

`pixel` is the normalisation of the LCN repository (github.com/CHUNYUWANG/lcn-pose, `--data-type scale`); the last three are
those of the official code (github.com/ailingzengzzz/Split-and-Recombine-Net). The target's pixels are those of a camera without
distortion; the input's pixels are the detected ones. The two agree exactly only for exact input without distortion.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from srnet_jax.pose.cameras import Camera, project
from srnet_jax.pose.skeleton import ROOT

IMAGE_NORMALIZATIONS = ("basic", "centered", "turned")  # need only the image, and `turned` the focal length
USUAL_FOCAL = 0.85  # assumed focal length over the image's longer side, if it is not known
NORMALIZATIONS = (*IMAGE_NORMALIZATIONS, "pixel", "lcn", "proj", "weak_proj")
ROOTED_NORMALIZATIONS = ("centered", "turned", "proj", "weak_proj")  # centre the keypoints on the root
_MIN_SIZE_PX = 1e-3  # of a person, to avoid a division by zero
_USUAL_SIZE = 0.1  # of a person at depth 1: root mean square distance of the joints from the root
_MIN_DEPTH = 0.05  # of a joint's ray along the ray to the root; bounds joints beside or behind the virtual camera


class View(NamedTuple):
    """The camera data of frames that the inverse of a normalisation needs, as NumPy or JAX arrays.

    Attributes:
      root_px: [..., 1, 2] pixel of the root: the projected 3D root, without distortion. For `turned`, the root's keypoint.
      root_depth: [..., 1, 1] depth Z_0 of the root, metres.
      focal: [..., 1, 2] focal lengths of the camera, pixels.
      center: [..., 1, 2] principal point of the camera, pixels.
      size: [..., 1, 2] width and height of the image, pixels.
    """

    root_px: Any
    root_depth: Any
    focal: Any
    center: Any
    size: Any

    @classmethod
    def of(cls, poses_3d: np.ndarray, camera: Camera) -> "View":
        """Return the view of each of T poses, with arrays [T, 1, ...].

        Args:
          poses_3d: [T, J, 3] absolute joints, camera frame, metres. The arrays get their dtype.
          camera: the camera that sees the poses.
        """
        root = poses_3d[..., ROOT : ROOT + 1, :].astype(np.float64)
        fields = project(root, _undistorted(camera)), root[..., 2:], camera.focal, camera.center, (camera.width, camera.height)
        return cls(*(np.broadcast_to(x, (*root.shape[:-1], np.shape(x)[-1])).astype(poses_3d.dtype) for x in fields))

    @classmethod
    def seen(
        cls, inputs_2d: np.ndarray, focal: tuple[float, float], center: tuple[float, float], size: tuple[int, int]
    ) -> "View":
        """Return the view of keypoints without 3D poses, which suffices for `IMAGE_NORMALIZATIONS`; the root's depth is 0.

        Args:
          inputs_2d: [T, J, 2] keypoints, pixels.
          focal: focal lengths, pixels.
          center: principal point, pixels.
          size: width and height of the image, pixels.
        """
        root = inputs_2d[..., ROOT : ROOT + 1, :]
        made = []
        for field in (root, (0.0,), focal, center, size):  # `broadcast_to` would take a tenth of a frame's time in live use
            array = np.empty((*root.shape[:-1], np.shape(field)[-1]), np.float32)
            array[...] = field
            made.append(array)
        return cls(*made)

    @classmethod
    def unknown(cls, *axes: int) -> "View":
        """Return a view of zeros [*axes, 1, ...], which suffices for `basic` and `centered`."""
        return cls(*(np.zeros((*axes, 1, width), np.float32) for width in (2, 1, 2, 2, 2)))

    def map(self, function: Callable[..., Any], *others: "View") -> "View":
        """Apply a function to each field, together with the same field of other views."""
        return View(*map(function, self, *others))


def normalize_screen_coordinates(points_px: np.ndarray, *, width: Any, height: Any) -> np.ndarray:
    """Map pixels [..., 2] to [-1, 1] across the image's width, keeping its aspect ratio.

    Args:
      points_px: [..., 2] keypoints, pixels.
      width: width of the image, pixels: a number, or an array that broadcasts with [...].
      height: height of the image, pixels, likewise.

    Returns:
      [..., 2] screen coordinates in the input's dtype, without a unit.

    Source: supplement Sec. 1 ("Basic"); the official code.

    Example:
      >>> import numpy as np
      >>> from srnet_jax.pose.normalization import normalize_screen_coordinates
      >>> normalize_screen_coordinates(np.array([[0.0, 0.0], [1000.0, 500.0]]), width=1000, height=500)
      array([[-1. , -0.5],
             [ 1. ,  0.5]])
    """
    width, height = np.asarray(width, np.float64), np.asarray(height, np.float64)
    scaled = points_px * 2 / width[..., None].astype(points_px.dtype) - np.stack([np.ones_like(width), height / width], -1)
    return scaled.astype(points_px.dtype)


def root_relative(poses: np.ndarray) -> np.ndarray:
    """Subtract the root joint from poses [..., J, 2 or 3]; frame and unit stay, and the root becomes zero."""
    return poses - poses[..., ROOT : ROOT + 1, :]


def mirror(points, mirrored: Sequence[int]):
    """Mirror points [..., J, 2 or 3] left to right: negate x and exchange left and right joints.

    Args:
      points: NumPy or JAX array of normalised 2D points, with or without confidences, or of 3D points in the camera frame.
      mirrored: for each joint, the joint that takes its place (`Skeleton.mirrored`).

    Returns:
      An array of the same type. Applying the function twice returns the input.
    """
    sign = np.array([-1, 1, 1][: points.shape[-1]], points.dtype)
    return points[..., np.asarray(mirrored), :] * sign.reshape((1,) * (points.ndim - 1) + (-1,))


def notes(name: str) -> tuple[str, ...]:
    """Return the remarks that must accompany errors measured with a normalisation."""
    if name in IMAGE_NORMALIZATIONS:
        return ()
    depth = f"normalisation {name}: uses the TRUE depth of the root at test time"
    distorted = "weak_proj distorts predictions and ground truth alike, by each joint's depth over the root's"
    return (depth, distorted) if name == "weak_proj" else (depth,)


def principal_point(name: str, view: View):
    """Return the principal point in the coordinates of the normalised input; zero for inputs centred on the root.

    Args:
      name: a name of `IMAGE_NORMALIZATIONS`.
      view: the view of each frame.

    Returns:
      [..., 1, 2] without a unit.
    """
    if name in ("centered", "turned"):
        return view.center * 0
    width = view.size[..., :1]
    return view.center * 2 / width - view.size / width


def mirror_view(name: str, view: View) -> View:
    """Return the view of the mirror image (see `mirror`).

    `basic` and `pixel` mirror the image about its middle, and the principal point with it. The other normalisations reflect the
    scene: the root's x becomes 2 cx - x, and the principal point stays.

    Note:
      The official code does the same for `lcn`, although it mirrors input and target about the middle of W = floor(2 cx)
      pixels. If 2 cx is not a whole number, the mirrored x in metres is therefore off by (W - 2 cx) / fx * (Z - Z_0), which is
      less than 1 mm for each metre of depth. This is kept to match the official numbers.
    """
    concat = view.center.__array_namespace__().concat
    cx = view.center[..., :1]
    mirrored_cx = view.size[..., :1] - cx if name in ("basic", "pixel") else cx
    return view._replace(
        root_px=concat([cx + mirrored_cx - view.root_px[..., :1], view.root_px[..., 1:]], axis=-1),
        center=concat([mirrored_cx, view.center[..., 1:]], axis=-1),
    )


def normalize(name: str, inputs_2d: np.ndarray, poses_3d: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Normalise keypoints and poses into the network's input and target.

    Args:
      name: a name of `NORMALIZATIONS`.
      inputs_2d: [T, J, 2] keypoints, pixels.
      poses_3d: [T, J, 3] absolute joints, camera frame, metres.
      camera: the camera that sees them.

    Returns:
      Inputs [T, J, 2] and targets [T, J, 3], each in its argument's dtype and in the units that this module's docstring gives.

    Source: supplement Sec. 1; the official code and the LCN repository.

    Note:
      For `basic`, `centered` and `turned` the target's root is zero. For `basic`, the official code keeps the root's absolute
      position there and zeroes it later.
    """
    if name in IMAGE_NORMALIZATIONS:
        view = view_of(name, inputs_2d, poses_3d, camera)
        target = root_relative(poses_3d)
        return normalize_image(name, inputs_2d, view), to_turned(target, view) if name == "turned" else target
    origin, scale_px, scale_m = _SCALES[name](View.of(poses_3d, camera).map(np.float64))
    poses = poses_3d.astype(np.float64)
    depth = poses[..., 2:] - poses[..., ROOT : ROOT + 1, 2:]
    if name == "weak_proj":
        poses[..., 2] -= depth[..., 0]
    pixels = project(poses, _undistorted(camera))
    if _SCALES[name] is _around_root:  # input and target each around its own root, which differ a little
        inputs, target = root_relative(inputs_2d) * scale_px, root_relative(pixels) * scale_px
    else:
        inputs, target = (inputs_2d - origin) * scale_px, (pixels - origin) * scale_px
    return inputs.astype(inputs_2d.dtype), np.concatenate([target, depth * scale_m], -1).astype(poses_3d.dtype)


def view_of(name: str, inputs_2d: np.ndarray, poses_3d: np.ndarray, camera: Camera) -> View:
    """Return the view that `to_metres` needs, made from the keypoints if they suffice and else from the poses."""
    if name in IMAGE_NORMALIZATIONS:
        return View.seen(inputs_2d, camera.focal, camera.center, (camera.width, camera.height))
    return View.of(poses_3d, camera)


def normalize_image(name: str, inputs_2d: np.ndarray, view: View) -> np.ndarray:
    """Normalise keypoints into the network's input, for a normalisation that needs no 3D poses.

    Args:
      name: a name of `IMAGE_NORMALIZATIONS`.
      inputs_2d: [..., J, 2] keypoints, pixels.
      view: the view of each frame, from `View.seen`. `basic` reads the size, `centered` nothing, `turned` all but the size.

    Returns:
      [..., J, 2] in the input's dtype, without a unit.
    """
    if name == "basic":
        return normalize_screen_coordinates(inputs_2d, width=view.size[..., 0], height=view.size[..., 1])
    if name == "turned":
        rays = (inputs_2d.astype(np.float64) - view.center) / view.focal
        rays = to_turned(np.concatenate([rays, np.ones_like(rays[..., :1])], -1), view.map(np.float64))
        inputs_2d = (rays[..., :2] / np.maximum(rays[..., 2:], _MIN_DEPTH)).astype(inputs_2d.dtype)
    around = root_relative(inputs_2d)
    smallest = _MIN_SIZE_PX / view.focal.max() if name == "turned" else _MIN_SIZE_PX
    size = np.sqrt(np.square(around).sum(-1).mean(-1))[..., None, None]
    size = np.maximum(size, smallest).astype(around.dtype)
    normalized = around / size
    if name == "turned":
        normalized[..., ROOT, 1] = np.log(size[..., 0, 0] / _USUAL_SIZE)
    return normalized


def to_turned(points, view: View):
    """Rotate points or rays [..., J, 3], NumPy or JAX arrays, from the camera's axes to those of `turned`."""
    return _along(points, _turned_axes(view))


def _along(points, axes):
    """Return the coordinates of points [..., J, 3] along axes [..., 3, 3].

    JAX arrays are multiplied and summed, because accelerators round the factors of a matrix product.
    """
    if isinstance(points, np.ndarray):
        return points @ axes.mT
    return (points[..., None, :] * axes[..., None, :, :]).sum(-1)


def _turned_axes(view: View):
    """Return the axes [..., 3, 3] of the camera that `turned` aims at the root: rows right, down, forward, camera frame."""
    ray = ((view.root_px - view.center) / view.focal)[..., 0, :]
    x, y = ray[..., 0], ray[..., 1]
    level = (1 + x * x) ** 0.5  # length of (x, 0, 1), which is perpendicular to `right`
    whole = (1 + x * x + y * y) ** 0.5
    both = level * whole
    right = (1 / level, x * 0, -x / level)
    down = (-x * y / both, level / whole, -y / both)
    forward = (x / whole, y / whole, 1 / whole)
    stack = view.root_px.__array_namespace__().stack
    return stack((*right, *down, *forward), axis=-1).reshape(*x.shape, 3, 3)


def to_metres(name: str, outputs, view: View):
    """Convert normalised predictions or targets to root-relative joints in metres.

    `basic` and `centered` return the outputs unchanged; `turned` rotates them back. The others project pixels back with each
    joint's own depth, and then subtract the root. For `pixel` this is the TRUE root, because the LCN repository compares
    absolute joints, given the true depth of the root. Otherwise it is the predicted root, as in the official code, so that the
    root's own error is zero.

    Args:
      name: a name of `NORMALIZATIONS`.
      outputs: [..., J, 3] NumPy or JAX array, normalised as the targets of `normalize`.
      view: the view of each frame with the same leading axes, from `view_of` (and `mirror_view`).

    Returns:
      [..., J, 3] root-relative joints, camera frame, metres.

    Note:
      For `weak_proj` this is NOT the inverse of the projection, which used the root's depth for all joints. The x and y of
      predictions and targets come back distorted, as X * Z / Z_0 - X_0, by decimetres in an outstretched limb. The official
      code does the same. Such errors can only be compared with the official code's errors for `weak_proj`.

    Note:
      The LCN repository averages a prediction with that of the mirror image before this step. Averaging metres instead
      differs from it in second order of the difference between the two predictions.
    """
    if name == "turned":
        return _along(outputs, _turned_axes(view).mT)
    if name in IMAGE_NORMALIZATIONS:
        return outputs
    origin, scale_px, scale_m = _SCALES[name](view)
    poses = _back_project(outputs[..., :2] / scale_px + origin, outputs[..., 2:] / scale_m + view.root_depth, view)
    if name == "pixel":
        return poses - _back_project(view.root_px, view.root_depth, view)
    return poses - poses[..., ROOT : ROOT + 1, :]


def _undistorted(camera: Camera) -> Camera:
    return dataclasses.replace(camera, radial=(0.0, 0.0, 0.0), tangential=(0.0, 0.0))


def _back_project(pixels, depth, view: View):
    """Project pixels [..., J, 2] with depths [..., J, 1], metres, back to points [..., J, 3], camera frame, metres."""
    ray = (pixels - view.center) / view.focal
    return pixels.__array_namespace__().concat([ray * depth, depth], axis=-1)


def _over_image(view: View):
    width = view.size[..., :1]
    # In the LCN repository, a box of 2 m around the root is 2000 fx / Z_0 + 1 pixels wide (Z_0 in mm): twice one metre.
    metre_px = view.focal[..., :1] / view.root_depth + 0.5
    return view.size / 2, 2 / width, metre_px * 2 / width


def _over_twice_center(view: View):
    size = view.center.__array_namespace__().floor(2 * view.center)
    # The official code adds 1 where the LCN repository adds 1 / 2000, and so has metres instead of pixels.
    return size / 2, 2 / size[..., :1], 1 + view.focal[..., :1] / (1000 * view.root_depth)


def _around_root(view: View):
    return view.root_px, view.root_depth / view.focal[..., :1], 1.0


# Functions of a view. They return the origin [..., 1, 2] in pixels, and the normalised units per pixel and per metre of depth.
_SCALES = {"pixel": _over_image, "lcn": _over_twice_center, "proj": _around_root, "weak_proj": _around_root}
