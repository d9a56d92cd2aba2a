"""Lift 2D keypoints to 3D, from a detector's file or from a video.

srnet-lift --keypoints=FILE --layout=coco --width=1920 --height=1080 --fps=30 --output=poses.npz
srnet-lift --video=FILE --detector_model=pose_landmarker.task --output=poses.npz --render=page.html
srnet-lift --keypoints=FILE --output=poses.npz,poses.trc,poses.c3d --angles=angles.mot --bvh=motion.bvh
srnet-lift --keypoints=FILE --video=FILE --start=2 --end=5 --output=poses.npz --render=over_the_video.mp4

Poses in a .npz file are in the camera's frame (x right, y down, z away from the camera), in metres, relative to the hip; the
file also holds the names of the joints, the frame, the unit and the network. The axes of the other files are printed;
docs/files_out.md describes them. With several people, each person gets their own files. Layout, image size and frame rate need
no flag if the keypoint file contains them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from srnet_jax.commands import app

if TYPE_CHECKING:  # --help does not load these
    from srnet_jax.lifting.lifted_people import LiftedPeople
    from srnet_jax.lifting.outputs import Output
    from srnet_jax.lifting.sources import Recording, Request

_KEYPOINTS = flags.DEFINE_string(
    "keypoints", None, "File of 2D keypoints, or folder with one file for each picture (see --list_formats)."
)
_LIST_FORMATS = flags.DEFINE_bool(
    "list_formats", False, "Print the formats of --keypoints and how each is recognised, and exit."
)
_MIN_CONFIDENCE = flags.DEFINE_float(
    "min_confidence", None, "Confidence below which a joint counts as missing; by default the format's own limit.", 0.0, 1.0
)
_FORMAT = flags.DEFINE_string(
    "format", None, "Format of --keypoints, if it cannot be recognised from the content: openpose, csv, ..."
)
_VIDEO = flags.DEFINE_string(
    "video",
    None,
    "Video, picture or folder of pictures. Alone: MediaPipe finds the people in it (needs the extra `video`). With "
    "--keypoints: the video that the keypoints were found in (needs the extra `footage`), whose times, size, focal length and "
    "images are used.",
)
_DETECTOR_MODEL = flags.DEFINE_string("detector_model", None, "MediaPipe's pose_landmarker .task file, for --video alone.")
_PEOPLE = flags.DEFINE_integer("people", 1, "Number of people to find in --video.", lower_bound=1, upper_bound=20)
_START = flags.DEFINE_float("start", None, "Time of the first frame to take, seconds in the video.", lower_bound=0.0)
_END = flags.DEFINE_float("end", None, "Time before which the last frame to take is, seconds in the video.", lower_bound=0.0)
_EVERY = flags.DEFINE_integer(
    "every", 1, "Take every n-th frame: those whose number is a multiple of n. Separate pictures are all taken.", lower_bound=1
)
_BACKGROUND = flags.DEFINE_bool("background", True, "Draw the frames of --video behind the keypoints (.gif, .mp4, .png).")
_ROTATE = flags.DEFINE_enum("rotate", "0", ["0", "90", "180", "270"], "Degrees by which to turn the images, clockwise.")
_LAYOUT = flags.DEFINE_string("layout", None, "Layout of the keypoints: coco, halpe_26, body_25, mediapipe_33, mpii, h36m, ...")
_WIDTH = flags.DEFINE_integer("width", None, "Image width, pixels.", lower_bound=1)
_HEIGHT = flags.DEFINE_integer("height", None, "Image height, pixels.", lower_bound=1)
_FPS = flags.DEFINE_float(
    "fps", None, "Frames per second of the video; networks that see several frames need it.", lower_bound=0.1
)
_FOCAL = flags.DEFINE_float(
    "focal", None, "Focal length of the camera, pixels; by default that of --video's metadata, or 0.85 times the longer side."
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "Network: video, single or causal (which are included), or a .npz file of launch.export; by default video, or single for "
    "pictures.",
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a training whose network to use instead of --weights.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "Checkpoint of --workdir: best, latest, or a step.")
_FLIP = flags.DEFINE_bool("flip", True, "Average each pose with the mirrored pose of the mirrored keypoints.")
_FILTERS = flags.DEFINE_list(
    "filters",
    ["smooth", "bones", "knees"],
    "Filters of the poses: smooth, bones (constant lengths), knees and elbows (which do not bend backwards); or none.",
)
_STATURE = flags.DEFINE_float("stature", None, "Height of the person, metres, for poses of that size.", 0.4, 2.8)
_LEG = flags.DEFINE_float("leg", None, "Instead of --stature: length of thigh and shank together, metres.", 0.2, 1.5)
_UP = flags.DEFINE_string("up", "estimate", "Which way is up: estimate, camera (for a level camera), or a direction as 0,-1,0.")
_LOCK_FEET = flags.DEFINE_bool("lock_feet", False, "Correct the hip's path so that standing feet slide less.")
_OUTPUT = flags.DEFINE_list("output", [], "Files for the poses, separated by commas: .npz, .trc, .csv, .c3d or .bvh.")
_RENDER = flags.DEFINE_list("render", [], "Pictures of keypoints and poses, separated by commas: .html, .gif, .mp4 or .png.")
_BVH = flags.DEFINE_string("bvh", None, "File for the motion as a .bvh animation.")
_ANGLES = flags.DEFINE_string("angles", None, "File for the joint angles: a .csv table, or a .mot motion for OpenSim.")


def run(program: str) -> None:
    """Run the command; `program` is how users call it, for --help."""
    app.adopt(__name__, written="srnet-lift", program=program)
    app.run(main)


def main() -> None:
    """Read, lift, write."""
    if _LIST_FORMATS.value:
        from srnet_jax.keypoints import formats

        print(formats.listing())
        return
    _check_flags()
    from srnet_jax.commands.console import busy, track
    from srnet_jax.lifting import lift_file, motion, outputs, sources
    from srnet_jax.lifting.lifter import load

    request = _request()
    settings = motion.settings_of(
        _FILTERS.value, stature_m=_STATURE.value, leg_m=_LEG.value, up=_UP.value, lock_feet=_LOCK_FEET.value
    )
    model = _WORKDIR.value or _WEIGHTS.value
    inputs = [name for name in (_KEYPOINTS.value, _VIDEO.value, model) if name]
    files = outputs.check_outputs(_OUTPUT.value, _RENDER.value, _BVH.value, _ANGLES.value, inputs)
    lifter = load(model, _CHECKPOINT.value) if model else None
    recording = sources.read(request, track)
    lift_file.check_files(files, recording, inputs)
    model = model or lift_file.usual_network(recording.tracks)
    lifter = lifter or load(model)
    with busy("lifting; the first time takes some seconds longer"):
        people = lift_file.lift_recording(recording, lifter, flip=_FLIP.value, model=model, settings=settings)
    _report(people, people.write(files), recording, files)


def _check_flags() -> None:
    """Reject flags that do not fit together, and a layout that does not exist."""
    from srnet_jax.pose.layouts import find

    if not _OUTPUT.value:
        app.fail("--output: missing, expected the file for the poses, such as poses.npz")
    if not (_KEYPOINTS.value or _VIDEO.value):
        app.fail("--keypoints, --video: expected one of them")
    if bool(_WIDTH.value) != bool(_HEIGHT.value):
        app.fail("--width, --height: expected both or none")
    if _STATURE.value is not None and _LEG.value is not None:
        app.fail("--stature, --leg: found both, expected one of them")
    for name in ("detector_model", "people") if _KEYPOINTS.value else ("format", "min_confidence", "width", "height"):
        if flags.FLAGS[name].present:
            app.fail(f"--{name}: not used, expected --{'video' if _KEYPOINTS.value else 'keypoints'} with it")
    if flags.FLAGS["background"].present and not _VIDEO.value:
        app.fail("--background: not used, expected --video with it")
    if _LAYOUT.value:
        find(_LAYOUT.value)


def _request() -> "Request":
    """Return what the flags say about the input."""
    from srnet_jax.keypoints import keypoint_files, times
    from srnet_jax.lifting import sources

    size = (_WIDTH.value, _HEIGHT.value) if _WIDTH.value and _HEIGHT.value else None
    return sources.Request(
        keypoints=Path(_KEYPOINTS.value) if _KEYPOINTS.value else None,
        video=Path(_VIDEO.value) if _VIDEO.value else None,
        hints=keypoint_files.Hints(_FORMAT.value, size, _MIN_CONFIDENCE.value, int(_ROTATE.value)),
        part=times.make_part(_START.value, _END.value, _EVERY.value),
        finder=sources.Finder(Path(_DETECTOR_MODEL.value) if _DETECTOR_MODEL.value else None, _PEOPLE.value),
        layout=_LAYOUT.value,
        fps=_FPS.value,
        focal_px=_FOCAL.value,
        background=_BACKGROUND.value,
    )


def _report(people: "LiftedPeople", written: list[list[Path]], recording: "Recording", files: "list[Output]") -> None:
    """Print a table of the people, and what the files hold."""
    from rich.table import Table

    from srnet_jax.commands.console import console
    from srnet_jax.lifting.outputs import PICTURES
    from srnet_jax.lifting.result import Result

    table = Table("person", "frames", "detected", "expected\nerror, mm", "error of\nup, °", "files")
    for person, own in zip(people, written, strict=True):
        off = "?" if person.expected_error_m is None else f"{1000 * person.expected_error_m:.0f}"
        up = "?" if person.up_error_deg is None else f"{person.up_error_deg:.0f}"
        detected = f"{person.detected.mean():.0%}"
        table.add_row(person.name, f"{len(person.frames):,}", detected, off, up, " ".join(map(str, own)))
    console(width=120).print(table)
    print(recording.focal_source)
    suffixes = {file.path.suffix for file in files} - {*PICTURES}
    if ".npz" in suffixes:
        print(f".npz: joints in metres, {Result.axes}")
    if others := sorted(suffixes - {".npz"}):
        places = " or ".join(sorted({person.place for person in people}))
        print(f"{', '.join(others)}: {places} (axes of each format: docs/files_out.md)")
