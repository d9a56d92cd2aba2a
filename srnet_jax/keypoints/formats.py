"""Descriptions of all keypoint formats: files are recognised and read by them, and docs/keypoint_files.md lists them.

The description of a JSON format says where a file has its frames, a frame its people, and a person its joints:

    frames  ""        the file is one frame
            "KEY"     the file is an object, and its KEY contains a list of frames
            "[]"      the file is a list of frames
            "{}"      the file is an object with names as keys and frames as values
            "flat"    the file, or its KEY if this is "flat:KEY", is a list of people, each with the name of its picture
    people  keys of a frame that may contain its people, as a list, or as an object with track ids as keys; ends with "|" if the
            frame itself may be its people
    points  keys of a person that may contain the joints, in a form that `points` describes; ends with "" if the person itself
            may be the joints

Several alternatives are separated by "|".
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from srnet_jax.pose.layouts import LAYOUTS

Layouts = Mapping[int, tuple[str, int]]  # {number of joints in the file: (layout, how many of them belong to it)}

# Whole-body keypoints (133, 136) begin with those of the body.
_COCO = {17: ("coco", 17), 26: ("halpe_26", 26), 133: ("coco", 17), 136: ("halpe_26", 26)}
_OPENPOSE = {
    **{25: ("body_25", 25), 18: ("coco_18", 18), 15: ("openpose_mpi_15", 15)},
    **{137: ("body_25", 25), 135: ("body_25b", 25), 134: ("coco_18", 18)},  # and hands, face; 134 are rtmlib's and DWPose's
}
_LANDMARKS = dict.fromkeys((33, 75, 501, 543, 553), ("mediapipe_33", 33))  # hands and face follow
_WHOLE_BODY = {joints: own for joints, own in (_COCO | _OPENPOSE | _LANDMARKS).items() if joints > own[1]}
LANDMARK_KEYS = {"landmarks", "landmark", "pose_landmarks"}
PEOPLE = ("people", "persons", "poses", "pose", "instances", "detections", "predictions", "bodies", "objects", "skeletons")
FRAME = ("frame", "frame_id", "frame_index", "frame_number", "frame_idx", "frame_no")  # their value is a frame number
FRAME_SPELLINGS = tuple(  # of the frame number, without blanks and marks: nframe, framenr, videoframe, fr, frno
    f"{before}{noun}{after}"
    for noun in ("frame", "frm", "fr")
    for before in ("", "n", "no", "num", "video", "source", "src", "current", "original", "orig", "global")
    for after in ("", "n", "no", "nr", "num", "number", "id", "idx", "index", "counter")
)
IMAGE = ("image_id", "image", "image_name", "file_name", "filename")
_TRACK = ("track_id", "idx", "person_id", "id_")
_OWN_TRACK = (*_TRACK, "tracking_id", "tracker_id", "player_id", "pid", "id")  # in formats in which "id" is not an annotation's
IN_2D = ("keypoints", "pose_keypoints_2d", "pred_keypoints", "keypoints_2d", "joints_2d")  # other keys may hold 3D
POINTS = (
    *("keypoints", "pose_keypoints_2d", "pred_keypoints", "keypoints_2d", "joints", "joints_2d", "points", "pose", "skeleton"),
    "xy",
)
INSIDE = ("frames", "data", "results", "annotations", "instance_info", *PEOPLE, *POINTS, *sorted(LANDMARK_KEYS))
SCORES = ("keypoint_scores", "scores", "confidences", "confidence", "conf", "visibility", "visible", "likelihood", "score")
_FEW_ROWS = 6


@dataclasses.dataclass(frozen=True)
class Peek:
    """The first keys and values of a JSON file, by which its format is recognised.

    Attributes:
      root: keys of the file's object; empty if the file is a list.
      entry: keys of the first entry of the list, or of the first value of the object.
      inner: keys of the first nonempty object inside this entry, or in lists inside it.
      first: the first entry or value.
    """

    root: frozenset[str]
    entry: frozenset[str]
    inner: frozenset[str]
    first: Any

    @classmethod
    def of(cls, content: Any) -> "Peek":
        """Collect the first keys and values of a file's content."""
        first = _first(content)
        inner = _first(first)
        while isinstance(inner, list) and isinstance(_first(inner), list | dict):  # a list of several people
            inner = _first(inner)
        return cls(_keys(content), _keys(first), _keys(inner), first)

    def is_text(self, key: str) -> bool:
        """Return whether the first entry has text as the value of a key."""
        return isinstance(self.first, dict) and isinstance(self.first.get(key), str)


def _first(value: Any) -> Any:
    """Return the first nonempty object or list in a value; in an object, keys that formats use come first."""
    items = [value[key] for key in (*INSIDE, *value) if key in value] if isinstance(value, dict) else value
    items = items if isinstance(items, list) else []
    return next((item for item in items if item and isinstance(item, list | dict)), None)


def _is_numbers(value: Any) -> bool:
    """Return whether a list contains numbers, directly or in nested lists."""
    while isinstance(value, list) and value:
        value = _first(value) or value[0]
    return isinstance(value, int | float)


def _has_rows(value: Any) -> bool:
    """Return whether an object has several entries of 2 to 4 numbers each, as joints by their names."""
    rows = [row for row in value.values() if isinstance(row, list) and 2 <= len(row) <= 4] if isinstance(value, dict) else []
    return len(rows) >= _FEW_ROWS and all(map(_is_numbers, rows))


def _has_people(value: Any) -> bool:
    """Return whether an object has track ids as keys, and joints as rows of 2 to 4 numbers as values."""
    people = [own for own in value.values() if own] if isinstance(value, dict) and all(map(str.isdecimal, value)) else []
    rows = [own[0] for own in people if isinstance(own, list) and len(own) >= _FEW_ROWS]
    return bool(people) and len(rows) == len(people) and all(isinstance(row, list) and 2 <= len(row) <= 4 for row in rows)


def _has_names(peek: "Peek") -> bool:
    """Return whether an object's keys look like frame numbers or image names."""
    return any(any(letter.isdigit() or letter == "." for letter in key) for key in peek.root)


def _keys(value: Any) -> frozenset[str]:
    return frozenset(value) if isinstance(value, dict) else frozenset()


@dataclasses.dataclass(frozen=True)
class Format:
    """The description of a format of keypoint files.

    Attributes:
      name: name of the format, a value of `--format`.
      text: what the format is and how it is recognised, for users.
      min_confidence: confidence below which a joint counts as missing.
      layouts: {number of joints: layout}; empty if the file must name it.
      normalised: whether coordinates are fractions of the image's width and height.
      matches: a function of a `Peek` that returns whether a JSON file is in this format.
      frames: where the frames are, as this module's docstring explains.
      people: where a frame's people are, likewise.
      points: where a person's joints are, likewise.
      alone: whether a list of people without names or numbers of pictures is one picture, unless they move like one person.
      y_first: whether y comes before x.
      picture: keys of a frame's number or image name.
      track: keys of a person's track id.
      scores: keys of a person's confidences that are separate from the joints.
      folder: whether a folder of such files, one for each picture, is read as one video.
    """

    name: str
    text: str
    min_confidence: float = 0.1
    layouts: Layouts = dataclasses.field(default_factory=dict)
    normalised: bool = False
    matches: Callable[["Peek"], bool] | None = None
    frames: str = ""
    people: str = ""
    points: tuple[str, ...] = ("keypoints",)
    alone: bool = True
    y_first: bool = False
    picture: tuple[str, ...] = ()
    track: tuple[str, ...] = _TRACK
    scores: tuple[str, ...] = SCORES
    folder: bool = True

    @property
    def words(self) -> set[str]:
        """The keys and file endings of the format's files."""
        keys = "|".join((self.frames, self.people, *self.points, *self.picture)).replace(":", "|").split("|")
        return {key.strip("{}[]") for key in keys} | set(re.findall(r"\w{3,}", self.text))


DATA_SETS: Mapping[str, Layouts] = {
    **dict.fromkeys(("coco", "coco_wholebody", "halpe", "halpe26"), _COCO),
    "h36m": {17: ("h36m", 17)},
    "mpii": {16: ("mpii", 16)},
}

JSON_FORMATS = (
    Format(
        "openpose",
        "OpenPose's {people: [{pose_keypoints_2d}]}, a folder of one file for each picture; also of rtmlib, Pose2Sim, Sports2D",
        min_confidence=0.05,
        layouts=_OPENPOSE | {17: ("coco", 17), 26: ("halpe_26", 26), 133: ("coco", 17)},
        matches=lambda peek: "people" in peek.root,
        people="people",
        points=("pose_keypoints_2d", "pose_keypoints"),
    ),
    Format(
        "alphapose",
        "AlphaPose's list of {image_id, keypoints}; image_id is an image name",
        layouts=_COCO,
        matches=lambda peek: "image_id" in peek.entry and (peek.is_text("image_id") or bool({"idx", "box"} & peek.entry)),
        frames="flat",
        picture=("image_id",),
    ),
    Format(
        "mmpose",
        "MMPose's {instance_info: [{frame_id, instances}]}, or a list of frames, or a list of the people in one picture",
        min_confidence=0.2,
        layouts=_COCO,
        matches=lambda peek: (
            "instance_info" in peek.root
            or bool({"instances", "keypoint_scores"} & peek.entry)
            or ("keypoint_scores" in peek.inner and "predictions" in peek.root | peek.entry)
        ),
        frames="instance_info|predictions|[]",
        people="instances|predictions|",
        points=("keypoints", "pred_keypoints"),
        picture=FRAME,
    ),
    Format(
        "coco",
        "results in COCO's format: a list of {image_id, keypoints, score}; image_id is a number",
        min_confidence=0.05,
        layouts=_COCO,
        matches=lambda peek: "image_id" in peek.entry,
        frames="flat",
        picture=("image_id",),
    ),
    Format(
        "coco_annotations",
        "annotations of COCO or PoseTrack: {images, annotations, categories}",
        min_confidence=0.0,
        layouts=_COCO,
        matches=lambda peek: {"images", "annotations"} <= peek.root,
        frames="flat:annotations",
        folder=False,
        picture=("image_id",),
    ),
    Format(
        "motionbert",
        "{annotations: [{frame_id, keypoints}]}",
        layouts=_COCO,
        matches=lambda peek: "annotations" in peek.root,
        frames="flat:annotations",
        folder=False,
        picture=(*FRAME, *IMAGE),
    ),
    Format(
        "openpifpaf",
        "openpifpaf's list of {keypoints, bbox, score} of one picture, or one object {frame, predictions} on each line",
        layouts=_COCO,
        matches=lambda peek: "predictions" in peek.entry | peek.root or {"keypoints", "category_id"} <= peek.entry,
        frames="[]",
        people="predictions",
        picture=FRAME,
    ),
    Format(
        "yolo",
        "ultralytics' to_json(): a list of {name, box, keypoints: {x, y, visible}} of one picture, or a list of such lists",
        min_confidence=0.25,
        layouts=_COCO,
        matches=lambda peek: (
            {"box", "keypoints"} <= peek.entry | peek.inner
            and (not _has_names(peek) or bool({"name", "class"} & (peek.entry | peek.inner)))
        ),
        frames="frames|data|results|[]|{}",
        people="|".join(("results", *PEOPLE, "")),
        picture=(*FRAME, *IMAGE),
        track=_OWN_TRACK,
    ),
    Format(
        "kinetics",
        "Kinetics-skeleton's {data: [{frame_index, skeleton: [{pose, score}]}]}; fractions of the image size",
        layouts=_OPENPOSE,
        normalised=True,
        matches=lambda peek: (
            ("data" in peek.root and ("skeleton" in peek.inner or "label" in peek.root))
            or ("skeleton" in peek.entry and "pose" in peek.inner)
        ),
        frames="data|[]",
        people="skeleton",
        points=("pose",),
        picture=FRAME,
        scores=("score",),
    ),
    Format(
        "mediapipe",
        "MediaPipe's 33 landmarks of one or more people in each frame, in common forms; fractions of the image size",
        layouts=_LANDMARKS,
        normalised=True,
        matches=lambda peek: (
            bool(LANDMARK_KEYS & (peek.root | peek.entry | peek.inner))
            or ("x" in peek.entry | peek.inner and not {*PEOPLE, *POINTS} & (peek.root | peek.entry))
        ),
        frames="frames|data|results|landmarks|landmark|pose_landmarks|[]|{}",
        people="poses|pose|people|persons|landmarks|landmark|pose_landmarks|",
        points=("landmarks", "landmark", "pose_landmarks", "keypoints", ""),
        picture=(*FRAME, *IMAGE),
        track=_OWN_TRACK,
    ),
    Format(
        "alphapose_frames",
        "AlphaPose's objects with image names as keys: {bodies: [{joints}]}, {people: [{pose_keypoints_2d}]}, or tracked",
        layouts=_COCO | {18: ("coco_18", 18)},
        matches=lambda peek: (
            "bodies" in peek.root or (_has_names(peek) and bool({"bodies", "people"} & peek.entry or "keypoints" in peek.inner))
        ),
        frames="{}",
        people="bodies|people|",
        points=("joints", "pose_keypoints_2d", "keypoints"),
    ),
    Format(
        "vitpose",
        "easy_ViTPose's {keypoints: [{id: [[y, x, confidence]]}], skeleton: names}",
        layouts=_COCO,
        matches=lambda peek: {"keypoints", "skeleton"} <= peek.root,
        frames="keypoints",
        people="|",
        points=("",),
        y_first=True,
    ),
    Format(
        "json",
        "other JSON like {frames: [{people: [{keypoints}]}]}; frames or people may be missing, or each person has the frames; "
        "other common keys are known too",
        layouts=_COCO | _LANDMARKS | _WHOLE_BODY,
        matches=lambda peek: (
            bool({"frames", *PEOPLE, *POINTS} & (peek.root | peek.entry | peek.inner))
            or _is_numbers(peek.first)
            or _has_rows(peek.first)
            or _has_people(peek.first)
        ),
        frames="|".join(("frames", "data", "results", *POINTS, "[]", "{}")),
        people="|".join((*PEOPLE, "results", "")),
        points=(*POINTS, *sorted(LANDMARK_KEYS), ""),
        alone=False,
        picture=(*FRAME, *IMAGE),
        track=_OWN_TRACK,
    ),
)

OTHER_FORMATS = (
    Format(
        "videopose3d",
        "VideoPose3D's data_2d_custom_*.npz: one or more videos, each of one or more people",
        min_confidence=0.05,
    ),
    Format(
        "detectron2",
        ".npz of VideoPose3D's infer_video_d2.py; the person with the highest box score in each frame is read",
        min_confidence=0.05,
    ),
    Format("reconstruction", ".npz of the MHFormer family, `reconstruction` [1, T, J, 2 or 3]", layouts={17: ("h36m", 17)}),
    Format(
        "npz",
        ".npz with `keypoints` [T, J, 2 or 3], or [T, P, J, 2 or 3] of several people; optional `confidences` or `scores`, "
        "`image_size`, `fps`, `layout`, `frames`, `times`",
        layouts=_WHOLE_BODY,
    ),
    Format(
        "npy",
        ".npy array [T, J, 2 or 3] or [T, 2 or 3, J], or [P, T, J, 2 or 3] of several people; also FreeMoCap's",
        layouts=_WHOLE_BODY,
    ),
    Format(
        "yolo_txt",
        "ultralytics' folder of labels/*.txt, one for each picture, or with --format a single one; fractions of the image size",
        0.25,
        _COCO,
        normalised=True,
    ),
    Format("deeplabcut", ".csv of DeepLabCut, with its three header lines", min_confidence=0.6),
    Format(
        "csv",
        "table with commas, semicolons, tabs or spaces; each line is a frame, a person in a frame, or a joint; a header names "
        "the joints, or they are in a known order",
        layouts=_WHOLE_BODY,
    ),
)

_TABLE, _HDF5, _PICKLE = (
    ("a binary table", "a table as text; pandas writes it by to_csv"),
    ("an HDF5 file", "a table as text; DeepLabCut and SLEAP export CSV too"),
    ("a pickle", "JSON, CSV or .npz"),
)
_MARKERS = ("markers or joints of motion capture", "a detector's 2D keypoints, such as a folder of JSON files")
_VIDEO, _PICTURE = (
    ("a video", "the keypoints that a detector found in it"),
    ("a picture", "the keypoints that a detector found in it"),
)
NOT_READ = {  # {ending of a file: what it is, what is expected}
    **dict.fromkeys((".parquet", ".feather", ".arrow"), _TABLE),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), ("a spreadsheet", "a table as text (CSV)")),
    **dict.fromkeys((".h5", ".hdf5", ".slp"), _HDF5),
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".joblib"), _PICKLE),
    ".mat": ("a MATLAB file", "JSON, CSV or .npz"),
    ".xml": ("XML", "JSON; CVAT exports COCO Keypoints too"),
    **dict.fromkeys((".trc", ".mot", ".c3d", ".bvh", ".fbx"), _MARKERS),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"), _VIDEO),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif"), _PICTURE),
    **dict.fromkeys((".zip", ".gz", ".tar", ".7z"), ("an archive", "one of the files inside, or a folder of them")),
}

FORMATS = {one.name: one for one in (*JSON_FORMATS, *OTHER_FORMATS)}
TABLES = tuple(FORMATS[name] for name in ("csv", "deeplabcut", "yolo_txt"))
NUMBERS = frozenset(len(layout.joints) for layout in LAYOUTS.values()).union(
    *(one.layouts for one in FORMATS.values())
)  # of joints


def nearest(found: Iterable[Any], formats: Iterable[Format]) -> str:
    """Return the end of an error message: the two formats that share the most words with a file."""
    words = {str(word) for word in found}
    first, second = sorted(formats, key=lambda one: -len(one.words & words))[:2]
    return f"the nearest are {first.name} and {second.name} (--list_formats shows all)"


def listing() -> str:
    """Return the formats as a Markdown table, which docs/keypoint_files.md contains."""
    rows = [f"| `{one.name}` | {one.text} | {one.min_confidence:g} |" for one in FORMATS.values()]
    return "\n".join(["| format | what it is | missing below |", "|---|---|--:|", *rows])
