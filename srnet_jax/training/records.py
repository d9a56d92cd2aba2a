"""Record a run's config, data and forks in its workdir, and compare them when the run continues."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, schema
from srnet_jax.data import dataset
from srnet_jax.data.windows import stack_frames
from srnet_jax.errors import TrainingError, one_line
from srnet_jax.io.files import write_whole
from srnet_jax.pose.frames import Frames
from srnet_jax.training.checkpoints import Checkpoints

FORKS_FILE = "forks.json"  # {step: {"fields": {name: [before, after]}}}
DATA_FILE = "data.json"  # the fingerprint from `describe_data`, and the frame rate

_FREE_TO_CHANGE = {  # fields (and protocol.rare_*) that affect neither the network nor the choice of the best checkpoint
    "data.path",
    "test_data.path",
    "evaluate.batch_frames",
    "train.tensorboard",
    "train.checkpoint_minutes",
    "train.keep_latest",
    "train.keep_best",
    "train.keep_epochs",
    "train.on_full_disk",
    "train.max_gradient_norm",
    "train.data_on",
    "train.steps_per_call",
    "parallel",
    "num_devices",
}

Changes = dict[str, tuple[Any, Any]]


def free_to_change(name: str) -> bool:
    """Return whether a field may change when a run continues."""
    return name in _FREE_TO_CHANGE or name.startswith("protocol.rare_")


def describe_data(training: Frames, validation: Frames) -> dict[str, Any]:
    """Fingerprint a run's data: the numbers of frames, and the means of 16 pieces of each array, as JSON values.

    The fingerprint has means instead of a hash, because the last bits of the data may depend on the processor.
    """
    arrays = [array for frames in (training, validation) for array in (frames.inputs_2d, frames.targets)]
    means = [float(piece.mean(dtype=np.float64)) for x in arrays for piece in np.array_split(x, 16) if len(piece)]
    return {"training_frames": len(training.targets), "validation_frames": len(validation.targets), "means": means}


def check_config(config: ConfigDict, workdir: Path, *, fork: bool, data: dict[str, Any] | None = None) -> Changes:
    """Compare a config, and a fingerprint of the data (see `describe_data`) if given, with those recorded in a workdir.

    Returns:
      The fields with a change that affects the network, each with its values before and now; empty unless `fork`.

    Raises:
      TrainingError: if there are such fields and `fork` is False.
    """
    if not Checkpoints.exist(workdir):
        return {}
    changes = _changes(config_files.load(workdir), config)
    words = [f"config.{name} ({_shown(before)}, here {_shown(after)})" for name, (before, after) in changes.items()]
    stored = _stored_data(workdir)
    if data and stored and not same_data(stored, data):
        changes["data"] = as_text(stored), as_text(data)
        words.append(f"data ({changes['data'][0]}, here {changes['data'][1]}, of other values)")
    if changes and not fork:
        raise TrainingError(
            f"{workdir}: found a run with another {', '.join(words)}; expected the same, a new workdir, or --fork to continue "
            "with the change"
        )
    return changes


def save_data(data: dict[str, Any], workdir: Path) -> None:
    """Write the fingerprint of a run's data (see `describe_data`) to `data.json`."""
    write_whole(workdir / DATA_FILE, json.dumps(data) + "\n")


def record_fork(config: ConfigDict, workdir: Path, step: int, changes: Changes) -> None:
    """Keep a run's old config as `config.STEP.json`, and record in `forks.json` the changes at this step.

    A second fork at the same step is merged with the first, because no step was taken between them.
    """
    old = workdir / f"config.{step}.json"
    if not old.exists():
        write_whole(old, (workdir / config_files.CONFIG_FILE).read_text())
    forks = _forks(workdir)
    fields = _changes(config_files.load(workdir, old.name), config)
    earlier = forks.get(str(step), {"fields": {}})["fields"].get("data")
    if "data" in changes:
        fields["data"] = (earlier or changes["data"])[0], changes["data"][1]
    elif earlier:
        fields["data"] = earlier
    forks[str(step)] = {"fields": fields}
    write_whole(workdir / FORKS_FILE, json.dumps(forks, indent=2) + "\n")


def fork_labels(workdir: Path, step: int) -> list[str]:
    """Return a line for each fork before a checkpoint's step: the fork's step, and the changed fields with values."""
    labels = []
    for at, fork in _forks(workdir).items():
        if int(at) < step:
            changes = [f"{one_line(name, 100)} from {_shown(a)} to {_shown(b)}" for name, (a, b) in fork["fields"].items()]
            labels.append(f"config changed at step {at}: {', '.join(changes)}")
    return labels


def _shown(value: Any) -> str:
    return one_line(repr(value), 100)


def _forks(workdir: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read what `record_fork` wrote; empty without forks."""
    forks = _read_json(workdir / FORKS_FILE) or {}
    for at, fork in forks.items():
        fields = fork.get("fields") if isinstance(fork, dict) else None
        sound = isinstance(fields, dict) and all(isinstance(values, list) and len(values) == 2 for values in fields.values())
        if not (re.fullmatch(r"[0-9]{1,10}", at) and sound):
            raise TrainingError(f"{workdir / FORKS_FILE}: damaged, expected the format that --fork writes")
    return forks


def _stored_data(workdir: Path) -> dict[str, Any] | None:
    """Read what `save_data` wrote; None for a run that was not trained here, such as an imported run."""
    data = _read_json(workdir / DATA_FILE)
    if data is None:
        return None
    counts, means = [data.get(name) for name in ("training_frames", "validation_frames")], data.get("means")
    if not (
        all(type(count) is int and 0 <= count < 2**63 for count in counts)
        and isinstance(means, list)
        and all(type(mean) is float for mean in means)
    ):
        raise TrainingError(
            f"{workdir / DATA_FILE}: damaged, expected the format that training writes; if removed, it is written again"
        )
    return data


def frame_rate(workdir: Path) -> float | None:
    """Return the frame rate of a run's training data, frames per second, or None if it is not recorded.

    Raises:
      TrainingError: if the record is damaged.
    """
    fps = (_read_json(workdir / DATA_FILE) or {}).get("fps")
    if fps is not None and not (type(fps) in (int, float) and 0 < fps < 1e6):
        raise TrainingError(f"{workdir / DATA_FILE}: found fps {_shown(fps)}, expected a number above 0 and below 1,000,000")
    return fps


def same_data(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two fingerprints (see `describe_data`) describe the same data."""
    same = all(a[name] == b[name] for name in ("training_frames", "validation_frames")) and len(a["means"]) == len(b["means"])
    return same and all(math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-5) for x, y in zip(a["means"], b["means"], strict=True))


def other_data(workdir: Path, validation: Sequence[dataset.Sequence], normalization: str) -> list[str]:
    """Return a line that says that a run was trained on other data than these, or none.

    Args:
      workdir: of the run; a run that was not trained here has no record of its data, and no line.
      validation: the validation sequences of the run's config, as they are now.
      normalization: of the run's config.
    """
    if (stored := _stored_data(workdir)) is None:
        return []
    count, before = sum(sequence.num_frames for sequence in validation), stored["validation_frames"]
    if count != before:
        return [f"trained on OTHER data: {before:,} validation frames, here {count:,}"]
    if not count:
        return []
    frames = stack_frames(validation, normalization)
    found = describe_data(frames, frames)
    means = found["means"][: len(found["means"]) // 2]
    recorded = stored | {"training_frames": count, "means": stored["means"][-len(means) :]}
    same = same_data(recorded, found | {"means": means})
    return [] if same else ["trained on OTHER data: as many validation frames, but other values"]


def as_text(data: dict[str, Any]) -> str:
    """Return the numbers of frames in a fingerprint as text."""
    return f"{data['training_frames']:,} training and {data['validation_frames']:,} validation frames"


def _read_json(file: Path) -> dict[str, Any] | None:
    """Read the object in a JSON file; None if the file is missing."""
    if not file.is_file():
        return None
    try:
        value = json.loads(file.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{file}: damaged ({one_line(error, 100)}), expected JSON") from error
    if not isinstance(value, dict):
        raise TrainingError(f"{file}: damaged, expected a JSON object")
    return value


def _changes(before: ConfigDict, after: ConfigDict) -> Changes:
    values = [dict(schema.flatten(config)) for config in (before, after)]
    names = [name for name in schema.differences(before, after) if not free_to_change(name)]
    return {name: (values[0][name], values[1][name]) for name in names}
