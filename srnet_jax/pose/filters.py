"""Filters of lifted poses, in the order in which they are applied.

1. Smoothing (`smoothing`): without delay for files, the One Euro filter live.
2. Constant bones (`bones`): smoothing shortens bones that turn, so this comes after it. The lengths are those before it.
3. Hinges (`hinges`): no knee bends the wrong way, nor an elbow if asked for. The bones keep their lengths.
4. Size (`bones.size_factor`): one factor for the track, so that the person has the stature, or the legs, that were given.

Live, and in `filtered(..., causal=True)`, lengths and size are those of the frames so far.
"""

import dataclasses
import numbers

import numpy as np

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.pose import bones, hinges, smoothing
from srnet_jax.pose.skeleton import H36M_17


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is done to poses; the defaults were chosen by `python -m launch.benchmark filters`, see docs/motion.md.

    Attributes:
      smooth: whether to smooth.
      cutoff_hz: of files: motion faster than this goes.
      min_cutoff_hz: live: the same, of joints at rest.
      beta: live: Hz by which the cutoff rises with each metre a second.
      d_cutoff_hz: live: of the speed.
      constant_bones: whether each bone gets one length for the whole track.
      alike: whether the lengths are the same on both sides.
      knees: whether knees that bend the wrong way become straight.
      elbows: the same of elbows; not by default, because some people's true elbows do bend a little backwards.
      stature_m: body height, metres; None leaves the size to the network.
      leg_m: length of thigh and shank together, metres; comes before the stature.
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
        """Check the numbers.

        Raises:
          UserError: names the field, what was found and what was expected.
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
        """Whether a size is given."""
        return self.stature_m is not None or self.leg_m is not None


def filtered(
    poses: np.ndarray,
    confidences: np.ndarray | None,
    times: np.ndarray | float,
    settings: Settings,
    *,
    causal: bool = False,
) -> np.ndarray:
    """Apply the filters to a track; see the head of this module.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, metres, any right-handed frame; NaN in frames that are not lifted. The
        hip keeps its place but for the smoothing and the size, so filter poses that are relative to it.
      confidences: [T, 17], 0 to 1, of the joints; those that are sure move less for the bones' sake. None for 1.
      times: [T] seconds, increasing, or frames per second.
      settings: what to apply.
      causal: whether each pose may depend only on those before it, as those of `LiveFilter` do.

    Returns:
      [T, 17, 3] float32 poses; frames that are not lifted stay as they are.

    Raises:
      UserError: for a frame rate that is not positive.
      DataError: for arrays of wrong shapes, or times that do not increase.
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
    """Apply all filters but smoothing to poses [T, 17, 3] whose bones have median lengths [17]."""
    if settings.constant_bones:
        poses = bones.constant_bones(poses, lengths, confidences)
    if settings.knees or settings.elbows:
        poses = hinges.bent_forwards(poses, knees=settings.knees, elbows=settings.elbows)
    if settings.sized:
        poses = poses * bones.size_factor(lengths, stature_m=settings.stature_m, leg_m=settings.leg_m)
    return poses


class LiveFilter:
    """Apply the filters frame by frame; the poses are those of `filtered(..., causal=True)`.

    Bones and size settle over the first frames, and each frame uses the median of those so far. They stay over a gap: call
    `reset` for another person.
    """

    def __init__(self, settings: Settings, fps: float) -> None:
        """Begin before the first frame.

        Args:
          settings: what to apply.
          fps: frames per second, where `push` is not told otherwise.

        Raises:
          UserError: if the frame rate is not positive.
        """
        self._settings = settings
        self._dt = float(np.diff(smoothing.seconds(fps, 2))[0])
        self.reset()

    def reset(self) -> None:
        """Forget the person: the next frame is the first."""
        chosen = self._settings
        self._euro = smoothing.OneEuro(chosen.min_cutoff_hz, chosen.beta, chosen.d_cutoff_hz)
        self._lengths = bones.RunningLengths(alike=chosen.alike)

    def push(self, pose: np.ndarray, confidences: np.ndarray | None = None, *, dt: float | None = None) -> np.ndarray:
        """Filter the next frame.

        Args:
          pose: [17, 3] metres, as of `filtered`; with a NaN the frame is not lifted. A gap of more than LONGEST_GAP_S seconds
            restarts the smoothing; the lengths of the bones stay known.
          confidences: [17], 0 to 1; None for 1.
          dt: seconds since the frame before; None for 1 / fps.

        Returns:
          [17, 3] float32 pose; one that is not lifted is returned as it is.

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
