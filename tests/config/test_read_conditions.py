"""Tests of the conditions `Field.read`: a field has an effect under some config where its condition holds, and none elsewhere.

Effects are observed where code reads a config: loading of data, the split, the ranking of rare poses, the runs of an ensemble,
and the traced network and training step.
"""

import functools
import itertools
import types

import jax
import numpy as np
import pytest

from srnet_jax.config import ensembles, schema
from srnet_jax.data import detections, embedded, mpi_inf_3dhp, redraw, sources, synthetic, threedpw
from srnet_jax.data.dataset import PoseDataset, film
from srnet_jax.data.h36m import npz_files
from srnet_jax.data.mocap import clip_files
from srnet_jax.data.protocols import split
from srnet_jax.errors import UserError
from srnet_jax.evaluation.ranking import rank
from srnet_jax.models.pose_lifter import create_model, variable_shapes
from srnet_jax.pose.cameras import virtual_cameras
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.training.steps import StepSettings
from tests.conftest import make_tiny_config

OTHERS = {  # other values of fields that are neither numbers nor flags, allowed wherever the condition holds
    "path": "elsewhere",
    "keypoints": "detected",
    "annotation": "metric",
    "subjects_train": ("a", "b"),
    "subjects_test": ("d",),
    "actions": ("sit",),
    "actions_train": ("sit",),
    "cross_action_test": "all",
    "cameras_train": ("camera1",),
    "cameras_test": ("camera2",),
    "rare_sigma_mm": (37.0,),
    "split_layers": "split_recombine",
    "num_groups": 3,
    "shuffled_groups": 3,
    "recombine": "add",
    "context_dim": 0,
    "context_from": "all",
    "context_form": "paper",
    "fuse_layer": 1,
    "split_layer": 3,
    "link_layers": 0,
    "recombined": 1.0,
    "straightened": 0.0,
}


def other(name, value):
    """Return another value that is allowed for the field."""
    if (known := OTHERS.get(name.rsplit(".", 1)[-1])) is not None:
        return known
    if value in schema.SOURCES:
        return schema.SOURCES[schema.SOURCES.index(value) - 1]
    if type(value) is bool:
        return not value
    if type(value) is tuple:
        return tuple(one / 2 for one in value)
    return value + 1 if type(value) is int else value / 2 or 0.25


def loading(config):
    """Return the calls that load a config's data."""
    calls = []

    def recorded(name):
        def call(*arguments, **options):
            calls.append((name, [one for one in arguments if one is not dataset], options))
            return dataset

        return call

    dataset = types.SimpleNamespace(
        downsampled=lambda step: calls.append(step) or dataset,
        with_actions=lambda names: calls.append(names) or dataset,
        with_joints=lambda *_: dataset,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "virtual_cameras", lambda **options: options)
        for home, name in (
            (synthetic, "load"),
            (embedded, "load"),
            (clip_files, "load"),
            (npz_files, "load"),
            (mpi_inf_3dhp, "load_test"),
            (mpi_inf_3dhp, "load_train"),
            (threedpw, "load"),
            (detections, "simulate"),
        ):
            patch.setattr(home, name, recorded(name))
        try:
            sources.load_datasets(config)
        except UserError as error:  # code that rejects a value reads it
            calls.append(str(error))
    return repr(calls)


def splitting(config):
    """Return the parts of a small data set that the runs of a config use."""
    poses = np.random.default_rng(0).normal(0, 0.3, (1, 17, 3)) + [0, 0, 1]
    cameras = virtual_cameras(**config.data.cameras.to_dict() | {"number": 4})
    motions = itertools.product("abcde", ("walk", "sit", "run"))
    sequences = tuple(s for who, what in motions for s in film(poses, cameras, subject=who, action=what, trial="1"))
    dataset = PoseDataset(name="data", skeleton=H36M_17, fps=1.0, sequences=sequences)
    parts = [split(dataset, member.protocol, dataset) for member in ensembles.members(config).values()]
    kept = {id(sequence): number for number, sequence in enumerate(sequences)}
    return [(p.labels, *([kept[id(s)] for s in part] for part in (p.train, p.validation, p.test))) for p in parts]


def ranking(config):
    poses = np.random.default_rng(0).normal(0, 0.3, (12, 17, 3)).astype(np.float32)
    return rank(poses, poses, config.protocol, None).values.tolist()


def training(config):
    """Return the settings of trainings: seed and learning rate of each run, and the rotation of samples."""
    roll = StepSettings.of(config).camera_roll
    return [(m.seed, m.train.learning_rate) for m in ensembles.members(config).values()], roll if roll[0] else None


def redrawing(config):
    """Return the data that are drawn anew in an epoch, if any."""
    if not config.train.redraw:
        return None
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, (1, 17, 3)) + [0, 0, 1]
    motions = (pose + rng.normal(0, 0.02, (2, 17, 3)) for _ in range(2))
    cameras = virtual_cameras(**config.data.cameras)
    parts = redraw.pieces([s for poses in motions for s in film(poses, cameras, subject="a", action="walk", trial="1")])
    drawn = redraw.redrawn(parts, config.redraw, sources.errors_of(config.data.detections), fps=30.0, epoch=0)
    return repr([(one.camera, one.poses_3d.tolist()) for one in drawn])


def network(config):
    """Return a network's traced program, with its constants, and the shapes of its variables."""
    return traced_network(create_model(config.model))


@functools.cache  # a field that is not read gives an equal model
def traced_network(model):
    inputs = jax.ShapeDtypeStruct((2, 11, *model.input_shape), np.float32)
    variables = variable_shapes(model)
    traced = jax.make_jaxpr(model.apply)(variables, inputs)
    return str(traced), [np.asarray(constant).tobytes() for constant in traced.consts]


BOTH = [
    {
        f"{part}.{name}": value
        for part in ("data", "test_data")
        for name, value in (("source", source), ("detections.simulate", on))
    }
    for source in schema.SOURCES
    for on in (False, True)
]
SITUATIONS = {
    loading: (
        ("data.", "test_data."),
        [{"protocol.name": name} | data for data in BOTH for name in ("subject", "cross_dataset")],
    ),
    splitting: (
        ("protocol.subjects", "protocol.actions", "protocol.c", "protocol.v"),
        [
            {"protocol.name": "subject"},
            {"protocol.name": "cross_camera"},
            {"protocol.name": "cross_dataset", "protocol.validation": "test"},
            {"protocol.name": "cross_action"},
            {"protocol.name": "cross_action", "protocol.cross_action_test": "all_subjects"},
            {"protocol.name": "cross_action", "ensemble.actions_train": ("walk", "run")},
        ],
    ),
    ranking: (("protocol.rare_sigma_mm",), [{"protocol.rare_ranking": ranking} for ranking in schema.RANKINGS]),
    training: (
        ("seed", "train."),
        [{}, {"train.camera_roll_share": 0.5}, {"ensemble.learning_rates": (0.1, 0.2)}, {"ensemble.seeds": (1, 2)}],
    ),
    redrawing: (("redraw.",), [{}, {"train.redraw": True}]),
    network: (
        ("model.",),
        [
            *({"model.network": name} for name in (*schema.TRUNK_NETWORKS, *schema.GRAPH_NETWORKS)),
            {"model.network": "es", "model.split_layers": "split_recombine"},
            {"model.network": "sr", "model.recombine": "concat", "model.filter_widths": (3, 3)},
            {"model.network": "sr", "model.joints": "humaneva_15"},
            {"model.network": "gp", "model.input_joints": "human36m_16"},
            {"model.network": "gp", "model.shuffled_groups": 2, "model.filter_widths": (3, 3)},
        ],
    ),
}
CONDITIONAL = {name: field for name, field in schema.FIELDS.items() if field.read}


def test_every_condition_is_proved():
    prefixes = tuple(prefix for prefixes, _ in SITUATIONS.values() for prefix in prefixes)
    assert [name for name in CONDITIONAL if not name.startswith(prefixes)] == []


@pytest.mark.parametrize(
    "outcome", [loading, splitting, ranking, training, redrawing, pytest.param(network, marks=pytest.mark.slow)]
)
def test_conditions_say_what_code_reads(outcome):
    prefixes, situations = SITUATIONS[outcome]
    fields = {name: field.read for name, field in CONDITIONAL.items() if name.startswith(prefixes)}
    silent = set(fields)  # fields without effect even where their condition holds
    for situation in situations:
        config = _config(situation)
        own, values = outcome(config), dict(schema.flatten(config))
        for name, read in fields.items():
            holds = read.holds(values)
            if holds and name not in silent:
                continue
            if outcome(_config(situation | {name: other(name, values[name])})) != own:
                assert holds, f"{name} is read in {situation}, but only with {read.text}"
                silent.discard(name)
    assert not silent


def _config(fields):
    config = make_tiny_config()
    config.model.update(filter_widths=(1, 1), channels=34, fuse_layer=2, split_layer=2)
    config.data.path = config.test_data.path = "here"
    config.protocol.update(subjects_train=("a", "b", "c"), subjects_test=("d", "e"), actions_train=("walk",))
    config.protocol.update(cameras_train=("camera0",), cameras_test=("camera3",), validation_fraction=0.2)
    with config.ignore_type():
        config.update_from_flattened_dict(fields)
    schema.validate(config)
    return config
