"""Import an official PyTorch checkpoint as a workdir, and export a run as an official checkpoint.

An imported workdir can be evaluated and trained further like any other. The network is read from the file (`recognition`);
data, protocol and training come from the user's config.
"""

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
from srnet_jax.models.pose_lifter import PoseLifter, count_parameters, create_model
from srnet_jax.official.files import OfficialCheckpoint, read_checkpoint
from srnet_jax.official.keypoints import joint_fields, stated_keypoints
from srnet_jax.official.networks import from_variables, official_tensors, to_moments, to_variables, view
from srnet_jax.official.recognition import ERRORS, Stated, assumptions, recognise
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import TrainState, create_train_state

IMPORTED_FILE = "imported.json"  # entries of an official file beside network and optimiser, kept for a later export
_NORMS = ("lcn", "proj", "weak_proj")  # values of the official code's `--norm` that are names of config.model.normalization
_MAX_ENTRY = 10_000  # of epochs, learning rate and errors in mm; larger values mean a damaged file
_MOMENTS = {"exp_avg": "mu", "exp_avg_sq": "nu", "max_exp_avg_sq": "nu_max"}  # name in PyTorch's Adam: our name
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
    """Create a workdir from an official checkpoint, so that the run can be evaluated and continued as if it had begun here.

    The config's network fields are replaced by those of the checkpoint, except those that it does not hold: `model.dropout`,
    and without saved settings such as `args` also `model.causal`, `model.adds_input`, `model.normalization`, `model.recombine`
    if multiply and add cannot be distinguished, and `model.activation` if it is set. The initial learning rate becomes the one
    that decays to the checkpoint's learning rate after its epochs.

    Args:
      path: the .bin file.
      config: data, protocol and training to continue with.
      workdir: a new folder.
      say: called with each line for the user.
      changed: names of the config's fields that were set by hand.

    Raises:
      ConfigError: if the checkpoint decides a field of `changed`, or no code reads it.
      DataError: as `load_official_checkpoint`.
      TrainingError: if the workdir exists and is not an empty folder.
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
    joints, joint_notes = joint_fields(config.model, model, fields, checkpoint)
    variables = jax.tree.map(jnp.asarray, to_variables(model, checkpoint))
    notes = [*assumptions(checkpoint, model, stated), *joint_notes]
    try:
        moments = to_moments(model, checkpoint)
    except DataError as error:
        moments = None
        notes.append(f"{error}; the state of AMSGrad is ignored")
    rest = _kept_entries(checkpoint.rest)
    joints |= {"normalization": norm} if (norm := checkpoint.setting("norm", str)) in _NORMS else {}
    config = _imported_config(config.copy_and_resolve_references(), model, joints, rest)
    for name in schema.differences(asked, config):
        if name in changed and not name.endswith("data.path"):
            raise ConfigError(f"config.{name}: set, expected it unset, because {path} decides it")
    schema.check_read([config], changed)
    state = _state(config, variables, rest["epoch"], moments)
    kept = {**rest, "source": checkpoint.path.name, "step": int(state.step), "counters": _counters(checkpoint, model)}
    _write_workdir(workdir, config, state, kept)

    say(f"{path}: {_network_text(config.model, model)}, {count_parameters(state.params):,} parameters")
    say(f"after {rest['epoch']} epochs; learning rate {rest.get('lr', 'unknown')}; AMSGrad after {int(state.step)} steps")
    for note in (*notes, *_differences(config, rest)):
        say(note)


def _stated_fields(config: ConfigDict, changed: Iterable[str]) -> set[str]:
    """Return the names of the fields of `config.model` that were set by hand or differ from their defaults."""
    default = schema.default_config().model
    return {name for name in default if f"model.{name}" in changed or config.model[name] != default[name]}


def _stated(config: ConfigDict, fields: set[str]) -> Stated:
    """Return the settings that a config states about a checkpoint."""
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
    """Write a workdir atomically: into a temporary folder beside it, which is then renamed."""
    workdir = absolute(workdir)
    draft = workdir.with_name(f"{workdir.name}.importing")
    shutil.rmtree(draft, ignore_errors=True)  # left by an import that was killed
    try:
        with Checkpoints(draft) as checkpoints:
            checkpoints.save(Snapshot(state), float("inf"))  # the validation error was not measured here
        (draft / IMPORTED_FILE).write_text(json.dumps(imported, indent=2) + "\n")
        config_files.save(config, draft)
        draft.replace(workdir)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _differences(config: ConfigDict, rest: dict[str, Any]) -> list[str]:
    """Return lines about how further training would differ from the checkpoint's."""
    notes = [f"data: {config.data.source} {config.data.path}".rstrip() + "; to use other data, import with --config.data.*"]
    if rest["epoch"] >= config.train.epochs:
        notes.append(
            f"training has ended: config.train.epochs is {config.train.epochs}; to continue training, import with more"
        )
    for name in ("betas", "eps", "weight_decay"):
        option = rest.get("optimizer", {}).get(name, _ADAM[name])
        if option != _ADAM[name]:
            notes.append(f"AMSGrad was used with {name} {option}; training here continues with {_ADAM[name]}")
    return notes


def export_run(workdir: str | Path, output: str | Path, which: str = "best") -> None:
    """Export a run's checkpoint to a file that the official code can evaluate and `torch.load(weights_only=True)` reads.

    Args:
      workdir: of a run whose network exists in the official code.
      output: the file to write.
      which: "best", "latest" or a step.

    Raises:
      UserError: if there is no such run or checkpoint.
      TrainingError: if the official code cannot represent the network, or the output cannot be a file.

    Note:
      The official `--resume` also wants a pickled random state, which a file without code cannot hold.
    """
    workdir, output = plain(workdir), plain(output)
    if not output.name or output.is_dir() or not output.absolute().parent.is_dir():
        raise TrainingError(f"--output={output}: expected a file in an existing folder")
    config = config_files.load(workdir)
    _check_official(workdir, config)
    model = create_model(config.model)
    assert isinstance(model, PoseLifter)  # `_check_official` has checked it
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
        rate *= config.train.lr_decay  # one factor at a time, as the official code, for equal bits
    unchanged = imported if imported.get("step") == step else {}
    rate = unchanged.get("lr", rate)
    save_torch(
        output,
        {
            "epoch": epoch,
            "lr": rate,
            "activation": config.model.activation,  # distinguishes our fully connected networks from VideoPose3D's
            **{name: unchanged[name] for name in ERRORS if name in unchanged},
            "optimizer": _optimizer(model, state, {**_ADAM, **imported.get("optimizer", {}), "lr": rate}),
            "model_pos": collections.OrderedDict(from_variables(model, state.variables, counters)),
        },
    )


def imported_from(workdir: Path, step: int) -> str | None:
    """Return the name of the official file that a run's checkpoint was imported from, or None if it was trained here."""
    imported = _imported(workdir)
    return imported["source"] if imported.get("step") == step else None


def _imported(workdir: Path) -> dict[str, Any]:
    """Return the entries that the import kept of the official file; empty if the run began here."""
    file = workdir / IMPORTED_FILE
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise TrainingError(f"{file}: damaged ({error}), expected JSON") from error


def _kept_entries(rest: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a checkpoint, beside its tensors, that the import keeps: numbers and AMSGrad's options."""
    kept: dict[str, Any] = {"epoch": 0}
    for name in ("epoch", "lr", *ERRORS):
        value: Any = rest.get(name)
        value = value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
        if type(value) in (int, float) and 0 <= value < _MAX_ENTRY:
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
            "causal": model.causal,
            "adds_input": model.adds_input,
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
        if value.size != 1:
            raise DataError(f"{checkpoint.path}: {name}: found {described(value)}, expected an integer")
    return {name: int(value.item()) for name, value in found.items() if np.isfinite(value).all()}  # float16 makes 70,000 inf


def _network_text(config: ConfigDict, model: PoseLifter) -> str:
    network = "fully connected" if config.network == "fc" else f"{config.num_groups} groups"
    if config.network == "sr":
        network += f", {config.recombine} context from {config.context_from}"
    keypoints, features = model.input_shape
    seen = f"{keypoints} keypoints{' with confidences' * (features == 3)} to {model.num_joints} joints"
    widths = ",".join(map(str, config.filter_widths))
    return f"{network}, {seen}, filter widths {widths}, {config.channels} channels, {config.activation}"


def _check_official(workdir: Path, config: ConfigDict) -> None:
    """Reject a network that the official code cannot represent or fails on."""
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
            raise TrainingError(
                f"{workdir}: config.model.{name}: found {model[name]}, expected {words}, as in the official code"
            )
    tiny = {2: 36, 3: 38, 5: 42}.get(model.num_groups, 0)  # widths at which each channel is one coordinate
    wide = model.channels == 1024 if model.recombine == "concat" else model.channels > 1000
    if model.network == "sr" and not wide and model.channels != tiny:
        raise TrainingError(
            f"{workdir}: config.model.channels: found {model.channels}, with which the official code fails, expected 1024"
        )


def _optimizer(model: PoseLifter, state: TrainState, options: dict[str, Any]) -> dict[str, Any]:
    """Return AMSGrad's state in the form of PyTorch's Adam."""
    adam = state.opt_state[0]
    trees = {name: getattr(adam, ours) for name, ours in _MOMENTS.items()}
    trainable = [tensor for tensor in official_tensors(model) if tensor.path[:1] == ("params",)]
    states = {
        index: {"step": np.float32(adam.step), **{n: view({"params": tree}, tensor) for n, tree in trees.items()}}
        for index, tensor in enumerate(trainable)
    }
    group = {**options, "betas": tuple(options["betas"]), "params": list(range(len(trainable)))}
    return {"state": states, "param_groups": [{"lr": group.pop("lr"), **group}]}
