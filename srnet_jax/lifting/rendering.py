"""Pictures, films and pages of lifted poses: the 2D keypoints beside the 3D pose."""

import shutil
import tempfile
from collections.abc import Callable
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
from srnet_jax.lifting.scene import SUFFIXES, Scene, bones_3d

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
        _show_flat(grid[0, index], scene, frames[[index]])(frame)
        _show_solid(grid[1, index], scene, frames)(frame)
        grid[0, index].set_title(_clock(scene, frame), fontsize=9)
    grid[0, 0].set_ylabel("2D, pixels")
    grid[1, 0].set_ylabel("3D, metres" + ("; dashed: estimated" if scene.estimated[frames].any() else ""))
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
    shown = _show_flat(left, scene, frames), _show_solid(right, scene, frames)
    left.set_xlabel("2D keypoints")
    right.set_xlabel("3D pose, seen from a little aside and above" + ("; dashed: estimated" if scene.estimated.any() else ""))
    with writer.saving(figure, str(path), dpi=_DPI):
        for frame in frames:
            for show in shown:
                show(frame)
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


def _show_flat(axes: Axes, scene: Scene, frames: np.ndarray) -> Callable[[int], None]:
    """Return what shows the keypoints of a frame in the image."""
    nothing = np.zeros(scene.keypoints_2d.shape[:2], bool)
    return _view(axes, scene.keypoints_2d, nothing, (scene.bones_2d, scene.sides_2d), frames, smallest=1)


def _show_solid(axes: Axes, scene: Scene, frames: np.ndarray) -> Callable[[int], None]:
    """Return what shows the pose of a frame, seen from a little aside and above."""
    return _view(axes, turned(scene.poses), scene.estimated, bones_3d(), frames, smallest=0.1)


def turned(poses: np.ndarray) -> np.ndarray:
    """Return poses [..., J, 3], camera frame, as seen by a camera a little aside and above: [..., J, 2], y down."""
    x, y, z = np.moveaxis(poses, -1, 0)
    aside, depth = x * np.cos(_TURN) + z * np.sin(_TURN), z * np.cos(_TURN) - x * np.sin(_TURN)
    return np.stack([aside, y * np.cos(_TILT) - depth * np.sin(_TILT)], -1)


def _view(
    axes: Axes,
    points: np.ndarray,
    estimated: np.ndarray,
    bones: tuple[tuple[tuple[int, int], ...], tuple[str, ...]],
    frames: np.ndarray,
    smallest: float,
) -> Callable[[int], None]:
    """Return what shows the bones of a frame, in a square with y downwards that holds all of these frames. NaN is left out.

    `points` are [T, K, 2], and bones to those that are `estimated` [T, K] are dashed; `bones` are pairs of them and the side of
    each; `smallest` is the least half width of the square.
    """
    known = points[frames][np.isfinite(points[frames]).all(-1)]
    if not len(known):  # nobody is seen in them
        known = np.zeros((1, 2))
    low, high = known.min(0), known.max(0)
    centre, half = (low + high) / 2, _MARGIN * max(float((high - low).max()) / 2, smallest)
    axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_color("#B0B0B0")
    lines = LineCollection([], colors=[COLOURS[side] for side in bones[1]], linewidths=2.2, capstyle="round")
    axes.add_collection(lines)
    ends = np.array(bones[0])

    def show(frame: int) -> None:
        lines.set_segments(list(points[frame][ends]))
        lines.set_linestyle(["dashed" if dashed else "solid" for dashed in estimated[frame][ends].any(-1)])

    return show
