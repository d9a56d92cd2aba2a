"""Strict settings of JAX for every test, and small fixtures that several tests share."""

import os
from pathlib import Path

os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",  # compilation takes most of the time
    ]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "compiled"))
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import hypothesis
import jax
import numpy as np
import pytest

from configs import default

hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)  # the same examples on every machine
hypothesis.settings.load_profile("tests")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def tiny_config():
    return make_tiny_config()


@pytest.fixture(scope="module")
def shared_config():
    """Return the same as `tiny_config`, for fixtures of module scope."""
    return make_tiny_config()


def make_tiny_config():
    """Return a config that trains in seconds."""
    config = default.get_config()
    config.data.num_frames = 2000
    config.data.cameras.number = 1
    config.model.network = "fc"  # compiles fastest; the layers have their own tests
    config.model.channels = 40
    config.model.filter_widths = (1,)
    config.num_devices = 1
    config.train.epochs = 2
    config.train.batch_size = 512
    config.evaluate.batch_frames = 256
    return config


@pytest.fixture
def mocap_clips(rng):
    """Return plausible joint positions of three subjects: {key: [T, 17, 3], world frame, metres}."""
    base = rng.normal(0, 0.4, (17, 3)) + [0, 0, 0.9]
    return {
        f"{subject}/{action}/1": (base + rng.normal(0, 0.05, (12, 17, 3))).astype(np.float32)
        for subject in ("a", "b", "c")
        for action in ("walk", "sit")
    }


@pytest.fixture
def mocap_file(tmp_path, mocap_clips):
    path = tmp_path / "clips.npz"
    np.savez(path, **mocap_clips)
    return path


def pytest_collection_modifyitems(items):
    """Begin with the longest files: pytest-xdist runs each file in one process, because its tests share fixtures."""
    longest = ("test_end_to_end.py", "test_processes.py", "test_reproduce.py", "test_ensemble.py", "test_network_parity.py")
    early = ("evaluation", "models", "training")
    places = {name: place for place, name in enumerate(longest)}
    items.sort(key=lambda item: places.get(item.path.name, len(longest) + (item.path.parent.name not in early)))
