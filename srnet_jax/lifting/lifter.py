"""Lift a detector's keypoints to 3D with a trained network: layouts, missing joints, normalisation and frame rates.

`load` returns a `KeypointLifter`, which takes keypoints in any known layout, fills in missing joints, shows the network a video
at its own frame rate, and returns poses at the video's. It lifts arrays (`__call__`) and files (`lift_file`).
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.config import joint_sets
from srnet_jax.config.config_files import CONFIG_FILE, ENSEMBLE_FILE
from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.io.files import plain
from srnet_jax.keypoints.points import mark_missing
from srnet_jax.keypoints.tracks import check_pixels
from srnet_jax.lifting import weights
from srnet_jax.lifting.arguments import MIN_CONFIDENCE, check_arguments, check_filters
from srnet_jax.lifting.lifted_people import LiftedPeople
from srnet_jax.lifting.motion import USUAL_FILTERS, settings_of
from srnet_jax.lifting.result import USUAL_FPS
from srnet_jax.lifting.roll import seen, turned_back, turned_level
from srnet_jax.models.predict import predict
from srnet_jax.pose.complete import MIN_JOINTS, Completed, complete
from srnet_jax.pose.filters import Settings, filtered
from srnet_jax.pose.frames import Frames, interpolated
from srnet_jax.pose.normalization import IMAGE_NORMALIZATIONS, View, normalize_image
from srnet_jax.pose.skeleton import H36M_17, Mirrored

PRETRAINED = ("single", "causal", "video")  # in srnet_jax/lifting/pretrained
_FOLDER = Path(__file__).parent / "pretrained"
_MOST_CONFIDENCE = 10.0  # some detectors go above 1
_SAME_RATE = 0.01  # relative difference of frame rates that does not matter
_MOST_FRAMES = 10_000_000  # of a person at the network's rate
_FARTHEST_M = 10.0  # distance of a joint from the hip


def completed(
    keypoints: np.ndarray,
    confidences: np.ndarray | None,
    layout: str,
    fps: float | None = None,
    min_confidence: float = MIN_CONFIDENCE,
) -> Completed:
    """Return the 17 joints of one person's keypoints, with missing joints filled; see `KeypointLifter.__call__`.

    Raises:
      DataError: if the keypoints or the confidences have another shape, or the keypoints cannot be a person's in pixels.
    """
    keypoints = np.asarray(keypoints)
    if keypoints.ndim != 3 or keypoints.shape[2] != 2 or not len(keypoints) or keypoints.dtype.kind not in "fiu":
        raise DataError(
            f"keypoints: found shape {keypoints.shape} of {keypoints.dtype}, expected (frames >= 1, joints, 2) of numbers"
        )
    sure = np.ones(keypoints.shape[:2]) if confidences is None else np.asarray(confidences)
    if sure.shape != keypoints.shape[:2] or sure.dtype.kind not in "fiub":
        raise DataError(f"confidences: found shape {sure.shape} of {sure.dtype}, expected {keypoints.shape[:2]} of numbers")
    if (sure > _MOST_CONFIDENCE).any():
        raise DataError(f"confidences: found {np.nanmax(sure):g}, expected 0 to 1")
    values = mark_missing(np.concatenate([keypoints, sure[..., None]], axis=-1).astype(np.float64), min_confidence)
    shown = np.isfinite(values[..., 0]).any(-1)
    check_pixels(values[shown], np.flatnonzero(shown), "keypoints")
    return complete(values[..., :2], values[..., 2], layout, fps)


@dataclasses.dataclass(frozen=True)
class KeypointLifter:
    """A trained network that lifts keypoints of any layout, in pixels.

    Attributes:
      trained: the network.
    """

    trained: weights.Trained

    def __call__(
        self,
        keypoints: np.ndarray,
        *,
        layout: str,
        image_size: tuple[int, int],
        confidences: np.ndarray | None = None,
        fps: float | None = None,
        focal_px: float | None = None,
        min_confidence: float = MIN_CONFIDENCE,
        flip: bool = True,
        batch_frames: int = 4096,
        filters: Settings | None = None,
        up: np.ndarray | None = None,
    ) -> np.ndarray:
        """Lift one person's keypoints.

        A temporal network sees the video at the frame rate that it was trained on: keypoints are interpolated linearly to that
        rate, and the poses back to the video's. Beyond the ends of the video it sees the nearest frame.

        Args:
          keypoints: [T, J, 2] of each frame, pixels. NaN, (0, 0) and -1 mean that a joint is missing; `complete` estimates it.
          layout: a name of `layouts.LAYOUTS`.
          image_size: width and height of the image, pixels.
          confidences: [T, J], 0 to 1; None if not known.
          fps: frames per second of the video; None for those of the network. Single-frame networks need none.
          focal_px: the camera's focal length, pixels; None for 0.85 times the image's longer side. It matters little: 0.7 to
            1.2 times the true length change the result by a few millimetres.
          min_confidence: a joint whose confidence is lower is missing.
          flip: whether each pose is averaged with the mirrored pose of the mirrored keypoints.
          batch_frames: frames that are lifted at a time; this bounds the memory.
          filters: of the poses, as `pose.filters.Settings()`; None for poses as the network gives them.
          up: [3] direction of up in the camera frame, if it is known: the keypoints are turned as if the camera were level.

        Returns:
          [T, 17, 3] float32 joints of `skeleton.H36M_17`, camera frame (x right, y down, z away from the camera), metres,
          relative to the hip. A joint that was not seen is an estimate. NaN in frames that show too little of the person.

        Raises:
          UserError: for an unknown layout, or an image size or frame rate out of range.
          DataError: if the keypoints or the confidences have another shape, cannot be a person's in pixels, or no frame shows
            enough joints.

        Example:
          >>> import numpy as np
          >>> import srnet_jax
          >>> keypoints = np.random.default_rng(0).uniform(200, 800, (1, 17, 2))  # your detector's, [frames, joints, 2] pixels
          >>> srnet_jax.load("single")(keypoints, layout="coco", image_size=(1920, 1080)).shape
          (1, 17, 3)
        """
        check_arguments(layout, image_size, fps, focal_px, min_confidence)
        check_filters(filters)
        self.check_focal(focal_px)
        person = completed(keypoints, confidences, layout, fps, min_confidence)
        if not person.lifted.any():
            raise DataError(f"keypoints: no frame shows {MIN_JOINTS} of the 17 joints")
        times = np.arange(len(keypoints)) / fps if fps else None
        (poses,) = self.lift([person], [image_size], [times], focal_px=focal_px, flip=flip, batch_frames=batch_frames, up=up)
        rate = fps or self.trained.fps or USUAL_FPS
        return poses if filters is None else filtered(poses, person.confidences, rate, filters)

    def lift_file(
        self,
        path: str | Path,
        *,
        layout: str | None = None,
        image_size: tuple[int, int] | None = None,
        fps: float | None = None,
        format: str | None = None,
        focal_px: float | None = None,
        min_confidence: float | None = None,
        video: str | Path | None = None,
        start: float | None = None,
        end: float | None = None,
        every: int = 1,
        rotate: int = 0,
        flip: bool = True,
        filters: str | Sequence[str] | Settings | None = USUAL_FILTERS,
        stature_m: float | None = None,
        leg_m: float | None = None,
        up: str | Sequence[float] = "estimate",
        lock_feet: bool = False,
    ) -> LiftedPeople:
        """Lift the people of a file, or a folder, of 2D keypoints that a detector wrote.

        It does what the command `srnet-lift --keypoints=PATH` does, which has flags of the same names.

        Args:
          path: of the file or the folder; `srnet-lift --list_formats` prints the formats.
          layout: a name of `layouts.LAYOUTS`; None to take it from the file, or to guess it from how the joints look.
          image_size: width and height of the image before `rotate`, pixels; None to take it from the file or the video, or to
            assume a usual one, with a warning.
          fps: frames per second; None to take them from the file or the video, or to assume 30, with a warning.
          format: a name of `keypoint_files`, if the content does not show the format.
          focal_px: the camera's focal length, pixels; None to take it from the video's metadata, or 0.85 times the image's
            longer side.
          min_confidence: a joint whose confidence is lower is missing; None for the format's own limit.
          video: that the keypoints were found in (needs the extra `footage`); its times, size, focal length and images are
            used.
          start: seconds in the video of the first frame, at the earliest; None for the beginning.
          end: seconds in the video, which the last frame is before; None for the end.
          every: take the frames whose number, from 0, is a multiple of this.
          rotate: degrees by which to turn the image clockwise: 0, 90, 180 or 270.
          flip: whether each pose is averaged with the mirrored pose of the mirrored keypoints.
          filters: of the poses: names from `motion.FILTERS`, or `pose.filters.Settings`; None for no filter.
          stature_m: the person's height, metres, for poses of that size.
          leg_m: length of thigh and shank together, metres, instead of the stature.
          up: "estimate", "camera" for a level camera, or the direction of up [3] in the camera frame.
          lock_feet: whether to correct the hip's path so that standing feet slide less.

        Returns:
          The people, a sequence of `Result`.

        Raises:
          UserError: if a file is missing, damaged or not understood, or an argument does not fit.
          DataError: if no frame shows enough joints of any person.

        Example:
          >>> import srnet_jax
          >>> people = srnet_jax.load("video").lift_file("tests/lifting/walk.json")
          >>> print(people)  # doctest: +ELLIPSIS
          1 person in tests/lifting/walk.json, lifted by the network video to 17 joints in metres
            walk: 30 frames, 1.0 s at 30 fps, detected in 100% of the frames, expected error ... mm
          >>> people[0].poses_3d.shape
          (30, 17, 3)
          >>> people.save("walk.bvh")  # doctest: +SKIP
          [PosixPath('walk.bvh')]
        """
        from srnet_jax.keypoints import times  # files need readers, which keypoints in arrays do not
        from srnet_jax.keypoints.keypoint_files import Hints
        from srnet_jax.lifting import lift_file, sources

        at_least = 0.0 if min_confidence is None else min_confidence
        check_arguments(layout or "coco", image_size or (1, 1), fps, focal_px if image_size else None, at_least)
        if rotate not in (0, 90, 180, 270):
            raise UserError(f"rotate: found {one_line(repr(rotate), 100)}, expected 0, 90, 180 or 270 degrees")
        settings = settings_of(filters, stature_m=stature_m, leg_m=leg_m, up=up, lock_feet=lock_feet)
        request = sources.Request(
            keypoints=Path(path),
            video=None if video is None else Path(video),
            hints=Hints(format, image_size, min_confidence, rotate),
            part=times.make_part(start, end, every),
            layout=layout,
            fps=fps,
            focal_px=focal_px,
        )
        return lift_file.lift_recording(sources.read(request), self, flip=flip, settings=settings)

    @property
    def uses_focal(self) -> bool:
        """Whether the poses depend on the focal length."""
        return self.trained.config.model.normalization == "turned"

    @property
    def streams(self) -> bool:
        """Whether the network needs no later frames and can lift live."""
        model = self.trained.model
        return model.receptive_field == 1 or bool(getattr(model, "causal", False))

    def check_focal(self, focal_px: float | None) -> None:
        """Reject, with a UserError, a focal length that the network does not use."""
        if focal_px is not None and not self.uses_focal:
            raise UserError(
                f"focal_px: not used by {self.trained.name}, whose normalization is {self.trained.config.model.normalization}"
            )

    def lift(
        self,
        people: Sequence[Completed],
        image_sizes: Sequence[tuple[int, int]],
        times: Sequence[np.ndarray | None],
        *,
        focal_px: float | None = None,
        flip: bool = True,
        batch_frames: int = 4096,
        up: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """Lift several people at once.

        Args:
          people: see `complete`.
          image_sizes: of each person's video.
          times: [T] seconds of each person's frames, None for those of the network.
          focal_px: see `__call__`.
          flip: see `__call__`.
          batch_frames: see `__call__`.
          up: see `__call__`.

        Returns:
          Poses [T, 17, 3] of each person; NaN in frames that are not lifted.

        Raises:
          UserError: if `batch_frames` is no whole number above 0, or the network gives poses that are impossible for a body:
            its weights are damaged.
        """
        if not (isinstance(batch_frames, int) and batch_frames > 0):
            raise UserError(f"batch_frames: found {one_line(repr(batch_frames), 100)}, expected a whole number above 0")
        own, temporal = self.trained.fps, self.trained.model.receptive_field > 1
        pieces = []  # person, first frame, position of each frame among the network's frames, keypoints and view there
        for index, (person, size, seconds) in enumerate(zip(people, image_sizes, times, strict=True)):
            ends = np.flatnonzero(np.diff(np.concatenate([[False], person.lifted, [False]]).astype(int)))
            for start, end in ends.reshape(-1, 2).tolist():
                points = person.points[start:end] if up is None else turned_level(person.points[start:end], up, size)
                places = np.arange(end - start, dtype=np.float64)
                if temporal and own and seconds is not None and end - start > 1:
                    wanted = (seconds[start:end] - seconds[start]) * own
                    if np.abs(wanted - places).max() > _SAME_RATE * (end - start):
                        count = int(np.ceil(wanted[-1])) + 1
                        if count > _MOST_FRAMES:
                            raise UserError(
                                f"fps: {count:,} frames at the network's rate {own:g}, expected a rate nearer to it"
                            )
                        points = interpolated(points, np.interp(np.arange(count), wanted, places))
                        places = wanted
                pieces.append((index, start, places, points, seen(points, size, focal_px)))
        made = [np.full((len(person.points), 17, 3), np.nan, np.float32) for person in people]
        if not pieces:
            return made
        lifted = self._predict([points for *_, points, _ in pieces], [view for *_, view in pieces], flip, batch_frames)
        for (index, start, places, *_), poses in zip(pieces, lifted, strict=True):
            poses = interpolated(poses, places)
            made[index][start : start + len(places)] = poses if up is None else turned_back(poses, up)
        return made

    def _predict(self, sequences: list[np.ndarray], views: list[View], flip: bool, batch_frames: int) -> list[np.ndarray]:
        """Lift sequences [T, 17, 2], pixels, in one call."""
        lengths = np.array([len(sequence) for sequence in sequences])
        view = View(*map(np.concatenate, zip(*views, strict=True)))
        inputs = normalize_image(self.trained.config.model.normalization, np.concatenate(sequences), view)
        frames = Frames(
            inputs_2d=inputs,
            targets=np.broadcast_to(np.float32(0), (*inputs.shape[:2], 3)),
            views=view,
            starts=np.cumsum([0, *lengths[:-1]]),
            lengths=lengths,
            normalization=self.trained.config.model.normalization,
        )
        poses = predict(
            self.trained.model,
            self.trained.variables,
            frames,
            mirrored=Mirrored(H36M_17.mirrored, H36M_17.mirrored) if flip else None,
            batch_frames=batch_frames,
        )
        poses = poses - poses[:, :1]
        farthest = float(np.abs(poses).max())
        if not farthest < _FARTHEST_M:
            raise UserError(
                f"{self.trained.name}: gives joints {farthest:.3g} m from the hip, which no body has; damaged weights?"
            )
        return np.split(poses, np.cumsum(lengths)[:-1])


def load(name: str | Path = "single", checkpoint: str = "best") -> KeypointLifter:
    """Return a lifter with a trained network.

    Args:
      name: one of PRETRAINED, the workdir of a training, or a `.npz` file that `launch.export` wrote.
      checkpoint: of a workdir: "best", "latest" or a step.

    Raises:
      UserError: if there is no such network, it is damaged, or it needs more input than keypoints.

    Example:
      >>> import srnet_jax
      >>> lifter = srnet_jax.load("single")
      >>> lifter.trained.model.receptive_field
      1
    """
    trained = load_trained(name, checkpoint)
    joints, keypoints = joint_sets.of(trained.config.model)
    if (joints, keypoints) != (H36M_17, H36M_17) or trained.config.model.confidences:
        seen = f"{keypoints.name}{' with confidences' * trained.config.model.confidences}"
        raise UserError(
            f"{name}: lifts {seen} to {joints.name}, expected a network that lifts {H36M_17.name}; launch.evaluate takes any"
        )
    if trained.config.model.normalization not in IMAGE_NORMALIZATIONS:
        raise UserError(
            f"{name}: its normalisation {trained.config.model.normalization!r} uses the TRUE depth of the root, which a video "
            f"does not show; expected a network with one of {', '.join(IMAGE_NORMALIZATIONS)}"
        )
    return KeypointLifter(trained)


def load_trained(name: str | Path, checkpoint: str = "best") -> weights.Trained:
    """Return a trained network of any normalisation; arguments and errors as `load`."""
    path = plain(name)
    if str(name) in PRETRAINED:
        return weights.load(_FOLDER / f"{name}.npz", known=True)
    if path.is_dir() and any((path / file).is_file() for file in (CONFIG_FILE, ENSEMBLE_FILE)):
        return weights.from_workdir(path, checkpoint)
    if path.suffix == ".npz":
        return weights.load(path)
    *names, last = PRETRAINED
    raise UserError(f"{name}: no trained network, expected {', '.join(names)} or {last}, a workdir, or a .npz of launch.export")
