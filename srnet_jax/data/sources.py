"""From the config's `data` section to a `PoseDataset`, whatever the source."""

from ml_collections import ConfigDict

from srnet_jax.cameras import virtual_cameras
from srnet_jax.data import mocap, synthetic
from srnet_jax.data.dataset import PoseDataset
from srnet_jax.errors import ConfigError


def load_dataset(data: ConfigDict) -> PoseDataset:
    """Load the data that `config.data` describes.

    Raises:
      ConfigError: if the source needs a path and none is given.
      DataError: if the data are missing or damaged.
    """
    cameras = virtual_cameras(**data.cameras.to_dict())
    if data.source == "synthetic":
        dataset = synthetic.load(num_frames=data.num_frames, cameras=cameras, seed=data.seed)
    else:
        if not data.path:
            raise ConfigError(f"config.data.path: not set, expected a file (--config.data.path=FILE) for {data.source!r}")
        dataset = mocap.load(data.path, fps=data.fps, cameras=cameras)
    return dataset.downsampled(data.downsample)
