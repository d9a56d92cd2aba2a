"""Every field of a config: its default, its allowed values, its meaning, and when code reads it.

Each field is declared here and nowhere else; `configs/default.py` and the files beside it build their configs from here.
"""

import dataclasses
import difflib
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict, config_dict

from srnet_jax.config import joint_sets
from srnet_jax.config.rules import Condition, Field, Rule, distinct, number, one_of, tuple_of, unless, when, whole
from srnet_jax.errors import ConfigError, one_line
from srnet_jax.pose.losses import LOSSES
from srnet_jax.pose.normalization import IMAGE_NORMALIZATIONS, NORMALIZATIONS, ROOTED_NORMALIZATIONS
from srnet_jax.pose.skeleton import GROUP_NUMBERS, H36M_17

SHIPPED = ("synthetic", "embedded")  # sources that need no files
SOURCES = (*SHIPPED, "h36m", "humaneva", "mocap", "mpi_inf_3dhp", "mpi_inf_3dhp_train", "3dpw")
PAIRED = ("h36m", "humaneva")  # sources with files of paired 2D and 3D in VideoPose3D's form
_UPRIGHT = (*SHIPPED, "mocap", "h36m")  # sources whose world has z up and the floor at 0
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

_FLAG = Rule((bool,), lambda value: True, "True or False")
_TEXT = Rule((str,), lambda value: True, "text")
_SHARE, _SHARE_ABOVE = number(0, 1), number(0, 1, above=True)
_SEED, _COUNT, _HEIGHT = whole(0), whole(1), number(0, 1000)
_NAMES = tuple_of(
    lambda v: len(v) > 0 and all(type(x) is str and x for x in v) and len(set(v)) == len(v),
    "one or more different names, such as ('S1', 'S5')",
)
_SIGMAS = tuple_of(
    lambda v: 0 < len(v) <= joint_sets.MOST_JOINTS and all(type(x) in (int, float) and 0.001 <= x <= 1e6 for x in v),
    "numbers from 0.001 to 1,000,000, one in all or one for each joint",
)
_PERCENTS = distinct(number(0, 100, above=True), "percentages above 0, at most 100")
_WIDTHS = tuple_of(
    lambda v: 0 < len(v) <= 64 and all(type(x) is int and x > 0 and x % 2 for x in v) and math.prod(v) <= 65_536,
    "one or more odd numbers, such as (3, 3, 3): at most 64, with a product of at most 65,536 frames",
)


def _range(low: float, high: float) -> Rule:
    """Return a rule that allows two numbers from `low` to `high`, the smaller first."""
    return tuple_of(
        lambda v: len(v) == 2 and all(type(x) in (int, float) for x in v) and low <= v[0] <= v[1] <= high,
        f"two numbers from {low:g} to {high:g}, the smaller first",
    )


_network = functools.partial(when, "model.network")
_TRUNK = _network(*TRUNK_NETWORKS)
_SPLIT = _network("gp", "lf", "es", "sfs", "sr")
_MIXED = ("lf", "es", "sfs")  # networks with layers of two kinds
_CONTEXT = Condition(
    lambda v: v["model.network"] == "sr" or (v["model.network"] in _MIXED and v["model.split_layers"] == "split_recombine"),
    "model.network sr, or lf, es or sfs with model.split_layers split_recombine",
)
_CONCAT = _CONTEXT & when("model.recombine", "concat")
_CAMERAS = when("protocol.name", "cross_camera")
_SUBJECTS = Condition(
    lambda v: (v["protocol.name"], v["protocol.cross_action_test"]) != ("cross_action", "all_subjects"),
    "protocol.name other than cross_action, or protocol.cross_action_test other than all_subjects",
)


def _section(name: str, fields: dict[str, Field], read: Condition | None = None) -> dict[str, Field]:
    """Return the fields of a section by their dotted names; `read` is added to the condition of each field."""

    def narrowed(own: Condition | None) -> Condition | None:
        return own & read if own and read else own or read

    return {f"{name}.{key}": dataclasses.replace(field, read=narrowed(field.read)) for key, field in fields.items()}


def _data_fields(section: str, read: Condition | None = None) -> dict[str, Field]:
    """Return the fields of a data section, which are read only if `read` holds."""
    source = f"{section}.source"
    synthetic, mocap, paired = (when(source, *names) for names in (("synthetic",), ("mocap",), PAIRED))
    inf = when(source, "mpi_inf_3dhp", "mpi_inf_3dhp_train")
    cameras = {
        "number": Field(4, whole(1, 100), "number of virtual cameras around the person"),
        "distance_m": Field(
            5.2, number(0, 1000, above=True), "horizontal distance of the cameras from the middle of the room, metres"
        ),
        "distance_spread": Field(0.1, number(0, 0.9), "largest deviation of a camera from distance_m, as a share of it"),
        "height_m": Field(1.55, _HEIGHT, "height of the cameras above the floor, metres"),
        "height_spread_m": Field(0.0, _HEIGHT, "largest deviation of a camera from height_m, metres"),
        "target_height_m": Field(0.9, _HEIGHT, "height of the point that the cameras look at, metres"),
        "focal_px": Field(1145.0, number(0, 1e6, above=True), "focal length, pixels"),
        "width_px": Field(1000, _COUNT, "image width, pixels"),
        "height_px": Field(1000, _COUNT, "image height, pixels"),
        "seed": Field(0, _SEED, "seed of the deviations of the cameras"),
    }
    errors = {
        "sigma": Field(
            0.01, _SHARE, "noise of a torso joint, as a share of the person's size; limb ends have up to twice as much"
        ),
        "drift": Field(0.0, _SHARE, "slowly changing error of a torso joint, as a share of the person's size"),
        "offset": Field(0.0, _SHARE, "error of a torso joint that is constant in a sequence, as a share of the person's size"),
        "outliers": Field(0.01, _SHARE, "share of joints that are placed at random in the person's bounding box"),
        "swaps": Field(
            0.01, _SHARE, "share of frames with left and right arm exchanged, and of frames with left and right leg exchanged"
        ),
        "missing": Field(0.01, _SHARE, "share of joints that keep the position where they were last seen"),
        "hidden": Field(
            0.0,
            number(0, 0.5),
            "share of joints that are unseen, for a second on average, and filled in as `launch.predict` does",
        ),
        "derived_joints": Field(
            False,
            _FLAG,
            "True: compute pelvis, spine, thorax and base of the skull from the others (srnet_jax/pose/layouts.py)",
        ),
        "seed": Field(0, _SEED, "seed of the simulated errors"),
    }
    return _section(
        section,
        {
            "source": Field(
                SOURCES[0],
                one_of(SOURCES),
                "synthetic: generated motion; embedded: recorded motion that ships with the project; the others read files",
            ),
            "path": Field(
                "",
                _TEXT,
                "h36m: folder of data_3d_h36m.npz and data_2d_h36m_*.npz, and of cameras.toml for your own data "
                "(docs/own_data.md); humaneva: the same with humaneva15 in the names; mocap: .npz file of joint positions, or "
                "folder of such files; mpi_inf_3dhp: folder of the test set, TS1 to TS6, or data_test_3dhp.npz; "
                "mpi_inf_3dhp_train: folder of S1 to S8, or data_train_3dhp.npz; 3dpw: folder of .pkl files, only for tests",
                unless(source, *SHIPPED),
            ),
            "keypoints": Field(
                "gt", _TEXT, "gt for exact 2D, or the name of a detector: NAME in data_2d_h36m_NAME.npz", paired
            ),
            "annotation": Field(
                "univ", one_of(("univ", "metric")), "univ: people scaled to one height, as is usual; metric: true size", inf
            ),
            "num_frames": Field(200_000, whole(2_000, 2_000_000), "frames of the generated set, over all cameras", synthetic),
            "seed": Field(0, _SEED, "seed of the generated bodies and motions", synthetic),
            "fps": Field(
                30.0, number(0, above=True), "frame rate of a file that does not state its own, frames per second", mocap
            ),
            "actions": Field((), distinct(_TEXT, "names, such as ('Walking', 'Box')"), "actions to load, exact names; (): all"),
            "downsample": Field(1, _COUNT, "keep every n-th frame of each sequence"),
            **_section("cameras", cameras, when(source, *SHIPPED, "mocap")),
            "detections.simulate": Field(False, _FLAG, "True: simulate a detector's 2D joints (srnet_jax/data/detections.py)"),
            **_section("detections", errors, when(f"{section}.detections.simulate", True)),
        },
        read,
    )


_ENSEMBLE = {  # trains several runs as one program; each combination is a run in its own folder, the same as if trained alone
    "seeds": Field((), distinct(_SEED, "whole numbers, such as (0, 1)"), "a run for each of these seeds; replaces seed"),
    "learning_rates": Field(
        (),
        distinct(number(0, above=True), "numbers above 0, such as (0.001, 0.01)"),
        "a run for each of these learning rates; replaces train.learning_rate",
    ),
    "actions_train": Field(
        (),
        distinct(_TEXT, "names, such as ('Walking', 'Eating')"),
        "a run for each of these training actions of cross_action; replaces protocol.actions_train",
    ),
}
_PROTOCOL = {
    "name": Field(
        "subject",
        one_of(("subject", "rare_pose", "cross_action", "cross_camera", "cross_dataset")),
        "paper Sec. 4.2 and 4.3; each trains on subjects_train and tests on subjects_test. subject: nothing more; rare_pose: "
        "count only the rarest test poses, the first of rare_percents; cross_action: train on some actions; cross_camera: "
        "train on some cameras, test on others; cross_dataset: test on config.test_data",
    ),
    "subjects_train": Field(("S1", "S5", "S6", "S7", "S8"), _NAMES, "subjects to train on", _SUBJECTS),
    "subjects_test": Field(("S9", "S11"), _NAMES, "subjects to test on", _SUBJECTS),
    "actions_train": Field(
        ("Walking",),
        _NAMES,
        "actions to train on, exact names",
        when("protocol.name", "cross_action") & when("ensemble.actions_train", ()),
    ),
    "cross_action_test": Field(
        "others",
        one_of(("others", "all", "all_subjects")),
        "others: the other actions of the test subjects; all: all their actions; all_subjects: train and test on ALL subjects, "
        "as the official code does",
        when("protocol.name", "cross_action"),
    ),
    "cameras_train": Field(
        ("camera0", "camera1", "camera2"), _NAMES, "cameras to train on; in Human3.6M ('54138969', ...)", _CAMERAS
    ),
    "cameras_test": Field(("camera3",), _NAMES, "cameras to test on", _CAMERAS),
    "validation": Field(
        "train_subjects",
        one_of(("train_subjects", "test")),
        "data that select the best checkpoint. train_subjects: held-out recordings of the training subjects; test: the test "
        "subjects, while all training recordings are trained on (as the official code; results say so)",
    ),
    "validation_fraction": Field(
        0.1,
        number(0, 0.9, above=True),
        "share of the training recordings that is held out",
        when("protocol.validation", "train_subjects"),
    ),
    "rare_percents": Field((20, 10), _PERCENTS, "sizes of the rare subsets, in percent of the test poses"),
    "rare_ranking": Field(
        "occurrence",
        one_of(RANKINGS),
        "measure of rarity. occurrence: Eq. 10; exponential: the official filter_data.py, with sigma 200 or 500; "
        "mean_distance: the official list of infrequent poses, without sigma",
    ),
    "rare_sigma_mm": Field(
        (100.0,),
        _SIGMAS,
        "sigma of Eq. 9, millimetres, one in all or one for each joint",
        unless("protocol.rare_ranking", "mean_distance"),
    ),
    "rare_reference": Field("train", one_of(("train", "test")), "pose set O of Eq. 10; the paper does not state which"),
    "rare_reference_step": Field(1, _COUNT, "use every n-th pose of the reference set; the official code uses 10"),
}
_MODEL = {
    "joints": Field(H36M_17.name, _TEXT, f"the 3D joints: {joint_sets.EXPECTED} (docs/own_data.md); the data must have them"),
    "input_joints": Field("", _TEXT, "the keypoints that the network sees, in the same form; empty: the same as joints"),
    "confidences": Field(False, _FLAG, "True: the network also sees each keypoint's confidence, which the data must have"),
    "network": Field(
        "sr",
        one_of((*TRUNK_NETWORKS, *GRAPH_NETWORKS)),
        "fc: fully connected, gp: group connected, lf: late fusion, es: early split, sfs: split, fuse, split, sr: split and "
        "recombine (paper Fig. 3); semgcn, lcn: graph networks that the paper compares with",
    ),
    "fuse_layer": Field(4, _SEED, "L_fuse: split layers at the start; fully connected ones follow (Eq. 7)", _network("lf")),
    "split_layer": Field(4, _SEED, "L_split: fully connected layers at the start; split ones follow (Eq. 8)", _network("es")),
    "link_layers": Field(2, _SEED, "L_link: fully connected layers in the middle, between split ones", _network("sfs")),
    "split_layers": Field("group", one_of(SPLIT_LAYERS), "what the split layers are", _network(*_MIXED)),
    "split_ends": Field(
        True,
        _FLAG,
        "False: the first and the last layer are fully connected, and fuse_layer, split_layer and link_layers count the layers "
        "between them; the paper's sfs then has its 3.04 M parameters",
        _SPLIT,
    ),
    "filter_widths": Field(
        (1, 1, 1, 1),
        _WIDTHS,
        "odd kernel sizes over time, each for two layers; (1, 1, 1, 1) is the single-frame network of 8 layers, (3, 3, 3, 3, "
        "3) has 10 layers and sees 243 frames",
    ),
    "channels": Field(
        1024, whole(17, 65_536), "width of each hidden layer; for semgcn and lcn the number of features of each joint"
    ),
    "num_groups": Field(
        5,
        one_of(GROUP_NUMBERS),
        "body parts (paper Fig. 6; `body_groups` in srnet_jax/pose/skeleton.py); other joint sets declare theirs",
        _SPLIT & when("model.joints", H36M_17.name) & when("model.input_joints", "", H36M_17.name),
    ),
    "root_in_every_group": Field(True, _FLAG, "True: the official code's groups; False: the paper's disjoint groups", _SPLIT),
    "global_group": Field(False, _FLAG, "True: add a group of all joints, whose prediction is added to the groups'", _SPLIT),
    "shuffled_groups": Field(0, _SEED, "groups whose joints are exchanged at random: 0 or at least 2 (Table 5)", _SPLIT),
    "shuffle_seed": Field(0, _SEED, "seed of the exchange", _SPLIT & unless("model.shuffled_groups", 0)),
    "recombine": Field("multiply", one_of(RECOMBINE), "how context meets local features (supplement Sec. 2)", _CONTEXT),
    "context_dim": Field(
        1,
        number(0),
        "H of Eq. 6: a whole number of features (0: no context), or, with a decimal point, a share of the group's width "
        "(0.25: 25 %, 1.0: 100 %)",
        _CONTEXT,
    ),
    "context_from": Field(
        "others",
        one_of(CONTEXT_FROM),
        "source of a group's context: the features of the other groups, or of all groups",
        _CONTEXT,
    ),
    "context_form": Field(
        "official",
        one_of(CONTEXT_FORMS),
        "official: sigmoid(BatchNorm) or LeakyReLU, initial weights zero; paper: Eq. 6",
        _CONTEXT,
    ),
    "bug_compatible": Field(
        False,
        _FLAG,
        "True: scramble the temporal context of concat as the official code does; its checkpoints need this",
        _CONCAT,
    ),
    "adds_input": Field(
        False, _FLAG, "True: add the 2D input to the output's x and y, as the official code does with normalization lcn"
    ),
    "normalization": Field(
        "basic",
        one_of(NORMALIZATIONS),
        "normalisation of input and output (supplement Sec. 1; srnet_jax/pose/normalization.py). basic: VideoPose3D's, 2D over "
        "the image's width and 3D in metres; centered: 2D around the root over the person's size in the image, for any camera; "
        "turned: the same, as seen by a camera turned to the root, for any camera of known or guessed focal length; "
        "pixel: the LCN repository's; lcn, proj, weak_proj: the official code's. The last four use the TRUE depth of the root "
        "at test time, and tables say so; weak_proj distorts predictions and ground truth alike and compares only with the "
        "official code",
    ),
    "causal": Field(False, _FLAG, "True: an output frame depends on no later frame", _TRUNK),
    "dense": Field(
        False,
        _FLAG,
        "True: kernels with a tap at every frame instead of dilated ones (VideoPose3D's --dense); its checkpoints need this",
        _TRUNK,
    ),
    "activation": Field("leaky_relu", one_of(ACTIVATIONS), "leaky_relu (slope 0.01) or relu"),
    "dropout": Field(0.0, number(0, 0.99), "dropout rate after each activation"),
    "hops": Field(3, whole(1, 16), "a joint sees joints that are at most this many bones away", _network("lcn")),
    "non_local": Field(True, _FLAG, "True: with non-local layers", _network("semgcn")),
    "precision": Field(
        "float32",
        one_of(PRECISIONS),
        "precision of features and matrix products (tf32: products only, on a GPU); parameters, BatchNorm, loss and outputs "
        "are always float32",
    ),
}
_TRAIN = {
    "epochs": Field(80, _COUNT, "passes over the training set"),
    "batch_size": Field(1024, whole(2), "output frames per step"),
    "learning_rate": Field(
        1e-3, number(0, above=True), "learning rate of AMSGrad in the first epoch", when("ensemble.learning_rates", ())
    ),
    "lr_decay": Field(0.95, _SHARE_ABOVE, "factor applied to the learning rate after each epoch"),
    "weight_decay": Field(
        0.0, number(0), "AdamW's: each step subtracts weight_decay * learning rate * kernel from each kernel"
    ),
    "bn_momentum_start": Field(0.1, _SHARE_ABOVE, "weight of a batch in BatchNorm's running statistics in the first epoch"),
    "bn_momentum_end": Field(0.001, _SHARE_ABOVE, "the same in the last epoch; between them it falls exponentially"),
    "loss": Field("l1", one_of(LOSSES), "l1: mean absolute coordinate error; mpjpe: mean joint distance"),
    "flip": Field(True, _FLAG, "add the mirror image of every sample"),
    "redraw": Field(
        False,
        _FLAG,
        "True: draw new cameras, bodies and detection errors for the training sequences in each epoch, as config.redraw and "
        "data.detections state (srnet_jax/data/redraw.py); data.cameras are then those of validation and test",
    ),
    "camera_roll_share": Field(0.0, _SHARE, "share of the samples that are rotated about the optical axis, in 2D and in 3D"),
    "camera_roll_degrees": Field(
        180.0, number(0, 180), "largest angle of this random rotation, degrees", unless("train.camera_roll_share", 0)
    ),
    "data_on": Field(
        "auto",
        one_of(PLACES),
        "where the training data are kept; host: batches are prepared ahead; auto: device if the data take at most half of its "
        "memory",
    ),
    "steps_per_call": Field(
        0,
        whole(0, 10_000),
        "steps compiled into one call; checkpoints and interruptions wait for its end; 0: 1 on a CPU, 32 elsewhere",
    ),
    "max_gradient_norm": Field(
        1e6, number(0), "stop when the norm of the gradient exceeds this (usual: below 50); 0: only when it is not finite"
    ),
    "checkpoint_minutes": Field(10.0, number(0), "minutes between checkpoints within an epoch; 0: only at its end"),
    "keep_latest": Field(2, _COUNT, "number of newest checkpoints to keep"),
    "keep_best": Field(1, _COUNT, "number of checkpoints with the lowest validation error to keep"),
    "keep_epochs": Field((), distinct(_COUNT, "whole numbers, such as (1, 10, 100)"), "epochs whose checkpoints are also kept"),
    "on_full_disk": Field(
        "continue",
        one_of(("continue", "stop")),
        "what to do when a checkpoint does not fit on the disk; continue: warn, and try again at the next one; stop: end the "
        "run. Earlier checkpoints are kept in both cases",
    ),
    "tensorboard": Field(False, _FLAG, "also write TensorBoard events (needs the extra `tensorboard`)"),
}
_REDRAW = {  # drawn anew in each epoch, a pair of bounds uniformly; see srnet_jax/data/redraw.py
    "distance_m": Field((2.0, 10.0), _range(0.5, 1000), "nearest and farthest camera, metres from the hip"),
    "height_m": Field((0.3, 2.8), _range(0, 1000), "lowest and highest camera above the floor, metres"),
    "roll_degrees": Field(25.0, number(0, 180), "largest roll of a camera, to either side"),
    "off_axis_degrees": Field(25.0, number(0, 60), "largest angle between the optical axis and the ray to the hip"),
    "focal_error": Field(
        0.15, _SHARE, "standard deviation of the relative error of the focal length that the network is given"
    ),
    "stature_m": Field((1.5, 1.9), _range(0.3, 3), "shortest and tallest person, metres"),
    "torso": Field(
        (0.55, 0.68), _range(0.2, 2), "middle of the hips to middle of the shoulders, as a share of the legs' length"
    ),
    "hips": Field(
        (0.2, 0.32),
        _range(0.02, 2),
        "hip to hip, as a share of the legs' length; detectors and motion capture place hips differently",
    ),
    "shoulders": Field((0.36, 0.48), _range(0.02, 2), "shoulder to shoulder, as a share of the legs' length"),
    "bones": Field(0.035, number(0, 0.3), "standard deviation of the relative length of a bone between people of one stature"),
    "recombined": Field(0.3, _SHARE, "share of the pieces (at most 256 frames each) that get the upper body of another piece"),
    "exchanged": Field(0.2, _SHARE, "share of the pieces, for each arm and each leg, that get it from another piece"),
    "straightened": Field(
        0.7, _SHARE, "share of the pieces in which nearly straight legs and upright torsos are straightened further"
    ),
    "seed": Field(0, _SEED, "seed of these draws"),
}
_EVALUATE = {
    "flip": Field(True, _FLAG, "average each pose with the mirrored pose of the mirrored input"),
    "batch_frames": Field(4096, _COUNT, "output frames predicted per call; bounds the memory"),
}
FIELDS: dict[str, Field] = {
    "seed": Field(0, _SEED, "seed of the weights, the order of samples and dropout", when("ensemble.seeds", ())),
    "parallel": Field("jit", one_of(PARALLEL), "how devices share each batch; the results are the same"),
    "num_devices": Field(0, whole(0, 100_000), "number of devices that share each batch, over all processes; 0: all devices"),
    **_section("ensemble", _ENSEMBLE),
    **_data_fields("data"),  # training data, and test data unless the protocol is cross_dataset
    **_data_fields("test_data", when("protocol.name", "cross_dataset")),
    **_section("protocol", _PROTOCOL),
    **_section("model", _MODEL),
    **_section("train", _TRAIN),
    **_section("redraw", _REDRAW, when("train.redraw", True)),
    **_section("evaluate", _EVALUATE),
}


def default_config() -> ConfigDict:
    """Return a config with every field at its default: the paper's 8-layer single-frame SRNet on generated motion."""
    config = ConfigDict()
    for name, field in FIELDS.items():
        *sections, key = name.split(".")
        holder = config
        for section in sections:
            if section not in holder:
                holder[section] = ConfigDict()
            holder = holder[section]
        if type(field.default) is int and float in field.rule.types:
            holder[key] = config_dict.placeholder(object)  # accepts whole numbers and fractions
        holder[key] = field.default
    return config


def unknown_field(name: str) -> ConfigError:
    """Return the error for a field that does not exist; it suggests the field with the nearest name."""
    name = name.removeprefix("config.")
    own = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, FIELDS, n=1) or [
        *(field for field in FIELDS if field.rsplit(".", 1)[-1] == own),
        *(field for field in FIELDS if own and own in field.rsplit(".", 1)[-1]),
    ]
    hint = f", did you mean config.{near[0]}?" if near else "; `python -m launch.describe --fields=config.` lists all fields"
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
        value, rule = found[name], field.rule
        if type(value) not in rule.types or not rule.allows(value):
            raise ConfigError(f"config.{name}: {one_line(repr(value), 100)} is not allowed, expected {rule.expected}")
    _check_joints(config)
    if config.train.redraw and config.data.source not in _UPRIGHT:
        raise ConfigError(
            f"config.train.redraw: not allowed with data.source {config.data.source!r}, expected one of {', '.join(_UPRIGHT)}"
        )
    if config.train.redraw and config.data.source in PAIRED and config.data.keypoints != "gt":
        raise ConfigError(f"config.train.redraw: not allowed with data.keypoints {config.data.keypoints!r}, expected 'gt'")
    if config.train.camera_roll_share and config.data.source == "humaneva":
        raise ConfigError(
            "config.train.camera_roll_share: not allowed with data.source 'humaneva', whose focal lengths are not known"
        )
    if config.train.camera_roll_share and config.model.normalization not in IMAGE_NORMALIZATIONS:
        raise ConfigError(
            f"config.train.camera_roll_share: not allowed with model.normalization {config.model.normalization!r}, "
            f"expected one of {', '.join(IMAGE_NORMALIZATIONS)}"
        )


def _check_joints(config: ConfigDict) -> None:
    """Reject fields that declare no joint set, and joint sets that do not fit the fields that depend on them."""
    model = config.model
    joints, inputs = joint_sets.of(model)
    if (given := len(config.protocol.rare_sigma_mm)) not in (1, joints.num_joints):
        raise ConfigError(f"config.protocol.rare_sigma_mm: found {given} numbers, expected 1 or {joints.num_joints}")
    if not joint_sets.share_root(joints, inputs) and model.normalization in ROOTED_NORMALIZATIONS:
        raise ConfigError(
            f"config.model.normalization: not allowed with {model.normalization!r}, which needs the root "
            f"{joints.joints[0]!r} first among the keypoints; found {inputs.joints[0]!r} of {inputs.name}"
        )
    if config.train.redraw and (joints, inputs) != (H36M_17, H36M_17):
        raise ConfigError(f"config.train.redraw: not allowed with joints {joints.name}, expected {H36M_17.name}, in and out")
    for part in ("data", "test_data") if config.protocol.name == "cross_dataset" else ("data",):
        if config[part].detections.simulate and config[part].source in PAIRED and inputs != H36M_17:
            raise ConfigError(
                f"config.{part}.detections.simulate: not allowed with keypoints {inputs.name}, expected {H36M_17.name}"
            )


def check_read(configs: Sequence[ConfigDict], names: Iterable[str]) -> None:
    """Reject fields that were set by hand but that no code reads under these configs.

    Args:
      configs: valid configs; a field must be read under at least one of them.
      names: dotted names of the fields that were set.

    Raises:
      ConfigError: names the first such field, and the condition under which it is read.
    """
    values = [dict(flatten(config)) for config in configs]
    for name in names:
        read = FIELDS[name].read
        if read and not any(read.holds(one) for one in values):
            raise ConfigError(f"config.{name}: set, but it is read only with {read.text}")


def describe_fields(prefix: str) -> str:
    """Return a text that lists the fields with a prefix: default, meaning, allowed values, and when each is read.

    Raises:
      ConfigError: if no field has the prefix.
    """
    found = {name: field for name, field in FIELDS.items() if f"config.{name}".startswith(prefix) or name.startswith(prefix)}
    if not found:
        raise unknown_field(prefix)
    return "\n".join(
        f"{name} = {field.default!r}\n    {field.help}\n    {field.rule.expected}"
        + (f"; read only with {field.read.text}" if field.read else "")
        for name, field in found.items()
    )


def differences(a: ConfigDict, b: ConfigDict) -> list[str]:
    """Return the dotted names of the fields whose values or types differ (context_dim 1 is not 1.0)."""
    first, second = dict(flatten(a)), dict(flatten(b))
    return sorted(n for n in first | second if (type(first.get(n)), first.get(n)) != (type(second.get(n)), second.get(n)))


def fingerprint(config: ConfigDict) -> str:
    """Return a hash of a config, 12 hexadecimal digits, that does not depend on the order of its fields."""
    return hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()[:12]
