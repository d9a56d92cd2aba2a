"""The readers of trained weights, and of the files in a workdir, which may be untrusted."""

import json
import shutil
import warnings

import numpy as np

from srnet_jax.errors import UserError
from tests.fuzz import mutate
from tests.fuzz.reader import JSON, NPZ, TEXT, Reader, contents


def _weights_seeds(folder):
    from srnet_jax.lifting import weights
    from tests.conftest import make_tiny_config
    from tests.lifting.test_lifter import make

    made = []
    for network, fps in (("fc", 30.0), ("sr", None)):
        config = make_tiny_config()
        config.model.update(network=network, channels=20, filter_widths=(1,))
        weights.save(folder / "x.npz", make(config, fps))
        made += contents(folder / "x.npz")
    (folder / "x.npz").unlink()
    return made


def _read_weights(folder):
    from srnet_jax.lifting import weights

    trained = weights.load(folder / "w.npz")
    assert set(trained.variables) <= {"params", "batch_stats"}
    assert trained.fps is None or 0 < trained.fps < 1e6


def _config_seeds(folder):
    from configs import default
    from srnet_jax.config import config_files

    config_files.save(default.get_config(), folder)
    return contents(folder / "config.json")


def _read_config(folder):
    from srnet_jax.config import config_files, schema

    found = config_files.load(folder)
    schema.validate(found)
    json.dumps(found.to_dict())


def _tiny_state():
    from srnet_jax.training.state import TrainState

    weights = {"layer": {"kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "bias": np.zeros(4, np.float32)}}
    statistics = {"norm": {"mean": np.ones(4, np.float32)}}
    return TrainState(np.int32(7), np.int32(1), weights, statistics, (weights, ()))


def _save_checkpoint(folder):
    from srnet_jax.training.checkpoint_format import Snapshot
    from srnet_jax.training.checkpoints import Checkpoints

    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(Snapshot(_tiny_state(), 3), 12.5)
    return folder / "checkpoints" / "7"


def _about_seeds(folder):
    return contents(_save_checkpoint(folder) / "about" / "metadata")


def _item_seeds(folder):
    """Return the folder `variables` as one file: as orbax writes it, and uncompressed, so that damage reaches the data."""
    import tensorstore as ts

    place = _save_checkpoint(folder) / "variables"
    whole = ts.open({"driver": "zarr", "kvstore": {"driver": "ocdbt", "base": f"file://{place}/", "path": "bytes/"}}).result()
    again = folder / "again"
    plain = {"compression": None, "max_inline_value_bytes": 20}
    store = {"driver": "ocdbt", "base": f"file://{again}/", "path": "bytes/", "config": plain}
    array = ts.open({"driver": "zarr", "kvstore": store, "metadata": whole.spec().to_json()["metadata"]}, create=True).result()
    array.write(whole.read().result()).result()
    made = []
    for source in (place, again):
        files = {str(path.relative_to(source)): path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()}
        made.append(mutate.bundle(files))
    shutil.rmtree(again)
    return made


def _read_checkpoint(folder):
    """Restore the checkpoint; its `variables` come from the damaged bundle, if there is one."""
    from srnet_jax.training.checkpoints import Checkpoints

    bundle, state = folder / "variables", _tiny_state()
    if bundle.exists():
        place = folder / "checkpoints" / "7" / "variables"
        shutil.rmtree(place)
        for name, content in mutate.unbundled(bundle.read_bytes()).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
    with Checkpoints(folder, read_only=True) as checkpoints:
        found = checkpoints.restore("latest", state)
    assert found.params["layer"]["kernel"].dtype == np.float32
    assert np.array_equal(found.params["layer"]["kernel"], state.params["layer"]["kernel"])
    assert np.array_equal(found.batch_stats["norm"]["mean"], state.batch_stats["norm"]["mean"])


def _metrics_seeds(folder):
    lines = [{"step": 6 * epoch, "epoch": epoch, "loss": 0.1 / epoch, "train_mpjpe_mm": 90.5} for epoch in (1, 2, 3)]
    return ["".join(json.dumps(line | {"validation_mpjpe_mm": 80.25}) + "\n" for line in lines).encode()]


def _read_metrics(folder):
    """Read the log for a chart and continue it; a warning counts as a rejection."""
    from srnet_jax.evaluation.charts import history
    from srnet_jax.training.metric_log import MetricLog

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for line in history(folder):
            assert all(np.isfinite(float(value)) for value in line.values())
        with MetricLog(folder, from_step=12, tensorboard=False) as log:
            log.add(13, {"loss": 1.0}, only_shown={})
            log.flush()
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_bytes()[:-1].split(b"\n")]
    assert steps[-1] == 13
    assert all(step <= 12 for step in steps[:-1])
    if warned:
        raise UserError(str(warned[0].message))


def _forks_seeds(folder):
    changes = {"train.learning_rate": [1e-3, 5e-4], "model.filter_widths": [[1, 1], [3, 3]], "data": ["4 frames", "5 frames"]}
    return [json.dumps({"8": {"fields": changes}, "19": {"fields": {"train.epochs": [3, 5]}}}).encode()]


def _read_forks(folder):
    from srnet_jax.training import records

    assert all(label.isprintable() for label in records.fork_labels(folder, 100))


def _data_seeds(folder):
    return [json.dumps({"training_frames": 1287, "validation_frames": 142, "means": [0.5, -0.25, 0.0]}).encode()]


def _read_data(folder):
    from srnet_jax.training import records

    stored = records._stored_data(folder)
    records.same_data(stored, stored)
    assert records.as_text(stored).isprintable()


READERS = {
    "weights.npz": Reader("w.npz", _weights_seeds, NPZ, _read_weights),
    "config.json": Reader("config.json", _config_seeds, TEXT, _read_config),
    "forks.json": Reader("forks.json", _forks_seeds, JSON, _read_forks),
    "data.json": Reader("data.json", _data_seeds, JSON, _read_data),
    "metrics.jsonl": Reader("metrics.jsonl", _metrics_seeds, TEXT, _read_metrics),
    "checkpoint.about": Reader("checkpoints/7/about/metadata", _about_seeds, JSON, _read_checkpoint),
    "checkpoint.variables": Reader(
        "variables", _item_seeds, mutate.bundled(mutate.one_of(mutate.binary, *[mutate.ocdbt] * 4)), _read_checkpoint
    ),
}
