"""Make the config of each row of an experiment: the paper's settings, on the given data and at the given scale."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax.config import schema
from srnet_jax.errors import ConfigError, naming
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.reproduce.experiment import Experiment

DATA = ("h36m", "mocap", "synthetic")


def _every(step: int) -> dict[str, Any]:
    return {"data.downsample": step, "test_data.downsample": step}


SCALES: dict[str, dict[str, Any]] = {  # fields that differ from the paper's settings; the fields of a row override these
    "full": {},
    "long": {  # 104,000 steps on HDM05
        "model.channels": 512,
        "train.epochs": 360,
        "train.batch_size": 256,
        "train.keep_epochs": (1, 3, 10, 30, 100, 200),  # the checkpoints of the figure `steps`
    },
    "medium": {"model.channels": 512, "train.epochs": 20, "train.batch_size": 256} | _every(2),
    "quick": {"model.channels": 256, "train.epochs": 8, "train.batch_size": 256} | _every(5),
    "smoke": {
        "model.channels": 85,
        "train.epochs": 1,
        "train.batch_size": 4096,  # the whole epoch in one batch, which needs fewer compilations
        "data.num_frames": 2000,
        "data.cameras.number": 1,
        "test_data.num_frames": 2000,
        "test_data.cameras.number": 1,
    },
}
HDM05 = {"subjects_train": ("bd", "bk", "dg"), "subjects_test": ("mm", "tr")}  # the protocol with --data=mocap
_SMOKE_GRAPH = {"model.channels": 34}  # for graph networks, whose rows set their own channels
_WIDTHS = {
    "full": (3, 3, 3, 3, 3),
    "long": (3, 3, 3),
    "medium": (3, 3, 3),
    "quick": (3, 3, 3),
    "smoke": (3,),
}  # of temporal networks
_OTHER_CAMERAS = {"seed": 1, "cameras.seed": 1, "cameras.distance_m": 4.0, "cameras.height_m": 1.0, "cameras.focal_px": 1500.0}


def configs(experiment: Experiment, data: str, scale: str, seeds: int, changes: dict[str, Any]) -> dict[str, ConfigDict]:
    """Return the config of each row, by its name, with the seeds as an ensemble.

    Args:
      experiment: with the rows.
      data: a name of DATA.
      scale: a key of SCALES.
      seeds: number of runs of each row, from seed 0.
      changes: config values by dotted field name, which override all others.

    Raises:
      ConfigError: if a field or a value is not allowed, or the experiment sets the field itself.
    """
    fixed = {"seed", "ensemble.seeds", "ensemble.learning_rates"}.union(*(row.fields for row in experiment.rows))
    fixed |= {"data.source", "test_data.source", "protocol.name"}
    fixed |= {"protocol.actions_train"} if experiment.each_action else {"ensemble.actions_train"}
    fixed |= set(_detected(data)) if any(row.detected for row in experiment.rows) else set()
    if taken := sorted(fixed & set(changes)):
        raise ConfigError(
            f"config.{taken[0]}: cannot be changed here, because the experiment sets it "
            "(--seeds sets the seeds, --data the source)"
        )
    base = _base(data, cross_dataset=experiment.cross_dataset)
    found = {}
    for row in experiment.rows:
        config = base.copy_and_resolve_references()
        own = row.fields | (_SMOKE_GRAPH if scale == "smoke" and "model.channels" in row.fields else {})
        fields = SCALES[scale] | own | changes
        if not experiment.cross_dataset:  # nothing reads these fields, and runs are identified by their fields
            fields = {field: value for field, value in fields.items() if not field.startswith("test_data.") or field in changes}
        if row.width != 1:
            fields["model.channels"] = round(row.width * fields.get("model.channels", base.model.channels))
        if row.frames > 1:
            fields = {"model.filter_widths": _WIDTHS[scale]} | fields
        if row.detected:
            fields = _detected(data) | fields
        if "train.epochs" in fields:
            fields = {"train.lr_decay": _annealing(base.train, fields["train.epochs"])} | fields
        if experiment.each_action:
            fields = {"protocol.name": "cross_action", "protocol.cross_action_test": "all"} | fields
        with config.ignore_type():  # `validate` knows what a field may hold
            for name in fields:
                if name not in schema.FIELDS:
                    raise schema.unknown_field(name)
            config.ensemble.seeds = tuple(range(seeds))
            config.update_from_flattened_dict(fields)
        schema.validate(config)
        with naming(row.name):
            create_model(config.model)  # rejects what does not fit together
        found[row.name] = config
    return found


def _base(data: str, *, cross_dataset: bool) -> ConfigDict:
    """Return the paper's settings on these data.

    With `cross_dataset`, networks trained on Human3.6M are tested on MPI-INF-3DHP, those trained on synthetic motion on other
    cameras and bodies, and those trained on a motion capture file on another file.
    """
    config = schema.default_config()
    config.data.source = data
    if data == "mocap":
        config.protocol.update(HDM05)
    if cross_dataset:
        config.protocol.name = "cross_dataset"
        config.test_data.source = "mpi_inf_3dhp" if data == "h36m" else data
        if data == "h36m":
            config.protocol.subjects_test = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
        if data == "synthetic":
            config.test_data.update_from_flattened_dict(_OTHER_CAMERAS)
    return config


def _detected(data: str) -> dict[str, Any]:
    return {"data.keypoints": "cpn_ft_h36m_dbb"} if data == "h36m" else {"data.detections.simulate": True}


def _annealing(paper: ConfigDict, epochs: Any) -> float:
    """Return the decay per epoch with which the learning rate ends at the paper's last value after this number of epochs."""
    share = paper.epochs / epochs if type(epochs) is int and epochs > 0 else 1  # `validate` rejects others
    return round(paper.lr_decay**share, 5)


def check_paths(experiment: Experiment, data: str, changes: dict[str, Any]) -> None:
    """Check that the paths of the data are set and exist.

    Raises:
      ConfigError: if a path is missing; it names the flag.
    """
    for name in ("data.path", "test_data.path")[: 0 if data == "synthetic" else 1 + experiment.cross_dataset]:
        if not changes.get(name):
            raise ConfigError(f"--{name}: missing, expected where the {data} data are")
        if not Path(changes[name]).exists():
            raise ConfigError(f"--{name}={changes[name]}: no such file or folder")
