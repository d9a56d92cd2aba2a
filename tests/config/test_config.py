import importlib
import json
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from configs import default
from srnet_jax.config import config_files, ensembles, schema
from srnet_jax.data.sources import load_dataset
from srnet_jax.errors import ConfigError, DataError
from srnet_jax.evaluation.evaluate import evaluate
from srnet_jax.training.loop import train_and_evaluate

CONFIGS = sorted(p.stem for p in (Path(__file__).parent.parent.parent / "configs").glob("*.py") if p.stem != "__init__")


def test_default_and_schema_hold_the_same_fields():
    assert set(dict(schema.flatten(default.get_config()))) == set(schema.FIELDS)


@pytest.mark.parametrize("name", CONFIGS)
def test_shipped_configs_are_valid(name):
    schema.validate(importlib.import_module(f"configs.{name}").get_config())


@pytest.mark.slow
def test_every_field_is_read_by_code(tiny_config, tmp_path, mocap_file, monkeypatch):
    """Train and evaluate with several sources; code must read each field outside `validate`, `save` and comparisons."""
    read = set()
    paths, alive = {}, []
    getitem = ConfigDict.__getitem__

    def recorded(self, key):
        value = getitem(self, key)
        path = f"{paths.get(id(self), '')}{key}"
        if isinstance(value, ConfigDict):
            paths[id(value)] = f"{path}."
            alive.append(value)  # otherwise another config may get its id
        else:
            read.add(path)
        return value

    to_dict = ConfigDict.to_dict

    def unfolded(self, *arguments, **options):
        read.update(f"{paths.get(id(self), '')}{key}" for key in self)
        return to_dict(self, *arguments, **options)

    def quiet(function):
        def silent(*arguments):
            before = set(read)
            result = function(*arguments)
            read.clear()
            read.update(before)
            return result

        return silent

    for name in ("validate", "save", "load", "differences", "fingerprint"):
        home = config_files if name in ("save", "load") else schema
        monkeypatch.setattr(home, name, quiet(getattr(home, name)))
    monkeypatch.setattr(ConfigDict, "to_json", quiet(ConfigDict.to_json))
    monkeypatch.setattr(ConfigDict, "to_dict", unfolded)
    monkeypatch.setattr(ConfigDict, "__getitem__", recorded)
    tiny_config.train.epochs = 1
    train_and_evaluate(tiny_config, tmp_path / "synthetic")
    evaluate([tmp_path / "synthetic"])
    for data in (tiny_config.data, tiny_config.test_data):
        data.source, data.path = "mocap", str(mocap_file)
        data.detections.simulate = True
    tiny_config.protocol.subjects_train, tiny_config.protocol.subjects_test = ("a", "b"), ("c",)
    tiny_config.protocol.actions_train = ("walk",)
    tiny_config.protocol.validation_fraction = 0.5
    for name in ("cross_dataset", "cross_action", "cross_camera"):
        tiny_config.protocol.name = name
        tiny_config.data.cameras.number = 2
        tiny_config.protocol.cameras_train, tiny_config.protocol.cameras_test = ("camera0",), ("camera1",)
        train_and_evaluate(tiny_config, tmp_path / name)
    for section in ("data", "test_data"):
        for source in ("h36m", "mpi_inf_3dhp"):
            tiny_config[section].source = source
            with pytest.raises(DataError, match=r"found a file|found the keys"):
                load_dataset(tiny_config[section], tiny_config.model)
    tiny_config.test_data.source = "synthetic"
    load_dataset(tiny_config.test_data, tiny_config.model)
    assert set(schema.FIELDS) - read == set()


def test_one_feature_is_not_one_hundred_percent(tiny_config):
    other = tiny_config.copy_and_resolve_references()
    tiny_config.model.context_dim = 1.0
    assert schema.differences(tiny_config, other) == ["model.context_dim"]


def test_config_survives_the_workdir(tiny_config, tmp_path):
    tiny_config.model.context_dim = 0.25
    config_files.save(tiny_config, tmp_path)
    loaded = config_files.load(tmp_path)
    assert schema.differences(tiny_config, loaded) == []
    assert loaded.model.filter_widths == (1,)
    assert type(loaded.model.context_dim) is float


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model.recombine", "mult", "config.model.recombine: 'mult' is not allowed, expected one of multiply, add, concat"),
        (
            "model.filter_widths",
            (3, 2),
            "config.model.filter_widths: (3, 2) is not allowed, expected a tuple of one or more odd",
        ),
        ("model.filter_widths", (), "one or more odd numbers"),
        ("model.filter_widths", (999, 999), "a product of at most 65,536 frames"),
        ("model.filter_widths", (1,) * 100, "a product of at most 65,536 frames"),
        ("model.channels", 2**31 - 1, "a whole number from 17 to 65,536"),
        ("model.num_groups", 4, "expected one of 1, 2, 3, 5"),
        ("model.context_dim", -1, "expected a number, 0 or more"),
        ("model.context_dim", "1", "'1' is not allowed"),
        ("train.batch_size", 1, "a whole number from 2 to"),
        ("data.seed", 10**20, "a whole number from 0 to 2,147,483,647"),
        ("train.learning_rate", float("nan"), "nan is not allowed"),
        ("protocol.subjects_train", (1, 2), "one or more different names"),
        (
            "protocol.subjects_train",
            ("S1", "S1"),
            "('S1', 'S1') is not allowed, expected a tuple of one or more different names",
        ),
        ("protocol.subjects_test", ({},), "one or more different names"),
        ("protocol.rare_percents", (0,), "percentages above 0"),
        ("protocol.rare_percents", (10, 10), "expected () or a tuple of different percentages above 0, at most 100"),
        ("data.actions", ({},), "a tuple of different names"),
        ("data.source", "h36", "expected one of synthetic, embedded, h36m, humaneva, mocap"),
    ],
)
def test_wrong_values_are_named(tiny_config, field, value, message):
    section, name = field.rsplit(".", 1)
    with tiny_config.unlocked(), tiny_config.ignore_type():
        getattr(tiny_config, section)[name] = value
    with pytest.raises(ConfigError) as caught:
        schema.validate(tiny_config)
    assert message in str(caught.value)


def test_unknown_and_missing_fields_are_named(tiny_config):
    with tiny_config.unlocked():
        tiny_config.model.chanels = 3
    with pytest.raises(ConfigError, match=r"config\.model\.chanels: no such field, did you mean config\.model\.channels\?"):
        schema.validate(tiny_config)
    with tiny_config.unlocked():
        del tiny_config.model["chanels"]
        del tiny_config.model["channels"]
    with pytest.raises(ConfigError, match=r"config\.model\.channels: missing"):
        schema.validate(tiny_config)


@pytest.mark.parametrize("version", [config_files.FORMAT_VERSION + 1, config_files.FORMAT_VERSION - 2, 0, "6", None])
def test_configs_of_another_version_are_refused(tiny_config, tmp_path, version):
    config_files.save(tiny_config, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"format_version": version}))
    with pytest.raises(
        ConfigError,
        match=rf"found format_version {version!r}, expected 8 or {config_files.FORMAT_VERSION}\)$",
    ):
        config_files.load(tmp_path)


def test_configs_from_before_joint_sets_load(tiny_config, tmp_path):
    config_files.save(tiny_config, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text()) | {"format_version": 8}
    for name in ("model.joints", "model.input_joints", "model.confidences", "data.actions", "train.weight_decay"):
        section, _, field = name.partition(".")
        del values[section][field]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert config_files.load(tmp_path) == tiny_config


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", '{"train": 3}', '{"seed": "x"}', '{"seed": 0}', '{"__class__": 0}', '{"model": {"__class__": {}}}'],
)
def test_damaged_config_files_are_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.(json|data|seed)"):
        config_files.load(tmp_path)


def test_fields_that_no_config_reads_are_refused(tiny_config):
    graph = tiny_config.copy_and_resolve_references()
    graph.model.network = "lcn"
    schema.check_read([tiny_config, graph], ["model.hops", "model.causal", "train.epochs"])
    with pytest.raises(ConfigError, match=r"config\.model\.hops: set, but it is read only with model\.network lcn$"):
        schema.check_read([tiny_config], ["train.epochs", "model.hops"])


def test_fields_are_described_by_their_beginning():
    assert [line for line in schema.describe_fields("evaluate.").splitlines() if line[0] != " "] == [
        "evaluate.flip = True",
        "evaluate.batch_frames = 4096",
    ]
    every = [line.partition(" =")[0] for line in schema.describe_fields("config.").splitlines() if line[0] != " "]
    assert every == list(schema.FIELDS)
    with pytest.raises(ConfigError, match=r"config\.evaluation\.: no such field"):
        schema.describe_fields("evaluation.")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.train.foo", r"^config\.train\.foo: no such field"),
        ("learning", r"^config\.learning: no such field, did you mean config\.ensemble\.learning_rates\?"),
        ("percents", r"did you mean config\.protocol\.rare_percents\?"),
        ("xyz", r"`python -m launch\.describe --fields=config\.` lists all fields"),
    ],
)
def test_unknown_fields_are_named_once_with_the_nearest(name, message):
    with pytest.raises(ConfigError, match=message):
        schema.describe_fields(name)


def test_members_of_an_ensemble(tiny_config):
    assert list(ensembles.members(tiny_config)) == [""]
    tiny_config.protocol.name = "cross_action"
    tiny_config.ensemble.update({"seeds": (3, 1), "learning_rates": (0.001, 1), "actions_train": ("Sitting/Down 1",)})
    schema.validate(tiny_config)
    found = ensembles.members(tiny_config)
    names = [f"action_Sitting_Down_1-learning_rate_{rate}-seed_{seed}" for rate in ("0.001", "1") for seed in (3, 1)]
    assert list(found) == names
    member = found[names[2]]
    schema.validate(member)
    assert schema.differences(member, tiny_config) == [
        "ensemble.actions_train",
        "ensemble.learning_rates",
        "ensemble.seeds",
        "protocol.actions_train",
        "seed",
        "train.learning_rate",
    ]
    assert (member.seed, member.train.learning_rate, member.protocol.actions_train) == (3, 1, ("Sitting/Down 1",))
    assert list(ensembles.members(member)) == [""]


@pytest.mark.parametrize(
    ("protocol", "changes", "message"),
    [
        ("subject", {"actions_train": ("Walking",)}, "config.ensemble.actions_train: not allowed under the protocol 'subject'"),
        ("cross_action", {"actions_train": ("a b", "a/b")}, "two runs would have the folder action_a_b"),
        ("subject", {"seeds": (1, 1)}, r"config.ensemble.seeds: \(1, 1\) is not allowed"),
        ("subject", {"seeds": (-1,)}, r"config.ensemble.seeds: \(-1,\) is not allowed"),
        ("subject", {"learning_rates": (0.0,)}, "config.ensemble.learning_rates: "),
        ("subject", {"learning_rates": ("a",)}, "config.ensemble.learning_rates: "),
    ],
)
def test_impossible_ensembles(tiny_config, protocol, changes, message):
    tiny_config.protocol.name = protocol
    tiny_config.ensemble.update(changes)

    def members():
        schema.validate(tiny_config)
        return ensembles.members(tiny_config)

    with pytest.raises(ConfigError, match=message):
        members()
