"""Lift the people of a keypoint file or a video, and write their poses."""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.io.files import plain
from srnet_jax.keypoints import which_layout
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track, with_image_sizes
from srnet_jax.lifting.arguments import check_arguments
from srnet_jax.lifting.formats import c3d
from srnet_jax.lifting.motion import MotionSettings, finished, in_one_world
from srnet_jax.lifting.result import ANGLE_SUFFIXES, USUAL_FPS, Result, check_file
from srnet_jax.lifting.result import SUFFIXES as FILES
from srnet_jax.lifting.scene import SUFFIXES, Images, Scene
from srnet_jax.pose import layouts
from srnet_jax.pose.complete import MIN_JOINTS, Completed, Source, complete
from srnet_jax.pose.expected_errors import expected_errors
from srnet_jax.pose.normalization import USUAL_FOCAL

if TYPE_CHECKING:
    from srnet_jax.lifting.lifter import KeypointLifter  # which lifts files with this module

_FEW_FRAMES = 9


def described(
    tracks: tuple[Track, ...],
    path: Path,
    *,
    layout: str | None,
    fps: float | None,
    focal_px: float | None = None,
) -> tuple[Track, ...]:
    """Return tracks that know their layout, frame rate and image size: the first two as given, or else as the file says.

    The layout may be told by how the joints look, the image size be guessed (see `with_image_sizes`). The frame rate may stay
    unknown.

    Raises:
      UserError: if the layout is unknown or does not fit.
    """
    found = []
    for track in tracks:
        name = layout or track.layout or which_layout.guess(track, str(path))
        try:
            layouts.check_joints(track.keypoints.shape[1], layouts.find(name))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        track = dataclasses.replace(track, layout=name)
        found.append(dataclasses.replace(track, fps=fps / track.every, times=None) if fps else track)
    found = with_image_sizes(found, str(path))
    for track in found:
        check_arguments(str(track.layout), track.image_size or (1, 1), track.fps, focal_px)
    return tuple(found)


def usual_network(tracks: Sequence[Track]) -> str:
    """Return the network that ships which suits tracks: `video`, or `single` where none has more than a few frames."""
    return "video" if max(len(track.keypoints) for track in tracks) >= _FEW_FRAMES else "single"


def focal_length(given: float | None, footage: Footage | None) -> tuple[float | None, str]:
    """Return the focal length, pixels, None for the usual one, and a line that says where it comes from.

    That which is `given` counts before what the video's or the pictures' metadata say. The path of the hip needs it even where
    the network does not.
    """
    if given is not None:
        return given, f"focal length {given:g} px, as given"
    if footage and footage.focal:
        return footage.focal.px, f"focal length {footage.focal.px:.0f} px: {footage.focal.source}"
    return None, f"focal length not known, taken as {USUAL_FOCAL:g} times the image's longer side"


def lift(
    tracks: Sequence[Track],
    lifter: "KeypointLifter",
    *,
    flip: bool = True,
    focal_px: float | None = None,
    model: str = "",
    settings: MotionSettings | None = None,
) -> list[Result]:
    """Lift people; warns of what was not seen and if the keypoints seem implausible.

    Args:
      tracks: from `described`.
      lifter: the network.
      flip: see `KeypointLifter`.
      focal_px: see `KeypointLifter`.
      model: what the results call the network; by default its own name.
      settings: of filters, path and floor; None for poses as the network gives them, relative to the hip.

    Raises:
      DataError: if no frame shows enough of anybody.
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
    """Return the expected errors of a person's joints [T, 17], metres; None if those of the network were not measured."""
    calibration = lifter.trained.calibration
    if calibration is None:
        return None
    return expected_errors(poses_3d, person.sources == Source.FILLED, calibration).astype(np.float32)


def _warn_of_missing(tracks: Sequence[Track], people: Sequence[Completed]) -> None:
    """Name, in one line a person, the joints that were not seen, and the frames that show too little."""
    for track, person in zip(tracks, people, strict=True):
        parts = [f"{joint} in {share:.0%}" for joint, share in person.missing.items()]
        if parts:
            warnings.warn(f"{track.name}: not seen, estimated: {', '.join(parts)} of the frames", stacklevel=2)
        if not person.lifted.all():
            warnings.warn(
                f"{track.name}: {(~person.lifted).sum():,} of {len(person.lifted):,} frames show too little for a pose (NaN)",
                stacklevel=2,
            )


def scene(result: Result, images: Images | None = None) -> Scene:
    """Return what pictures of a person show, over the video's `images` if given."""
    assert result.image_size is not None
    layout = layouts.find(result.layout)
    return Scene(
        keypoints_2d=result.keypoints_2d,
        bones_2d=layout.bones,
        sides_2d=tuple(_side({layout.joints[index].partition("_")[0] for index in bone}) for bone in layout.bones),
        names_2d=layout.joints,
        poses=result.poses_3d,
        estimated=result.confidences == 0,
        image_size=result.image_size,
        fps=result.fps or USUAL_FPS,
        title=result.name,
        first_frame=result.first_frame,
        every=result.every,
        times=result.times,
        images=images,
    )


def _side(of_joints: set[str]) -> str:
    """Return the side of a bone: that of its joints, if none of them is on the other."""
    sides = of_joints & {"left", "right"}
    return sides.pop() if len(sides) == 1 else "center"


class Output(NamedTuple):
    """A file to write.

    Attributes:
      flag: `--output` and `--bvh` for joints, `--angles` for their angles, `--render` for a picture.
      path: of the file.
    """

    flag: str
    path: Path


def check_outputs(
    output: str | Sequence[str],
    pictures: Sequence[str] = (),
    animation: str | None = None,
    angles: str | None = None,
    inputs: Sequence[str] = (),
) -> list[Output]:
    """Return the files to write, before anything is read.

    Args:
      output: files of joints, see `Result.save`.
      pictures: see `rendering.render`.
      animation: a `.bvh` file, if any.
      angles: the file of joint angles, if any, see `Result.save_angles`.
      inputs: files that are read, and must not be written.

    Raises:
      UserError: names the flag, if a file has another ending or no folder, is an input or named twice, or a program or package
        is missing.
    """
    joints = [output] if isinstance(output, str) else output
    wanted = [
        *(("--output", name, FILES) for name in joints),
        *(("--render", name, SUFFIXES) for name in pictures),
        *([("--bvh", animation, (".bvh",))] if animation else []),
        *([("--angles", angles, ANGLE_SUFFIXES)] if angles else []),
    ]
    found: list[Output] = []
    for flag, name, suffixes in wanted:
        path = check_file(name, suffixes, f"{flag}={name}")
        _check_not_read(flag, path, inputs)
        if any(path.resolve() == other.path.resolve() for other in found):
            raise UserError(f"{flag}={name}: is named twice, expected another file")
        if path.suffix == ".mp4":
            from srnet_jax.lifting.rendering import find_ffmpeg

            find_ffmpeg(Path(name))
        found.append(Output(flag, path))
    return found


def _check_not_read(flag: str, path: Path, inputs: Sequence[str]) -> None:
    if any(path.resolve() == plain(read).resolve() for read in inputs):
        raise UserError(f"{flag}={path}: is read too, expected another file")


def _personal(files: Sequence[Output], tracks: Sequence[Track], inputs: Sequence[str]) -> Iterator[list[Output]]:
    """Yield the files of each person, of several with each one's name; none of them is an input."""
    for track in tracks:
        own = [
            Output(flag, path.with_name(f"{path.stem}_{track.name}{path.suffix}") if len(tracks) > 1 else path)
            for flag, path in files
        ]
        for file in own:
            _check_not_read(*file, inputs)
        yield own


def lift_all(
    tracks: tuple[Track, ...],
    lifter: "KeypointLifter",
    files: Sequence[Output],
    *,
    flip: bool,
    model: str,
    focal_px: float | None = None,
    images: Images | None = None,
    settings: MotionSettings | None = None,
    inputs: Sequence[str] = (),
) -> Iterator[tuple[Result, list[Path]]]:
    """Lift people and write their files, of several people with each one's name.

    Args:
      tracks: from `described`.
      lifter: the network.
      files: to write, from `check_outputs`.
      flip: see `KeypointLifter`.
      model: what the results call the network.
      focal_px: see `KeypointLifter`.
      images: of the video, behind the keypoints in films and sheets.
      settings: see `lift`.
      inputs: see `check_outputs`.

    Yields:
      Each person and the files.

    Raises:
      UserError: if a video is too long for a file, or a person's file is an input, before anything is lifted.
    """
    for _, path in files:
        if path.suffix == ".c3d":
            c3d.check_length(path, max(len(track.keypoints) for track in tracks))
    personal = list(_personal(files, tracks, inputs))
    results = lift(tracks, lifter, flip=flip, focal_px=focal_px, model=model, settings=settings)
    for result, own in zip(results, personal, strict=True):
        if not result.motion().known.any():  # of several people; what has no pose makes no motion
            warnings.warn(f"{result.name}: no frame has a pose, motions are not written", stacklevel=2)
            own = [file for file in own if file.flag == "--render" or file.path.suffix == ".npz"]
        for flag, path in own:
            if flag == "--render":
                from srnet_jax.lifting import rendering  # matplotlib takes a third of a second

                rendering.render(scene(result, images), path)
            elif flag == "--angles":
                result.save_angles(path)
            else:
                result.save(path)
        yield result, [path for _, path in own]
