"""Lift a person's 2D keypoints to 3D: from a detector's file, or from a video.

srnet-lift --keypoints=FILE --layout=coco --width=1920 --height=1080 --fps=30 --output=poses.npz
srnet-lift --video=FILE --detector_model=pose_landmarker.task --output=poses.npz --render=page.html
srnet-lift --keypoints=FILE --output=poses.npz,poses.trc,poses.c3d --angles=angles.mot --bvh=motion.bvh
srnet-lift --keypoints=FILE --video=FILE --start=2 --end=5 --output=poses.npz --render=over_the_video.mp4

In a .npz file poses are in the camera's frame (x right, y down, z away from it), metres, relative to the hip; joints, frame,
unit and model are in the file. What the other files hold is printed, and docs/files_out.md says it in full. With several
people, each has their own files. Layout, size and frame rate need no flag where the keypoint file has them.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from srnet_jax.commands import app

if TYPE_CHECKING:  # what --help need not load
    from srnet_jax.keypoints import footage, times
    from srnet_jax.keypoints.tracks import Track

_KEYPOINTS = flags.DEFINE_string(
    "keypoints", None, "File of 2D keypoints, or folder with one file for each picture (--list_formats)."
)
_LIST_FORMATS = flags.DEFINE_bool("list_formats", False, "Print the formats of --keypoints, and how each is recognised.")
_MIN_CONFIDENCE = flags.DEFINE_float(
    "min_confidence", None, "Confidence below which a joint counts as missing; by default the format's own.", 0.0, 1.0
)
_FORMAT = flags.DEFINE_string("format", None, "Format of --keypoints, where its content does not show it: openpose, csv, ...")
_VIDEO = flags.DEFINE_string(
    "video",
    None,
    "Video, picture or folder of pictures to find the keypoints in, with MediaPipe (needs the extra `video`); or, with "
    "--keypoints, that they were found in (extra `footage`): its times, size, focal length and images are used.",
)
_DETECTOR_MODEL = flags.DEFINE_string("detector_model", None, "MediaPipe's pose_landmarker .task file, for --video.")
_PEOPLE = flags.DEFINE_integer("people", 1, "How many people --video looks for.", lower_bound=1, upper_bound=20)
_START = flags.DEFINE_float("start", None, "Seconds in the video, of the first frame at the earliest.", lower_bound=0.0)
_END = flags.DEFINE_float("end", None, "Seconds in the video, which the last frame is before.", lower_bound=0.0)
_EVERY = flags.DEFINE_integer(
    "every", 1, "Take the frames whose number, from 0, is a multiple of this, and all pictures that stand alone.", lower_bound=1
)
_BACKGROUND = flags.DEFINE_bool("background", True, "With --video, draw its frames behind the keypoints (.gif, .mp4, .png).")
_ROTATE = flags.DEFINE_enum("rotate", "0", ["0", "90", "180", "270"], "Degrees to turn the images, clockwise.")
_LAYOUT = flags.DEFINE_string("layout", None, "Layout of the keypoints: coco, halpe_26, body_25, mediapipe_33, mpii, h36m, ...")
_WIDTH = flags.DEFINE_integer("width", None, "Image width, pixels.", lower_bound=1)
_HEIGHT = flags.DEFINE_integer("height", None, "Image height, pixels.", lower_bound=1)
_FPS = flags.DEFINE_float("fps", None, "Frames per second of the video; temporal networks need it.", lower_bound=0.1)
_FOCAL = flags.DEFINE_float(
    "focal", None, "The camera's focal length, pixels; else what --video says, or 0.85 of the longer side."
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "video, single or causal (which ship), or a .npz file of launch.export; by default video, or single for pictures.",
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a training to take the network from instead.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "Of --workdir: best, latest, or a step.")
_FLIP = flags.DEFINE_bool("flip", True, "Average with the mirrored pose of the mirrored keypoints.")
_FILTERS = flags.DEFINE_list(
    "filters",
    ["smooth", "bones", "knees"],
    "Of the poses: smooth, bones (constant lengths), knees, elbows (none backwards); or none.",
)
_STATURE = flags.DEFINE_float("stature", None, "The person's height, metres, for poses of that size.")
_LEG = flags.DEFINE_float("leg", None, "Instead of --stature: length of thigh and shank together, metres.")
_UP = flags.DEFINE_string("up", "estimate", "Which way is up: estimate, camera (it is level), or a direction as 0,-1,0.")
_LOCK_FEET = flags.DEFINE_bool("lock_feet", False, "Correct the hip's path so that standing feet slide less.")
_OUTPUT = flags.DEFINE_list("output", [], "Files for the poses, with commas between them: .npz, .trc, .csv, .c3d or .bvh.")
_RENDER = flags.DEFINE_list("render", [], "Pictures of input and output: files ending in .html, .gif, .mp4 or .png.")
_BVH = flags.DEFINE_string("bvh", None, "File for the motion as a .bvh animation.")
_ANGLES = flags.DEFINE_string("angles", None, "File for the joint angles: a .csv table, or a .mot motion for OpenSim.")


def _check_flags() -> None:
    """Refuse flags that do not fit together."""
    if not _OUTPUT.value:
        app.fail("--output: missing, expected the file for the poses, such as poses.npz")
    if not (_KEYPOINTS.value or _VIDEO.value):
        app.fail("--keypoints, --video: expected one of them")
    if bool(_WIDTH.value) != bool(_HEIGHT.value):
        app.fail("--width, --height: expected both or none")
    for name in ("detector_model", "people") if _KEYPOINTS.value else ("format", "min_confidence", "width", "height"):
        if flags.FLAGS[name].present:
            app.fail(f"--{name}: not used, expected --{'video' if _KEYPOINTS.value else 'keypoints'} with it")
    if flags.FLAGS["background"].present and not _VIDEO.value:
        app.fail("--background: not used, expected --video with it")


def _people(source: Path, part: "times.Part", filmed: "footage.Footage | None") -> "tuple[Track, ...]":
    """Read people, or find them."""
    from srnet_jax.commands.console import track
    from srnet_jax.keypoints import keypoint_files
    from srnet_jax.lifting import sources

    if _KEYPOINTS.value:
        size = (_WIDTH.value, _HEIGHT.value) if _WIDTH.value and _HEIGHT.value else None
        hints = keypoint_files.Hints(_FORMAT.value, size, _MIN_CONFIDENCE.value, int(_ROTATE.value))
        return sources.from_file(source, hints, part, _FPS.value, filmed)
    assert filmed
    task = Path(_DETECTOR_MODEL.value) if _DETECTOR_MODEL.value else None
    return sources.from_video(filmed, sources.Finder(task, _PEOPLE.value), part, track)


def main() -> None:
    """Read, lift, write."""
    import numpy as np
    from rich.table import Table

    from srnet_jax.commands.console import console
    from srnet_jax.keypoints import footage, formats, times
    from srnet_jax.lifting import lift_file, motion
    from srnet_jax.lifting.lifter import load
    from srnet_jax.lifting.result import Result
    from srnet_jax.pose.layouts import find

    if _LIST_FORMATS.value:
        print(formats.listing())
        return
    _check_flags()
    if _LAYOUT.value:
        find(_LAYOUT.value)
    settings = motion.settings_of(
        _FILTERS.value, stature_m=_STATURE.value, leg_m=_LEG.value, up=_UP.value, lock_feet=_LOCK_FEET.value
    )
    part = times.part(_START.value, _END.value, _EVERY.value)
    model = _WORKDIR.value or _WEIGHTS.value
    inputs = [str(_KEYPOINTS.value or _VIDEO.value), str(_VIDEO.value or ""), str(model or "")]
    files = lift_file.check_outputs(_OUTPUT.value, _RENDER.value, _BVH.value, _ANGLES.value, inputs)
    lifter = load(model, _CHECKPOINT.value) if model else None
    source = Path(str(_KEYPOINTS.value or _VIDEO.value))
    filmed = footage.opened(_VIDEO.value, rotate=int(_ROTATE.value), fps=_FPS.value) if _VIDEO.value else None
    tracks = _people(source, part, filmed)
    tracks = lift_file.described(tracks, source, layout=_LAYOUT.value, fps=_FPS.value, focal_px=_FOCAL.value)
    model = model or lift_file.usual_network(tracks)
    lifter = lifter or load(model)
    focal_px, focal_said = lift_file.focal_length(_FOCAL.value, filmed)
    behind = functools.partial(footage.images, filmed) if filmed and not filmed.still and _BACKGROUND.value else None
    table, places = Table("person", "frames", "detected", "expected\nerror, mm", "error of\nup, °", "files"), set()
    for person, own in lift_file.lift_all(
        tracks, lifter, files, flip=_FLIP.value, model=model, focal_px=focal_px, images=behind, settings=settings, inputs=inputs
    ):
        errors = np.array([]) if person.errors_m is None else person.errors_m[np.isfinite(person.errors_m)]
        off = f"{1000 * errors.mean():.0f}" if len(errors) else "?"
        up = "?" if person.up_error_deg is None else f"{person.up_error_deg:.0f}"
        detected = f"{person.detected.mean():.0%}"
        table.add_row(person.name, f"{len(person.frames):,}", detected, off, up, " ".join(map(str, own)))
        places.add(person.place)
    console(width=120).print(table)
    print(focal_said)
    if any(file.path.suffix == ".npz" for file in files):
        print(f".npz: joints in metres, {Result.axes}")
    if others := sorted({file.path.suffix for file in files if file.flag != "--render"} - {".npz"}):
        print(f"{', '.join(others)}: {' or '.join(sorted(places))} (docs/files_out.md)")


def run(program: str) -> None:
    """Run the command; `program` is how users call it, for --help."""
    app.adopt(__name__, written="srnet-lift", program=program)
    app.run(main)
