"""Collect what the browser's readers of keypoint files need from this package, so that it is stated once."""

import math
from typing import Any

from srnet_jax.keypoints import (
    csv_columns,
    csv_files,
    csv_people,
    formats,
    joint_order,
    json_files,
    keys,
    npz_files,
    people,
    points,
    tracks,
    which_layout,
)
from srnet_jax.keypoints.formats import Format
from srnet_jax.pose import complete, layouts, prior


def tables() -> dict[str, Any]:
    """Return the tables that `read.js` and `complete.js` take, as values of JSON.

    Returns:
      layouts: {name: joints; `ways` to derive each of Human3.6M's 17 joints, the best first, as pairs of indices and weights of
        the layout's joints; and `own`, the index of each of the 17 joints in the layout, or None}.
      prior: the Gaussian model of poses (`pose.prior`).
      completing: limits of `pose.complete`.
      guessing: limits of `keypoints.which_layout`.
      points: names of joints and confidences (`keypoints.points`).
      timeUnits: {name of a time stamp: unit in seconds, None if the name does not give it}.
      tracks: limits of `keypoints.tracks`.
      formats: all formats, the keys by which they are recognised (`keypoints.formats`), and their spellings (`keypoints.keys`).
      csv: names of the columns of tables (`keypoints.csv_columns`).
    """
    units = {name: None if math.isnan(unit) else unit for name, unit in people.TIME_UNITS.items()}
    return {
        "layouts": _layouts(),
        "prior": _prior(),
        "completing": {
            "longestGap": complete.LONGEST_GAP_S,
            "minJoints": complete.MIN_JOINTS,
            "usualFps": complete.USUAL_FPS,
            "leap": complete.LEAP,
            "back": complete.RETURN,
            "named": complete.NAMED,
        },
        "guessing": {
            "frames": which_layout.FRAMES,
            "tracks": which_layout.TRACKS,
            "clearly": which_layout.CLEARLY,
            "strange": which_layout.STRANGE,
            "mostly": which_layout.MOSTLY,
            "notGuessed": list(which_layout.NOT_GUESSED),
        },
        "points": {
            "confidences": list(points.CONFIDENCES),
            "jointKeys": list(points.JOINT_KEYS),
            "maxJoints": points.MAX_JOINTS,
            "minNames": joint_order.MIN_NAMES,
            "noise": list(points.NOISE),
            "numbers": sorted(formats.NUMBERS),
            "segments": points.SEGMENTS,
            "synonyms": points.SYNONYMS,
            "vocabulary": sorted(layouts.VOCABULARY),
        },
        "timeUnits": units,
        "tracks": {
            "farthest": people.FARTHEST_PX,
            "examined": people.EXAMINED,
            "fewSteps": people.FEW_STEPS,
            "maxNormalised": people.MAX_NORMALISED,
            "reach": people.REACH,
            "farthestReach": people.FARTHEST_REACH,
            "memory": tracks.MEMORY,
            "double": tracks.DOUBLE,
            "doubleJoints": tracks.DOUBLE_JOINTS,
            "mostly": tracks.MOSTLY,
            "maxPeople": tracks.MAX_PEOPLE,
            "maxFrames": tracks.MAX_FRAMES,
            "fewIds": tracks.FEW_IDS,
            "short": tracks.SHORT,
            "share": tracks.SHARE,
            "uneven": tracks.UNEVEN,
            "sameRate": tracks.SAME_RATE,
            "usualSizes": list(map(list, tracks.USUAL_SIZES)),
        },
        "formats": _formats(),
        "csv": {
            "frame": list(csv_columns.FRAME),
            "image": list(csv_columns.IMAGE),
            "row": list(csv_columns.ROW),
            "track": list(csv_columns.TRACK),
            "video": list(csv_columns.VIDEO),
            "units": list(csv_files.UNITS),
            "partsColumns": list(csv_files.PARTS_COLUMNS),
            "bodyParts": list(csv_files.BODY_PARTS),
            "otherParts": list(csv_files.OTHER_PARTS),
            "person": list(csv_people.PERSON),
            "otherAxes": list(map(list, csv_files.OTHER_AXES)),
        },
    }


def _layouts() -> dict[str, Any]:
    return {
        name: {
            "joints": list(layout.joints),
            "ways": [
                [[indices.tolist(), weights.tolist()] for indices, weights in ways] for ways in layouts.indexed_ways(name)
            ],
            "own": list(layouts.own_joints(name)),
        }
        for name, layout in layouts.LAYOUTS.items()
    }


def _prior() -> dict[str, Any]:
    mean, covariance = prior.load()
    return {
        "mean": mean.tolist(),
        "covariance": covariance.tolist(),
        "wide": prior.anywhere().tolist(),
        "whitening": prior.whitening().tolist(),
    }


def _formats() -> dict[str, Any]:
    return {
        "every": {name: _format(one) for name, one in formats.FORMATS.items()},
        "json": [one.name for one in formats.JSON_FORMATS],
        "tables": [one.name for one in formats.TABLES],
        "arrays": list(npz_files.FORMATS),
        "notRead": {ending: list(kind) for ending, kind in formats.NOT_READ.items()},
        "stems": list(npz_files.STEMS),
        "inside": list(formats.INSIDE),
        "landmarkKeys": sorted(formats.LANDMARK_KEYS),
        "peopleKeys": list(formats.PEOPLE),
        "pointKeys": list(formats.POINTS),
        "boxKeys": list(json_files.OF_BOXES),
        "pointKeysIn2d": list(formats.IN_2D),
        "frameKeys": list(formats.FRAME),
        "spellings": keys.SPELLINGS,
        "scores": list(formats.SCORES),
        "dataSets": {name: _by_number(own) for name, own in formats.DATA_SETS.items()},
        "numbers": sorted(formats.NUMBERS),
    }


def _format(one: Format) -> dict[str, Any]:
    return {
        "name": one.name,
        "minConfidence": one.min_confidence,
        "layouts": _by_number(one.layouts),
        "frames": one.frames,
        "people": one.people,
        "points": list(one.points),
        "alone": one.alone,
        "yFirst": one.y_first,
        "picture": list(one.picture),
        "track": list(one.track),
        "scores": list(one.scores),
        "folder": one.folder,
        "words": sorted(one.words),
    }


def _by_number(own: formats.Layouts) -> dict[str, list[Any]]:
    return {str(joints): list(kept) for joints, kept in own.items()}
