"""Draw lifted poses as pictures, films and web pages: the 2D keypoints, with or without the video, beside the 3D pose.

`render` draws a `Scene`, which holds the people's results and, for a background, the images of their video. The ending of the
file's name chooses the form.
"""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from PIL import Image

from srnet_jax.errors import UserError, one_line
from srnet_jax.io.files import absolute
from srnet_jax.lifting import webpage
from srnet_jax.lifting.scene import SUFFIXES, Scene, bones_3d

COLOURS = {"left": "#0072B2", "right": "#D55E00", "center": "#606060"}
_SHEET, _FILM_FPS, _FILM_FRAMES = 6, 12.5, 300  # poses of a .png; frame rate and number of frames of a .gif, at most
_UNEVEN_FPS = 60.0  # largest frame rate of a .mp4 of frames at uneven times, unless the video's own is higher
_TURN, _TILT = np.radians(30), np.radians(12)  # the 3D pose is seen from the side of the camera and above it, by these angles
_MARGIN = 1.1  # factor on the size of the box around the points
_AROUND, _LEAST = 1.3, 0.25  # shown part of an image: the person's extent times 1.3, at least 1/4 of the image's longer side
_DPI, _SHARP = 100, 150  # dots per inch of a drawing without and with images


def render(scene: Scene, path: Path) -> None:
    """Draw a scene in the format of the file name's ending; write the file whole or not at all.

    - `.html`: a self-contained page with a 3D view that can be turned, see `webpage`.
    - `.gif`, `.mp4`: a film in real time. A .gif has at most 12.5 frames a second and 300 frames in total; frames of a longer
      film are skipped evenly. A .mp4 has all frames (at most 60 a second if their times are uneven) and needs ffmpeg.
    - `.png`: up to six poses, evenly spaced in time.

    If the scene has images, `.gif`, `.mp4` and `.png` show the part around the person behind the keypoints. Images are decoded
    while the file is written. The image of a damaged frame is blank.

    Args:
      scene: to draw.
      path: of the file.

    Raises:
      UserError: if the ending is not known, or ffmpeg is missing or fails.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a name ending in {', '.join(SUFFIXES)}")
    with tempfile.TemporaryDirectory(dir=absolute(path).parent, prefix=".unfinished-") as folder:
        draft = Path(folder) / path.name
        if path.suffix == ".html":
            draft.write_text(webpage.page(scene), encoding="utf-8")
        elif path.suffix == ".png":
            _draw_sheet(scene, draft)
        else:
            _draw_film(scene, draft)
        draft.replace(absolute(path))


def film_frames(num_frames: int, fps: float) -> tuple[np.ndarray, float]:
    """Choose the frames of a .gif in real time: at most 12.5 frames a second, and 300 frames in total.

    Args:
      num_frames: of the scene.
      fps: frames per second of the scene.

    Returns:
      Int indices of the frames, and the frames per second of the .gif.
    """
    step = int(max(np.ceil(fps / _FILM_FPS), np.ceil(num_frames / _FILM_FRAMES), 1))
    return np.arange(0, num_frames, step), fps / step


def steady_frames(seconds: np.ndarray, fps: float) -> np.ndarray:
    """Choose the frames, of those at uneven times, that a film at a constant frame rate shows.

    Args:
      seconds: [T] increasing times of the frames.
      fps: frames per second of the film.

    Returns:
      Int indices: for each frame of the film, the last frame that is no more than half a film frame later.
    """
    grid = seconds[0] + np.arange(int((seconds[-1] - seconds[0]) * fps + 1.5)) / fps
    return np.maximum(np.searchsorted(seconds, grid + 0.5 / fps, side="right") - 1, 0)


def _film_rows(scene: Scene, suffix: str) -> tuple[np.ndarray, float]:
    """Return the rows of a scene that a film shows, with repetitions in a .mp4, and its frame rate (of a .gif the highest)."""
    if scene.times is None:
        return film_frames(len(scene.poses), scene.fps) if suffix == ".gif" else (np.arange(len(scene.poses)), scene.fps)
    if suffix == ".gif":
        fps = min(_FILM_FPS, (_FILM_FRAMES - 1) / max(float(np.ptp(scene.times)), 1.0))
        rows = np.unique(steady_frames(scene.times, fps))
        begin = np.round(
            100 * (scene.times[rows] - scene.times[rows[0]])
        )  # hundredths of a second, which `_write_gif` rounds to
        return rows[np.unique(begin, return_index=True)[1]], fps
    shortest = float(np.quantile(np.diff(scene.times), 0.05)) if len(scene.times) > 1 else 1.0
    fps = max(min(1 / shortest, _UNEVEN_FPS), scene.fps)
    return steady_frames(scene.times, fps), fps


def _draw_sheet(scene: Scene, path: Path) -> None:
    seconds = scene.seconds
    even = np.linspace(seconds[0], seconds[-1], min(_SHEET, len(seconds)))
    frames = np.unique(np.abs(seconds[:, None] - even).argmin(0))  # the frame nearest to each time
    count = len(frames)
    figure = Figure(figsize=(2.2 * count, 4.8), dpi=_SHARP if scene.images else _DPI, layout="constrained")
    grid = figure.subplots(2, count, squeeze=False)
    backdrop = _Backdrop.of(scene, frames)
    for index, frame in enumerate(frames):
        _show_flat(grid[0, index], scene, frames[[index]], backdrop)(frame)
        _show_solid(grid[1, index], scene, frames)(frame)
        grid[0, index].set_title(_clock(scene, frame), fontsize=9)
    grid[0, 0].set_ylabel("2D, pixels")
    grid[1, 0].set_ylabel("3D, metres" + ("; dashed: estimated" if scene.estimated[frames].any() else ""))
    figure.savefig(path)


def _draw_film(scene: Scene, path: Path) -> None:
    rows, fps = _film_rows(scene, path.suffix)
    (left, right), (bottom, top) = _window(scene.keypoints_2d[rows], 1, scene.image_size if scene.images else None).T
    aspect = float(np.clip((right - left) / (top - bottom), 0.5, 2.5))
    figure = Figure(figsize=(4 * (1 + aspect), 4.4), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    flat, solid = figure.subplots(1, 2, width_ratios=[aspect, 1])
    shown = _show_flat(flat, scene, rows, _Backdrop.of(scene, rows)), _show_solid(solid, scene, rows)
    flat.set_xlabel("2D keypoints")
    solid.set_xlabel("3D pose, seen from the side and above" + ("; dashed: estimated" if scene.estimated.any() else ""))

    def frames() -> Iterator[Figure]:
        for number, row in enumerate(rows):
            for show in shown:
                show(row)
            flat.set_title(_clock(scene, row), fontsize=10)
            if not number:
                figure.canvas.draw()
                figure.set_layout_engine("none")  # keep the layout of the first frame
            yield figure

    if path.suffix == ".gif":
        starts = scene.seconds[rows] if scene.times is not None else np.arange(len(rows)) / fps
        _write_gif(frames(), np.append(starts, starts[-1] + 1 / min(fps, scene.fps)) - starts[0], path)
    else:
        _write_mp4(figure, frames(), fps, path, _SHARP if scene.images else _DPI)


def _write_mp4(figure: Figure, frames: Iterator[Figure], fps: float, path: Path, dpi: int) -> None:
    matplotlib.rcParams["animation.ffmpeg_path"] = find_ffmpeg(path)
    writer = FFMpegWriter(
        fps=fps,  # type: ignore[arg-type]
        extra_args=["-pix_fmt", "yuv420p", "-loglevel", "error"],
    )
    logging.getLogger("matplotlib.animation").setLevel(logging.ERROR)  # the error below holds what ffmpeg prints
    try:
        with writer.saving(figure, str(path), dpi=dpi):
            for _ in frames:
                writer.grab_frame()
    except subprocess.CalledProcessError as error:
        lines = [line.strip() for line in str(error.stderr or error.output).splitlines() if line.strip()]
        reason = one_line(lines[-1], 200) if lines else f"exit code {error.returncode}"
        raise UserError(f"{path.name}: ffmpeg cannot write it ({reason}); .html and .gif do not need ffmpeg") from error
    if not path.is_file():
        raise UserError(f"{path.name}: ffmpeg has written nothing; .html and .gif do not need ffmpeg")


def _write_gif(frames: Iterator[Figure], seconds: np.ndarray, path: Path) -> None:
    """Write a .gif of N frames, in 256 colours each; `seconds` [N + 1] are the start of each frame and the end of the last."""
    drawn = []
    for figure in frames:
        canvas = figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        canvas.draw()
        drawn.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(256, method=Image.Quantize.FASTOCTREE))
    lasting = [int(10 * hundredths) for hundredths in np.diff(np.round(100 * seconds))]  # the format's resolution
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=lasting, loop=0, optimize=False)


def find_ffmpeg(path: Path) -> str:
    """Return the path of ffmpeg, which writes .mp4.

    Args:
      path: of the film, for the message.

    Raises:
      UserError: if neither ffmpeg nor the package imageio_ffmpeg is installed.
    """
    found = shutil.which("ffmpeg")
    if not found:
        try:
            import imageio_ffmpeg
        except ImportError:
            raise UserError(f"{path}: needs ffmpeg, which is not installed; .html and .gif do not need it") from None
        found = imageio_ffmpeg.get_ffmpeg_exe()
    return found


def _clock(scene: Scene, frame: int) -> str:
    return f"frame {scene.numbers[frame]}, {scene.seconds[frame]:.2f} s"


class _Backdrop:
    """The images of a scene, decoded one at a time in increasing order."""

    def __init__(self, images: Iterator[tuple[int, np.ndarray]], numbers: np.ndarray) -> None:
        self._images, self._numbers, self._now = images, numbers, (-1, np.empty(0))

    @classmethod
    def of(cls, scene: Scene, rows: np.ndarray) -> "_Backdrop | None":
        """Return the images of the given rows; None if the scene has no images."""
        return cls(scene.images(np.unique(scene.numbers[rows])), scene.numbers) if scene.images else None

    def at(self, row: int) -> np.ndarray | None:
        """Return the image of a row, or None if it is damaged; rows must not decrease from call to call."""
        while self._now[0] < self._numbers[row]:
            self._now = next(self._images, (np.iinfo(np.int64).max, np.empty(0)))
        return self._now[1] if self._now[0] == self._numbers[row] else None


def _show_flat(axes: Axes, scene: Scene, frames: np.ndarray, backdrop: _Backdrop | None) -> Callable[[int], None]:
    """Prepare axes for the 2D keypoints, and return a function that shows those of a frame."""
    nothing = np.zeros(scene.keypoints_2d.shape[:2], bool)
    window = _window(scene.keypoints_2d[frames], 1, scene.image_size if backdrop else None)
    bones = _show_bones(axes, scene.keypoints_2d, nothing, (scene.bones_2d, scene.sides_2d), window)
    if backdrop is None:
        return bones
    axes.collections[0].set_path_effects([Stroke(linewidth=4.6, foreground="white"), Normal()])
    behind = _show_image(axes, scene.image_size, window)

    def show(frame: int) -> None:
        behind(backdrop.at(frame))
        bones(frame)

    return show


def _show_solid(axes: Axes, scene: Scene, frames: np.ndarray) -> Callable[[int], None]:
    """Prepare axes for the 3D pose, and return a function that shows that of a frame."""
    points = seen_from_aside(scene.poses)
    return _show_bones(axes, points, scene.estimated, bones_3d(), _window(points[frames], 0.1))


def seen_from_aside(poses: np.ndarray) -> np.ndarray:
    """Project poses for a view from the side of the camera and above it.

    Args:
      poses: [..., J, 3] joints, camera frame, metres.

    Returns:
      [..., J, 2] joints in the view: x right, y down, metres.
    """
    x, y, z = np.moveaxis(poses, -1, 0)
    aside, depth = x * np.cos(_TURN) + z * np.sin(_TURN), z * np.cos(_TURN) - x * np.sin(_TURN)
    return np.stack([aside, y * np.cos(_TILT) - depth * np.sin(_TILT)], -1)


def _window(points: np.ndarray, smallest: float, image_size: tuple[int, int] | None = None) -> np.ndarray:
    """Return the corners of the window in which points are shown.

    Without an image, the window is a square around the points. With an image, it is the part of a larger square that is inside
    the image, extended to points outside the image by at most half of the image's size.

    Args:
      points: [T, K, 2] points; those with NaN do not count.
      smallest: half the side of the square, at least.
      image_size: width and height of the image, pixels; None for no image.

    Returns:
      [2, 2] the smallest and the largest (x, y).
    """
    known = points[np.isfinite(points).all(-1)]
    if not len(known):  # no frame shows the person
        known = np.zeros((1, 2))
    low, high = known.min(0), known.max(0)
    centre, half = (low + high) / 2, max(float((high - low).max()) / 2, smallest)
    if image_size is None:
        return np.stack([centre - _MARGIN * half, centre + _MARGIN * half])
    size = np.array(image_size, np.float64)
    half = max(_AROUND * half, _LEAST * size.max() / 2)
    centre = np.clip(centre, np.minimum(half, size / 2), np.maximum(size - half, size / 2))
    low, high = np.maximum(low, -size / 2), np.minimum(high, 1.5 * size)
    return np.stack([np.minimum(np.maximum(centre - half, 0), low), np.maximum(np.minimum(centre + half, size), high)])


def _show_image(axes: Axes, image_size: tuple[int, int], window: np.ndarray) -> Callable[[np.ndarray | None], None]:
    """Prepare axes for images, and return a function that shows the part of an image inside a window.

    Images are reduced to about the number of pixels of the axes.
    """
    (left, top), (right, bottom) = np.clip([np.floor(window[0]), np.ceil(window[1])], 0, image_size).astype(int).tolist()
    limits = axes.axis()
    drawn = axes.imshow(np.full((1, 1, 3), 255, np.uint8), extent=(left, right, bottom, top), zorder=0, aspect="equal")
    axes.axis(limits)
    box = axes.get_figure(root=True).get_size_inches() * _SHARP  # type: ignore[union-attr]
    share = min(1.0, float(np.min(box / np.maximum([right - left, bottom - top], 1))))
    size = max(1, round((right - left) * share)), max(1, round((bottom - top) * share))

    def show(image: np.ndarray | None) -> None:
        if image is None or right <= left or bottom <= top:
            drawn.set_data(np.full((1, 1, 3), 255, np.uint8))
            return
        part = image[top:bottom, left:right]
        if share < 1:
            part = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BOX))
        drawn.set_data(part)

    return show


def _show_bones(
    axes: Axes,
    points: np.ndarray,
    estimated: np.ndarray,
    bones: tuple[tuple[tuple[int, int], ...], tuple[str, ...]],
    window: np.ndarray,
) -> Callable[[int], None]:
    """Prepare axes for bones, and return a function that shows those of a frame.

    Args:
      axes: to draw in, with y down.
      points: [T, K, 2] joints.
      estimated: [T, K] bool, joints whose bones are dashed.
      bones: pairs of joints, and the side of each pair: "left", "right" or "center".
      window: [2, 2] the smallest and the largest (x, y) that is shown.
    """
    axes.set(xlim=window[:, 0], ylim=window[::-1, 1])
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_color("#B0B0B0")
    lines = LineCollection([], colors=[COLOURS[side] for side in bones[1]], linewidths=2.2, capstyle="round")
    axes.add_collection(lines)
    ends = np.array(bones[0])

    def show(frame: int) -> None:
        lines.set_segments(list(points[frame][ends]))
        lines.set_linestyle(["dashed" if dashed else "solid" for dashed in estimated[frame][ends].any(-1)])

    return show
