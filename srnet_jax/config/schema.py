"""Every field of a config: its default, what it may hold, what it means, and when it is read.

This is the only place that knows a field. `configs/default.py` and the files beside it build their configs from here.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict, config_dict

from srnet_jax.errors import ConfigError, one_line
from srnet_jax.pose.losses import LOSSES
from srnet_jax.pose.normalization import IMAGE_NORMALIZATIONS, NORMALIZATIONS
from srnet_jax.pose.skeleton import GROUP_NUMBERS, H36M_17

_LARGEST = sys.float_info.max  # a whole number may be larger, and is then no float

Values = Mapping[str, Any]  # of all fields, by dotted name

SOURCES = ("synthetic", "h36m", "mocap", "mpi_inf_3dhp", "mpi_inf_3dhp_train")
RANKINGS = ("occurrence", "exponential", "mean_distance")
TRUNK_NETWORKS = ("fc", "gp", "lf", "es", "sfs", "sr")
GRAPH_NETWORKS = ("semgcn", "lcn")
SPLIT_LAYERS = ("group", "split_recombine")
RECOMBINE = ("multiply", "add", "concat")
CONTEXT_FROM = ("others", "all")
CONTEXT_FORMS = ("official", "paper")
ACTIVATIONS = {"leaky_relu": 0.01, "relu": 0.0}  # slope for negative values
PRECISIONS = ("float32", "tf32", "bfloat16")
PARALLEL = ("jit", "pmap")
PLACES = ("auto", "device", "host")


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a field may hold: the allowed types, a condition, and both as text."""

    types: tuple[type, ...]
    allows: Callable[[Any], bool]
    expected: str


@dataclasses.dataclass(frozen=True)
class Condition:
    """When a field is read: a condition on the other fields, and the same as text."""

    holds: Callable[[Values], bool]
    text: str

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(lambda values: self.holds(values) and other.holds(values), f"{self.text} and {other.text}")


@dataclasses.dataclass(frozen=True)
class Field:
    """A config field.

    Attributes:
      default: its value in `configs/default.py`.
      rule: what it may hold.
      help: what it means, with its unit.
      read: when code reads it; None for always.
    """

    default: Any
    rule: Rule
    help: str
    read: Condition | None = None


def _one_of(choices: Iterable[Any]) -> Rule:
    choices = tuple(choices)
    return Rule((type(choices[0]),), lambda value: value in choices, f"one of {', '.join(map(str, choices))}")


def _whole(low: int, high: int = 2**31 - 1) -> Rule:
    return Rule((int,), lambda value: low <= value <= high, f"a whole number from {low} to {high:,}")


def _number(low: float, high: float = math.inf, *, above: bool = False) -> Rule:
    limit = f"above {low}" if above else f"{low} or more"
    top = "" if high == math.inf else f" and at most {high}"
    return Rule(
        (float, int),
        lambda value: (value > low if above else value >= low) and value <= min(high, _LARGEST),
        f"a number, {limit}{top}",
    )


def _tuple_of(kind: type, allows: Callable[[Any], bool], text: str) -> Rule:
    return Rule((tuple,), lambda v: len(v) > 0 and all(type(x) is kind and allows(x) for x in v), f"a tuple of {text}")


def _distinct(item: Rule, text: str) -> Rule:
    return Rule(
        (tuple,),
        lambda v: len(set(v)) == len(v) <= 1000 and all(type(x) in item.types and item.allows(x) for x in v),
        f"() or a tuple of different {text}",
    )


def _when(name: str, *values: Any) -> Condition:
    """Hold if a field has one of these values."""
    return Condition(lambda config: config[name] in values, f"{name} {' or '.join(map(str, values))}")


def _unless(name: str, *values: Any) -> Condition:
    """Hold if a field has none of these values."""
    return Condition(lambda config: config[name] not in values, f"{name} other than {' or '.join(map(str, values))}")


_FLAG = Rule((bool,), lambda value: True, "True or False")
_TEXT = Rule((str,), lambda value: True, "text")
_NAMES = _tuple_of(str, bool, "one or more names, as ('S1', 'S5')")
_SIGMAS = Rule(
    (tuple,),
    lambda v: len(v) in (1, H36M_17.num_joints) and all(type(x) in (int, float) and 0.001 <= x <= 1e6 for x in v),
    f"a tuple of one or {H36M_17.num_joints} numbers from 0.001 to 1,000,000",
)
_PERCENTS = Rule(
    (tuple,), lambda v: all(type(x) in (int, float) and 0 < x <= 100 for x in v), "a tuple of percentages above 0, at most 100"
)
_WIDTHS = Rule(
    (tuple,),
    lambda v: 0 < len(v) <= 64 and all(type(x) is int and x > 0 and x % 2 for x in v) and math.prod(v) <= 65_536,
    "a tuple of one or more odd numbers, as (3, 3, 3); at most 64, and 65,536 frames",
)

_TRUNK = _when("model.network", *TRUNK_NETWORKS)
_SPLIT = _when("model.network", "gp", "lf", "es", "sfs", "sr")
_MIXED = ("lf", "es", "sfs")  # networks with layers of two kinds
_CONTEXT = Condition(
    lambda v: v["model.network"] == "sr" or (v["model.network"] in _MIXED and v["model.split_layers"] == "split_recombine"),
    "model.network sr, or lf, es or sfs with model.split_layers split_recombine",
)


def _data_fields(section: str, used: Condition | None = None) -> dict[str, Field]:
    """Return the fields of a data section, which are read only where `used` holds."""
    source = f"{section}.source"
    files, virtual = _unless(source, "synthetic"), _when(source, "synthetic", "mocap")
    simulated = _when(f"{section}.detections.simulate", True)
    fields = {
        "source": Field(SOURCES[0], _one_of(SOURCES), "synthetic: the embedded set, generated; the others are files"),
        "path": Field(
            "",
            _TEXT,
            "h36m: folder of data_3d_h36m.npz and data_2d_h36m_*.npz; mocap: an .npz file of joint positions, or a folder of "
            "such files; mpi_inf_3dhp: folder of the test set, TS1 to TS6; mpi_inf_3dhp_train: folder of S1 to S8",
            files,
        ),
        "keypoints": Field(
            "gt",
            _TEXT,
            "gt, or a detector's name, as cpn_ft_h36m_dbb in data_2d_h36m_cpn_ft_h36m_dbb.npz",
            _when(source, "h36m"),
        ),
        "annotation": Field(
            "univ",
            _one_of(("univ", "metric")),
            "univ: the skeleton of one height that the field reports; or metric",
            _when(source, "mpi_inf_3dhp", "mpi_inf_3dhp_train"),
        ),
        "num_frames": Field(
            200_000,
            _whole(1),
            "size of the generated set, frames over all cameras, 2,000 to 2,000,000",
            _when(source, "synthetic"),
        ),
        "seed": Field(0, _whole(0), "seed of the generated bodies and motions", _when(source, "synthetic")),
        "fps": Field(
            30.0,
            _number(0, above=True),
            "frames per second of a file that does not say, for the record",
            _when(source, "mocap"),
        ),
        "downsample": Field(1, _whole(1), "keep every n-th frame of each sequence"),
        "cameras.number": Field(4, _whole(1, 100), "number of virtual cameras around the person", virtual),
        "cameras.distance_m": Field(
            5.2, _number(0, 1000, above=True), "horizontal distance from the middle of the room, metres", virtual
        ),
        "cameras.distance_spread": Field(
            0.1, _number(0, 0.9), "share of it by which each camera stands nearer or farther, at most", virtual
        ),
        "cameras.height_m": Field(1.55, _number(0, 1000), "height above the floor, metres", virtual),
        "cameras.height_spread_m": Field(
            0.0, _number(0, 1000), "by which each camera stands higher or lower, at most, metres", virtual
        ),
        "cameras.target_height_m": Field(0.9, _number(0, 1000), "height of the point that they look at, metres", virtual),
        "cameras.focal_px": Field(1145.0, _number(0, 1e6, above=True), "focal length, pixels", virtual),
        "cameras.width_px": Field(1000, _whole(1), "image width, pixels", virtual),
        "cameras.height_px": Field(1000, _whole(1), "image height, pixels", virtual),
        "cameras.seed": Field(0, _whole(0), "seed of the cameras' displacements", virtual),
        "detections.simulate": Field(
            False, _FLAG, "True: replace the 2D joints by those of a simulated detector (srnet_jax/data/detections.py)"
        ),
        "detections.sigma": Field(
            0.01,
            _number(0, 1),
            "noise of a joint of the torso, as a share of the person's size; the ends of limbs have up to twice as much",
            simulated,
        ),
        "detections.outliers": Field(0.01, _number(0, 1), "share of joints that land anywhere in the person's box", simulated),
        "detections.swaps": Field(0.01, _number(0, 1), "share of frames with arms, and with legs, exchanged", simulated),
        "detections.missing": Field(0.01, _number(0, 1), "share of joints that stay where they were last seen", simulated),
        "detections.derived_joints": Field(
            False,
            _FLAG,
            "True: pelvis, spine, thorax and the base of the skull are where hips, shoulders and head put them, as with a "
            "detector that does not see them (srnet_jax/pose/layouts.py)",
            simulated,
        ),
        "detections.seed": Field(0, _whole(0), "seed of the detector's errors", simulated),
    }
    if used:
        fields = {
            name: dataclasses.replace(field, read=field.read & used if field.read else used) for name, field in fields.items()
        }
    return {f"{section}.{name}": field for name, field in fields.items()}


FIELDS: dict[str, Field] = {
    "seed": Field(0, _whole(0), "seed of the weights, the order of samples and dropout", _when("ensemble.seeds", ())),
    "parallel": Field(
        "jit",
        _one_of(PARALLEL),
        "how several devices share each batch: jit (XLA distributes) or pmap; the results are the same",
    ),
    "num_devices": Field(0, _whole(0, 100_000), "devices that share each batch, of all processes; 0: all there are"),
    # Several runs trained as one program, each in a folder of its own in the workdir and the same as if trained alone. Every
    # combination of the values is a run.
    "ensemble.seeds": Field((), _distinct(_whole(0), "whole numbers, as (0, 1)"), "as (0, 1, 2): instead of seed"),
    "ensemble.learning_rates": Field(
        (),
        _distinct(_number(0, above=True), "numbers above 0, as (0.001, 0.01)"),
        "as (0.001, 0.002): instead of train.learning_rate",
    ),
    "ensemble.actions_train": Field(
        (),
        _distinct(_TEXT, "names, as ('Walking', 'Eating')"),
        "as ('Walking', 'Eating'), of cross_action: one run trained on each of these actions",
    ),
    # What is trained on, and tested unless the protocol is cross_dataset.
    **_data_fields("data"),
    # What cross_dataset tests on.
    **_data_fields("test_data", _when("protocol.name", "cross_dataset")),
    "protocol.name": Field(
        "subject",
        _one_of(("subject", "rare_pose", "cross_action", "cross_camera", "cross_dataset")),
        "paper Sec. 4.2 and 4.3; all train on subjects_train and test on subjects_test. subject: no more; rare_pose: count "
        "only the rarest test poses, the first of rare_percents; cross_action: train on some actions; cross_camera: train on "
        "some cameras, test on others; cross_dataset: test on config.test_data",
    ),
    "protocol.subjects_train": Field(("S1", "S5", "S6", "S7", "S8"), _NAMES, "subjects to train on"),
    "protocol.subjects_test": Field(("S9", "S11"), _NAMES, "subjects to test on"),
    "protocol.actions_train": Field(
        ("Walking",),
        _NAMES,
        "actions to train on, exact names",
        _when("protocol.name", "cross_action") & _when("ensemble.actions_train", ()),
    ),
    "protocol.cross_action_test": Field(
        "others",
        _one_of(("others", "all", "all_subjects")),
        "others: the other actions of the test subjects; all: all their actions; all_subjects: train and test on ALL subjects, "
        "whatever subjects_train and subjects_test say, as the official code does",
        _when("protocol.name", "cross_action"),
    ),
    "protocol.cameras_train": Field(
        ("camera0", "camera1", "camera2"),
        _NAMES,
        "cameras to train on; in Human3.6M ('54138969', ...)",
        _when("protocol.name", "cross_camera"),
    ),
    "protocol.cameras_test": Field(("camera3",), _NAMES, "cameras to test on", _when("protocol.name", "cross_camera")),
    "protocol.validation": Field(
        "train_subjects",
        _one_of(("train_subjects", "test")),
        "what chooses the best checkpoint: held-out recordings of the training subjects, or `test`: the test subjects, and "
        "training on everything (the official code; results say so)",
    ),
    "protocol.validation_fraction": Field(
        0.1,
        _number(0, 0.9, above=True),
        "share of the training recordings that is held out",
        _when("protocol.validation", "train_subjects"),
    ),
    "protocol.rare_percents": Field((20, 10), _PERCENTS, "sizes of the rare subsets, percent of the test poses"),
    "protocol.rare_ranking": Field(
        "occurrence",
        _one_of(RANKINGS),
        "occurrence: Eq. 10; exponential: the official filter_data.py, with sigma 200 or 500; mean_distance: the official list "
        "of infrequent poses, without sigma",
    ),
    "protocol.rare_sigma_mm": Field(
        (100.0,),
        _SIGMAS,
        "sigma of Eq. 9, millimetres, one or one for each joint; the paper gives none",
        _unless("protocol.rare_ranking", "mean_distance"),
    ),
    "protocol.rare_reference": Field(
        "train", _one_of(("train", "test")), "pose set O of Eq. 10: train or test; the paper does not say"
    ),
    "protocol.rare_reference_step": Field(1, _whole(1), "take every n-th pose of the reference set; the official code 10"),
    "model.network": Field(
        "sr",
        _one_of((*TRUNK_NETWORKS, *GRAPH_NETWORKS)),
        "fc: fully connected, gp: group connected, lf: late fusion, es: early split, sfs: split, fuse, split, sr: split and "
        "recombine (paper Fig. 3); semgcn, lcn: graph networks that the paper compares with",
    ),
    "model.fuse_layer": Field(
        4,
        _whole(0),
        "L_fuse: the first L_fuse layers are split, the others fully connected (Eq. 7)",
        _when("model.network", "lf"),
    ),
    "model.split_layer": Field(
        4,
        _whole(0),
        "L_split: the first L_split layers are fully connected, the others split (Eq. 8)",
        _when("model.network", "es"),
    ),
    "model.link_layers": Field(
        2,
        _whole(0),
        "L_link: the L_link layers in the middle are fully connected, the others split",
        _when("model.network", "sfs"),
    ),
    "model.split_layers": Field(
        "group", _one_of(SPLIT_LAYERS), "what the split layers are: group or split_recombine", _when("model.network", *_MIXED)
    ),
    "model.split_ends": Field(
        True,
        _FLAG,
        "False: the first and the last layer are fully connected, and the three numbers count the layers between them; so the "
        "paper's sfs has its 3.04 M parameters",
        _SPLIT,
    ),
    "model.filter_widths": Field(
        (1, 1, 1, 1),
        _WIDTHS,
        "odd kernel sizes over time, two layers each; (1, 1, 1, 1) is the single-frame network of 8 layers, (3, 3, 3, 3, 3) "
        "has 10 layers and sees 243 frames",
    ),
    "model.channels": Field(
        1024, _whole(17, 65_536), "total width of each hidden layer; of semgcn and lcn the features of each joint"
    ),
    "model.num_groups": Field(
        5,
        _one_of(GROUP_NUMBERS),
        "body parts: 1, 2, 3, 5, 6, 8 or 17 (paper Fig. 6; `body_groups` in srnet_jax/pose/skeleton.py)",
        _SPLIT,
    ),
    "model.root_in_every_group": Field(
        True, _FLAG, "the official code's groups; False: the paper's disjoint partition", _SPLIT
    ),
    "model.global_group": Field(
        False, _FLAG, "True: one more group, of all joints; what it predicts is added to what the parts predict", _SPLIT
    ),
    "model.shuffled_groups": Field(
        0, _whole(0), "groups whose joints are exchanged at random: 0 or at least 2 (Table 5)", _SPLIT
    ),
    "model.shuffle_seed": Field(0, _whole(0), "seed of the exchange", _SPLIT & _unless("model.shuffled_groups", 0)),
    "model.recombine": Field(
        "multiply",
        _one_of(RECOMBINE),
        "how context meets local features: multiply, add or concat (supplement Sec. 2)",
        _CONTEXT,
    ),
    "model.context_dim": Field(
        1,
        _number(0),
        "H of Eq. 6: a whole number of features (0: no context), or with a decimal point a fraction of the group's width "
        "(0.25: 25 %, 1.0: 100 %)",
        _CONTEXT,
    ),
    "model.context_from": Field(
        "others", _one_of(CONTEXT_FROM), "context of a group: the other groups' features, or all", _CONTEXT
    ),
    "model.context_form": Field(
        "official",
        _one_of(CONTEXT_FORMS),
        "official: sigmoid(BatchNorm) or LeakyReLU, zero start; paper: the plain map of Eq. 6",
        _CONTEXT,
    ),
    "model.bug_compatible": Field(
        False,
        _FLAG,
        "True: the official code's scrambled temporal context of concat, for its checkpoints",
        _CONTEXT & _when("model.recombine", "concat"),
    ),
    "model.adds_input": Field(
        False, _FLAG, "True: add the 2D input to x and y, as the official code with the normalisation lcn"
    ),
    "model.normalization": Field(
        "basic",
        _one_of(NORMALIZATIONS),
        "of the input and the output (supplement Sec. 1; srnet_jax/pose/normalization.py). basic: VideoPose3D's, 2D over the "
        "image's width and 3D in metres; centered: 2D around the root over the person's size in the image, for any camera; "
        "pixel: the LCN repository's; lcn, proj, weak_proj: the official code's. The last four use the TRUE depth of the root "
        "at test time, and tables say so; weak_proj distorts predictions and ground truth alike and compares only with the "
        "official code",
    ),
    "model.causal": Field(False, _FLAG, "True: no frame after the output frame is seen", _TRUNK),
    "model.activation": Field("leaky_relu", _one_of(ACTIVATIONS), "leaky_relu (slope 0.01) or relu"),
    "model.dropout": Field(0.0, _number(0, 0.99), "rate after each activation"),
    "model.hops": Field(
        3, _whole(1, 16), "a joint sees the joints that are at most this many bones away", _when("model.network", "lcn")
    ),
    "model.non_local": Field(True, _FLAG, "with non-local layers", _when("model.network", "semgcn")),
    "model.precision": Field(
        "float32",
        _one_of(PRECISIONS),
        "of products and features: float32; tf32 (products, on a GPU); or bfloat16. Parameters, BatchNorm, loss and outputs "
        "are float32 in each",
    ),
    "train.epochs": Field(80, _whole(1), "passes over the training set"),
    "train.batch_size": Field(1024, _whole(2), "output frames in a step"),
    "train.learning_rate": Field(
        1e-3, _number(0, above=True), "AMSGrad's, in the first epoch", _when("ensemble.learning_rates", ())
    ),
    "train.lr_decay": Field(0.95, _number(0, 1, above=True), "factor on the learning rate after each epoch"),
    "train.bn_momentum_start": Field(
        0.1, _number(0, 1, above=True), "weight of a new batch in BatchNorm's running statistics, in the first epoch"
    ),
    "train.bn_momentum_end": Field(0.001, _number(0, 1, above=True), "the same after the last; it falls exponentially"),
    "train.loss": Field("l1", _one_of(LOSSES), "l1: mean absolute coordinate error; mpjpe: mean joint distance"),
    "train.flip": Field(True, _FLAG, "add the mirror image of every sample"),
    "train.camera_roll_share": Field(
        0.0, _number(0, 1), "share of the samples that are turned about the camera's optical axis, in 2D and in 3D"
    ),
    "train.camera_roll_degrees": Field(
        180.0, _number(0, 180), "largest random angle of this turn, degrees", _unless("train.camera_roll_share", 0)
    ),
    "train.data_on": Field(
        "auto",
        _one_of(PLACES),
        "where the training data are: device, host (batches are gathered ahead), or auto: the device if they take at most half "
        "of its memory",
    ),
    "train.steps_per_call": Field(
        0,
        _whole(0, 10_000),
        "steps that are compiled into one call; 0: 1 on a CPU, 32 elsewhere. A checkpoint within an epoch, or an interruption, "
        "waits for the end of a call",
    ),
    "train.max_gradient_norm": Field(
        1e6,
        _number(0),
        "stop, keeping the last checkpoint, when the gradient's norm exceeds this (usual: below 50); 0: only when it is "
        "infinite or not a number",
    ),
    "train.checkpoint_minutes": Field(
        10.0, _number(0), "minutes between checkpoints within an epoch, beside the one after it; 0: none within"
    ),
    "train.keep_latest": Field(2, _whole(1), "newest checkpoints kept"),
    "train.keep_best": Field(1, _whole(1), "checkpoints with the lowest validation error kept"),
    "train.on_full_disk": Field(
        "continue",
        _one_of(("continue", "stop")),
        "when a checkpoint cannot be written for want of space: continue, with a warning and another attempt at the next one; "
        "or stop. What was written before is kept either way",
    ),
    "train.tensorboard": Field(False, _FLAG, "also write TensorBoard events (needs the extra `tensorboard`)"),
    "evaluate.flip": Field(True, _FLAG, "average each pose with the mirrored pose of the mirrored input"),
    "evaluate.batch_frames": Field(4096, _whole(1), "output frames predicted at a time; bounds the memory"),
}


def default_config() -> ConfigDict:
    """Return a config of all fields with their defaults: the paper's 8-layer single-frame SRNet on the embedded data."""
    config = ConfigDict()
    for name, field in FIELDS.items():
        *sections, key = name.split(".")
        holder = config
        for section in sections:
            if section not in holder:
                holder[section] = ConfigDict()
            holder = holder[section]
        if type(field.default) is int and float in field.rule.types:
            holder[key] = config_dict.placeholder(object)  # takes whole numbers and fractions
        holder[key] = field.default
    return config


def unknown_field(name: str) -> ConfigError:
    """Return the error for a field that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(name, FIELDS, n=1) or [
        field for field in FIELDS if field.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]
    ]
    hint = f", did you mean config.{near[0]}?" if near else "; srnet_jax/config/schema.py lists all fields"
    return ConfigError(f"config.{one_line(name, 100)}: no such field{hint}")


def flatten(config: ConfigDict) -> Iterator[tuple[str, Any]]:
    """Yield every field's dotted name and value."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from ((f"{key}.{inner}", v) for inner, v in flatten(value))
        else:
            yield key, value


def validate(config: ConfigDict) -> None:
    """Check that a config has exactly the known fields, each with an allowed value.

    Raises:
      ConfigError: names the field, what was found and what was expected.
    """
    found = dict(flatten(config))
    for name in found:
        if name not in FIELDS:
            raise unknown_field(name)
    for name, field in FIELDS.items():
        if name not in found:
            raise ConfigError(f"config.{name}: missing, expected {field.rule.expected}")
        check_value(name, found[name])
    if config.train.camera_roll_share and config.model.normalization not in IMAGE_NORMALIZATIONS:
        raise ConfigError(
            f"config.train.camera_roll_share: not allowed with model.normalization {config.model.normalization!r}, "
            f"expected one of {', '.join(IMAGE_NORMALIZATIONS)}"
        )


def check_value(name: str, value: Any) -> None:
    """Check the value of one field.

    Raises:
      ConfigError: names the field, what was found and what was expected.
    """
    rule = FIELDS[name].rule
    if type(value) not in rule.types or not rule.allows(value):
        raise ConfigError(f"config.{name}: {one_line(repr(value), 100)} is not allowed, expected {rule.expected}")


def check_read(config: ConfigDict, names: Iterable[str]) -> None:
    """Refuse fields that were set by hand but that nothing reads under this config.

    Args:
      config: valid.
      names: dotted names of the fields that were set.

    Raises:
      ConfigError: names the first such field, and when it is read.
    """
    if unread := unread_fields([config], names):
        name, condition = unread[0]
        raise ConfigError(f"config.{name}: set, but nothing reads it here; it is read only with {condition.text}")


def unread_fields(configs: Sequence[ConfigDict], names: Iterable[str]) -> list[tuple[str, Condition]]:
    """Return the fields that no one of these configs reads, each with when it is read."""
    values = [dict(flatten(config)) for config in configs]
    conditions = {name: FIELDS[name].read for name in names}
    return [(n, read) for n, read in conditions.items() if read and not any(read.holds(one) for one in values)]


def differences(a: ConfigDict, b: ConfigDict) -> list[str]:
    """Return the dotted names of the fields whose values or types differ (context_dim 1 is not 1.0)."""
    first, second = dict(flatten(a)), dict(flatten(b))
    return sorted(n for n in first | second if (type(first.get(n)), first.get(n)) != (type(second.get(n)), second.get(n)))


def fingerprint(config: ConfigDict) -> str:
    """Return 12 hexadecimal digits that differ between configs that differ, whatever the order of their fields."""
    return hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()[:12]
