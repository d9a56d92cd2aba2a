"""What is known of each format: a description of ten lines, from which reading, recognition, help and README are made.

A JSON format says where its frames are and where a frame's people are:

    frames  ""        the file is one frame
            "KEY"     the file is an object, whose KEY holds a list of frames
            "[]"      the file is a list of frames
            "{}"      the file is an object of frames by name
            "flat"    the file, or its KEY after "flat:", is a list of people, each with the picture that shows it
    people  keys of a frame that may hold its people, a list or an object by track id; "|" at the end if the frame may be those
    points  keys of a person that may hold the joints, see `points`; "" at the end if the person may be the joints
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from srnet_jax.pose.layouts import LAYOUTS

Layouts = Mapping[int, tuple[str, int]]  # joints in the file: layout, and how many of them belong to it

_COCO = {17: ("coco", 17), 26: ("halpe_26", 26), 133: ("coco", 17), 136: ("halpe_26", 26)}  # whole bodies begin so
_OPENPOSE = {25: ("body_25", 25), 18: ("coco_18", 18), 15: ("openpose_mpi_15", 15)}
_LANDMARKS = dict.fromkeys((33, 75, 501, 543, 553), ("mediapipe_33", 33))  # then hands and face
_LANDMARK_KEYS = {"landmarks", "landmark", "pose_landmarks", "poseLandmarks"}
_PEOPLE = ("people", "persons", "poses", "pose", "instances", "detections", "predictions", "bodies", "objects", "skeletons")
FRAME = ("frame", "frame_id", "frame_index", "frame_number", "frame_idx", "frame_no")  # of which the number is meant
_IMAGE = ("image_id", "image", "image_name", "file_name", "filename")
_TRACK = ("track_id", "idx", "person_id", "id_")
_OWN_TRACK = (*_TRACK, "tracking_id", "tracker_id", "player_id", "pid", "id")  # where no annotation has an id
_POINTS = ("keypoints", "pose_keypoints_2d", "pred_keypoints", "keypoints_2d", "joints", "joints_2d", "points", "pose")
_INSIDE = ("frames", "data", "results", "annotations", "instance_info", *_PEOPLE, *_POINTS, *sorted(_LANDMARK_KEYS))


@dataclasses.dataclass(frozen=True)
class Peek:
    """The first things in a JSON file, which tell its format.

    Attributes:
      root: keys of the file's object; empty if it is a list.
      entry: keys of the first entry of the list, or of the first value of the object.
      inner: keys of what `entry` first holds that is not empty: an object, or the first one in lists there.
      first: the first entry, or value.
    """

    root: frozenset[str]
    entry: frozenset[str]
    inner: frozenset[str]
    first: Any

    @classmethod
    def of(cls, content: Any) -> "Peek":
        """Look at a file's content."""
        first = _first(content)
        inner = _first(first)
        while isinstance(inner, list) and isinstance(_first(inner), list | dict):  # of several people
            inner = _first(inner)
        return cls(_keys(content), _keys(first), _keys(inner), first)

    def is_text(self, key: str) -> bool:
        """Return whether the first entry has text under a key."""
        return isinstance(self.first, dict) and isinstance(self.first.get(key), str)


def _first(value: Any) -> Any:
    """Return the first object or list in a value that is not empty; of an object's those that formats know go first."""
    items = [value[key] for key in (*_INSIDE, *value) if key in value] if isinstance(value, dict) else value
    items = items if isinstance(items, list) else []
    return next((item for item in items if item and isinstance(item, list | dict)), None)


def _is_numbers(value: Any) -> bool:
    """Return whether a list holds numbers, in lists in it or not."""
    while isinstance(value, list) and value:
        value = _first(value) or value[0]
    return isinstance(value, int | float)


def _has_names(peek: "Peek") -> bool:
    """Return whether an object's keys are frames' numbers or images' names."""
    return any(any(letter.isdigit() or letter == "." for letter in key) for key in peek.root)


def _keys(value: Any) -> frozenset[str]:
    return frozenset(value) if isinstance(value, dict) else frozenset()


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of keypoint files.

    Attributes:
      name: as `--format` takes it.
      text: what it is, and how it is recognised.
      min_confidence: below which a joint counts as missing.
      layouts: by the number of joints; empty if the file must say.
      normalised: whether coordinates are shares of the image's width and height.
      told_by: whether a JSON file is of this format, of a `Peek`.
      frames: where the frames are, as the head of this module explains.
      people: where a frame's people are, likewise.
      points: where a person's joints are, likewise.
      alone: whether a list of people without a picture's name or number is one picture's, unless they move as one does.
      y_first: whether y comes before x.
      picture: keys that hold a frame's number or image name.
      track: keys that hold a person's track id.
      scores: keys of a person that hold confidences beside the joints.
      folder: whether a folder of such files, one a picture, is read as a whole.
    """

    name: str
    text: str
    min_confidence: float = 0.1
    layouts: Layouts = dataclasses.field(default_factory=dict)
    normalised: bool = False
    told_by: Callable[["Peek"], bool] | None = None
    frames: str = ""
    people: str = ""
    points: tuple[str, ...] = ("keypoints",)
    alone: bool = True
    y_first: bool = False
    picture: tuple[str, ...] = ()
    track: tuple[str, ...] = _TRACK
    scores: tuple[str, ...] = ("keypoint_scores", "keypoints_scores", "scores", "confidences")
    folder: bool = True

    @property
    def words(self) -> set[str]:
        """Keys and endings that its files have."""
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
        "OpenPose's {people: [{pose_keypoints_2d}]}, one file a picture, in a folder; also of rtmlib, Pose2Sim and Sports2D",
        min_confidence=0.05,
        layouts=_OPENPOSE | {17: ("coco", 17), 26: ("halpe_26", 26), 133: ("coco", 17)},
        told_by=lambda peek: "people" in peek.root,
        people="people",
        points=("pose_keypoints_2d", "pose_keypoints"),
    ),
    Format(
        "alphapose",
        "AlphaPose's list of {image_id, keypoints}, with image names",
        layouts=_COCO,
        told_by=lambda peek: "image_id" in peek.entry and (peek.is_text("image_id") or bool({"idx", "box"} & peek.entry)),
        frames="flat",
        picture=("image_id",),
    ),
    Format(
        "mmpose",
        "MMPose's {instance_info: [{frame_id, instances}]}, or a list of frames, or the list of one picture's people",
        min_confidence=0.2,
        layouts=_COCO,
        told_by=lambda peek: "instance_info" in peek.root or "instances" in peek.entry or "keypoint_scores" in peek.entry,
        frames="instance_info|[]",
        people="instances",
        picture=FRAME,
    ),
    Format(
        "coco",
        "results in COCO's form: a list of {image_id, keypoints, score}, with numbers of images",
        min_confidence=0.05,
        layouts=_COCO,
        told_by=lambda peek: "image_id" in peek.entry,
        frames="flat",
        picture=("image_id",),
    ),
    Format(
        "coco_annotations",
        "COCO's or PoseTrack's annotations: {images, annotations, categories}",
        min_confidence=0.0,
        layouts=_COCO,
        told_by=lambda peek: {"images", "annotations"} <= peek.root,
        frames="flat:annotations",
        folder=False,
        picture=("image_id",),
    ),
    Format(
        "motionbert",
        "{annotations: [{frame_id, keypoints}]}",
        layouts=_COCO,
        told_by=lambda peek: "annotations" in peek.root,
        frames="flat:annotations",
        folder=False,
        picture=(*FRAME, *_IMAGE),
    ),
    Format(
        "openpifpaf",
        "openpifpaf's list of one picture's {keypoints, bbox, score}, or {frame, predictions}, one object a line",
        layouts=_COCO,
        told_by=lambda peek: "predictions" in peek.entry | peek.root or {"keypoints", "category_id"} <= peek.entry,
        frames="[]",
        people="predictions",
        picture=FRAME,
    ),
    Format(
        "yolo",
        "ultralytics' to_json(): a list of {name, box, keypoints: {x, y, visible}}, of one picture or a list of such lists",
        min_confidence=0.25,
        layouts=_COCO,
        told_by=lambda peek: {"box", "keypoints"} <= peek.entry | peek.inner,
        frames="frames|data|results|[]",
        people="results|detections|instances|people|persons|",
        picture=(*FRAME, *_IMAGE),
        track=_OWN_TRACK,
    ),
    Format(
        "kinetics",
        "Kinetics-skeleton's {data: [{frame_index, skeleton: [{pose, score}]}]}, shares of the image",
        layouts=_OPENPOSE,
        normalised=True,
        told_by=lambda peek: "data" in peek.root and ("skeleton" in peek.inner or "label" in peek.root),
        frames="data",
        people="skeleton",
        points=("pose",),
        picture=FRAME,
        scores=("score",),
    ),
    Format(
        "mediapipe",
        "MediaPipe's 33 landmarks of a person or several in each frame, as people write them down; shares of the image",
        layouts=_LANDMARKS,
        normalised=True,
        told_by=lambda peek: (
            bool(_LANDMARK_KEYS & (peek.root | peek.entry | peek.inner))
            or ("x" in peek.entry | peek.inner and not {*_PEOPLE, *_POINTS} & (peek.root | peek.entry))
        ),
        frames="frames|data|results|landmarks|landmark|pose_landmarks|poseLandmarks|[]|{}",
        people="landmarks|landmark|pose_landmarks|poseLandmarks|",
        points=("landmarks", "landmark", "pose_landmarks", "poseLandmarks", "keypoints", ""),
        picture=(*FRAME, *_IMAGE),
        track=_OWN_TRACK,
    ),
    Format(
        "alphapose_frames",
        "AlphaPose's other forms, an object of image names: {bodies: [{joints}]}, {people: [{pose_keypoints_2d}]}, or tracked",
        layouts=_COCO | {18: ("coco_18", 18)},
        told_by=lambda peek: (
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
        told_by=lambda peek: {"keypoints", "skeleton"} <= peek.root,
        frames="keypoints",
        people="|",
        points=("",),
        y_first=True,
    ),
    Format(
        "json",
        "anything else like {frames: [{people: [{keypoints}]}]}, without frames or people too, or each person's frames; keys "
        "of other usual names",
        layouts=_COCO | _LANDMARKS,
        told_by=lambda peek: (
            bool({"frames", *_PEOPLE, *_POINTS} & (peek.root | peek.entry | peek.inner)) or _is_numbers(peek.first)
        ),
        frames="|".join(("frames", "data", "results", *_POINTS, "[]", "{}")),
        people="|".join((*_PEOPLE, "")),
        points=(*_POINTS, ""),
        alone=False,
        picture=(*FRAME, *_IMAGE),
        track=_OWN_TRACK,
    ),
)

OTHER_FORMATS = (
    Format(
        "videopose3d",
        "VideoPose3D's data_2d_custom_*.npz, one or several people in each of several videos",
        min_confidence=0.05,
    ),
    Format(
        "detectron2", ".npz of VideoPose3D's infer_video_d2.py; the person of the surest box in each frame", min_confidence=0.05
    ),
    Format("reconstruction", ".npz of the MHFormer family, `reconstruction` [1, T, J, 2 or 3]", layouts={17: ("h36m", 17)}),
    Format(
        "npz",
        ".npz with `keypoints` [T, J, 2 or 3] or, of several people, [T, P, J, 2 or 3]; perhaps `confidences` or `scores`, "
        "`image_size`, `fps`, `layout`, `frames`, `times`",
    ),
    Format(
        "npy",
        ".npy array [T, J, 2 or 3], [T, 2 or 3, J], or of several people [P, T, J, 2 or 3]; FreeMoCap's too",
        layouts={joints: _LANDMARKS[joints] for joints in (543, 553)},
    ),
    Format(
        "yolo_txt",
        "ultralytics' folder of labels/*.txt, one a picture, or with --format one of them; shares of the image",
        0.25,
        _COCO,
        normalised=True,
    ),
    Format("deeplabcut", ".csv of DeepLabCut, with its three header lines", min_confidence=0.6),
    Format(
        "csv",
        "a table with commas, semicolons or tabs: a line a frame, a person in a frame, or a joint; a header names the joints, "
        "or they are in a known order",
    ),
)

FORMATS = {one.name: one for one in (*JSON_FORMATS, *OTHER_FORMATS)}
TABLES = tuple(FORMATS[name] for name in ("csv", "deeplabcut", "yolo_txt"))
NUMBERS = frozenset(len(layout.joints) for layout in LAYOUTS.values()).union(
    *(one.layouts for one in FORMATS.values())
)  # of joints


def nearest(found: Iterable[Any], formats: Iterable[Format]) -> str:
    """Return the end of a refusal: the two formats that have most of the words found in a file."""
    words = {str(word) for word in found}
    first, second = sorted(formats, key=lambda one: -len(one.words & words))[:2]
    return f"the nearest are {first.name} and {second.name} (--list_formats shows all)"


def listing() -> str:
    """Return the formats as a Markdown table, which README holds."""
    rows = [f"| `{one.name}` | {one.text} | {one.min_confidence:g} |" for one in FORMATS.values()]
    return "\n".join(["| format | what it is | missing below |", "|---|---|--:|", *rows])
