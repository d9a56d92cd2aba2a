"""Split a data set into sequences that train, validate and test, by the paper's protocols."""

import dataclasses
import operator
from collections.abc import Callable, Iterable

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.errors import ConfigError

Sequences = tuple[Sequence, ...]
TESTED_ACTIONS = {  # by `protocol.cross_action_test`
    "others": "the other actions of the test subjects",
    "all": "all actions of the test subjects, the trained ones too",
    "all_subjects": "all actions of ALL subjects, trained on too (as the official code)",
}


@dataclasses.dataclass(frozen=True)
class Split:
    """The sequences of one experiment.

    Attributes:
      train: sequences that the network is trained on.
      validation: sequences on which the best checkpoint is chosen.
      test: sequences on which results are computed.
      labels: notes that must be printed beside results, such as which data chose the checkpoint.
      rarest_percent: percentage of the test poses, the rarest ones, that results count; 100 for all.
      pairing: the label that names the training and the test data; "" if the protocol has none.
    """

    train: Sequences
    validation: Sequences
    test: Sequences
    labels: tuple[str, ...]
    rarest_percent: float = 100.0
    pairing: str = ""


def split(dataset: PoseDataset, protocol: ConfigDict, test_dataset: PoseDataset | None = None) -> Split:
    """Split a data set by the protocol of a config.

    Args:
      dataset: the data set to split.
      protocol: `config.protocol`.
      test_dataset: the data set to test on, for the protocol `cross_dataset`.

    Raises:
      ConfigError: if a subject, an action or a camera of the config is not in the data, is used for training and test, or if
        there is no training or no test sequence.
    """
    if protocol.name == "cross_dataset" and test_dataset is not None:
        parts = cross_dataset(dataset, test_dataset, protocol)
        views = [f"{data.name}: {data.views}" for data in (dataset, test_dataset) if data.views]
    else:
        parts = PROTOCOLS[protocol.name](dataset, protocol)
        views = [dataset.views] if dataset.views else []
    return dataclasses.replace(parts, labels=(*parts.labels, *views))


def subject(dataset: PoseDataset, protocol: ConfigDict) -> Split:
    """Train on some subjects and test on others (paper Sec. 4.2, "Subject Protocol")."""
    train, test = _parts("subject", protocol, dataset, dataset)
    return _with_validation(train, test, protocol)


def rare_pose(dataset: PoseDataset, protocol: ConfigDict) -> Split:
    """Split by subject, and count only the rarest poses of the test subjects (paper Sec. 4.2, "Rare Pose Protocol")."""
    percent = protocol.rare_percents[0] if protocol.rare_percents else 0
    if not percent:
        raise ConfigError("config.protocol.rare_percents: empty, expected the share of the rare_pose protocol first, as (20,)")
    label = f"only the rarest {percent:g} % of the test poses are counted"
    parts = subject(dataset, protocol)
    return dataclasses.replace(parts, labels=(*parts.labels, label), rarest_percent=float(percent))


def cross_action(dataset: PoseDataset, protocol: ConfigDict) -> Split:
    """Train on some actions and test on others (paper Sec. 4.2, "Cross Action Protocol").

    `protocol.cross_action_test` selects the test sequences: `others`, the other actions of the test subjects; `all`, all their
    actions; `all_subjects`, all actions of all subjects. In the last case all subjects also train, as in the official code.
    """
    _check("actions_train", protocol.actions_train, dataset.names("action"), dataset.name)
    if protocol.cross_action_test == "all_subjects":
        train = test = dataset.sequences
    else:
        train, test = _parts("subject", protocol, dataset, dataset)
    train = tuple(s for s in train if s.action in protocol.actions_train)
    if protocol.cross_action_test == "others":
        test = tuple(s for s in test if s.action not in protocol.actions_train)
    label = f"trained on {', '.join(protocol.actions_train)}, tested on {TESTED_ACTIONS[protocol.cross_action_test]}"
    _check_parts(train, test, f"config.protocol.actions_train: {label}")
    return _with_validation(train, test, protocol, label)


def cross_camera(dataset: PoseDataset, protocol: ConfigDict) -> Split:
    """Split by subject, train on some cameras and test on others (the official code's `--cam-train`, `--cam-test`)."""
    train, test = _parts("camera.name", protocol, dataset, dataset)
    _parts("subject", protocol, dataset, dataset)  # checks the names
    train = tuple(s for s in train if s.subject in protocol.subjects_train)
    test = tuple(s for s in test if s.subject in protocol.subjects_test)
    label = f"trained on camera {', '.join(protocol.cameras_train)}, tested on {', '.join(protocol.cameras_test)}"
    _check_parts(train, test, f"config.protocol: {label}")
    return _with_validation(train, test, protocol, label)


def cross_dataset(dataset: PoseDataset, test_dataset: PoseDataset, protocol: ConfigDict) -> Split:
    """Train on the training subjects of one data set and test on the test subjects of another (paper Sec. 4.2)."""
    train, test = _parts("subject", protocol, dataset, test_dataset)
    joints = [f"joints of {data.name}: {data.conventions}" for data in (dataset, test_dataset) if data.conventions]
    rates = [f"{dataset.fps:g} and {test_dataset.fps:g} frames per second"] if dataset.fps != test_dataset.fps else []
    return _with_validation(train, test, protocol, f"trained on {dataset.name}, tested on {test_dataset.name}", *joints, *rates)


PROTOCOLS: dict[str, Callable[[PoseDataset, ConfigDict], Split]] = {
    "subject": subject,
    "rare_pose": rare_pose,
    "cross_action": cross_action,
    "cross_camera": cross_camera,
}


def _parts(field: str, protocol: ConfigDict, train: PoseDataset, test: PoseDataset) -> tuple[Sequences, Sequences]:
    """Select the sequences of `train` that train and those of `test` that test, by `subject` or `camera.name`."""
    what, value = f"{field.partition('.')[0]}s", operator.attrgetter(field)
    for part, dataset in (("train", train), ("test", test)):
        _check(f"{what}_{part}", protocol[f"{what}_{part}"], dataset.names(field), dataset.name)
    names_train, names_test = protocol[f"{what}_train"], protocol[f"{what}_test"]
    both = sorted(set(names_train) & set(names_test))
    if both and train.name == test.name:
        raise ConfigError(f"config.protocol.{what}_test: {', '.join(both)} is in {what}_train too, expected others")
    pairs = ((train, names_train), (test, names_test))
    chosen, tested = (tuple(s for s in dataset.sequences if value(s) in names) for dataset, names in pairs)
    return chosen, tested


def _check(field: str, names: Iterable[str], available: Iterable[str], where: str) -> None:
    """Reject an empty list, or a name that the data do not have; names are compared exactly."""
    if not names:
        raise ConfigError(f"config.protocol.{field}: empty, expected some of {', '.join(available)}")
    for name in names:
        if name not in available:
            raise ConfigError(f"config.protocol.{field}: {name!r} is not in {where}, which has {', '.join(available)}")


def _check_parts(train: Sequences, test: Sequences, label: str) -> None:
    if not train or not test:
        raise ConfigError(f"{label}: leaves no {'training' if not train else 'test'} sequence")


def _with_validation(train: Sequences, test: Sequences, protocol: ConfigDict, pairing: str = "", *others: str) -> Split:
    """Choose the validation sequences by `protocol.validation`.

    `train_subjects` holds some recordings out of training, with all cameras of a recording. `test` trains on all training
    sequences and chooses the checkpoint on the test sequences, as the official code does.

    Args:
      train: training sequences.
      test: test sequences.
      protocol: `config.protocol`.
      pairing: label of the training and the test data, or "".
      others: further labels.
    """
    labels = (*([pairing] if pairing else []), *others)
    if protocol.validation == "test":
        return Split(train, test, test, ("checkpoint chosen on the TEST split", *labels), pairing=pairing)
    held_out = _spread(list(dict.fromkeys(_recording(s) for s in train)), protocol.validation_fraction)
    return Split(
        tuple(s for s in train if _recording(s) not in held_out),
        tuple(s for s in train if _recording(s) in held_out),
        test,
        ("checkpoint chosen on held-out training recordings", *labels),
        pairing=pairing,
    )


def _recording(sequence: Sequence) -> tuple[str, str, str]:
    return sequence.subject, sequence.action, sequence.trial


def _spread(recordings: list[tuple[str, str, str]], fraction: float) -> set[tuple[str, str, str]]:
    """Choose about this fraction of the recordings, at least one but not all, spread evenly over their order."""
    if len(recordings) < 2:
        raise ConfigError(
            f"config.protocol.validation: {len(recordings)} training recording(s), expected at least 2 to hold one out "
            "(or --config.protocol.validation=test)"
        )
    count = min(max(round(fraction * len(recordings)), 1), len(recordings) - 1)
    chosen = ((np.arange(count) + 0.5) * len(recordings) / count).astype(int)
    return {recordings[index] for index in chosen}
