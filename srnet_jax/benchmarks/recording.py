"""Load a recording of one person by several calibrated cameras from a folder.

The folder contains:

- The calibration (`calibration_files`): a `.toml` file other than Config.toml, or a `.qca.txt` file. It may also be in a folder
  whose name contains "calib", which is in this folder or in one of the three folders above.
- `pose/` with a file or folder of keypoints for each camera. Without `pose/`, the keypoints are in the folder itself. Keypoints
  and cameras are both sorted by name and matched in this order.
- Optional: `world/<camera>.npy` [T, 33, 3] for each camera, MediaPipe's world landmarks in metres, NaN where it saw nobody.
  Row 0 is the frame with number 0 in the keypoint files.
- Optional: Pose2Sim's `Config.toml` with `frame_rate`, in this folder or in one of the three above. The nearest file with a
  frame rate is used.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.data import calibration_files
from srnet_jax.data.calibration_files import natural_order
from srnet_jax.errors import DataError
from srnet_jax.io.files import plain, reading, size_of
from srnet_jax.io.text import listed, numbers_of_shape, read_toml
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting import sources
from srnet_jax.pose.layouts import LAYOUTS
from srnet_jax.pose.multiview import CalibratedCamera

USUAL_FPS = 30.0
_PARENTS = 3  # folders above that are searched
_CONFIG = "config.toml"
_KEYPOINT_ENDINGS = (".json", ".npz", ".npy", ".csv", ".tsv", ".txt")
_OTHER_FOLDERS = ("world", "videos")  # folders that hold no keypoints
_MAX_OUTSIDE = 0.5  # share of the keypoints that may be outside of the image
_MAX_FRAMES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Recording:
    """Keypoints and calibration of several cameras that film one person.

    Attributes:
      cameras: sorted by name.
      tracks: the keypoints of the person in each camera; layout, image size and frame rate are set.
      fps: frames per second.
      worlds: the detector's 3D joints for each camera, [T, 33, 3] of `mediapipe_33`, metres; None if the folder has none.
    """

    cameras: tuple[CalibratedCamera, ...]
    tracks: tuple[Track, ...]
    fps: float
    worlds: tuple[np.ndarray, ...] | None

    @property
    def frames(self) -> int:
        """Number of frames T, from frame 0 to the last frame in which any camera sees the person."""
        return max(track.first_frame + len(track.keypoints) for track in self.tracks)


def load(folder: str | Path, fps: float | None = None, layout: str | None = None) -> Recording:
    """Load a recording.

    Args:
      folder: its content is described in the module's docstring.
      fps: frames per second; None to take them from Config.toml, or else from the keypoint files, or else 30.
      layout: layout of the keypoints; None to take it from the files or recognise it.

    Raises:
      UserError: for an unknown layout or an impossible frame rate.
      DataError: if a file is missing, damaged, or does not fit the others.
    """
    folder = plain(folder).absolute()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected a recording (docs/real_video.md)")
    calibration = _find_calibration(folder)
    cameras = calibration_files.load(calibration)
    pose = folder / "pose" if (folder / "pose").is_dir() else folder
    files = _find_keypoints(pose)
    if len(files) != len(cameras):
        names, found = listed(camera.name for camera in cameras), listed(file.name for file in files)
        raise DataError(
            f"{pose}: found {len(files)} files or folders of keypoints: {found}; expected one for each of the {len(cameras)} "
            f"cameras of {calibration}: {names}"
        )
    rate = fps or _find_frame_rate(folder)
    tracks = tuple(_load_track(file, camera, rate, layout) for file, camera in zip(files, cameras, strict=True))
    rate = rate or next((track.fps for track in tracks if track.fps), USUAL_FPS)
    recording = Recording(cameras, tuple(dataclasses.replace(track, fps=rate) for track in tracks), rate, None)
    return dataclasses.replace(recording, worlds=_load_worlds(folder / "world", cameras, recording.frames))


def _with_parents(folder: Path) -> Iterator[Path]:
    """Yield a folder and the folders above it that are searched."""
    yield folder
    yield from list(folder.parents)[:_PARENTS]


def _find_calibration(folder: Path) -> Path:
    """Return the path of the calibration file."""
    places = [folder]
    for above in _with_parents(folder):
        places += sorted(one for one in above.iterdir() if "calib" in one.name.lower() and one.is_dir())
    for place in places:
        inside = sorted(one for one in place.iterdir() if one.is_file())
        for ending in (".toml", ".qca.txt"):
            found = [one for one in inside if one.name.lower().endswith(ending) and one.name.lower() != _CONFIG]
            if len(found) > 1:
                raise DataError(f"{place}: found {listed(one.name for one in found)}, expected one calibration")
            if found:
                return found[0]
    raise DataError(
        f'{folder}: no calibration, expected a .toml or .qca.txt in it, or in a folder named like "calibration" in it or up to '
        f"{_PARENTS} folders above"
    )


def _find_keypoints(folder: Path) -> list[Path]:
    """Return the files and folders of keypoints, sorted by name."""
    found = [
        one
        for one in folder.iterdir()
        if not one.name.startswith(".")
        and (
            "calib" not in one.name.lower() and one.name.lower() not in _OTHER_FOLDERS
            if one.is_dir()
            else one.suffix.lower() in _KEYPOINT_ENDINGS and not one.name.lower().endswith(".qca.txt")
        )
    ]
    return sorted(found, key=lambda one: natural_order(one.name))


def _find_frame_rate(folder: Path) -> float | None:
    """Return the frame rate of the nearest Config.toml that has one; None if there is none."""
    for above in _with_parents(folder):
        for file in (one for one in sorted(above.iterdir()) if one.name.lower() == _CONFIG and one.is_file()):
            project = read_toml(file, "a Config.toml of Pose2Sim").get("project")
            rate = project.get("frame_rate") if isinstance(project, dict) else None
            if isinstance(rate, int | float) and not isinstance(rate, bool):  # it may be "auto"
                if not 0.1 <= rate <= 10_000:
                    raise DataError(f"{file}: project.frame_rate: found {rate:g}, expected 0.1 to 10,000 frames per second")
                return float(rate)
    return None


def _load_track(file: Path, camera: CalibratedCamera, fps: float | None, layout: str | None) -> Track:
    """Load the keypoints of one camera; of several people, take the one with the largest sum of confidences."""
    size = camera.image_size
    tracks = keypoint_files.load(file, keypoint_files.Hints(image_size=size))
    best = max(tracks, key=lambda track: float(track.confidences.sum()))
    if not 0 <= best.first_frame <= _MAX_FRAMES - len(best.keypoints):
        raise DataError(f"{file}: found frame {best.first_frame}, expected frame numbers from 0 to {_MAX_FRAMES:,}")
    seen = best.keypoints[np.isfinite(best.keypoints).all(-1)]
    if (outside := float(((seen < 0) | (seen > size)).any(-1).mean())) > _MAX_OUTSIDE:
        raise DataError(
            f"{file}: {outside:.0%} of the keypoints are outside of the image of {size[0]} x {size[1]} pixels, the size in the "
            f"calibration of {camera.name}, expected most inside; does the video have another size?"
        )
    return sources.described((best,), file, layout=layout, fps=fps)[0]


def _load_worlds(folder: Path, cameras: tuple[CalibratedCamera, ...], frames: int) -> tuple[np.ndarray, ...] | None:
    """Load the detector's 3D joints of each camera, cut to the number of frames of the recording; None without the folder."""
    if not folder.is_dir():
        return None
    joints = len(LAYOUTS["mediapipe_33"].joints)
    worlds = []
    for camera in cameras:
        file = folder / f"{camera.name}.npy"
        size_of(file, f"the landmarks of {camera.name} [T, {joints}, 3], or no folder {folder.name}")
        with reading(file, "an .npy array of numbers"):
            array = np.array(np.load(file, mmap_mode="r", allow_pickle=False))
        numbers_of_shape(array, ("frames >= 1", joints, 3), str(file))
        if len(array) < frames:
            raise DataError(f"{file}: found {len(array)} frames, expected {frames} or more, as many as the keypoints")
        worlds.append(array[:frames].astype(np.float64))
    return tuple(worlds)
