"""Lift the people of a keypoint file or a video, and write their poses."""

import dataclasses
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.io.files import plain, write_whole
from srnet_jax.keypoints import which_layout
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track, with_image_sizes
from srnet_jax.lifting.lifter import KeypointLifter, check_arguments
from srnet_jax.lifting.scene import SUFFIXES, Images, Scene
from srnet_jax.pose import layouts
from srnet_jax.pose.complete import FEWEST, Completed, complete
from srnet_jax.pose.frames import interpolated
from srnet_jax.pose.normalization import USUAL_FOCAL
from srnet_jax.pose.skeleton import H36M_17

USUAL_FPS = 30.0  # of a video that does not say, for pictures and animations
_FEW_FRAMES = 9
FRAME = "camera: x right, y down, z away from the camera; relative to the hip"


@dataclasses.dataclass(frozen=True)
class Lifted:
    """One person in 3D.

    Attributes:
      track: the keypoints, with `layout`, `image_size` and `fps` as they were used.
      poses_3d: [T, 17, 3] float32 joints of `skeleton.H36M_17`, camera frame, metres, relative to the hip.
      confidences: [T, 17] of the keypoints that each joint was lifted from; 0 where it was not seen, so that it is an estimate.
    """

    track: Track
    poses_3d: np.ndarray
    confidences: np.ndarray


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


def focal_length(given: float | None, footage: Footage | None, lifter: KeypointLifter) -> tuple[float | None, str]:
    """Return the focal length, pixels, None for the usual one, and a line that says where it comes from.

    That which is `given` counts before what the video's or the pictures' metadata say.

    Raises:
      UserError: if one is given that the network does not use.
    """
    lifter.check_focal(given)
    if given is not None:
        return given, f"focal length {given:g} px, as given"
    if not lifter.uses_focal:
        return None, "focal length not used by this network"
    if footage and footage.focal:
        return footage.focal.px, f"focal length {footage.focal.px:.0f} px: {footage.focal.source}"
    return None, f"focal length not known, taken as {USUAL_FOCAL:g} times the image's longer side"


def lift(tracks: Sequence[Track], lifter: KeypointLifter, *, flip: bool, focal_px: float | None = None) -> list[Lifted]:
    """Lift people, see `described`; warns of what was not seen and if the keypoints seem implausible.

    Raises:
      DataError: if no frame shows enough of anybody.
    """
    people = []
    for track in tracks:
        assert track.layout is not None
        which_layout.warn_if_implausible(track)
        people.append(complete(track.keypoints, track.confidences, track.layout, track.fps))
    if not any(person.lifted.any() for person in people):
        raise DataError(f"{tracks[0].name}: no frame shows {FEWEST} of the 17 joints")
    _warn_of_missing(tracks, people)
    if lifter.trained.model.receptive_field > 1 and lifter.trained.fps and any(track.fps is None for track in tracks):
        warnings.warn(f"frames per second not known, taken as the network's {lifter.trained.fps:g} (--fps)", stacklevel=2)
    sizes = [track.image_size for track in tracks if track.image_size]
    poses = lifter.lift(people, sizes, [track.seconds for track in tracks], focal_px=focal_px, flip=flip)
    return [Lifted(*parts) for parts in zip(tracks, poses, (person.confidences for person in people), strict=True)]


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


def write(path: Path, lifted: Lifted, *, model: str) -> None:
    """Write a person's poses to a `.npz` file, whole or not at all.

    It holds `poses_3d`, `keypoints_2d` (as detected, NaN where not seen), `confidences` (of each joint, 0 to 1; 0 where the
    joint is an estimate), `detected` (whether the person was found in a frame), `frames` (their numbers in the video), `fps`
    (of the frames here; 0 if not known), `times` (seconds in the video, if known), `image_size`, `joints`, `parents`, `unit`,
    `frame`, `layout` (of the keypoints) and `model`.
    """
    track = lifted.track
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        poses_3d=lifted.poses_3d,
        keypoints_2d=track.keypoints,
        confidences=lifted.confidences.astype(np.float32),
        detected=track.detected,
        frames=track.frames,
        fps=np.float64(track.fps or 0),
        **({} if track.seconds is None else {"times": track.seconds}),
        image_size=np.array(track.image_size),
        joints=np.array(H36M_17.joints),
        parents=np.array(H36M_17.parents),
        unit=np.array("metre"),
        frame=np.array(FRAME),
        layout=np.array(track.layout),
        model=np.array(model),
    )
    write_whole(path, content.getvalue())


def scene(lifted: Lifted, images: Images | None = None) -> Scene:
    """Return what pictures of a person show, over the video's `images` if given."""
    track = lifted.track
    assert track.layout is not None
    assert track.image_size is not None
    layout = layouts.find(track.layout)
    return Scene(
        keypoints_2d=track.keypoints,
        bones_2d=layout.bones,
        sides_2d=tuple(_side({layout.joints[index].partition("_")[0] for index in bone}) for bone in layout.bones),
        names_2d=layout.joints,
        poses=lifted.poses_3d,
        estimated=lifted.confidences == 0,
        image_size=track.image_size,
        fps=track.fps or USUAL_FPS,
        title=track.name,
        first_frame=track.first_frame,
        every=track.every,
        times=track.times,
        images=images,
    )


def _held(poses: np.ndarray) -> np.ndarray:
    """Return poses in which a frame that is not lifted has the nearest pose before it, or the first."""
    known = np.flatnonzero(np.isfinite(poses).all((1, 2)))
    return poses[known[np.maximum(np.searchsorted(known, np.arange(len(poses)), side="right") - 1, 0)]]


def _evenly(poses: np.ndarray, track: Track) -> np.ndarray:
    """Return poses at even times, `track.fps` a second, for files that know no others."""
    if track.times is None or track.fps is None:
        return poses
    times = track.times - track.times[0]
    grid = np.arange(int(times[-1] * track.fps + 1.5)) / track.fps
    return interpolated(poses, np.interp(grid, times, np.arange(len(times))))


def _side(of_joints: set[str]) -> str:
    """Return the side of a bone: that of its joints, if none of them is on the other."""
    sides = of_joints & {"left", "right"}
    return sides.pop() if len(sides) == 1 else "center"


def check_outputs(
    output: str, pictures: Sequence[str] = (), animation: str | None = None, inputs: Sequence[str] = ()
) -> list[Path]:
    """Return the files to write, before anything is read.

    Args:
      output: the `.npz` file.
      pictures: see `rendering.render`.
      animation: the `.bvh` file, if any.
      inputs: files that are read, and must not be written.

    Raises:
      UserError: names the flag, if a file has another ending or no folder, is an input, or ffmpeg is missing.
    """
    wanted = [("--output", output, (".npz",)), *(("--render", name, SUFFIXES) for name in pictures)]
    wanted += [("--bvh", animation, (".bvh",))] if animation else []
    for flag, name, suffixes in wanted:
        if Path(name).suffix not in suffixes or not plain(name).parent.is_dir():
            raise UserError(f"{flag}={name}: expected a name ending in {' or '.join(suffixes)} in a folder that exists")
        if any(plain(name).resolve() == plain(read).resolve() for read in inputs):
            raise UserError(f"{flag}={name}: is read too, expected another file")
        if Path(name).suffix == ".mp4":
            from srnet_jax.lifting.rendering import find_ffmpeg

            find_ffmpeg(Path(name))
    return [plain(name) for _, name, _ in wanted]


def lift_all(
    tracks: tuple[Track, ...],
    lifter: KeypointLifter,
    files: Sequence[Path],
    *,
    flip: bool,
    model: str,
    focal_px: float | None = None,
    images: Images | None = None,
) -> Iterator[tuple[Track, list[Path]]]:
    """Lift people and write their files, as `check_outputs` returns them, of several people with each one's name.

    Args:
      tracks: from `described`.
      lifter: the network.
      files: to write, their kinds by their endings.
      flip: see `KeypointLifter`.
      model: what the `.npz` file calls the network.
      focal_px: see `KeypointLifter`.
      images: of the video, behind the keypoints in films and sheets.

    Yields:
      Each person and the files.
    """
    for lifted in lift(tracks, lifter, flip=flip, focal_px=focal_px):
        track = lifted.track
        own = [file.with_name(f"{file.stem}_{track.name}{file.suffix}") for file in files] if len(tracks) > 1 else list(files)
        for path in own:
            match path.suffix:
                case ".npz":
                    write(path, lifted, model=model)
                case ".bvh":
                    from srnet_jax.lifting import bvh_export  # takes a third of a second, as matplotlib does

                    bvh_export.write(path, _evenly(_held(lifted.poses_3d), track), track.fps or USUAL_FPS)
                case _:
                    from srnet_jax.lifting import rendering

                    rendering.render(scene(lifted, images), path)
        yield track, own
