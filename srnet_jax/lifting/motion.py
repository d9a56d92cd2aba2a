"""Turn lifted poses into a motion: filter them, find the path of the hip, the direction of up, and the floor."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from srnet_jax.errors import UserError, one_line
from srnet_jax.lifting.arguments import pinhole
from srnet_jax.lifting.result import USUAL_FPS, Result
from srnet_jax.pose.complete import Source
from srnet_jax.pose.filters import Settings, filtered
from srnet_jax.pose.footlock import FEET, footlock
from srnet_jax.pose.ground import direction, ground
from srnet_jax.pose.root_path import root_path, with_gaps_filled, with_median_bones
from srnet_jax.pose.skeleton import H36M_17

FILTERS = ("smooth", "bones", "knees", "elbows")
USUAL_FILTERS = ("smooth", "bones", "knees")
LEVEL = (0.0, -1.0, 0.0)  # up of a camera that is level


@dataclasses.dataclass(frozen=True)
class MotionSettings:
    """How poses are filtered and placed in the world.

    Attributes:
      filters: of the poses, see `pose.filters`; None for no filters.
      up: direction of up in the camera frame (x right, y down, z away); None to estimate it.
      lock_feet: whether the hip's path is corrected so that standing feet slide less.
    """

    filters: Settings | None = dataclasses.field(default_factory=Settings)
    up: tuple[float, float, float] | None = None
    lock_feet: bool = False


USUAL = MotionSettings()


def settings_of(
    filters: str | Sequence[str] | Settings | None = USUAL_FILTERS,
    *,
    stature_m: float | None = None,
    leg_m: float | None = None,
    up: str | Sequence[float] = "estimate",
    lock_feet: bool = False,
) -> MotionSettings:
    """Return settings from a user's arguments.

    Args:
      filters: names from FILTERS, or `pose.filters.Settings` with all parameters; None, "none" or () for no filter.
      stature_m: body height, metres.
      leg_m: length of thigh and shank together, metres; instead of the stature.
      up: "estimate", "camera" for a level camera, or the direction of up in the camera frame: three numbers, which text
        separates by commas.
      lock_feet: see `MotionSettings`.

    Raises:
      UserError: names the argument, what was found and what was expected.
    """
    if stature_m is not None and leg_m is not None:
        raise UserError("stature_m, leg_m: found both, expected one of them")
    if isinstance(filters, Settings):
        if stature_m is not None or leg_m is not None:
            filters = dataclasses.replace(filters, stature_m=stature_m, leg_m=leg_m)
        return MotionSettings(filters, _up(up), lock_feet)
    names = _names(filters)
    chosen = Settings(
        smooth="smooth" in names,
        constant_bones="bones" in names,
        knees="knees" in names,
        elbows="elbows" in names,
        stature_m=stature_m,
        leg_m=leg_m,
    )
    return MotionSettings(chosen, _up(up), lock_feet)


def _names(filters: str | Sequence[str] | None) -> list[str]:
    """Return the names of filters, none for "none"."""
    expected = f"expected some of {', '.join(FILTERS)}, or none"
    if not (filters is None or isinstance(filters, str | list | tuple)):
        raise UserError(f"filters: found {one_line(repr(filters), 100)}, {expected}, or pose.filters.Settings")
    names = filters.split(",") if isinstance(filters, str) else list(filters or [])
    if "none" in names and len(names) > 1:
        raise UserError("filters: found none beside others, expected it alone")
    if unknown := [name for name in names if name not in (*FILTERS, "none")]:
        raise UserError(f"filters: found {one_line(unknown[0], 50)}, {expected}")
    return names


def _up(up: str | Sequence[float]) -> tuple[float, float, float] | None:
    """Return the direction of up, or None to estimate it."""
    if isinstance(up, str) and up in ("estimate", "camera"):
        return LEVEL if up == "camera" else None
    try:
        x, y, z = map(float, up.split(",") if isinstance(up, str) else up)
        direction(np.array([x, y, z]))
    except (TypeError, ValueError, UserError):
        raise UserError(f"up: found {one_line(up, 50)}, expected estimate, camera, or a direction as 0,-1,0") from None
    return x, y, z


def finished(result: Result, points: np.ndarray, settings: MotionSettings) -> Result:
    """Filter the poses of a person, and estimate the person's place in the room.

    Args:
      result: the lifted poses, with an image size.
      points: [T, 17, 2] keypoints that the poses were lifted from, pixels; NaN in frames that are not lifted.
      settings: of the filters, up and the feet.

    Returns:
      The result with filtered poses, `root` and `up`. It also has `ground`, if a visible foot stands or up is given.
    """
    assert result.image_size is not None
    seconds = result.seconds
    times = result.frames / USUAL_FPS if seconds is None else np.asarray(seconds, np.float64)
    times = times - times[0]
    poses = result.poses_3d
    if settings.filters is not None:
        poses = filtered(poses, result.confidences, times, settings.filters)
    focal, center = pinhole(result.image_size, result.focal_px)
    bones = with_median_bones(poses)
    path = with_gaps_filled(root_path(bones, points, result.confidences, focal, center, times), poses, times)
    seen = result.sources == Source.SEEN
    if settings.lock_feet:
        path = footlock(path, bones, times, seen)
    joints = bones + path[:, None]
    found = ground(joints, times, None if settings.up is None else np.array(settings.up), seen)
    if settings.up is not None and _upside_down(joints, found.up):
        warnings.warn(
            f"{result.name}: up points from the head to the feet in most frames; up is 0,-1,0 for a level camera", stacklevel=3
        )
    known = found.stands > 0 or (settings.up is not None and seen[:, FEET].any())
    return dataclasses.replace(
        result,
        poses_3d=poses,
        root=path,
        up=found.up,
        up_error_deg=found.error_deg,
        ground=-found.height if known and np.isfinite(found.height) else None,
    )


def _upside_down(joints: np.ndarray, up: np.ndarray) -> bool:
    """Return whether the thorax is below the feet in most frames of the joints [T, 17, 3]."""
    along = (joints[:, H36M_17.joints.index("Thorax")] - joints[:, FEET].mean(1)) @ up
    known = np.isfinite(along)
    return bool(known.any() and np.median(along[known]) < 0)


def in_one_world(results: list[Result], clips: list[str]) -> list[Result]:
    """Place all people of a video in one world: with the same up, floor and origin.

    Up and the floor are those of the person with the smallest error of up, among those with a floor if there are any. The
    origin is the first known position of a hip.

    Args:
      results: from `finished`.
      clips: for each result, the name of its video.

    Returns:
      The results, in order, with the common `up`, `up_error_deg`, `ground` and `origin`.
    """
    made = list(results)
    for clip in dict.fromkeys(clips):
        own = [index for index, name in enumerate(clips) if name == clip]
        best = min((results[index] for index in own), key=lambda one: (one.ground is None, one.up_error_deg or 0))
        hips = [root[np.isfinite(root).all(-1)] for root in (results[index].root for index in own) if root is not None]
        first = next((places[0] for places in hips if len(places)), None)
        for index in own:
            made[index] = dataclasses.replace(
                results[index], up=best.up, up_error_deg=best.up_error_deg, ground=best.ground, origin=first
            )
    return made
