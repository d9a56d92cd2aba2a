"""Normalisation of the network's input and target, its inverse, and the mirror image that all share.

`basic` is VideoPose3D's: screen coordinates over half the image width, and 3D joints in metres relative to the root.
`centered` is for input from any camera: 2D relative to the root over its root mean square distance from there, frame by
frame, and the same 3D.
`turned` is for input from any camera whose focal length is known, if roughly: the same as a camera at the same place sees it
that is turned until the root lies on its optical axis, its x axis level with the camera's; the 3D is in the axes of that
camera. A network that sees 2D around the root cannot know the direction of the ray to the root; turned, it need not. The
root's own entry, which is zero elsewhere, is (0, log(10 s)) with the root mean square distance s at depth 1: how large the
person appears, and so how strong perspective is. It is (0, the same) in the mirror image.
The others show the network pixels, and depths relative to the root, as (pixels - origin) * scale_px and
(Z - Z_0) * scale_m; they differ in three numbers a frame and all use the TRUE depth Z_0 of the root, at test time too:

    name       2D input and target x, y               target z
    pixel      over half the image's width            pixels at the root's depth over half the image's width
    lcn        over W / 2, W = floor(2 cx)            (1 + fx / Z_0 in millimetres) metres
    proj       around the root, metres at its depth   metres
    weak_proj  the same, but the target's x, y are projected at the root's depth

`pixel` is that of the LCN repository (github.com/CHUNYUWANG/lcn-pose, `--data-type scale`), the last three are the
official code's (github.com/ailingzengzzz/Split-and-Recombine-Net). The target's pixels are those of a camera without
distortion; the input's are what was seen, so that the two agree exactly only for exact input without distortion.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from srnet_jax.pose.cameras import Camera, project
from srnet_jax.pose.skeleton import ROOT

IMAGE_NORMALIZATIONS = ("basic", "centered", "turned")  # of nothing but the image, and `turned` of the focal length
USUAL_FOCAL = 0.85  # focal length over the image's longer side, where it is not known
NORMALIZATIONS = (*IMAGE_NORMALIZATIONS, "pixel", "lcn", "proj", "weak_proj")
ROOTED_NORMALIZATIONS = ("centered", "turned", "proj", "weak_proj")  # of which the root among the keypoints is the middle
_SMALLEST_PX = 1e-3  # size of a person
_USUAL_SIZE = 0.1  # of a person at depth 1: root mean square distance of the joints from the root
_SMALLEST_DEPTH = 0.05  # of a ray to a joint, on the way to the root; a joint beside the turned camera is no input


class View(NamedTuple):
    """What the inverse of a normalisation needs to know of frames, as NumPy or JAX arrays.

    Attributes:
      root_px: [..., 1, 2] the root's pixel: that of the pose, without distortion; under `turned` that of the keypoints.
      root_depth: [..., 1, 1] the root's depth Z_0, metres.
      focal: [..., 1, 2] the camera's focal lengths, pixels.
      center: [..., 1, 2] its principal point, pixels.
      size: [..., 1, 2] width and height of its image, pixels.
    """

    root_px: Any
    root_depth: Any
    focal: Any
    center: Any
    size: Any

    @classmethod
    def of(cls, poses_3d: np.ndarray, camera: Camera) -> "View":
        """Return the view [T, 1, ...] that a camera has of poses.

        Args:
          poses_3d: [T, J, 3] absolute joints, camera frame, metres; the arrays have their dtype.
          camera: that sees them.
        """
        root = poses_3d[..., ROOT : ROOT + 1, :].astype(np.float64)
        fields = project(root, _undistorted(camera)), root[..., 2:], camera.focal, camera.center, (camera.width, camera.height)
        return cls(*(np.broadcast_to(x, (*root.shape[:-1], np.shape(x)[-1])).astype(poses_3d.dtype) for x in fields))

    @classmethod
    def seen(
        cls, inputs_2d: np.ndarray, focal: tuple[float, float], center: tuple[float, float], size: tuple[int, int]
    ) -> "View":
        """Return what keypoints alone tell, which is enough for IMAGE_NORMALIZATIONS; the root's depth is 0.

        Args:
          inputs_2d: [T, J, 2] keypoints, pixels.
          focal: focal lengths, pixels.
          center: principal point, pixels.
          size: width and height of the image, pixels.
        """
        root = inputs_2d[..., ROOT : ROOT + 1, :]
        made = []
        for field in (root, (0.0,), focal, center, size):  # live, `broadcast_to` would take a tenth of a frame's time
            array = np.empty((*root.shape[:-1], np.shape(field)[-1]), np.float32)
            array[...] = field
            made.append(array)
        return cls(*made)

    @classmethod
    def unknown(cls, *axes: int) -> "View":
        """Return zeros [*axes, 1, ...], which are enough for `basic` and `centered`."""
        return cls(*(np.zeros((*axes, 1, width), np.float32) for width in (2, 1, 2, 2, 2)))

    def map(self, function: Callable[..., Any], *others: "View") -> "View":
        """Apply a function to each field, and to the same field of other views."""
        return View(*map(function, self, *others))


def normalize_screen_coordinates(points_px: np.ndarray, *, width: Any, height: Any) -> np.ndarray:
    """Map pixels [..., 2] to [-1, 1] across the image's width, keeping its aspect ratio.

    Args:
      points_px: keypoints.
      width: of the image, pixels: a number, or an array that broadcasts with [...].
      height: of the image, the same.

    Source: supplement Sec. 1 ("Basic"); the official code.
    """
    width, height = np.asarray(width, np.float64), np.asarray(height, np.float64)
    scaled = points_px * 2 / width[..., None].astype(points_px.dtype) - np.stack([np.ones_like(width), height / width], -1)
    return scaled.astype(points_px.dtype)


def root_relative(poses: np.ndarray) -> np.ndarray:
    """Return poses [..., J, 2 or 3] minus their root joint, in the same frame and unit; the root becomes zero."""
    return poses - poses[..., ROOT : ROOT + 1, :]


def mirror(points, mirrored: Sequence[int]):
    """Mirror points [..., J, 2 or 3] left to right: negate x and exchange left and right joints.

    Args:
      points: NumPy or JAX array of normalised 2D points, perhaps with their confidences, or camera-frame 3D points.
      mirrored: for each joint, the joint that takes its place (`Skeleton.mirrored`).

    Returns:
      An array of the same type; applying the function twice gives the input back.
    """
    sign = np.array([-1, 1, 1][: points.shape[-1]], points.dtype)
    return points[..., np.asarray(mirrored), :] * sign.reshape((1,) * (points.ndim - 1) + (-1,))


def notes(name: str) -> tuple[str, ...]:
    """Return what a reader must know beside errors under a normalisation."""
    if name in IMAGE_NORMALIZATIONS:
        return ()
    depth = f"normalisation {name}: uses the TRUE depth of the root at test time"
    distorted = "weak_proj distorts predictions and ground truth alike, by each joint's depth over the root's"
    return (depth, distorted) if name == "weak_proj" else (depth,)


def principal_point(name: str, view: View):
    """Return where the optical axis meets the image in the inputs' coordinates [..., 1, 2]; inputs around the root need none.

    Args:
      name: a name of IMAGE_NORMALIZATIONS.
      view: of each frame.
    """
    if name in ("centered", "turned"):
        return view.center * 0
    width = view.size[..., :1]
    return view.center * 2 / width - view.size / width


def mirror_view(name: str, view: View) -> View:
    """Return the view of the mirror image (see `mirror`).

    `basic` and `pixel` mirror the image about its middle, the principal point with it. The others reflect the scene: the root's
    x becomes 2 cx - x, the principal point stays.

    Note:
      So does the official code for `lcn`, whose input and target are however mirrored about the middle of W =
      floor(2 cx) pixels. Where 2 cx is no whole number, the mirrored x in metres are therefore off by
      (W - 2 cx) / fx * (Z - Z_0), less than 1 mm a metre of depth; kept to match its numbers.
    """
    concat = view.center.__array_namespace__().concat
    cx = view.center[..., :1]
    mirrored_cx = view.size[..., :1] - cx if name in ("basic", "pixel") else cx
    return view._replace(
        root_px=concat([cx + mirrored_cx - view.root_px[..., :1], view.root_px[..., 1:]], axis=-1),
        center=concat([mirrored_cx, view.center[..., 1:]], axis=-1),
    )


def normalize(name: str, inputs_2d: np.ndarray, poses_3d: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Turn what a camera sees into the network's input and target.

    Args:
      name: a name of NORMALIZATIONS.
      inputs_2d: [T, J, 2] keypoints, pixels.
      poses_3d: [T, J, 3] absolute joints, camera frame, metres.
      camera: that sees them.

    Returns:
      Inputs [T, J, 2] and targets [T, J, 3], each of its argument's dtype; see the head of this file for their units.

    Source: supplement Sec. 1; the official code and the LCN repository.

    Note:
      Under `basic`, `centered` and `turned` the target's root is zero; the official code keeps its absolute position there
      under the first, and zeroes it later.
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
    if _SCALES[name] is _around_root:  # each around its own root, which the two see a little apart
        inputs, target = root_relative(inputs_2d) * scale_px, root_relative(pixels) * scale_px
    else:
        inputs, target = (inputs_2d - origin) * scale_px, (pixels - origin) * scale_px
    return inputs.astype(inputs_2d.dtype), np.concatenate([target, depth * scale_m], -1).astype(poses_3d.dtype)


def view_of(name: str, inputs_2d: np.ndarray, poses_3d: np.ndarray, camera: Camera) -> View:
    """Return what `to_metres` needs to know of frames: what keypoints tell where that is enough, or else what the poses do."""
    if name in IMAGE_NORMALIZATIONS:
        return View.seen(inputs_2d, camera.focal, camera.center, (camera.width, camera.height))
    return View.of(poses_3d, camera)


def normalize_image(name: str, inputs_2d: np.ndarray, view: View) -> np.ndarray:
    """Turn keypoints [..., J, 2], pixels, into the network's input under a normalisation that needs nothing but the image.

    Args:
      name: a name of IMAGE_NORMALIZATIONS.
      inputs_2d: keypoints.
      view: of each frame, from `View.seen`. `basic` reads the size, `centered` nothing, `turned` all but the size.
    """
    if name == "basic":
        return normalize_screen_coordinates(inputs_2d, width=view.size[..., 0], height=view.size[..., 1])
    if name == "turned":
        rays = (inputs_2d.astype(np.float64) - view.center) / view.focal
        rays = to_turned(np.concatenate([rays, np.ones_like(rays[..., :1])], -1), view.map(np.float64))
        inputs_2d = (rays[..., :2] / np.maximum(rays[..., 2:], _SMALLEST_DEPTH)).astype(inputs_2d.dtype)
    around = root_relative(inputs_2d)
    smallest = _SMALLEST_PX / view.focal.max() if name == "turned" else _SMALLEST_PX
    size = np.sqrt(np.square(around).sum(-1).mean(-1))[..., None, None]
    size = np.maximum(size, smallest).astype(around.dtype)
    normalized = around / size
    if name == "turned":
        normalized[..., ROOT, 1] = np.log(size[..., 0, 0] / _USUAL_SIZE)
    return normalized


def to_turned(points, view: View):
    """Turn points or rays [..., J, 3] from the camera's axes to those of `turned`, NumPy or JAX arrays."""
    return _along(points, _turned_axes(view))


def _along(points, axes):
    """Return points [..., J, 3] along axes [..., 3, 3]; a sum in JAX, because accelerators round the factors of a product."""
    if isinstance(points, np.ndarray):
        return points @ axes.mT
    return (points[..., None, :] * axes[..., None, :, :]).sum(-1)


def _turned_axes(view: View):
    """Return the axes of the camera turned to the root [..., 3, 3], as rows in the camera's own: right, down, forward."""
    ray = ((view.root_px - view.center) / view.focal)[..., 0, :]
    x, y = ray[..., 0], ray[..., 1]
    level = (1 + x * x) ** 0.5  # length of (x, 0, 1), to which the right is at right angles
    whole = (1 + x * x + y * y) ** 0.5
    both = level * whole
    right = (1 / level, x * 0, -x / level)
    down = (-x * y / both, level / whole, -y / both)
    forward = (x / whole, y / whole, 1 / whole)
    stack = view.root_px.__array_namespace__().stack
    return stack((*right, *down, *forward), axis=-1).reshape(*x.shape, 3, 3)


def to_metres(name: str, outputs, view: View):
    """Turn normalised predictions or targets back into root-relative joints.

    Pixels are projected back with each joint's own depth. Then the root is subtracted: the TRUE one under `pixel`, for
    the LCN repository compares absolute joints, given the true depth of the root; otherwise the predicted one, as in the
    official code, so that the root's own error is zero.

    Args:
      name: a name of NORMALIZATIONS; under `basic` and `centered` the outputs are returned unchanged, under `turned` they are
        turned back.
      outputs: [..., J, 3] NumPy or JAX array, as `normalize` gives the targets.
      view: with the same leading axes, from `view_of` (and `mirror_view`).

    Returns:
      [..., J, 3] root-relative joints, camera frame, metres.

    Note:
      For `weak_proj` this is NOT the inverse of the projection, which took the root's depth for all joints: what comes
      back, of predictions and targets alike, has x and y distorted to X * Z / Z_0 - X_0, by decimetres in an outstretched
      limb. So has the official code. Errors in these metres compare only with the official code's for `weak_proj`.

    Note:
      The LCN repository averages a prediction with that of the mirror image before this step; averaging metres
      instead differs in second order of the two predictions' difference.
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
    """Turn pixels [..., J, 2] and depths [..., J, 1], metres, into camera-frame points [..., J, 3], metres."""
    ray = (pixels - view.center) / view.focal
    return pixels.__array_namespace__().concat([ray * depth, depth], axis=-1)


def _over_image(view: View):
    width = view.size[..., :1]
    # The LCN repository's box of 2 m around the root is 2000 fx / Z_0mm + 1 pixels wide, which gives the pixels of a metre.
    metre_px = view.focal[..., :1] / view.root_depth + 0.5
    return view.size / 2, 2 / width, metre_px * 2 / width


def _over_twice_center(view: View):
    size = view.center.__array_namespace__().floor(2 * view.center)
    # The official code has + 1 where the LCN repository has + 1 / 2000, and so metres rather than pixels.
    return size / 2, 2 / size[..., :1], 1 + view.focal[..., :1] / (1000 * view.root_depth)


def _around_root(view: View):
    return view.root_px, view.root_depth / view.focal[..., :1], 1.0


# A view to the origin [..., 1, 2] in pixels, and the network's unit per pixel and per metre of depth.
_SCALES = {"pixel": _over_image, "lcn": _over_twice_center, "proj": _around_root, "weak_proj": _around_root}
