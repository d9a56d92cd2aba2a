"""Check, save and load configs. `configs/default.py` says what every field means; here stands what it may be."""

import dataclasses
import difflib
import hashlib
import itertools
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax.errors import ConfigError, one_line
from srnet_jax.files import write_whole
from srnet_jax.models.graph import GRAPH_NETWORKS
from srnet_jax.models.layers import ACTIVATIONS, CONTEXT_FORMS, CONTEXT_FROM, RECOMBINE
from srnet_jax.models.pose_lifter import NETWORKS, PRECISIONS, SPLIT_LAYERS
from srnet_jax.normalization import IMAGE_NORMALIZATIONS, NORMALIZATIONS
from srnet_jax.rarity import RANKINGS
from srnet_jax.skeleton import GROUP_NUMBERS, H36M_17

CONFIG_FILE = "config.json"
ENSEMBLE_FILE = "ensemble.json"  # the config of a folder whose subfolders are runs, see `members`
_LARGEST = sys.float_info.max  # a whole number may be larger, and is then no float
FORMAT_VERSION = 6

ADDED: dict[int, dict[str, Any]] = {  # by version: the new fields, with the values that do what was done before
    2: {
        "train.max_gradient_norm": 0.0,
        "train.checkpoint_minutes": 0.0,
        "train.keep_latest": 1,
        "train.keep_best": 1,
        "train.on_full_disk": "stop",
    },
    3: {
        "parallel": "jit",
        "num_devices": 1,
        "model.precision": "float32",
        "train.data_on": "auto",
        "train.steps_per_call": 1,
    },
    4: {"ensemble.seeds": (), "ensemble.learning_rates": (), "ensemble.actions_train": ()},
    5: {
        "model.fuse_layer": 4,
        "model.split_layer": 4,
        "model.link_layers": 2,
        "model.split_layers": "group",
        "model.split_ends": True,
        "model.global_group": False,
        "model.shuffled_groups": 0,
        "model.shuffle_seed": 0,
        "model.hops": 3,
        "model.non_local": True,
        "train.camera_roll_share": 0.0,
        "train.camera_roll_degrees": 180.0,
    },
    6: {
        f"{section}.{name}": value
        for section in ("data", "test_data")
        for name, value in (
            ("cameras.distance_spread", 0.1),
            ("cameras.height_spread_m", 0.0),
            ("detections.derived_joints", False),
        )
    },
}


@dataclasses.dataclass(frozen=True)
class Field:
    """What a config field may hold: the allowed types, a condition, and both in words."""

    types: tuple[type, ...]
    allows: Callable[[Any], bool]
    expected: str


def _one_of(choices) -> Field:
    choices = tuple(choices)
    return Field((type(choices[0]),), lambda value: value in choices, f"one of {', '.join(map(str, choices))}")


def _whole(low: int, high: int = 2**31 - 1) -> Field:
    return Field((int,), lambda value: low <= value <= high, f"a whole number from {low} to {high:,}")


def _number(low: float, high: float = math.inf, *, above: bool = False) -> Field:
    limit = f"above {low}" if above else f"{low} or more"
    top = "" if high == math.inf else f" and at most {high}"
    return Field(
        (float, int),
        lambda value: (value > low if above else value >= low) and value <= min(high, _LARGEST),
        f"a number, {limit}{top}",
    )


def _tuple_of(kind: type, allows: Callable[[Any], bool], words: str) -> Field:
    return Field((tuple,), lambda v: len(v) > 0 and all(type(x) is kind and allows(x) for x in v), f"a tuple of {words}")


def _distinct(item: Field, words: str) -> Field:
    return Field(
        (tuple,),
        lambda v: len(set(v)) == len(v) <= 1000 and all(type(x) in item.types and item.allows(x) for x in v),
        f"() or a tuple of different {words}",
    )


_FLAG = Field((bool,), lambda value: True, "True or False")
_TEXT = Field((str,), lambda value: True, "text")
_NAMES = _tuple_of(str, bool, "one or more names, as ('S1', 'S5')")
_SIGMAS = Field(
    (tuple,),
    lambda v: len(v) in (1, H36M_17.num_joints) and all(type(x) in (int, float) and 0.001 <= x <= 1e6 for x in v),
    f"a tuple of one or {H36M_17.num_joints} numbers from 0.001 to 1,000,000",
)
_PERCENTS = Field(
    (tuple,), lambda v: all(type(x) in (int, float) and 0 < x <= 100 for x in v), "a tuple of percentages above 0, at most 100"
)
_WIDTHS = Field(
    (tuple,),
    lambda v: 0 < len(v) <= 64 and all(type(x) is int and x > 0 and x % 2 for x in v) and math.prod(v) <= 65_536,
    "a tuple of one or more odd numbers, as (3, 3, 3); at most 64, and 65,536 frames",
)

_DATA: dict[str, Field] = {
    "source": _one_of(("synthetic", "h36m", "mocap", "mpi_inf_3dhp", "mpi_inf_3dhp_train")),
    "path": _TEXT,
    "keypoints": _TEXT,
    "annotation": _one_of(("univ", "metric")),
    "num_frames": _whole(1),
    "seed": _whole(0),
    "fps": _number(0, above=True),
    "downsample": _whole(1),
    "cameras.number": _whole(1, 100),
    "cameras.distance_m": _number(0, 1000, above=True),
    "cameras.distance_spread": _number(0, 0.9),
    "cameras.height_m": _number(0, 1000),
    "cameras.height_spread_m": _number(0, 1000),
    "cameras.target_height_m": _number(0, 1000),
    "cameras.focal_px": _number(0, 1e6, above=True),
    "cameras.width_px": _whole(1),
    "cameras.height_px": _whole(1),
    "cameras.seed": _whole(0),
    "detections.simulate": _FLAG,
    "detections.sigma": _number(0, 1),
    "detections.outliers": _number(0, 1),
    "detections.swaps": _number(0, 1),
    "detections.missing": _number(0, 1),
    "detections.derived_joints": _FLAG,
    "detections.seed": _whole(0),
}

FIELDS: dict[str, Field] = {
    "seed": _whole(0),
    "parallel": _one_of(("jit", "pmap")),
    "num_devices": _whole(0, 100_000),
    **{f"{section}.{name}": field for section in ("data", "test_data") for name, field in _DATA.items()},
    "protocol.name": _one_of(("subject", "rare_pose", "cross_action", "cross_camera", "cross_dataset")),
    "protocol.subjects_train": _NAMES,
    "protocol.subjects_test": _NAMES,
    "protocol.actions_train": _NAMES,
    "protocol.cross_action_test": _one_of(("others", "all", "all_subjects")),
    "protocol.cameras_train": _NAMES,
    "protocol.cameras_test": _NAMES,
    "protocol.validation": _one_of(("train_subjects", "test")),
    "protocol.validation_fraction": _number(0, 0.9, above=True),
    "protocol.rare_percents": _PERCENTS,
    "protocol.rare_ranking": _one_of(RANKINGS),
    "protocol.rare_sigma_mm": _SIGMAS,
    "protocol.rare_reference": _one_of(("train", "test")),
    "protocol.rare_reference_step": _whole(1),
    "model.network": _one_of((*NETWORKS, *GRAPH_NETWORKS)),
    "model.fuse_layer": _whole(0),
    "model.split_layer": _whole(0),
    "model.link_layers": _whole(0),
    "model.split_layers": _one_of(SPLIT_LAYERS),
    "model.split_ends": _FLAG,
    "model.filter_widths": _WIDTHS,
    "model.channels": _whole(17, 65_536),
    "model.num_groups": _one_of(GROUP_NUMBERS),
    "model.root_in_every_group": _FLAG,
    "model.global_group": _FLAG,
    "model.shuffled_groups": _whole(0),
    "model.shuffle_seed": _whole(0),
    "model.recombine": _one_of(RECOMBINE),
    "model.context_dim": _number(0),
    "model.context_from": _one_of(CONTEXT_FROM),
    "model.context_form": _one_of(CONTEXT_FORMS),
    "model.bug_compatible": _FLAG,
    "model.adds_input": _FLAG,
    "model.normalization": _one_of(NORMALIZATIONS),
    "model.causal": _FLAG,
    "model.activation": _one_of(ACTIVATIONS),
    "model.dropout": _number(0, 0.99),
    "model.hops": _whole(1, 16),
    "model.non_local": _FLAG,
    "model.precision": _one_of(PRECISIONS),
    "ensemble.seeds": _distinct(_whole(0), "whole numbers, as (0, 1)"),
    "ensemble.learning_rates": _distinct(_number(0, above=True), "numbers above 0, as (0.001, 0.01)"),
    "ensemble.actions_train": _distinct(_TEXT, "names, as ('Walking', 'Eating')"),
    "train.epochs": _whole(1),
    "train.batch_size": _whole(2),
    "train.learning_rate": _number(0, above=True),
    "train.lr_decay": _number(0, 1, above=True),
    "train.bn_momentum_start": _number(0, 1, above=True),
    "train.bn_momentum_end": _number(0, 1, above=True),
    "train.loss": _one_of(("l1", "mpjpe")),
    "train.flip": _FLAG,
    "train.camera_roll_share": _number(0, 1),
    "train.camera_roll_degrees": _number(0, 180),
    "train.data_on": _one_of(("auto", "device", "host")),
    "train.steps_per_call": _whole(0, 10_000),
    "train.max_gradient_norm": _number(0),
    "train.checkpoint_minutes": _number(0),
    "train.keep_latest": _whole(1),
    "train.keep_best": _whole(1),
    "train.on_full_disk": _one_of(("continue", "stop")),
    "train.tensorboard": _FLAG,
    "evaluate.flip": _FLAG,
    "evaluate.batch_frames": _whole(1),
}


def unknown_field(name: str) -> ConfigError:
    """Return the error for a field that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(name, FIELDS, n=1) or [
        field for field in FIELDS if field.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]
    ]
    hint = f", did you mean config.{near[0]}?" if near else "; configs/default.py lists all fields"
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
            raise ConfigError(f"config.{name}: missing, expected {field.expected}")
        value = found[name]
        if type(value) not in field.types or not field.allows(value):
            raise ConfigError(f"config.{name}: {one_line(repr(value), 100)} is not allowed, expected {field.expected}")
    if config.train.camera_roll_share and config.model.normalization not in IMAGE_NORMALIZATIONS:
        raise ConfigError(
            f"config.train.camera_roll_share: not allowed with model.normalization {config.model.normalization!r}, "
            f"expected one of {', '.join(IMAGE_NORMALIZATIONS)}"
        )


def differences(a: ConfigDict, b: ConfigDict) -> list[str]:
    """Return the dotted names of the fields whose values or types differ (context_dim 1 is not 1.0)."""
    first, second = dict(flatten(a)), dict(flatten(b))
    return sorted(n for n in first | second if (type(first.get(n)), first.get(n)) != (type(second.get(n)), second.get(n)))


def fingerprint(config: ConfigDict) -> str:
    """Return 12 hexadecimal digits that differ between configs that differ, whatever the order of their fields."""
    return hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()[:12]


def save(config: ConfigDict, workdir: Path, name: str = CONFIG_FILE) -> None:
    """Write the config to the workdir as JSON, whole or not at all."""
    write_whole(workdir / name, to_json(config) + "\n")


def to_json(config: ConfigDict) -> str:
    """Return a config as text that `from_json` reads."""
    return json.dumps({"format_version": FORMAT_VERSION, **config.to_dict()}, indent=2)


def from_json(text: str) -> ConfigDict:
    """Return the config that `to_json` wrote, in this version or an older one, and check it.

    Raises:
      ConfigError: if it is damaged or of a newer version.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"found {type(values).__name__}, expected an object")
        config = ConfigDict(_tuples(_migrated(values)))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # a key such as __class__
        raise ConfigError(f"not a config ({one_line(error)})") from error
    validate(config)
    return config


_MEMBERS: dict[
    str, tuple[str, str, Callable[[Any], Any]]
] = {  # what `config.ensemble` varies: the name of a member's folder begins so, the field, and what it is set to
    "actions_train": ("action", "protocol.actions_train", lambda action: (action,)),
    "learning_rates": ("learning_rate", "train.learning_rate", lambda rate: rate),
    "seeds": ("seed", "seed", lambda seed: seed),
}


def members(config: ConfigDict) -> dict[str, ConfigDict]:
    """Return the runs that a config asks for, by the name of their folder in the workdir.

    Each has the config that it would have alone. Without `config.ensemble` it is one, named "".

    Raises:
      ConfigError: if actions are to be trained under another protocol than cross_action, or two names would be the same.
    """
    if config.ensemble.actions_train and config.protocol.name != "cross_action":
        raise ConfigError(
            f"config.ensemble.actions_train: not allowed under the protocol {config.protocol.name!r}, expected 'cross_action'"
        )
    varied = [(*_MEMBERS[name], config.ensemble[name]) for name in _MEMBERS if config.ensemble[name]]
    found: dict[str, ConfigDict] = {}
    for values in itertools.product(*(values for *_, values in varied)):
        member = config.copy_and_resolve_references()
        member.ensemble.update(dict.fromkeys(_MEMBERS, ()))
        words = []
        for (word, field, setting, _), value in zip(varied, values, strict=True):
            with member.ignore_type():  # a learning rate may be a whole number
                member.update_from_flattened_dict({field: setting(value)})
            words.append(f"{word}_{re.sub(r'[^A-Za-z0-9_.+-]', '_', str(value))}")
        name = "-".join(words)
        if name in found:
            raise ConfigError(f"config.ensemble: two members would be named {name}, expected different names")
        found[name] = member
    return found


def workdirs(workdir: Path) -> list[Path]:
    """Return the workdirs of the runs of an ensemble, or the workdir itself."""
    if not (workdir / ENSEMBLE_FILE).is_file():
        return [workdir]
    return [workdir / name for name in members(load(workdir, ENSEMBLE_FILE))]


def with_absolute_path(config: ConfigDict) -> ConfigDict:
    """Return a copy whose data's paths do not depend on the current folder."""
    copy = config.copy_and_resolve_references()
    for data in (copy.data, copy.test_data):
        if data.path:
            data.path = str(Path(data.path).absolute())
    return copy


def load(workdir: Path, name: str = CONFIG_FILE) -> ConfigDict:
    """Read and check a workdir's config, of this version or an older one.

    Raises:
      ConfigError: if there is none, it is damaged, or it is of a newer version.
    """
    path = workdir / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, expected the workdir of a training run")
    try:
        return from_json(path.read_text())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a config ({one_line(error)})") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _migrated(values: dict[str, Any]) -> dict[str, Any]:
    """Return a config's values as this version has them."""
    version = values.pop("format_version", 1)  # files without it are older than it
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(f"found format_version {version!r}, expected 1 to {FORMAT_VERSION}; written by a newer version?")
    for added in (fields for number, fields in ADDED.items() if number > version):
        for name, value in added.items():
            *sections, field = name.split(".")
            holder: Any = values
            for section in sections:
                holder = holder.setdefault(section, {}) if isinstance(holder, dict) else None
            if isinstance(holder, dict):  # else `validate` says what is wrong
                holder.setdefault(field, value)
    return values


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
