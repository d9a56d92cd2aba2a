"""Pictures, films and pages of lifted poses: the 2D keypoints beside the 3D pose."""

import shutil
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from srnet_jax.errors import UserError
from srnet_jax.io.files import absolute
from srnet_jax.lifting import webpage
from srnet_jax.lifting.scene import Scene, bones_3d

SUFFIXES = (".html", ".gif", ".mp4", ".png")
COLOURS = {"left": "#0072B2", "right": "#D55E00", "center": "#606060"}
_SHEET, _FILM_FPS, _FILM_FRAMES = 6, 12.5, 300  # poses of a sheet; of a .gif, at most
_TURN, _TILT = np.radians(30), np.radians(12)  # the 3D pose is seen from a little aside and above the camera
_MARGIN = 1.1
_DPI = 100


def render(scene: Scene, path: Path) -> None:
    """Draw a scene as the name's ending says, whole or not at all.

    - `.html`: a page of its own with a 3D view that turns, see `webpage`.
    - `.gif`, `.mp4`: a film in real time. A .gif has at most 12.5 frames a second and 300 in all: of a longer one frames are
      left out, not the end. A .mp4 has all frames and needs ffmpeg.
    - `.png`: up to six poses, evenly spaced in time.

    Raises:
      UserError: for another ending, or if ffmpeg is missing.
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
    """Return which frames a .gif shows, and how many a second: real time, at most 12.5 a second and 300 in all."""
    step = int(max(np.ceil(fps / _FILM_FPS), np.ceil(num_frames / _FILM_FRAMES), 1))
    return np.arange(0, num_frames, step), fps / step


def _draw_sheet(scene: Scene, path: Path) -> None:
    count = min(_SHEET, len(scene.poses))
    frames = np.linspace(0, len(scene.poses) - 1, count).round().astype(int)
    figure = Figure(figsize=(2.2 * count, 4.8), dpi=_DPI, layout="constrained")
    grid = figure.subplots(2, count, squeeze=False)
    for index, frame in enumerate(frames):
        flat, solid = _Flat(grid[0, index], scene), _Solid(grid[1, index], scene)
        flat.show(frame)
        solid.show(frame)
        grid[0, index].set_title(_clock(scene, frame), fontsize=9)
    grid[0, 0].set_ylabel("2D, pixels")
    grid[1, 0].set_ylabel("3D, metres")
    figure.savefig(path)


def _draw_film(scene: Scene, path: Path) -> None:
    if path.suffix == ".gif":
        frames, fps = film_frames(len(scene.poses), scene.fps)
        writer: AbstractMovieWriter = PillowWriter(fps=round(fps))
    else:
        frames, fps = np.arange(len(scene.poses)), scene.fps
        matplotlib.rcParams["animation.ffmpeg_path"] = find_ffmpeg(path)
        writer = FFMpegWriter(
            fps=fps,  # type: ignore[arg-type]
            extra_args=["-pix_fmt", "yuv420p", "-loglevel", "error"],
        )
    figure = Figure(figsize=(8, 4.4), dpi=_DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    flat, solid = _Flat(left, scene), _Solid(right, scene)
    left.set_xlabel("2D keypoints")
    right.set_xlabel("3D pose, seen from a little aside and above")
    with writer.saving(figure, str(path), dpi=_DPI):
        for frame in frames:
            flat.show(frame)
            solid.show(frame)
            left.set_title(_clock(scene, frame), fontsize=10)
            if frame == frames[0]:
                figure.canvas.draw()
                figure.set_layout_engine("none")  # laid out once
            writer.grab_frame()


def find_ffmpeg(path: Path) -> str:
    """Return the program that writes .mp4.

    Raises:
      UserError: if it is not installed.
    """
    found = shutil.which("ffmpeg")
    if not found:
        try:
            import imageio_ffmpeg
        except ImportError:
            raise UserError(f"{path}: needs ffmpeg, which is not installed; .html and .gif need nothing") from None
        found = imageio_ffmpeg.get_ffmpeg_exe()
    return found


def _clock(scene: Scene, frame: int) -> str:
    number = scene.first_frame + frame
    return f"frame {number}, {number / scene.fps:.2f} s"


class _Flat:
    """The keypoints in the image."""

    def __init__(self, axes: Axes, scene: Scene) -> None:
        self._points, self._bones = scene.keypoints_2d, np.array(scene.bones_2d)
        shown = self._points[np.isfinite(self._points).all(-1)]
        low, high = shown.min(0), shown.max(0)
        half = _MARGIN * max(float((high - low).max()) / 2, 1)
        self._lines = _box(axes, (low + high) / 2, half, scene.sides_2d)

    def show(self, frame: int) -> None:
        self._lines.set_segments(list(self._points[frame][self._bones]))


class _Solid:
    """The pose, seen from a little aside and above."""

    def __init__(self, axes: Axes, scene: Scene) -> None:
        bones, sides = bones_3d()
        self._bones, self._points = np.array(bones), turned(scene.poses)
        shown = self._points[np.isfinite(self._points).all(-1)]
        low, high = shown.min(0), shown.max(0)
        self._lines = _box(axes, (low + high) / 2, _MARGIN * max(float((high - low).max()) / 2, 0.1), sides)

    def show(self, frame: int) -> None:
        self._lines.set_segments(list(self._points[frame][self._bones]))


def turned(poses: np.ndarray) -> np.ndarray:
    """Return poses [..., J, 3], camera frame, as seen by a camera a little aside and above: [..., J, 2], y down."""
    x, y, z = np.moveaxis(poses, -1, 0)
    aside, depth = x * np.cos(_TURN) + z * np.sin(_TURN), z * np.cos(_TURN) - x * np.sin(_TURN)
    return np.stack([aside, y * np.cos(_TILT) - depth * np.sin(_TILT)], -1)


def _box(axes: Axes, centre: np.ndarray, half: float, sides: tuple[str, ...]) -> LineCollection:
    """Show a square of a plane with y downwards, and return the lines in it, which have no places yet."""
    axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_color("#B0B0B0")
    lines = LineCollection([], colors=[COLOURS[side] for side in sides], linewidths=2.2, capstyle="round")
    axes.add_collection(lines)
    return lines
