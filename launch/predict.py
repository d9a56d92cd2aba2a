"""Lift a person's 2D keypoints to 3D: from a detector's file, or from a video.

python -m launch.predict --keypoints=FILE --layout=coco --width=1920 --height=1080 --fps=30 --output=poses.npz
python -m launch.predict --video=FILE --detector_model=pose_landmarker.task --output=poses.npz --render=page.html
python -m launch.predict --keypoints=FILE --output=poses.npz,poses.trc,poses.c3d --angles=angles.mot --bvh=motion.bvh

In a .npz file poses are in the camera's frame (x right, y down, z away from it), metres, relative to the hip; joints, frame,
unit and model are in the file. What the other files hold is printed, and docs/files_out.md says it in full. With several
people, each has their own files. Layout, size and frame rate need no flag where the keypoint file has them.
"""

from pathlib import Path

from absl import flags

from launch import app

_KEYPOINTS = flags.DEFINE_string(
    "keypoints", None, "File of 2D keypoints, or folder with one file for each picture (--list_formats)."
)
_LIST_FORMATS = flags.DEFINE_bool("list_formats", False, "Print the formats of --keypoints, and how each is recognised.")
_MIN_CONFIDENCE = flags.DEFINE_float(
    "min_confidence", None, "Confidence below which a joint counts as missing; by default the format's own.", 0.0, 1.0
)
_FORMAT = flags.DEFINE_string("format", None, "Format of --keypoints, where its content does not show it: openpose, csv, ...")
_VIDEO = flags.DEFINE_string("video", None, "Video to find the keypoints in, with MediaPipe (needs the extra `video`).")
_DETECTOR_MODEL = flags.DEFINE_string("detector_model", None, "MediaPipe's pose_landmarker .task file, for --video.")
_PEOPLE = flags.DEFINE_integer("people", 1, "How many people --video looks for.", lower_bound=1, upper_bound=20)
_ROTATE = flags.DEFINE_enum("rotate", "0", ["0", "90", "180", "270"], "Degrees to turn the images, clockwise.")
_LAYOUT = flags.DEFINE_string("layout", None, "Layout of the keypoints: coco, halpe_26, body_25, mediapipe_33, mpii, h36m, ...")
_WIDTH = flags.DEFINE_integer("width", None, "Image width, pixels.", lower_bound=1)
_HEIGHT = flags.DEFINE_integer("height", None, "Image height, pixels.", lower_bound=1)
_FPS = flags.DEFINE_float("fps", None, "Frames per second of the video; temporal networks need it.", lower_bound=0.1)
_FOCAL = flags.DEFINE_float("focal", None, "The camera's focal length, pixels; by default 0.85 times the image's longer side.")
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "video, single or causal (which ship), or a .npz file of launch.export; by default video, or single for pictures.",
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a training to take the network from instead.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "Of --workdir: best, latest, or a step.")
_FLIP = flags.DEFINE_bool("flip", True, "Average with the mirrored pose of the mirrored keypoints.")
_OUTPUT = flags.DEFINE_list("output", [], "Files for the poses, with commas between them: .npz, .trc, .csv, .c3d or .bvh.")
_RENDER = flags.DEFINE_list("render", [], "Pictures of input and output: files ending in .html, .gif, .mp4 or .png.")
_BVH = flags.DEFINE_string("bvh", None, "File for the motion as a .bvh animation.")
_ANGLES = flags.DEFINE_string("angles", None, "File for the joint angles: a .csv table, or a .mot motion for OpenSim.")


def main() -> None:
    """Read, lift, write."""
    from rich.table import Table

    from launch.console import console, track
    from srnet_jax.keypoints import formats, keypoint_files, video
    from srnet_jax.lifting import lift_file
    from srnet_jax.lifting.lifter import load
    from srnet_jax.lifting.result import Result
    from srnet_jax.pose.layouts import find

    if _LIST_FORMATS.value:
        print(formats.listing())
        return
    if not _OUTPUT.value:
        app.fail("--output: missing, expected the file for the poses, such as poses.npz")
    if bool(_KEYPOINTS.value) == bool(_VIDEO.value):
        app.fail("--keypoints, --video: expected one of them")
    if bool(_WIDTH.value) != bool(_HEIGHT.value):
        app.fail("--width, --height: expected both or none")
    for name in ("detector_model", "people") if _KEYPOINTS.value else ("format", "min_confidence", "width", "height"):
        if flags.FLAGS[name].present:
            app.fail(f"--{name}: not used, expected --{'video' if _KEYPOINTS.value else 'keypoints'} with it")
    if _LAYOUT.value:
        find(_LAYOUT.value)
    model = _WORKDIR.value or _WEIGHTS.value
    inputs = [str(_KEYPOINTS.value or _VIDEO.value), str(model or "")]
    files = lift_file.check_outputs(_OUTPUT.value, _RENDER.value, _BVH.value, _ANGLES.value, inputs)
    lifter = load(model, _CHECKPOINT.value) if model else None
    source = Path(str(_KEYPOINTS.value or _VIDEO.value))
    size = (_WIDTH.value, _HEIGHT.value) if _WIDTH.value and _HEIGHT.value else None
    if _KEYPOINTS.value:
        hints = keypoint_files.Hints(_FORMAT.value, size, _MIN_CONFIDENCE.value, int(_ROTATE.value))
        tracks = keypoint_files.load(source, hints)
    else:
        with video.mediapipe(Path(_DETECTOR_MODEL.value) if _DETECTOR_MODEL.value else None, _PEOPLE.value) as detector:
            tracks = video.detect(source, detector, rotate=int(_ROTATE.value), track=track)
    tracks = lift_file.described(tracks, source, layout=_LAYOUT.value, fps=_FPS.value, focal_px=_FOCAL.value)
    model = model or lift_file.usual_network(tracks)
    lifter = lifter or load(model)
    lifter.check_focal(_FOCAL.value)
    table, places = Table("person", "frames", "detected", "files"), set()
    for person, own in lift_file.lift_all(tracks, lifter, files, flip=_FLIP.value, model=model, focal_px=_FOCAL.value):
        table.add_row(person.name, f"{len(person.frames):,}", f"{person.detected.mean():.0%}", " ".join(map(str, own)))
        places.add(person.place)
    console(width=120).print(table)
    if any(file.path.suffix == ".npz" for file in files):
        print(f".npz: joints in metres, {Result.axes}")
    if others := sorted({file.path.suffix for file in files if file.flag != "--render"} - {".npz"}):
        print(f"{', '.join(others)}: {' or '.join(sorted(places))} (docs/files_out.md)")


if __name__ == "__main__":
    app.run(main)
