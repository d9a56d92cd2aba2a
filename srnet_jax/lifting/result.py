"""One person in 3D, and the files that it is written to."""

import dataclasses
import importlib.util
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.io.files import plain
from srnet_jax.lifting.formats import c3d, npz, table, trc
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.pose import angles, ground
from srnet_jax.pose.complete import Source
from srnet_jax.pose.skeleton import H36M_17

SUFFIXES = (".npz", ".trc", ".csv", ".c3d", ".bvh")  # of files of joints
ANGLE_SUFFIXES = (".csv", ".mot")
USUAL_FPS = 30.0  # of a video that does not say, for pictures and files that need a rate
FRAME = "camera: x right, y down, z away from the camera; relative to the hip"
_IMAGE_UP = np.array([0.0, -1, 0])


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Result:
    """One person's motion, lifted from keypoints.

    Attributes:
      name: of the person, fit for a file name.
      poses_3d: [T, 17, 3] float32 joints of `joints`, camera frame (x right, y down, z away from the camera), metres, relative
        to the hip; NaN in frames that are not lifted.
      confidences: [T, 17] float32, 0 to 1, of the keypoints that each joint was lifted from; 0 where it was not seen, so that
        it is an estimate.
      sources: [T, 17] uint8, where each joint comes from, see `Source`.
      keypoints_2d: [T, K, 2] pixels, as detected, in the joints of the detector; NaN where it did not see them.
      detected: [T] bool, whether the person was found in a frame.
      layout: name of the layout of the keypoints.
      image_size: width and height of the image, pixels; None if not known.
      fps: frames per second here, None if not known.
      model: what the network is called.
      times: [T] seconds of each frame, if they are known not to be even, else None.
      first_frame: number of the video's frame that is the first here.
      every: how many frames of the video a frame is after the one before.
      origin: [3] hip in the camera frame, metres, below which the world's x and y are 0; None for the first of this person.
      focal_px: the camera's focal length as it was given, pixels; None if it was not.
      root: [T, 3] float64 path of the hip, camera frame, metres; None if it was not estimated, NaN in frames without it.
      up: [3] float64 unit vector that points up, camera frame; None if not known.
      up_error_deg: standard error of it, degrees; 0 if it was given.
      ground: height of the floor, metres: each of its points p has p . up = ground; below 0 if it is below the camera. None if
        not known.
      errors_m: [T, 17] expected error of each joint, metres; None if not estimated.
      joints: names of the 17 joints, in order.
      parents: index of each joint's parent, -1 for the hip.
      unit: of `poses_3d` and `root`.
      axes: of `poses_3d`.
    """

    name: str
    poses_3d: np.ndarray
    confidences: np.ndarray
    sources: np.ndarray
    keypoints_2d: np.ndarray
    detected: np.ndarray
    layout: str
    image_size: tuple[int, int] | None
    fps: float | None
    model: str
    times: np.ndarray | None = None
    first_frame: int = 0
    every: int = 1
    focal_px: float | None = None
    root: np.ndarray | None = None
    up: np.ndarray | None = None
    up_error_deg: float | None = None
    ground: float | None = None
    errors_m: np.ndarray | None = None
    origin: np.ndarray | None = None

    joints: ClassVar[tuple[str, ...]] = H36M_17.joints
    parents: ClassVar[tuple[int, ...]] = H36M_17.parents
    unit: ClassVar[str] = "metre"
    axes: ClassVar[str] = FRAME

    def __post_init__(self) -> None:
        """Refuse, with a ValueError, parts that do not fit: a world from them would be wrong without a sign of it."""
        shapes = {"root": (len(self.poses_3d), 3), "up": (3,), "errors_m": self.poses_3d.shape[:2]}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ValueError(f"{name}: found shape {np.shape(value)}, expected {shape}")
        if self.up is not None and not abs(np.linalg.norm(self.up) - 1) < 1e-6:
            raise ValueError(f"up: found a length of {np.linalg.norm(self.up):.6g}, expected 1")

    def __repr__(self) -> str:
        """Return a few lines for people."""
        lifted = self.sources != Source.NOT_LIFTED
        of = [f"{(self.sources == s).sum() / max(lifted.sum(), 1):.0%} {s.name.lower()}" for s in list(Source)[1:]]
        gaps = int((~lifted.all(1)).sum())
        known = {"hip's path": self.root, "up": self.up, "ground": self.ground, "errors": self.errors_m}
        there, not_there = (", ".join(n for n, v in known.items() if (v is None) is no) or "none" for no in (False, True))
        rate = f"{len(self.frames) / self.fps:.1f} s at {self.fps:g} fps" if self.fps else "fps not known"
        return (
            f"Result({self.name!r}: {len(self.frames):,} frames from {self.first_frame:,}, {rate}, network {self.model})\n"
            f"  joints: {len(self.joints)}, {', '.join(of)}{f'; {gaps:,} frames not lifted' * (gaps > 0)}\n"
            f"  poses_3d: metres, {self.axes}\n"
            f"  known: {there}; not known: {not_there}"
        )

    @property
    def frames(self) -> np.ndarray:
        """The numbers of the frames in the video [T]."""
        return self.first_frame + self.every * np.arange(len(self.poses_3d))

    @property
    def seconds(self) -> np.ndarray | None:
        """The times of the frames in the video [T], seconds; None if the frame rate is not known."""
        if self.times is not None:
            return self.times
        return self.frames / (self.fps * self.every) if self.fps else None

    def joints_camera(self) -> np.ndarray:
        """Return the joints where the camera sees them.

        Returns:
          [T, 17, 3] float64, camera frame (x right, y down, z away), metres, from the camera's centre; NaN in frames that are
          not lifted or without a root.

        Raises:
          UserError: if the path of the hip is not known.
        """
        if self.root is None:
            raise UserError(f"{self.name}: the hip's path (root) is not known, expected a result with it")
        return self.root[:, None].astype(np.float64) + self.poses_3d

    def joints_world(self) -> np.ndarray:
        """Return the joints in a level world.

        Its x is to the camera's right, y away from the camera, both level, and z up: right-handed. What is known decides about
        the origin, see `place`:

        - root and ground: z is 0 on the floor, and x and y are 0 at the hip in the first frame that has one; people of one
          video share the origin.
        - root alone: the hip is at the origin in that frame, since where the floor is is not known.
        - no root: the hip is at the origin in every frame.

        A camera that looks straight down or up is above or below the middle of its image: y is then the image's up or down.

        Returns:
          [T, 17, 3] float64, metres; NaN in frames that are not lifted or without a root.

        Raises:
          UserError: if up is not known.
        """
        if self.up is None:
            raise UserError(f"{self.name}: which way is up is not known, expected a result with `up`")
        return self._placed(np.asarray(self.up, np.float64))

    def _placed(self, up: np.ndarray) -> np.ndarray:
        """Return the joints [T, 17, 3], metres, x right, y away, z along a unit vector up [3] of the camera frame."""
        axes = ground.axes(up)
        poses = self.poses_3d.astype(np.float64) @ axes.T
        if self.root is None:
            return poses
        root = np.asarray(self.root, np.float64) @ axes.T
        known = np.isfinite(root).all(-1)
        origin = root[known.argmax()] if known.any() else np.zeros(3)
        if self.origin is not None:
            origin = np.asarray(self.origin, np.float64) @ axes.T
        if self.up is not None and self.ground is not None:
            origin = np.array([*origin[:2], self.ground])
        return (root - origin)[:, None] + poses

    @property
    def place(self) -> str:
        """What files of this motion have for axes and origin, as text; a `.npz` file is as `axes` says."""
        axes = "level, x right, y away from the camera, z up" if self.up is not None else "upright as the camera is, z up"
        if self.root is None:
            return f"{axes}; relative to the hip"
        if self.up is None or self.ground is None:
            return f"{axes}; from the hip of the first frame, height above the floor not known"
        return f"{axes} from the floor; from below the hip of the first frame"

    def motion(self) -> Motion:
        """Return what files are written from: `joints_world`, or if up is not known the same with the camera's up for it."""
        seconds, rate = self.seconds, self.fps
        if seconds is None:
            seconds, rate = self.frames / USUAL_FPS, USUAL_FPS / self.every
        elif rate is None:
            rate = float(1 / np.median(np.diff(seconds))) if len(seconds) > 1 else USUAL_FPS
        return Motion(
            name=self.name,
            points=self._placed(_IMAGE_UP if self.up is None else np.asarray(self.up, np.float64)),
            frames=self.frames,
            seconds=seconds,
            fps=rate,
            level=self.up is not None,
            moves=self.root is not None,
            floor=self.root is not None and self.up is not None and self.ground is not None,
        )

    def angles(self) -> np.ndarray:
        """Return the joint angles [T, len(pose.angles.NAMES)], degrees; NaN where they are not known."""
        return angles.joint_angles(self.motion().points, level=self.up is not None)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that is known as arrays, as a `.npz` file holds it.

        `fps` and `focal_px` are 0 if not known. `times` (seconds), `root`, `up`, `ground` and `errors_m` are there if known.
        """
        kept = {"times": self.seconds, "root": self.root, "up": self.up, "ground": self.ground, "errors_m": self.errors_m}
        kept |= {"up_error_deg": self.up_error_deg}
        return {
            "poses_3d": self.poses_3d,
            "keypoints_2d": self.keypoints_2d,
            "confidences": self.confidences.astype(np.float32),
            "sources": self.sources,
            "source_names": np.array([source.name.lower() for source in Source]),
            "detected": self.detected,
            "frames": self.frames,
            "fps": np.array(self.fps or 0.0),
            "image_size": np.array(self.image_size or (0, 0)),
            "focal_px": np.array(self.focal_px or 0.0),
            "joints": np.array(self.joints),
            "parents": np.array(self.parents),
            "unit": np.array(self.unit),
            "frame": np.array(self.axes),
            "layout": np.array(self.layout),
            "name": np.array(self.name),
            "model": np.array(self.model),
            **{name: np.asarray(value) for name, value in kept.items() if value is not None},
        }

    def save(self, path: str | Path) -> None:
        """Write the joints to a file as its name's ending says, whole or not at all; docs/files_out.md describes each.

        - `.npz`: all arrays, in the camera frame, see `arrays`.
        - `.trc`: for OpenSim and Pose2Sim. `.c3d`: for programs of biomechanics (needs the extra `c3d`).
        - `.csv`: a table. `.bvh`: an animation with bones of constant length.

        All but `.npz` are as `place` says, in each format's usual axes and unit. Where times are uneven, `.c3d` and `.bvh` have
        frames between them at even ones. Warns where a file needs a frame rate that is not known.

        Raises:
          UserError: for another ending, a folder that does not exist, a missing package, or if no frame is lifted.
        """
        path = check_file(path, SUFFIXES)
        if path.suffix == ".npz":
            npz.write(path, self.arrays())
            return
        motion = self._for_file(path)
        if path.suffix == ".trc":
            trc.write(path, motion)
        elif path.suffix == ".csv":
            table.write(path, motion)
        elif path.suffix == ".c3d":
            c3d.write(path, motion, self.place)
        else:
            from srnet_jax.lifting.formats import bvh  # scipy takes a third of a second

            bvh.write(path, motion)

    def save_angles(self, path: str | Path) -> None:
        """Write the joint angles to a `.csv` table, or a `.mot` motion for OpenSim; see `pose.angles`.

        Raises:
          UserError: for another ending, a folder that does not exist, or if no frame is lifted.
        """
        path = check_file(path, ANGLE_SUFFIXES)
        if path.suffix == ".csv":
            table.write_angles(path, self._for_file(path))
        else:
            from srnet_jax.lifting.formats import opensim_motion

            opensim_motion.write(path, self._for_file(path))

    def _for_file(self, path: Path) -> Motion:
        """Return the motion for a file of it, with warnings of what the file cannot say."""
        motion = self.motion()
        if not motion.known.any():
            raise UserError(f"{path}: not written, no frame of {self.name} has a pose{' and a root' * (self.root is not None)}")
        if self.seconds is None:
            warnings.warn(f"{path}: frames per second not known, taken as {USUAL_FPS:g}", stacklevel=3)
        return motion.even if path.suffix in (".c3d", ".bvh") else motion


def check_file(path: str | Path, suffixes: tuple[str, ...], where: str = "") -> Path:
    """Return a path that may be written, without `..`.

    Args:
      path: of the file.
      suffixes: that its name may end in.
      where: begins messages, by default the path.

    Raises:
      UserError: for another ending, a folder that does not exist, or if a package is missing.
    """
    file, where = plain(path), where or str(path)
    if file.suffix not in suffixes or not file.parent.is_dir():
        raise UserError(f"{where}: expected a name ending in {' or '.join(suffixes)} in a folder that exists")
    if file.suffix == ".c3d" and not importlib.util.find_spec("ezc3d"):
        raise UserError(f"{where}: needs ezc3d, which is not installed, expected `pip install -e .[c3d]`")
    return file
