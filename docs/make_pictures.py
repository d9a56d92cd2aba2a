"""Draw the pictures of docs/images from the embedded motion and the networks that ship.

python -m docs.make_pictures

A virtual camera films recorded people. What it sees becomes the keypoint file of a COCO detector, and `srnet_jax.load("video")`
lifts it as it is, and with one thing wrong. docs/troubleshooting.md and docs/rare_poses.md show the pictures. It takes a minute
of processor time.
"""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import srnet_jax
from configs import quickstart
from srnet_jax.data import embedded
from srnet_jax.data.sources import load_split
from srnet_jax.evaluation import ranking
from srnet_jax.lifting.rendering import COLOURS, seen_from_aside
from srnet_jax.lifting.result import Result
from srnet_jax.lifting.scene import bones_3d
from srnet_jax.pose import cameras, layouts
from srnet_jax.pose.normalization import root_relative

IMAGES = Path(__file__).parent / "images"
CLIP, FRAME = "06/basketball/06_11-cc", 96  # a person whom training never saw
SIZE, FPS = (1280, 960), 30.0
COCO = layouts.LAYOUTS["coco"]
LEFT, RIGHT = ([i for i, joint in enumerate(COCO.joints) if joint.startswith(side)] for side in ("left", "right"))
LEGS = [i for i, joint in enumerate(COCO.joints) if joint.endswith(("knee", "ankle"))]


def filmed(clip: str, *, aside_m: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return what a level camera sees of a clip.

    The camera is 4.5 m away and 1.3 m high. Its axis passes the person at `aside_m` metres.

    Returns:
      COCO keypoints [T, 17, 2], pixels, with 3 pixels of noise; and the true joints [T, 17, 3], camera frame, metres.
    """
    position, target = (3.6, -2.7, 1.3), (0.0, 0.0, 1.0)
    focal, center = (1100.0, 1100.0), (SIZE[0] / 2, SIZE[1] / 2)
    camera = cameras.Camera("camera", cameras.look_at(position, target), position, focal, center, width=SIZE[0], height=SIZE[1])
    joints = cameras.world_to_camera(embedded.clips()[clip], camera) + [aside_m, 0, 0]
    points = layouts.weights(layouts.H36M, COCO) @ cameras.project(joints, camera)
    return points + np.random.default_rng(0).normal(0, 3, points.shape), joints


def lifted(keypoints: np.ndarray, *, layout: str = "coco", size: tuple[int, int] = SIZE, fps: float = FPS) -> Result:
    """Lift keypoints [T, 17, 2], pixels, by way of a file."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pictures are of what the warnings say
        np.savez(Path(folder) / "keypoints.npz", keypoints=keypoints)
        found = srnet_jax.load("video").lift_file(Path(folder) / "keypoints.npz", layout=layout, image_size=size, fps=fps)
    return found[0]


def draw_bones(axes: Axes, points: np.ndarray, bones: Sequence, sides: Sequence[str], dashed: np.ndarray | None = None) -> None:
    """Draw the bones of one pose [K, 2], y downwards."""
    ends = np.array(bones)
    styles = "solid" if dashed is None else ["dashed" if any(dashed[end]) else "solid" for end in ends]
    axes.add_collection(LineCollection(list(points[ends]), colors=[COLOURS[side] for side in sides], lw=2.4, linestyles=styles))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_color("#C0C0C0")


def draw_pair(axes: Sequence[Axes], result: Result, frame: int, title: str, size: tuple[int, int] | None) -> None:
    """Draw a frame's keypoints in the image, or around the person if no size is given, and below it the lifted pose."""
    shown = result.scene()
    draw_bones(axes[0], shown.keypoints_2d[frame], shown.bones_2d, shown.sides_2d)
    known = shown.keypoints_2d[frame][np.isfinite(shown.keypoints_2d[frame]).all(-1)]
    middle, half = (known.min(0) + known.max(0)) / 2, 250
    axes[0].set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] + half, middle[1] - half), title=title)
    if size:
        axes[0].set(xlim=(0, size[0]), ylim=(size[1], 0))
    draw_bones(axes[1], seen_from_aside(shown.poses[frame]), *bones_3d(), shown.estimated[frame])
    axes[1].set(xlim=(-1.1, 1.1), ylim=(1.1, -1.1))


def save(figure: Figure, name: str) -> None:
    """Write a picture, with few colours: small files."""
    from PIL import Image

    path = IMAGES / name
    figure.savefig(path, dpi=110)
    Image.open(path).convert("RGB").quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"wrote {path}, {path.stat().st_size / 1024:.0f} KiB")


def side_by_side(name: str, columns: Sequence[tuple[str, Result, int, tuple[int, int] | None]]) -> None:
    """Draw results in columns: keypoints above, the lifted pose below."""
    figure = Figure(figsize=(2.8 * len(columns), 5.6), layout="constrained")
    grid = figure.subplots(2, len(columns), squeeze=False)
    for index, (title, result, frame, size) in enumerate(columns):
        draw_pair(grid[:, index], result, frame, title, size)
    grid[0, 0].set_ylabel("keypoints in the image")
    grid[1, 0].set_ylabel("lifted, from aside and above")
    save(figure, name)


def draw_mistakes() -> None:
    """Draw what goes wrong: left and right, layouts, missing legs, upside down, the image's size."""
    keypoints, _ = filmed(CLIP)
    right = ("as it should be", lifted(keypoints), FRAME, None)
    swapped = keypoints.copy()
    swapped[:, LEFT + RIGHT] = keypoints[:, RIGHT + LEFT]
    side_by_side("swapped_sides.png", [right, ("left and right swapped", lifted(swapped), FRAME, None)])
    side_by_side("wrong_layout.png", [right, ("COCO read as h36m", lifted(keypoints, layout="h36m"), FRAME, None)])
    without = keypoints.copy()
    without[:, LEGS] = np.nan
    hidden = keypoints.copy()
    hidden[FRAME - 8 : FRAME + 8, LEGS] = np.nan
    side_by_side(
        "missing_legs.png",
        [
            right,
            ("legs missing for half a second", lifted(hidden), FRAME, None),
            ("legs never seen", lifted(without), FRAME, None),
        ],
    )
    down = keypoints * [1, -1] + [0, SIZE[1]]
    side_by_side("upside_down.png", [right, ("y counted upwards", lifted(down), FRAME, None)])
    aside, _ = filmed(CLIP, aside_m=1.5)
    doubled = (2 * SIZE[0], 2 * SIZE[1])
    side_by_side(
        "image_size.png",
        [
            ("the image's true size", lifted(aside), FRAME, SIZE),
            ("twice the size given", lifted(aside, size=doubled), FRAME, doubled),
        ],
    )


def draw_rates() -> None:
    """Draw a wrist's height over time: with and without smoothing, and with a wrong frame rate."""
    keypoints, joints = filmed(CLIP)
    wrist = layouts.H36M.joints.index("right_wrist")
    seconds = np.arange(len(keypoints)) / FPS
    truth = -root_relative(joints)[:, wrist, 1]
    noisy = keypoints + np.random.default_rng(1).normal(0, 6, keypoints.shape)
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    single = srnet_jax.load("single")(noisy, layout="coco", image_size=SIZE)
    above.plot(seconds, single[:, wrist, 1] * -1, color="#D55E00", lw=1, label="single, --filters=none")
    above.plot(seconds, -lifted(noisy).poses_3d[:, wrist, 1], color="#0072B2", lw=1.8, label="video, with filters")
    above.set_title("a shaky detector (9 pixels of noise): height of the right wrist above the hip, metres", fontsize=10)
    fast = lifted(keypoints, fps=4 * FPS)
    below.plot(seconds, -lifted(keypoints).poses_3d[:, wrist, 1], color="#0072B2", lw=1.8, label="--fps=30, as filmed")
    below.plot(seconds, -fast.poses_3d[:, wrist, 1], color="#D55E00", lw=1.4, label="--fps=120: smoothed too much")
    below.set_title("a wrong frame rate", fontsize=10)
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.plot(seconds, truth, color="black", lw=1, ls="dotted", label="truth")
        axes.legend(loc="upper right", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, "rates.png")


def draw_rarity(count: int = 6) -> None:
    """Draw common and rare test poses of the embedded motion, with their occurrence."""
    config = quickstart.get_config()
    config.data.cameras.number = 1
    _, parts = load_split(config)
    poses = ranking.root_relative_poses(parts.test)
    values = ranking.rank_test_poses(config, parts).values
    recording = np.repeat(np.arange(len(parts.test)), [s.num_frames for s in parts.test])
    order = np.argsort(values, kind="stable")
    rows = {
        "common": _apart(order[::-1], recording, count),
        "in the middle": _apart(order[len(order) // 2 :], recording, count),
    }
    rows["rare"] = _apart(order, recording, count)
    figure = Figure(figsize=(1.75 * count, 6.9), layout="constrained")
    grid = figure.subplots(3, count)
    for axes_row, (name, frames) in zip(grid, rows.items(), strict=True):
        for axes, frame in zip(axes_row, frames, strict=True):
            draw_bones(axes, seen_from_aside(poses[frame]), *bones_3d())
            place = 100 * (values < values[frame]).mean()
            sequence = parts.test[recording[frame]]
            axes.set(xlim=(-1.1, 1.1), ylim=(1.1, -1.1))
            words = f"{sequence.action.replace('_', ' ')}\noccurrence {values[frame]:.3f}\n{place:.1f} % are rarer"
            axes.set_title(words, fontsize=8)
        axes_row[0].set_ylabel(name)
    save(figure, "rare_poses.png")


def draw_occurrence() -> None:
    """Draw how the occurrence of the test poses is spread, and where the rarest 10 % and 20 % begin."""
    config = quickstart.get_config()
    config.data.cameras.number = 1
    _, parts = load_split(config)
    values = np.sort(ranking.rank_test_poses(config, parts).values)
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.linspace(0, 100, len(values)), values, color="#0072B2", lw=2)
    for percent in (10, 20):
        axes.axvspan(0, percent, color="#D55E00", alpha=0.15)
        axes.text(percent - 0.5, values.max() * 0.9, f"{percent} %", ha="right", color="#D55E00")
    axes.set(xlabel="test poses, rarest first, %", ylabel="occurrence (Eq. 10)", xlim=(0, 100), ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, "occurrence.png")


def _apart(order: np.ndarray, recording: np.ndarray, count: int) -> list[int]:
    """Return the first frames of an order, each of another recording."""
    chosen: dict[int, int] = {}
    for frame in order:
        chosen.setdefault(int(recording[frame]), int(frame))
        if len(chosen) == count:
            break
    return list(chosen.values())


if __name__ == "__main__":
    draw_mistakes()
    draw_rates()
    draw_rarity()
    draw_occurrence()
