"""Apply the filters of lifted poses: smoothing, constant bone lengths, hinges that bend the right way, and a given size.

The filters are applied in this order:

1. Smoothing (`smoothing`): a filter without delay for files, the One Euro filter live.
2. Constant bones (`bones`): after smoothing, which shortens rotating bones. The lengths are measured before smoothing.
3. Hinges (`hinges`): straightens knees that bend the wrong way, and optionally elbows. Bones keep their lengths.
4. Size (`bones.size_factor`): scales the whole track by one factor to a given body height or leg length.

Live and in `filtered(..., causal=True)`, bone lengths and size are those of the frames so far.
"""

import dataclasses
import numbers

import numpy as np

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.pose import bones, hinges, smoothing
from srnet_jax.pose.skeleton import H36M_17


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which filters to apply. The defaults were chosen with `python -m launch.benchmark filters` (docs/motion_measured.md).

    Attributes:
      smooth: whether to smooth.
      cutoff_hz: for files: faster motion is removed.
      min_cutoff_hz: live: cutoff for joints at rest.
      beta: live: increase of the cutoff, Hz per metre a second.
      d_cutoff_hz: live: cutoff of the filter of the speed.
      constant_bones: whether each bone gets one length for the whole track.
      alike: whether the lengths are the same on both sides.
      knees: whether knees that bend the wrong way are straightened.
      elbows: whether elbows are too; off by default, because some people's elbows do bend a little backwards.
      stature_m: body height, metres; None keeps the size that the network gives.
      leg_m: length of thigh and shank together, metres; overrides `stature_m`.
    """

    smooth: bool = True
    cutoff_hz: float = smoothing.CUTOFF_HZ
    min_cutoff_hz: float = smoothing.MIN_CUTOFF_HZ
    beta: float = smoothing.BETA
    d_cutoff_hz: float = smoothing.D_CUTOFF_HZ
    constant_bones: bool = True
    alike: bool = True
    knees: bool = True
    elbows: bool = False
    stature_m: float | None = None
    leg_m: float | None = None

    def __post_init__(self) -> None:
        """Check that the numbers are in range.

        Raises:
          UserError: if one is not; the message names the field.
        """
        for name, low, high in (  # Hz, Hz, Hz a metre a second, Hz, metres, metres
            ("cutoff_hz", 0.01, 1e4),
            ("min_cutoff_hz", 0.01, 1e4),
            ("beta", 0, 1e4),
            ("d_cutoff_hz", 0.01, 1e4),
            ("stature_m", 0.4, 2.8),
            ("leg_m", 0.2, 1.5),
        ):
            value = getattr(self, name)
            if value is None and name in ("stature_m", "leg_m"):
                continue
            if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= float(value) <= high:
                raise UserError(f"{name}: found {one_line(repr(value), 100)}, expected {low:g} to {high:g}")

    @property
    def sized(self) -> bool:
        """Whether a body height or leg length is given."""
        return self.stature_m is not None or self.leg_m is not None


def filtered(
    poses: np.ndarray,
    confidences: np.ndarray | None,
    times: np.ndarray | float,
    settings: Settings,
    *,
    causal: bool = False,
) -> np.ndarray:
    """Apply the filters to a track.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, metres, in any right-handed frame; NaN in frames that are not lifted. Use
        poses relative to the hip: only smoothing and scaling move the hip.
      confidences: [T, 17], 0 to 1; more certain joints move less when bones get constant lengths. None for 1.
      times: [T] increasing seconds, or one number of frames per second.
      settings: which filters to apply.
      causal: whether each pose depends only on earlier frames, as with `LiveFilter`.

    Returns:
      [T, 17, 3] float32 joints, metres; frames that are not lifted are unchanged.

    Raises:
      UserError: if the frame rate is not positive.
      DataError: if an array has the wrong shape, or the times do not increase.
    """
    poses = np.asarray(poses)
    if poses.ndim != 3 or poses.shape[1:] != (H36M_17.num_joints, 3):
        raise DataError(f"poses: found shape {poses.shape}, expected (frames, 17, 3)")
    if confidences is not None and np.shape(confidences) != poses.shape[:2]:
        raise DataError(f"confidences: found shape {np.shape(confidences)}, expected {poses.shape[:2]}")
    at = smoothing.seconds(times, len(poses))
    if causal:
        return _causal(poses, confidences, at, settings)
    made = smoothing.smoothed(poses, at, settings.cutoff_hz) if settings.smooth else np.array(poses, np.float64)
    lengths = bones.bone_lengths(poses, alike=settings.alike)
    if np.isnan(lengths).any():
        return made.astype(np.float32)
    return _shaped(made, confidences, lengths, settings).astype(np.float32)


def _causal(poses: np.ndarray, confidences: np.ndarray | None, at: np.ndarray, settings: Settings) -> np.ndarray:
    live = LiveFilter(settings, fps=1.0)
    made = np.empty(poses.shape, np.float32)
    for index, dt in enumerate(np.diff(at, prepend=at[:1] - 1)):
        made[index] = live.push(poses[index], None if confidences is None else confidences[index], dt=float(dt))
    return made


def _shaped(poses: np.ndarray, confidences: np.ndarray | None, lengths: np.ndarray, settings: Settings) -> np.ndarray:
    """Apply all filters except smoothing to poses [T, 17, 3] whose bones have the median lengths [17]."""
    if settings.constant_bones:
        poses = bones.constant_bones(poses, lengths, confidences)
    if settings.knees or settings.elbows:
        poses = hinges.without_wrong_bends(poses, knees=settings.knees, elbows=settings.elbows)
    if settings.sized:
        poses = poses * bones.size_factor(lengths, stature_m=settings.stature_m, leg_m=settings.leg_m)
    return poses


class LiveFilter:
    """Apply the filters frame by frame; the results equal those of `filtered(..., causal=True)`.

    Each frame uses the median bone lengths of the frames so far, so that lengths and size settle over the first frames. They
    are kept over gaps: call `reset` for another person.
    """

    def __init__(self, settings: Settings, fps: float) -> None:
        """Begin before the first frame.

        Args:
          settings: which filters to apply.
          fps: frames per second, used if `push` gets no `dt`.

        Raises:
          UserError: if the frame rate is not positive.
        """
        self._settings = settings
        self._dt = float(np.diff(smoothing.seconds(fps, 2))[0])
        self.reset()

    def reset(self) -> None:
        """Forget the person; the next frame counts as the first."""
        chosen = self._settings
        self._euro = smoothing.OneEuro(chosen.min_cutoff_hz, chosen.beta, chosen.d_cutoff_hz)
        self._lengths = bones.RunningLengths(alike=chosen.alike)

    def push(self, pose: np.ndarray, confidences: np.ndarray | None = None, *, dt: float | None = None) -> np.ndarray:
        """Filter the next frame.

        Args:
          pose: [17, 3] joints as for `filtered`, metres; NaN if the frame is not lifted. A gap of more than `LONGEST_GAP_S`
            seconds restarts the smoothing; the bone lengths are kept.
          confidences: [17], 0 to 1; None for 1.
          dt: seconds since the previous frame; None for 1 / fps.

        Returns:
          [17, 3] float32 joints, metres; unchanged if the frame is not lifted.

        Raises:
          UserError: if dt is not positive.
          DataError: if a shape is wrong.
        """
        given = made = np.array(pose, np.float64)
        if made.shape != (H36M_17.num_joints, 3):
            raise DataError(f"pose: found shape {made.shape}, expected (17, 3)")
        if self._settings.smooth:
            made = self._euro(made, self._dt if dt is None else dt)
        if not np.isfinite(made).all():
            return made.astype(np.float32)
        sure = None if confidences is None else np.asarray(confidences)[None]
        shape = self._settings.constant_bones or self._settings.sized
        lengths = self._lengths(given) if shape else np.zeros(len(given))
        return _shaped(made[None], sure, lengths, self._settings)[0].astype(np.float32)
