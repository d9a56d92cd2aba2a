"""Read the images of a video, a picture or a folder of pictures, with their frame numbers, times and focal length.

Videos are read with PyAV, pictures with Pillow; only a few images are in memory at a time. Images are rotated as the file's
metadata (display matrix, EXIF) require. Video frames are numbered from 0 in the order of their time stamps, pictures by their
names (`pictures`).
"""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.io.files import reading, size_of
from srnet_jax.keypoints.pictures import Place, places
from srnet_jax.keypoints.tracks import is_uneven

_MAX_FPS = 1000
_WHOLE = 0.9  # of the declared frames, below which a file seems cut short; some files declare a few too many
_ROUNDED = 1.5e-3  # rounding error of time stamps, seconds; some containers store whole milliseconds
_FAR = 48  # seek if it saves decoding this many frames
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_MAX_PICTURES = 1_000_000
_FULL_FRAME = float(np.hypot(36, 24))  # diagonal of the 35 mm format, mm
_FOCALS = (5.0, 2000.0)  # plausible 35 mm equivalent focal lengths, mm
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_SAME = 0.02  # relative difference of focal lengths or aspect ratios that are still the same
_APPLE = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


class Focal(NamedTuple):
    """A focal length in pixels, and a description of its source."""

    px: float
    source: str


@dataclasses.dataclass(frozen=True)
class Footage:
    """A video or a set of pictures whose images are upright.

    Attributes:
      path: of the file or folder.
      image_size: width and height, pixels; those of the first picture if sizes differ.
      numbers: [N] increasing frame numbers; all 0 if the pictures are independent.
      times: [N] seconds since the first frame; None for pictures without a known frame rate.
      fps: frames per second; None for pictures without a known frame rate.
      uneven: whether the times differ from those of a constant frame rate.
      focal: the focal length, if the metadata contain it and all pictures agree.
      rotate: additional clockwise rotation of the images, degrees: 0, 90, 180 or 270.
      files: the picture files; empty for a video.
      stamps: [N] time stamps of a video, in its own unit; None if they do not distinguish the frames.
      keys: [N] bool, key frames at which decoding can begin.
    """

    path: Path
    image_size: tuple[int, int]
    numbers: np.ndarray
    times: np.ndarray | None
    fps: float | None
    uneven: bool = False
    focal: Focal | None = None
    rotate: int = 0
    files: tuple[Path, ...] = ()
    stamps: np.ndarray | None = None
    keys: np.ndarray | None = None

    @property
    def size_before(self) -> tuple[int, int]:
        """The image size before the rotation by `rotate`."""
        return self.image_size[::-1] if self.rotate in (90, 270) else self.image_size

    @property
    def still(self) -> bool:
        """Whether the pictures are independent, and not frames of a video."""
        return len(self.numbers) > 1 and not self.numbers.any()


def open_footage(path: str | Path, *, rotate: int = 0, fps: float | None = None) -> Footage:
    """Open a video, a picture or a folder of pictures: decode one image, and read all time stamps of a video.

    Args:
      path: of the file or folder.
      rotate: additional clockwise rotation of the images after that of the metadata: 0, 90, 180 or 270 degrees.
      fps: frames per second, which override a video's times and are needed for times of pictures in a folder.

    Returns:
      The video or the pictures.

    Raises:
      UserError: if PyAV is needed and not installed.
      DataError: if the file is missing or cannot be read.
    """
    path = Path(path)
    found = _of_pictures(path, fps) if path.is_dir() or path.suffix.lower() in _PICTURES else _of_video(path)
    if fps and found.fps:
        found = dataclasses.replace(found, times=found.numbers / fps, fps=fps, uneven=False)
    width, height = found.image_size
    return dataclasses.replace(found, rotate=rotate, image_size=(height, width) if rotate in (90, 270) else (width, height))


def images(footage: Footage, numbers: Sequence[int] | np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number and the image, [H, W, 3] uint8 RGB, of frames; damaged frames are skipped.

    Only the requested images are decoded, and those between them and the preceding key frame.

    Args:
      footage: the video or pictures, not `still`.
      numbers: increasing frame numbers.
    """
    rows = np.searchsorted(footage.numbers, numbers)
    rows = rows[(rows < len(footage.numbers)) & (footage.numbers[np.minimum(rows, len(footage.numbers) - 1)] == numbers)]
    for row, image in _pictures(footage, rows) if footage.files else _frames(footage, rows):
        yield int(footage.numbers[row]), np.ascontiguousarray(np.rot90(image, -footage.rotate // 90))


def focal_in_pixels(mm: float, image_size: tuple[int, int]) -> float:
    """Convert a 35 mm equivalent focal length, mm, to pixels, so that the angle of view over the diagonal is the same.

    Source: CIPA DCG-001, which EXIF's FocalLengthIn35mmFilm follows, compares diagonals; an image on film has 36 x 24 mm.
    """
    return mm * float(np.hypot(*image_size)) / _FULL_FRAME


# Videos


def _of_video(path: Path) -> Footage:
    size_of(path, "a video")
    av = _pyav(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: found no images, expected a video")
            stream = container.streams.video[0]
            rate, declared, unit = float(stream.average_rate or 0), int(stream.frames), stream.time_base
            focal = _apple_focal([stream.metadata, container.metadata])
            packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and not p.is_discard]
        image = next((_upright(frame) for frame in _decoded(av, path, None)), None)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = one_line(getattr(error, "strerror", None) or error, 100)
        raise DataError(f"{path}: found no image that PyAV can read ({reason}), expected a video") from error
    if image is None or not packets:
        raise DataError(f"{path}: found no image that PyAV can read, expected a video")
    if len(packets) < _WHOLE * declared:
        warnings.warn(
            f"{path}: found {len(packets)} frames, expected the declared {declared}; the file may be cut short", stacklevel=3
        )
    stamped = all(pts is not None for pts, _ in packets) and len({pts for pts, _ in packets}) == len(packets)
    packets.sort(key=lambda packet: packet[0] if stamped else 0)
    stamps = np.array([pts for pts, _ in packets]) if stamped else None
    times, rate = _times(None if stamps is None else (stamps - stamps[0]) * float(unit), len(packets), rate)
    if not 0 < rate <= _MAX_FPS:
        raise DataError(f"{path}: found {rate:g} frames per second, expected more than 0 and at most {_MAX_FPS}")
    size = image.shape[1], image.shape[0]
    return Footage(
        path,
        size,
        np.arange(len(packets)),
        times,
        rate,
        is_uneven(times, np.arange(len(times)) / rate),
        Focal(focal_in_pixels(focal, size), f"{focal:g} mm (35 mm equivalent) in {path.name}") if focal else None,
        stamps=stamps,
        keys=np.array([key for _, key in packets]) if stamped else None,
    )


def _times(times: np.ndarray | None, count: int, declared: float) -> tuple[np.ndarray, float]:
    """Return the seconds [N] and the rate of the frames; the declared rate is used only if it fits the times."""
    counted = np.arange(count)
    if times is None:
        return counted / declared if declared > 0 else counted * 1.0, declared
    if count > 1 and (declared <= 0 or np.abs(times - counted / declared).max() > _ROUNDED):
        return times, float(counted[-1] / times[-1])
    return times, declared


def _frames(footage: Footage, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the rows and images of frames, seeking if it saves decoding many frames."""
    keys = np.flatnonzero(footage.keys) if footage.keys is not None else np.empty(0, int)
    start = 0
    for end in range(1, len(rows) + 1):
        before = int(rows[end - 1])
        key = keys[np.searchsorted(keys, rows[end], side="right") - 1] if end < len(rows) and len(keys) else 0
        if end == len(rows) or key - before > _FAR:
            yield from _run(footage, rows[start:end])
            start = end


def _run(footage: Footage, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the rows and images of frames from one continuous run of decoding."""
    av, wanted, first, last = _pyav(footage.path), set(rows.tolist()), int(rows[0]), int(rows[-1])
    stamps, seek = footage.stamps, None
    if stamps is not None and footage.keys is not None and footage.keys[1 : first + 1].any():
        seek = int(stamps[first])
    for begin in (seek, None) if seek is not None else (None,):
        for count, frame in enumerate(_decoded(av, footage.path, begin)):
            row = count if stamps is None or frame.pts is None else int(np.searchsorted(stamps, frame.pts, side="right")) - 1
            if begin is not None and not count and row > first:
                break  # seeking went too far: decode from the beginning
            if row > last:
                return
            if row in wanted:
                wanted.remove(row)
                yield row, _upright(frame)
                if row == last:
                    return
        else:
            return


def _decoded(av: Any, path: Path, seek: int | None) -> Iterator[Any]:
    """Yield the frames of a video from the last key frame before a time stamp; damaged frames are skipped."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if seek is not None:
            container.seek(seek, stream=stream, backward=True)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except (av.error.InvalidDataError, ValueError):
                continue
            except (av.error.EOFError, EOFError):
                return
            yield from frames


def _upright(frame: Any) -> np.ndarray:
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))


def _apple_focal(metadata: Sequence[dict[str, str]]) -> float | None:
    """Return the 35 mm equivalent focal length, mm, from the metadata of a QuickTime file; None without one."""
    for one in metadata:
        try:
            mm = float(one.get(_APPLE, ""))
        except ValueError:
            continue
        if _FOCALS[0] <= mm <= _FOCALS[1]:
            return mm
    return None


def _pyav(path: Path) -> Any:
    """Import PyAV.

    Raises:
      UserError: if it is not installed, or a system library is missing.
    """
    try:
        import av
    except ModuleNotFoundError:
        raise UserError(f"{path}: PyAV is not installed, expected `pip install -e .[footage]`") from None
    except (ImportError, OSError) as error:
        raise UserError(f"{path}: PyAV cannot be loaded ({one_line(error, 200)})") from error
    return av


# Pictures


def _of_pictures(path: Path, fps: float | None) -> Footage:
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in _PICTURES and not file.name.startswith(".")]
    else:
        size_of(path, "a picture")
        files = [path]
    if not files or len(files) > _MAX_PICTURES:
        raise DataError(f"{path}: found {len(files):,} pictures, expected 1 to {_MAX_PICTURES:,} ({', '.join(_PICTURES)})")
    placed = places([file.name for file in files])
    found = [placed[file.name] for file in files]
    if any(place.still for place in found) or len({place.clip for place in found}) > 1:
        found = [Place("", 0, True) for _ in files]
    order = np.argsort([place.frame for place in found], kind="stable")
    numbers = np.array([found[index].frame for index in order])
    files = [files[index] for index in order]
    with reading(files[0], "a picture"), Image.open(files[0]) as image:
        size = _upright_size(image)
    timed = fps is not None and not found[0].still
    return Footage(
        path,
        size,
        numbers,
        numbers / fps if timed and fps else None,
        fps if timed else None,
        focal=_exif_focal(files, size),
        files=tuple(files),
    )


def _pictures(footage: Footage, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for row in rows.tolist():
        yield row, picture(footage.files[row])


def picture(path: Path) -> np.ndarray:
    """Read a picture [H, W, 3] uint8 RGB, rotated as its EXIF data require.

    Raises:
      DataError: if it cannot be read.
    """
    with reading(path, "a picture"), Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the size of a picture after the rotation of its EXIF data, without decoding it."""
    width, height = image.size
    return (height, width) if image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS else (width, height)


def _exif_focal(files: Sequence[Path], size: tuple[int, int]) -> Focal | None:
    """Return the focal length of all pictures; None if one does not state it, has another size, or was cropped."""
    found = []
    for file in files:
        with reading(file, "a picture"), Image.open(file) as image:
            own = _upright_size(image)
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        mm = tags.get(ExifTags.Base.FocalLengthIn35mmFilm)
        original = [tags.get(tag) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)]
        if not isinstance(mm, int | float) or not _FOCALS[0] <= mm <= _FOCALS[1] or own != size:
            return None
        if all(isinstance(side, int) and side > 0 for side in original):
            shape, whole = max(size) / min(size), max(original) / min(original)  # type: ignore[type-var, operator]
            if abs(shape / whole - 1) > _SAME:
                return None
        found.append(float(mm))
    if max(found) / min(found) > 1 + _SAME:
        return None
    mm = float(np.median(found))
    return Focal(focal_in_pixels(mm, size), f"{mm:g} mm (35 mm equivalent) in the EXIF data of {files[0].name}")
