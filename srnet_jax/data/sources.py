"""Load the data set that a config describes, from any source."""

import dataclasses

from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.config.schema import PAIRED, SHIPPED
from srnet_jax.data import detections
from srnet_jax.data.dataset import PoseDataset
from srnet_jax.data.protocols import Split, split
from srnet_jax.errors import ConfigError, UserError
from srnet_jax.pose.cameras import virtual_cameras


def load_split(config: ConfigDict) -> tuple[PoseDataset, Split]:
    """Load the data that a config describes and split them by its protocol.

    Returns:
      The training data set, and the sequences that train, validate and test.

    Raises:
      UserError: if the data cannot be loaded (`load_dataset`) or split (`protocols.split`).
    """
    dataset, other = load_datasets(config)
    return dataset, split(dataset, config.protocol, other)


def load_datasets(config: ConfigDict) -> tuple[PoseDataset, PoseDataset | None]:
    """Load the training data set of a config and, for the protocol cross_dataset, its test data set (None otherwise).

    Raises:
      UserError: as `load_dataset`.
    """
    other = config.protocol.name == "cross_dataset"
    sets = [("config.data", config.data), *([("config.test_data", config.test_data)] if other else [])]
    found = [load_dataset(data, config.model, section) for section, data in sets]
    return found[0], found[1] if other else None


def load_dataset(data: ConfigDict, model: ConfigDict, section: str = "config.data") -> PoseDataset:
    """Load the data set that a section of a config describes, with the joints of the model.

    Args:
      data: `config.data`, or another section with the same fields.
      model: `config.model`.
      section: the section's name in messages.

    Raises:
      ConfigError: if the source needs a path and none is set, errors are simulated on top of a detector's keypoints, or the
        model needs confidences and the source has none.
      DataError: if the data are missing or damaged, or lack a joint of the model.
    """
    try:
        return _load(data, model)
    except UserError as error:
        raise type(error)(str(error).replace("config.data", section)) from error


def errors_of(section: ConfigDict) -> detections.Errors:
    """Return the simulated detection errors of `config.data.detections`; all zero if `simulate` is False."""
    names = [field.name for field in dataclasses.fields(detections.Errors)]
    return detections.Errors(**{name: section[name] for name in names}) if section.simulate else detections.Errors()


def _load(data: ConfigDict, model: ConfigDict) -> PoseDataset:
    if not data.path and data.source not in SHIPPED:
        raise ConfigError(f"config.data.path: not set, expected a file or folder (--config.data.path=...) for {data.source!r}")
    if data.detections.simulate and data.source in PAIRED and data.keypoints != "gt":
        raise ConfigError(f"config.data.detections.simulate: keypoints are {data.keypoints!r}, expected the exact ones, 'gt'")
    joints, keypoints = joint_sets.of(model)
    if model.confidences and (data.source not in PAIRED or data.detections.simulate):
        raise ConfigError(
            f"config.model.confidences: config.data.source {data.source!r} has none, expected keypoints of a detector"
        )
    match data.source:  # a source's module is imported when it is read: SciPy and h5py take half a second
        case "synthetic":
            from srnet_jax.data import synthetic

            cameras = virtual_cameras(**data.cameras.to_dict())
            dataset = synthetic.load(num_frames=data.num_frames, cameras=cameras, seed=data.seed)
        case "embedded":
            from srnet_jax.data import embedded

            dataset = embedded.load(virtual_cameras(**data.cameras.to_dict()))
        case "mocap":
            from srnet_jax.data.mocap import clip_files

            dataset = clip_files.load(data.path, fps=data.fps, cameras=virtual_cameras(**data.cameras.to_dict()))
        case "h36m" | "humaneva":
            from srnet_jax.data.h36m import npz_files

            form = npz_files.HUMAN36M if data.source == "h36m" else npz_files.HUMANEVA
            layout = npz_files.Layout(joints, keypoints, model.confidences)
            dataset = npz_files.load(data.path, keypoints=data.keypoints, form=form, layout=layout)
        case "3dpw":
            from srnet_jax.data import threedpw

            dataset = threedpw.load(data.path)
        case _:
            from srnet_jax.data import mpi_inf_3dhp, mpi_inf_3dhp_npz

            test = data.source == "mpi_inf_3dhp"
            packed = mpi_inf_3dhp_npz.file_at(data.path, test=test)
            home = mpi_inf_3dhp_npz if packed else mpi_inf_3dhp
            load = home.load_test if test else home.load_train
            dataset = load(packed or data.path, annotation=data.annotation)
    dataset = dataset.with_actions(data.actions).downsampled(data.downsample)
    if data.detections.simulate:
        dataset = detections.simulate(dataset, errors_of(data.detections), seed=data.detections.seed)
    return dataset.with_joints(keypoints, joints)
