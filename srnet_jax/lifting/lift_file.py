"""Lift the people of a keypoint file or a video."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.keypoints import which_layout
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting import outputs
from srnet_jax.lifting.formats import c3d
from srnet_jax.lifting.lifted_people import LiftedPeople
from srnet_jax.lifting.motion import MotionSettings, finished, in_one_world
from srnet_jax.lifting.result import USUAL_FPS, Result
from srnet_jax.lifting.sources import Recording
from srnet_jax.pose.complete import MIN_JOINTS, Completed, Source, complete
from srnet_jax.pose.expected_errors import expected_errors

if TYPE_CHECKING:
    from srnet_jax.lifting.lifter import KeypointLifter  # which imports this module

_FEW_FRAMES = 9


def usual_network(tracks: Sequence[Track]) -> str:
    """Return the name of the network for tracks: `video`, or `single` if all are shorter than nine frames."""
    return "video" if max(len(track.keypoints) for track in tracks) >= _FEW_FRAMES else "single"


def check_files(files: Sequence[outputs.Output], recording: Recording, inputs: Sequence[str | Path]) -> None:
    """Reject, before people are lifted, files that cannot be written for them.

    Args:
      files: from `outputs.check_outputs`.
      recording: of the people.
      inputs: files that are read, besides those of the recording.

    Raises:
      UserError: if a person's file would replace one that is read, or the recording is too long for a format.
    """
    outputs.of_people(files, [track.name for track in recording.tracks], [*recording.inputs, *inputs])
    for file in files:
        if file.path.suffix == ".c3d":
            c3d.check_length(file.path, max(len(track.keypoints) for track in recording.tracks))


def lift_recording(
    recording: Recording,
    lifter: "KeypointLifter",
    *,
    flip: bool = True,
    model: str = "",
    settings: MotionSettings | None = None,
) -> LiftedPeople:
    """Lift the people of a recording; arguments, warnings and errors as `lift`."""
    people = lift(recording.tracks, lifter, flip=flip, focal_px=recording.focal_px, model=model, settings=settings)
    people = [dataclasses.replace(person, images=recording.images) for person in people]
    return LiftedPeople(people, recording.source, recording.inputs)


def lift(
    tracks: Sequence[Track],
    lifter: "KeypointLifter",
    *,
    flip: bool = True,
    focal_px: float | None = None,
    model: str = "",
    settings: MotionSettings | None = None,
) -> list[Result]:
    """Lift people; warns of joints that were not seen and of keypoints that seem implausible.

    Args:
      tracks: from `sources.described`.
      lifter: the network.
      flip: see `KeypointLifter`.
      focal_px: see `KeypointLifter`.
      model: name of the network in the results; by default its own.
      settings: of filters, path and floor; None for poses as the network gives them, relative to the hip.

    Raises:
      DataError: if no frame shows enough joints of any person.
    """
    people = []
    for track in tracks:
        assert track.layout is not None
        which_layout.warn_if_implausible(track)
        people.append(complete(track.keypoints, track.confidences, track.layout, track.fps))
    if not any(person.lifted.any() for person in people):
        raise DataError(f"{tracks[0].name}: no frame shows {MIN_JOINTS} of the 17 joints")
    _warn_of_missing(tracks, people)
    if any(track.seconds is None and len(track.keypoints) > 1 for track in tracks):
        warnings.warn(f"frames per second not known, taken as {USUAL_FPS:g} (--fps)", stacklevel=2)
    sizes = [track.image_size for track in tracks if track.image_size]
    up = None if settings is None or settings.up is None else np.array(settings.up)
    poses = lifter.lift(people, sizes, [_seconds(track) for track in tracks], focal_px=focal_px, flip=flip, up=up)
    results = [
        Result(
            name=track.name,
            poses_3d=pose,
            confidences=person.confidences,
            sources=person.sources,
            keypoints_2d=track.keypoints,
            detected=track.detected,
            layout=str(track.layout),
            image_size=track.image_size,
            fps=track.fps,
            model=model or lifter.trained.name,
            times=track.times,
            first_frame=track.first_frame,
            every=track.every,
            focal_px=focal_px,
            errors_m=_expected(lifter, pose, person),
        )
        for track, person, pose in zip(tracks, people, poses, strict=True)
    ]
    if settings is None:
        return results
    found = [finished(result, person.points, settings) for result, person in zip(results, people, strict=True)]
    clips = [track.clip if len(track.keypoints) > 1 else track.name for track in tracks]
    return in_one_world(found, clips)


def _seconds(track: Track) -> np.ndarray | None:
    """Return the times [T] of a track, at the usual rate if they are not known; None of a picture."""
    if track.seconds is None and len(track.keypoints) > 1:
        return track.frames / USUAL_FPS
    return track.seconds


def _expected(lifter: "KeypointLifter", poses_3d: np.ndarray, person: Completed) -> np.ndarray | None:
    """Return the expected errors of a person's joints [T, 17], metres; None if the network has no measured errors."""
    calibration = lifter.trained.calibration
    if calibration is None:
        return None
    return expected_errors(poses_3d, person.sources == Source.FILLED, calibration).astype(np.float32)


def _warn_of_missing(tracks: Sequence[Track], people: Sequence[Completed]) -> None:
    """Warn of joints that were not seen, one line for each person, and of frames that show too little."""
    for track, person in zip(tracks, people, strict=True):
        parts = [f"{joint} in {share:.0%}" for joint, share in person.missing.items()]
        if parts:
            warnings.warn(f"{track.name}: not seen, estimated: {', '.join(parts)} of the frames", stacklevel=2)
        if not person.lifted.all():
            warnings.warn(
                f"{track.name}: {(~person.lifted).sum():,} of {len(person.lifted):,} frames show too little for a pose (NaN)",
                stacklevel=2,
            )
