"""One person in 3D, and the files that hold it.

A `Result` has the poses, the keypoints that they were lifted from, times, and, where known, the person's place in the room. Its
methods return the poses in a level world and joint angles, and save them in every format.
"""

import dataclasses
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.lifting import webpage
from srnet_jax.lifting.formats import c3d, npz, table, trc
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.lifting.outputs import ANGLES, JOINTS, PICTURES, check_file
from srnet_jax.lifting.scene import Images, Scene
from srnet_jax.lifting.show import show
from srnet_jax.pose import angles, ground, layouts
from srnet_jax.pose.complete import Source
from srnet_jax.pose.skeleton import H36M_17

USUAL_FPS = 30.0  # for pictures and files that need a rate, where the video's is not known
FRAME = "camera: x right, y down, z away from the camera; relative to the hip"
_IMAGE_UP = np.array([0.0, -1, 0])


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Result:
    """One person's motion, lifted from keypoints.

    Attributes:
      name: of the person, fit for a file name.
      poses_3d: [T, 17, 3] float32 joints of `joints`, camera frame (x right, y down, z away from the camera), metres, relative
        to the hip; NaN in frames that are not lifted.
      confidences: [T, 17] float32, 0 to 1, of the keypoints that each joint was lifted from; 0 where it was not seen and is
        an estimate.
      sources: [T, 17] uint8, how each joint is known, see `Source`.
      keypoints_2d: [T, K, 2] pixels, as detected, in the joints of the detector; NaN where it did not detect them.
      detected: [T] bool, whether the person was found in a frame.
      layout: name of the layout of the keypoints.
      image_size: width and height of the image, pixels; None if not known.
      fps: frames per second of the result, None if not known.
      model: name of the network.
      times: [T] seconds of each frame, if they are known not to be even, else None.
      first_frame: number of the video's frame that is the first here.
      every: how many frames of the video a frame is after the one before.
      origin: [3] hip in the camera frame, metres; the world's x and y are 0 below it. None for this person's first hip.
      focal_px: the camera's focal length, pixels, if it was given or is in the video's metadata; None otherwise.
      root: [T, 3] float64 path of the hip, camera frame, metres; None if it was not estimated, NaN in frames without it.
      up: [3] float64 unit vector that points up, camera frame; None if not known.
      up_error_deg: standard error of it, degrees; 0 if it was given.
      ground: height of the floor, metres: each of its points p has p . up = ground; below 0 if it is below the camera. None if
        not known.
      errors_m: [T, 17] expected error of each joint, metres; None if not estimated.
      images: reads the video's frames, which films and sheets show behind the keypoints; None if there is no video.
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
    images: Images | None = None

    joints: ClassVar[tuple[str, ...]] = H36M_17.joints
    parents: ClassVar[tuple[int, ...]] = H36M_17.parents
    unit: ClassVar[str] = "metre"
    axes: ClassVar[str] = FRAME

    def __post_init__(self) -> None:
        """Reject, with a ValueError, parts that do not fit together: the world from them would be silently wrong."""
        shapes = {"root": (len(self.poses_3d), 3), "up": (3,), "errors_m": self.poses_3d.shape[:2]}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ValueError(f"{name}: found shape {np.shape(value)}, expected {shape}")
        if self.up is not None and not abs(np.linalg.norm(self.up) - 1) < 1e-6:
            raise ValueError(f"up: found a length of {np.linalg.norm(self.up):.6g}, expected 1")

    def __repr__(self) -> str:
        """Return a few lines for a reader."""
        lifted = self.sources != Source.NOT_LIFTED
        of = [f"{(self.sources == s).sum() / max(lifted.sum(), 1):.0%} {s.name.lower()}" for s in list(Source)[1:]]
        gaps = int((~lifted.all(1)).sum())
        known = {"hip's path": self.root, "up": self.up, "ground": self.ground, "errors": self.errors_m}
        there, not_there = (", ".join(n for n, v in known.items() if (v is None) is no) or "none" for no in (False, True))
        frames = f"{len(self.frames):,} frames from {self.first_frame:,}"
        return (
            f"Result({self.name!r}: {frames}, {self._rate}, network {self.model})\n"
            f"  {self._quality}{f'; {gaps:,} frames not lifted' * (gaps > 0)}\n"
            f"  joints: {len(self.joints)}, {', '.join(of)}\n"
            f"  poses_3d: {self.unit}s, {self.axes}\n"
            f"  known: {there}; not known: {not_there}"
        )

    def summary(self) -> str:
        """Return one line: the name, frames, duration, the share of frames with the person, and the mean expected error."""
        count = len(self.frames)
        return f"{self.name}: {count:,} {'frame' if count == 1 else 'frames'}, {self._rate}, {self._quality}"

    @property
    def _rate(self) -> str:
        return f"{len(self.frames) / self.fps:.1f} s at {self.fps:g} fps" if self.fps else "fps not known"

    @property
    def _quality(self) -> str:
        error = "not known" if self.expected_error_m is None else f"{1000 * self.expected_error_m:.0f} mm"
        return f"detected in {self.detected.mean():.0%} of the frames, expected error {error}"

    @property
    def expected_error_m(self) -> float | None:
        """The mean expected error over joints and lifted frames, metres; None if not estimated."""
        errors = np.array([]) if self.errors_m is None else self.errors_m[np.isfinite(self.errors_m)]
        return float(errors.mean()) if len(errors) else None

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
        """Return the joints at their places before the camera.

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

        The x axis points to the camera's right, y away from the camera, and z up; x and y are level, and the axes are
        right-handed. The origin depends on what is known, see `place`:

        - root and ground: z is 0 on the floor, and x and y are 0 at the hip in the first frame that has one; people of one
          video share the origin.
        - root alone: the hip is at the origin in that frame, because the floor is not known.
        - no root: the hip is at the origin in every frame.

        For a camera that looks straight down, y is the image's up; for one that looks straight up, the image's down.

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
        """How the world of the files of this motion is placed, as text: what is level, and where its origin is.

        Each format has its own order of axes (docs/files_out.md). Those of a `.npz` file are in `axes`.
        """
        axes = "level, as seen by the camera" if self.up is not None else "upright as the camera is"
        if self.root is None:
            return f"{axes}; relative to the hip"
        if self.up is None or self.ground is None:
            return f"{axes}; from the hip of the first frame, height above the floor not known"
        return f"{axes}; on the floor, from below the hip of the first frame"

    def motion(self) -> Motion:
        """Return the motion that files hold: `joints_world`, with the camera's up in place of up where that is not known."""
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
        """Return the arrays of a `.npz` file.

        `fps` and `focal_px` are 0 if not known. `times` (seconds), `root`, `up`, `ground` and `errors_m` are present if known.
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
        """Write a file, whole or not at all; the ending of its name chooses the format. docs/files_out.md describes each.

        - `.npz`: all arrays, in the camera frame, see `arrays`.
        - `.trc`: for OpenSim and Pose2Sim. `.c3d`: for programs of biomechanics (needs the extra `c3d`).
        - `.csv`: a table. `.bvh`: an animation with bones of constant length.
        - `.html`, `.gif`, `.mp4`, `.png`: pictures of the keypoints and the poses, see `rendering.render`.

        The joints in `.trc`, `.c3d`, `.csv` and `.bvh` have the axes and the origin of `place`, in the usual order and unit of
        each format. Where times are uneven, `.c3d` and `.bvh` have interpolated frames at even times. Warns if a file needs a
        frame rate and it is not known.

        Raises:
          UserError: for another ending, a folder that does not exist, a missing package or program, or if no frame is lifted.
        """
        path = check_file(path, JOINTS + PICTURES)
        if path.suffix in PICTURES:
            from srnet_jax.lifting import rendering  # matplotlib takes a third of a second

            rendering.render(self.scene(), path)
            return
        if path.suffix == ".npz":
            npz.write(path, self.arrays())
            return
        motion = self._for_file(path)
        if path.suffix == ".trc":
            trc.write(path, motion)
        elif path.suffix == ".csv":
            table.write(path, motion)
        elif path.suffix == ".c3d":
            c3d.write(path, motion, f"x right, y away from the camera, z up; {self.place}")
        else:
            from srnet_jax.lifting.formats import bvh  # scipy takes a third of a second

            bvh.write(path, motion)

    def save_angles(self, path: str | Path) -> None:
        """Write the joint angles to a `.csv` table, or a `.mot` motion for OpenSim; see `pose.angles`.

        Raises:
          UserError: for another ending, a folder that does not exist, or if no frame is lifted.
        """
        path = check_file(path, ANGLES)
        if path.suffix == ".csv":
            table.write_angles(path, self._for_file(path))
        else:
            from srnet_jax.lifting.formats import opensim_motion

            opensim_motion.write(path, self._for_file(path))

    def show(self) -> Path | None:
        """Display a page with the 2D keypoints and the 3D poses in a notebook, or else open it in the browser.

        Returns:
          The temporary file of the page, which is kept, and printed if there is no browser; None in a notebook.
        """
        return show(webpage.page(self.scene()))

    def scene(self) -> Scene:
        """Return what pictures of the person show.

        Raises:
          UserError: if the image size is not known.
        """
        if self.image_size is None:
            raise UserError(f"{self.name}: the image size is not known, expected a result with `image_size`")
        layout = layouts.find(self.layout)
        return Scene(
            keypoints_2d=self.keypoints_2d,
            bones_2d=layout.bones,
            sides_2d=tuple(side_of_bone(layout, bone) for bone in layout.bones),
            names_2d=layout.joints,
            poses=self.poses_3d,
            estimated=self.confidences == 0,
            image_size=self.image_size,
            fps=self.fps or USUAL_FPS,
            title=self.name,
            first_frame=self.first_frame,
            every=self.every,
            times=self.times,
            images=self.images,
        )

    def _for_file(self, path: Path) -> Motion:
        """Return the motion for a file, and warn if its frame rate is not known."""
        motion = self.motion()
        if not motion.known.any():
            raise UserError(f"{path}: not written, no frame of {self.name} has a pose{' and a root' * (self.root is not None)}")
        if self.seconds is None:
            warnings.warn(f"{path}: frames per second not known, taken as {USUAL_FPS:g}", stacklevel=3)
        return motion.even if path.suffix in (".c3d", ".bvh") else motion


def side_of_bone(layout: layouts.Layout, bone: tuple[int, int]) -> str:
    """Return the side of a bone of a layout: that of its joints, unless they are on both sides or in the middle."""
    sides = {layout.joints[index].partition("_")[0] for index in bone} & {"left", "right"}
    return sides.pop() if len(sides) == 1 else "center"
