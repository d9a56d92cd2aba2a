"""Which sequences train, validate and test: the paper's protocols, as functions of a data set."""

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Split:
    """The sequences of one experiment.

    Attributes:
      train: what the network is trained on.
      validation: what chooses the best checkpoint.
      test: what the results are computed on.
      validation_label: says which data chose the checkpoint; printed with every result.
    """

    train: tuple[Sequence, ...]
    validation: tuple[Sequence, ...]
    test: tuple[Sequence, ...]
    validation_label: str


def split(dataset: PoseDataset, protocol: ConfigDict) -> Split:
    """Split a data set as `config.protocol` says.

    Raises:
      ConfigError: if a subject is not in the data, trains and tests, or leaves a part empty.
    """
    return {"subject": subject_protocol}[protocol.name](
        dataset,
        subjects_train=protocol.subjects_train,
        subjects_test=protocol.subjects_test,
        validation=protocol.validation,
        validation_fraction=protocol.validation_fraction,
    )


def subject_protocol(
    dataset: PoseDataset,
    *,
    subjects_train: tuple[str, ...],
    subjects_test: tuple[str, ...],
    validation: str = "train_subjects",
    validation_fraction: float = 0.1,
) -> Split:
    """Train on some subjects and test on others (paper Sec. 4.2, "Subject Protocol").

    Args:
      dataset: all sequences.
      subjects_train: for Human3.6M S1, S5, S6, S7, S8.
      subjects_test: for Human3.6M S9, S11.
      validation: "train_subjects" holds recordings of the training subjects out of training, all cameras of a
        recording together; "test" trains on everything and chooses the checkpoint on the test subjects, as the
        official code does.
      validation_fraction: share of the training recordings that is held out.

    Raises:
      ConfigError: as `split`.
    """
    available = dataset.names("subject")
    for field, subjects in (("subjects_train", subjects_train), ("subjects_test", subjects_test)):
        for subject in subjects:
            if subject not in available:
                raise ConfigError(
                    f"config.protocol.{field}: {subject!r} is not in {dataset.name}, which has {', '.join(available)}"
                )
    both = set(subjects_train) & set(subjects_test)
    if both:
        raise ConfigError(f"config.protocol.subjects_test: {', '.join(sorted(both))} also in subjects_train, expected others")
    train = tuple(s for s in dataset.sequences if s.subject in subjects_train)
    test = tuple(s for s in dataset.sequences if s.subject in subjects_test)
    if validation == "test":
        return Split(train, test, test, "checkpoint chosen on the TEST subjects")
    held_out = _spread(list(dict.fromkeys(_recording(s) for s in train)), validation_fraction)
    return Split(
        tuple(s for s in train if _recording(s) not in held_out),
        tuple(s for s in train if _recording(s) in held_out),
        test,
        "checkpoint chosen on held-out recordings of the training subjects",
    )


def _recording(sequence: Sequence) -> tuple[str, str, str]:
    return sequence.subject, sequence.action, sequence.trial


def _spread(recordings: list[tuple[str, str, str]], fraction: float) -> set[tuple[str, str, str]]:
    """Choose about this fraction of the recordings, at least one and not all, evenly over their order."""
    if len(recordings) < 2:
        raise ConfigError(
            f"config.protocol.validation: {len(recordings)} training recording(s), expected at least 2 to hold one out "
            "(or --config.protocol.validation=test)"
        )
    count = min(max(round(fraction * len(recordings)), 1), len(recordings) - 1)
    chosen = ((np.arange(count) + 0.5) * len(recordings) / count).astype(int)
    return {recordings[index] for index in chosen}
