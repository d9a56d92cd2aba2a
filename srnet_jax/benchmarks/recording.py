"""A folder with a recording of one person by several calibrated cameras.

- A calibration (`calibration_files`): a `.toml` other than Config.toml, or else a `.qca.txt`, in the folder; or in a folder
  whose name contains "calib", in it or in one of the three folders above.
- `pose/` with a file or folder of keypoints for each camera, or these in the folder itself. Sorted by name they belong to the
  cameras sorted by name.
- Optional: `world/<camera>.npy` [T, 33, 3] of each camera, MediaPipe's world landmarks of each frame in metres, NaN where it
  saw nobody. Row 0 is the frame that keypoints call number 0.
- Optional: Pose2Sim's `Config.toml` with `frame_rate`, in the folder or in one of the three above; the nearest counts.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.data import calibration_files
from srnet_jax.data.calibration_files import natural_order
from srnet_jax.errors import DataError
from srnet_jax.io.files import plain, reading, size_of
from srnet_jax.io.text import listed, numbers_of_shape
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting import sources
from srnet_jax.pose.layouts import LAYOUTS
from srnet_jax.pose.multiview import CalibratedCamera

USUAL_FPS = 30.0
_ABOVE = 3  # folders
_CONFIG = "config.toml"
_POINTS = (".json", ".npz", ".npy", ".csv", ".tsv", ".txt")
_OTHERS = ("world", "videos")  # folders that hold no keypoints
_OUTSIDE = 0.5  # of the keypoints
_MOST_FRAMES = 1_000_000


@dataclasses.dataclass(frozen=True)
class Recording:
    """What the cameras of a recording saw.

    Attributes:
      cameras: by name.
      tracks: the person whom each camera sees best; layout, image size and frame rate are known.
      fps: frames per second.
      worlds: a detector's own 3D for each camera, [T, 33, 3] in the joints of `mediapipe_33`, metres; None if there is none.
    """

    cameras: tuple[CalibratedCamera, ...]
    tracks: tuple[Track, ...]
    fps: float
    worlds: tuple[np.ndarray, ...] | None

    @property
    def frames(self) -> int:
        """Number of frames T, from number 0 to the last that shows the person to any camera."""
        return max(track.first_frame + len(track.keypoints) for track in self.tracks)


def load(folder: str | Path, fps: float | None = None, layout: str | None = None) -> Recording:
    """Read a recording.

    Args:
      folder: see the module.
      fps: frames per second; None for that of Config.toml, of the keypoint files, or 30.
      layout: of the keypoints; None if the files say it, or it can be told.

    Raises:
      UserError: for an unknown layout or an impossible frame rate.
      DataError: names the file that is missing, damaged, or does not fit the others.
    """
    folder = plain(folder).absolute()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected a recording (docs/real_video.md)")
    calibration = _calibration(folder)
    cameras = calibration_files.load(calibration)
    pose = folder / "pose" if (folder / "pose").is_dir() else folder
    files = _keypoints(pose)
    if len(files) != len(cameras):
        names, found = listed(camera.name for camera in cameras), listed(file.name for file in files)
        raise DataError(
            f"{pose}: found {len(files)} files or folders of keypoints: {found}; expected one for each of the {len(cameras)} "
            f"cameras of {calibration}: {names}"
        )
    rate = fps or _frame_rate(folder)
    tracks = tuple(_track(file, camera, rate, layout) for file, camera in zip(files, cameras, strict=True))
    rate = rate or next((track.fps for track in tracks if track.fps), USUAL_FPS)
    recording = Recording(cameras, tuple(dataclasses.replace(track, fps=rate) for track in tracks), rate, None)
    return dataclasses.replace(recording, worlds=_worlds(folder / "world", cameras, recording.frames))


def _around(folder: Path) -> Iterator[Path]:
    """Yield a folder and those above it in which a session may have its files."""
    yield folder
    yield from list(folder.parents)[:_ABOVE]


def _calibration(folder: Path) -> Path:
    """Return the file of the calibration."""
    places = [folder]
    for above in _around(folder):
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
        f"{_ABOVE} folders above"
    )


def _keypoints(folder: Path) -> list[Path]:
    """Return the files and folders that hold keypoints, by name."""
    found = [
        one
        for one in folder.iterdir()
        if not one.name.startswith(".")
        and (
            "calib" not in one.name.lower() and one.name.lower() not in _OTHERS
            if one.is_dir()
            else one.suffix.lower() in _POINTS and not one.name.lower().endswith(".qca.txt")
        )
    ]
    return sorted(found, key=lambda one: natural_order(one.name))


def _frame_rate(folder: Path) -> float | None:
    """Return the frame rate of the nearest Config.toml that has one."""
    for above in _around(folder):
        for file in (one for one in sorted(above.iterdir()) if one.name.lower() == _CONFIG and one.is_file()):
            project = calibration_files.read_toml(file, "a Config.toml of Pose2Sim").get("project")
            rate = project.get("frame_rate") if isinstance(project, dict) else None
            if isinstance(rate, int | float) and not isinstance(rate, bool):  # "auto" is that of the video
                if not 0.1 <= rate <= 10_000:
                    raise DataError(f"{file}: project.frame_rate: found {rate:g}, expected frames per second")
                return float(rate)
    return None


def _track(file: Path, camera: CalibratedCamera, fps: float | None, layout: str | None) -> Track:
    """Return the person whom a camera sees most surely and longest."""
    size = camera.image_size
    tracks = keypoint_files.load(file, keypoint_files.Hints(image_size=size))
    best = max(tracks, key=lambda track: float(track.confidences.sum()))
    if not 0 <= best.first_frame <= _MOST_FRAMES - len(best.keypoints):
        raise DataError(f"{file}: found frame {best.first_frame}, expected numbers from 0 to {_MOST_FRAMES:,}")
    seen = best.keypoints[np.isfinite(best.keypoints).all(-1)]
    if (outside := float(((seen < 0) | (seen > size)).any(-1).mean())) > _OUTSIDE:
        raise DataError(
            f"{file}: {outside:.0%} of the keypoints are outside of the image of {size[0]} x {size[1]} that the calibration of "
            f"{camera.name} has, expected keypoints in it; is the video of another size?"
        )
    return sources.described((best,), file, layout=layout, fps=fps)[0]


def _worlds(folder: Path, cameras: tuple[CalibratedCamera, ...], frames: int) -> tuple[np.ndarray, ...] | None:
    """Return the detector's own 3D of each camera, as many frames as the recording has."""
    if not folder.is_dir():
        return None
    joints = len(LAYOUTS["mediapipe_33"].joints)
    made = []
    for camera in cameras:
        file = folder / f"{camera.name}.npy"
        size_of(file, f"the landmarks of {camera.name} [T, {joints}, 3], or no folder {folder.name}")
        with reading(file, "an .npy array of numbers"):
            array = np.array(np.load(file, mmap_mode="r", allow_pickle=False))
        numbers_of_shape(array, ("frames >= 1", joints, 3), str(file))
        if len(array) < frames:
            raise DataError(f"{file}: found {len(array)} frames, expected {frames} or more, as the keypoints have")
        made.append(array[:frames].astype(np.float64))
    return tuple(made)
