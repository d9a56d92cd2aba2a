"""Runs of the official PyTorch code as workdirs of ours, and back."""

import collections
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, schema
from srnet_jax.errors import ConfigError, DataError, TrainingError
from srnet_jax.io.files import absolute, plain
from srnet_jax.io.text import described
from srnet_jax.io.torch_save import save_torch
from srnet_jax.models.pose_lifter import PoseLifter, create_model
from srnet_jax.official.files import OfficialCheckpoint, read_checkpoint
from srnet_jax.official.keypoints import joint_fields, stated_keypoints
from srnet_jax.official.networks import from_variables, official_tensors, to_moments, to_variables, view
from srnet_jax.official.recognition import ERRORS, Stated, assumptions, recognise
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import TrainState, count_parameters, create_train_state

IMPORTED_FILE = "imported.json"  # what an official file holds beside network and optimiser, kept for the way back
_MAX_EPOCHS = 10_000  # and learning rate, and millimetres: what is above is damage
_MOMENTS = {"exp_avg": "mu", "exp_avg_sq": "nu", "max_exp_avg_sq": "nu_max"}  # Adam's names in PyTorch: ours
_ADAM: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": True, "maximize": False}
_ADAM |= {"foreach": None, "capturable": False, "differentiable": False, "fused": None}


def import_run(
    path: str | Path,
    config: ConfigDict,
    workdir: str | Path,
    say: Callable[[str], None] = print,
    *,
    changed: Iterable[str] = (),
) -> None:
    """Make a workdir of an official checkpoint, which evaluates and trains on as if the run had begun here.

    The network's fields of the config are replaced by those of the checkpoint, except for those that it does not hold:
    `model.causal`, `model.adds_input`, `model.normalization`, `model.dropout`, `model.recombine` where multiply and add look
    alike, and `model.activation` if it is set. The learning rate becomes the one that after the checkpoint's epochs is the
    checkpoint's.

    Args:
      path: the .bin file.
      config: data, protocol and training to go on with.
      workdir: a new folder.
      say: prints a line of what was found.
      changed: names of the config's fields that were set by hand.

    Raises:
      ConfigError: if the checkpoint decides one of `changed`, or nothing reads it.
      DataError: as `load_official_checkpoint`.
      TrainingError: if the workdir exists.
    """
    schema.validate(config)
    workdir, changed = Path(workdir), tuple(changed)
    if workdir.exists() and (not workdir.is_dir() or any(workdir.iterdir())):
        raise TrainingError(f"{workdir}: exists already, expected a new folder")
    checkpoint = read_checkpoint(path)
    asked = config = config_files.with_absolute_paths(config)
    fields = _stated_fields(config, changed)
    stated = _stated(config, fields)
    model = recognise(checkpoint, stated)
    joints, joint_notes = joint_fields(config.model, model, fields, checkpoint.path)
    variables = jax.tree.map(jnp.asarray, to_variables(model, checkpoint))
    notes = [*assumptions(checkpoint, model, stated), *joint_notes]
    try:
        moments = to_moments(model, checkpoint)
    except DataError as error:
        moments = None
        notes.append(f"{error}; the state of AMSGrad is left out")
    rest = _plain(checkpoint.rest)
    config = _imported_config(config.copy_and_resolve_references(), model, joints, rest)
    for name in schema.differences(asked, config):
        if name in changed and not name.endswith("data.path"):
            raise ConfigError(f"config.{name}: set, but {path} decides it, expected no such field")
    schema.check_read([config], changed)
    state = _state(config, variables, rest["epoch"], moments)
    kept = {**rest, "source": checkpoint.path.name, "step": int(state.step), "counters": _counters(checkpoint, model)}
    _write_workdir(workdir, config, state, kept)

    say(f"{path}: {_as_text(config.model, model)}, {count_parameters(state.params):,} parameters")
    say(f"after {rest['epoch']} epochs; learning rate {rest.get('lr', 'unknown')}; AMSGrad after {int(state.step)} steps")
    for note in (*notes, *_differences(config, rest)):
        say(note)


def _stated_fields(config: ConfigDict, changed: Iterable[str]) -> set[str]:
    """Return the fields of `config.model` that were set by hand, or that differ from their defaults."""
    default = schema.default_config().model
    return {name for name in default if f"model.{name}" in changed or config.model[name] != default[name]}


def _stated(config: ConfigDict, fields: set[str]) -> Stated:
    """Return what a config says about a checkpoint."""
    options = {field.name: config.model[field.name] for field in dataclasses.fields(Stated) if field.name in fields}
    return Stated(**options, keypoints=stated_keypoints(config.model, fields))


def _state(config: ConfigDict, variables: dict[str, Any], epoch: int, moments: tuple[int, dict[str, Any]] | None) -> TrainState:
    count, trees = moments or (0, {})
    steps = jnp.asarray(count, jnp.int32)
    adam, scale = create_optimizer().init(variables["params"])
    found = {_MOMENTS[name]: jax.tree.map(jnp.asarray, tree) for name, tree in trees.items()}
    adam = adam._replace(step=steps, **found)
    return TrainState(step=steps, epoch=jnp.asarray(epoch, jnp.int32), opt_state=(adam, scale), **variables)


def _write_workdir(workdir: Path, config: ConfigDict, state: TrainState, imported: dict[str, Any]) -> None:
    """Write a workdir whole: in a folder beside it, which then takes its name."""
    workdir = absolute(workdir)
    draft = workdir.with_name(f"{workdir.name}.importing")
    shutil.rmtree(draft, ignore_errors=True)  # of an import that was killed
    try:
        with Checkpoints(draft) as checkpoints:
            checkpoints.save(Snapshot(state), float("inf"))  # not measured on this validation split
        (draft / IMPORTED_FILE).write_text(json.dumps(imported, indent=2) + "\n")
        config_files.save(config, draft)
        draft.replace(workdir)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _differences(config: ConfigDict, rest: dict[str, Any]) -> list[str]:
    """Return where further training would differ from the checkpoint's."""
    notes = [f"data: {config.data.source} {config.data.path}".rstrip() + "; other data with --config.data.*, at the import"]
    if rest["epoch"] >= config.train.epochs:
        notes.append(f"training is over after config.train.epochs = {config.train.epochs}; to train on, import with more")
    for name in ("betas", "eps", "weight_decay"):
        option = rest.get("optimizer", {}).get(name, _ADAM[name])
        if option != _ADAM[name]:
            notes.append(f"AMSGrad was used with {name} {option}; training here goes on with {_ADAM[name]}")
    return notes


def export_run(workdir: str | Path, output: str | Path, which: str = "best") -> None:
    """Write a run's checkpoint as a file that the official code evaluates and `torch.load(weights_only=True)` reads.

    Args:
      workdir: of a run whose network the official code has.
      output: the file to write.
      which: "best", "latest" or a step.

    Raises:
      UserError: if there is no such run or checkpoint.
      TrainingError: if the official code has no such network.

    Note:
      The official `--resume` also wants a pickled random state, which a file without code cannot hold.
    """
    workdir, output = plain(workdir), plain(output)
    if not output.name or output.is_dir() or not output.absolute().parent.is_dir():
        raise TrainingError(f"--output={output}: expected the name of a file in a folder that exists")
    config = config_files.load(workdir)
    _check_official(workdir, config)
    model = create_model(config.model)
    assert isinstance(model, PoseLifter)  # has been checked
    shapes = jax.eval_shape(lambda: create_train_state(model, create_optimizer(), config.seed))
    with Checkpoints(workdir, read_only=True) as checkpoints:
        state = jax.tree.map(np.asarray, checkpoints.restore(which, shapes))
    imported = _imported(workdir)
    step, epoch = int(state.step), int(state.epoch)
    counters = {
        tensor.name: imported.get("counters", {}).get(tensor.name, 0) + step - imported.get("step", 0)
        for tensor in official_tensors(model)
        if not tensor.path
    }
    rate = float(config.train.learning_rate)
    for _ in range(epoch):
        rate *= config.train.lr_decay  # step by step, as the official code, to the last bit
    unchanged = imported if imported.get("step") == step else {}
    rate = unchanged.get("lr", rate)
    save_torch(
        output,
        {
            "epoch": epoch,
            "lr": rate,
            "activation": config.model.activation,  # tells our fully connected networks from VideoPose3D's
            **{name: unchanged[name] for name in ERRORS if name in unchanged},
            "optimizer": _optimizer(model, state, {**_ADAM, **imported.get("optimizer", {}), "lr": rate}),
            "model_pos": collections.OrderedDict(from_variables(model, state.variables, counters)),
        },
    )


def imported_from(workdir: Path, step: int) -> str | None:
    """Return the name of the official file that a run's checkpoint is, or None if it was trained here."""
    imported = _imported(workdir)
    return imported["source"] if imported.get("step") == step else None


def _imported(workdir: Path) -> dict[str, Any]:
    """Return what the import kept of the official file; empty if the run began here."""
    file = workdir / IMPORTED_FILE
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise TrainingError(f"{file}: damaged ({error}), expected the JSON that the import wrote") from error


def _plain(rest: dict[str, Any]) -> dict[str, Any]:
    """Return what the import keeps of a checkpoint beside its tensors: numbers, and AMSGrad's options."""
    kept: dict[str, Any] = {"epoch": 0}
    for name in ("epoch", "lr", *ERRORS):
        value: Any = rest.get(name)
        value = value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
        if type(value) in (int, float) and 0 <= value < _MAX_EPOCHS:
            kept[name] = value
    kept["epoch"] = int(kept["epoch"])
    groups = rest["optimizer"].get("param_groups") if isinstance(rest.get("optimizer"), dict) else None
    if isinstance(groups, list) and groups and isinstance(groups[0], dict):
        kept["optimizer"] = {k: v for k, v in groups[0].items() if _is_option(v) and (k in _ADAM or isinstance(v, bool))}
    return kept


def _is_option(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return len(value) < 4 and all(type(item) in (int, float) for item in value)
    return value is None or type(value) in (bool, int, float)


def _imported_config(config: ConfigDict, model: PoseLifter, joints: Mapping[str, Any], rest: dict[str, Any]) -> ConfigDict:
    network = {"fully_connected": "fc", "group": "gp", "split_recombine": "sr"}[model.connectivity[0]]
    config.model.update(
        {
            "network": network,
            "filter_widths": model.filter_widths,
            "channels": model.channels,
            "num_groups": config.model.num_groups if network == "fc" else len(model.joint_groups),
            "root_in_every_group": True,
            "recombine": model.recombine,
            "context_dim": 1,
            "context_from": model.context_from,
            "context_form": model.context_form,
            "bug_compatible": model.bug_compatible,
            "dense": model.dense,
            "activation": model.activation,
            **joints,
        }
    )
    if rest.get("lr"):
        start = rest["lr"] / config.train.lr_decay ** rest["epoch"]
        config.train.learning_rate = float(f"{start:.12g}")  # 0.00095 / 0.95 is not 0.001
    schema.validate(config)
    return config


def _counters(checkpoint: OfficialCheckpoint, model: PoseLifter) -> dict[str, int]:
    names = [tensor.name for tensor in official_tensors(model) if not tensor.path]
    found = {name: checkpoint.state_dict[name] for name in names if name in checkpoint.state_dict}
    for name, value in found.items():
        if value.shape or value.dtype.kind not in "iu":
            raise DataError(f"{checkpoint.path}: {name}: found {described(value)}, expected an integer")
    return {name: int(value) for name, value in found.items()}


def _as_text(config: ConfigDict, model: PoseLifter) -> str:
    network = "fully connected" if config.network == "fc" else f"{config.num_groups} groups"
    if config.network == "sr":
        network += f", {config.recombine} context from {config.context_from}"
    keypoints, features = model.input_shape
    seen = f"{keypoints} keypoints{' with confidences' * (features == 3)} to {model.num_joints} joints"
    widths = ",".join(map(str, config.filter_widths))
    return f"{network}, {seen}, filter widths {widths}, {config.channels} channels, {config.activation}"


def _check_official(workdir: Path, config: ConfigDict) -> None:
    """Refuse a network that the official code cannot hold, or fails on."""
    model = config.model
    expected: dict[str, Any] = {"normalization": ("basic", "lcn", "proj", "weak_proj")}
    expected["adds_input"] = (model.normalization == "lcn",)
    expected["network"] = ("fc", "gp", "sr")
    expected["dense"] = (False,)
    if model.network != "fc":
        expected |= {"split_ends": (True,), "shuffled_groups": (0,), "global_group": (False,)}
        expected |= {"joints": (H36M_17.name,), "input_joints": ("", H36M_17.name), "confidences": (False,)}
        expected |= {"root_in_every_group": (True,), "num_groups": (2, 3, 5), "activation": ("leaky_relu",)}
        expected["filter_widths"] = ((model.filter_widths[0],) * max(len(model.filter_widths), 2),)
    if model.network == "sr":
        expected |= {"context_dim": (1,), "context_form": ("official",)}
        if model.recombine == "concat" and max(model.filter_widths) > 1:
            expected["bug_compatible"] = (True,)
    for name, allowed in expected.items():
        if type(model[name]) is not type(allowed[0]) or model[name] not in allowed:
            words = " or ".join(map(str, allowed))
            raise TrainingError(f"{workdir}: config.model.{name} is {model[name]}, the official code has only {words}")
    tiny = {2: 36, 3: 38, 5: 42}.get(model.num_groups, 0)  # the channels of one coordinate each
    wide = model.channels == 1024 if model.recombine == "concat" else model.channels > 1000
    if model.network == "sr" and not wide and model.channels != tiny:
        raise TrainingError(
            f"{workdir}: config.model.channels is {model.channels}, with which the official code fails, expected 1024"
        )


def _optimizer(model: PoseLifter, state: TrainState, options: dict[str, Any]) -> dict[str, Any]:
    """Return AMSGrad's state as PyTorch's Adam holds it."""
    adam = state.opt_state[0]
    trees = {name: getattr(adam, ours) for name, ours in _MOMENTS.items()}
    trainable = [tensor for tensor in official_tensors(model) if tensor.path[:1] == ("params",)]
    states = {
        index: {"step": np.float32(adam.step), **{n: view({"params": tree}, tensor) for n, tree in trees.items()}}
        for index, tensor in enumerate(trainable)
    }
    group = {**options, "betas": tuple(options["betas"]), "params": list(range(len(trainable)))}
    return {"state": states, "param_groups": [{"lr": group.pop("lr"), **group}]}
