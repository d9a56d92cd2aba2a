"""Define our own experiments: comparisons of the paper's networks that the paper does not have."""

from srnet_jax.evaluation import parts, ranking
from srnet_jax.reproduce.experiment import (
    OVER_ACTIONS,
    OVER_FRAMES,
    RARE_COLUMNS,
    SUBJECT_AND_RARE,
    Column,
    Experiment,
    Row,
    fixed_columns,
)
from srnet_jax.reproduce.networks import CONCAT, FC, SFS, SR, WIDE, WIDE_NAME

_ROLL = {"train.camera_roll_share": 0.5}
_ALL_AND_RARE = (Column("all", OVER_FRAMES), Column("common half", ("subset", "common half")), *RARE_COLUMNS)
_UPRIGHT = Column("upright, articulation rare 10 %", ("subset", "upright, articulation: rarest 10 %"))
_SUBSETS = fixed_columns(  # see `evaluation.subsets`
    *_ALL_AND_RARE,
    Column("articulation rare 10 %", ("subset", "articulation: rarest 10 %")),
    Column("orientation rare 10 %", ("subset", "orientation: rarest 10 %")),
    Column("tilt < 15°", ("subset", "torso tilt below 15°")),
    Column("tilt > 60°", ("subset", "torso tilt above 60°")),
    _UPRIGHT,
)
_SMALL_FC = Row("FC, as few parameters as SR", FC, width=0.459)
_RUNS = "The runs are those of Figure 5, and an FC of SR's size"
_MAIN_ROWS = (Row("FC", FC), _SMALL_FC, Row("SFS", SFS), Row("SR", SR), Row(WIDE_NAME, WIDE))

OWN_EXPERIMENTS: dict[str, Experiment] = {
    "steps": Experiment(
        "Errors against training steps",
        _MAIN_ROWS,
        fixed_columns(*_ALL_AND_RARE, _UPRIGHT),
        "FC",
        "steps",
        notes=(
            f"Not in the paper. {_RUNS}, at the checkpoints that the scale `long` keeps. The learning rate falls until the "
            "last step, so a point before it differs from the end of a shorter training.",
        ),
    ),
    "rankings": Experiment(
        "Errors on rare poses by other sigmas and reference sets",
        _MAIN_ROWS,
        fixed_columns(
            *(
                Column(f"σ {sigma}, {reference}", ("subset", f"sigma {sigma} mm, {reference}, rarest 10 %"))
                for reference in ("train", "test")
                for sigma in ranking.SIGMAS_MM
            )
        ),
        "FC",
        find_subsets=ranking.find_rarest,
        notes=(
            f"Not in the paper. {_RUNS}, tested on the rarest 10 % by Eq. 10, with σ in mm and the training or the test poses "
            "as the reference set.",
        ),
    ),
    "parts": Experiment(
        "Poses that are rare as a whole, with common and with rare parts",
        _MAIN_ROWS,
        fixed_columns(*(Column(name, ("subset", name)) for name in (parts.COMMON_WHOLE, parts.COMMON_PARTS, parts.RARE_PARTS))),
        "FC",
        find_subsets=parts.find,
        notes=(
            f"Not in the paper; it tests the paper's argument (Fig. 1). {_RUNS}. Whole poses, and each of the five parts, are "
            "compared with all their joints together; the rarest 20 % of the whole poses are halved by the rarity of their "
            "rarest part.",
        ),
    ),
    "size": Experiment(
        "Locality or capacity? Networks of equal size, and FC with regularisation",
        (
            Row("FC", FC),
            _SMALL_FC,
            Row("FC, weight decay 0.01", FC | {"train.weight_decay": 0.01}),
            Row("FC, weight decay 0.1", FC | {"train.weight_decay": 0.1}),
            Row("FC, dropout 0.1", FC | {"model.dropout": 0.1}),
            Row("FC, dropout 0.25", FC | {"model.dropout": 0.25}),
            Row("SR", SR),
            Row("SR, as many parameters as FC", SR, width=2.2),
            Row(WIDE_NAME, WIDE),
        ),
        fixed_columns(Column("Subject", OVER_ACTIONS), *RARE_COLUMNS, _UPRIGHT),
        "FC",
        notes=("Not in the paper. The number of channels sets the size.",),
    ),
    "cameras": Experiment(
        "Other cameras than in training",
        _MAIN_ROWS,
        SUBJECT_AND_RARE,
        "FC",
        changes={"data.cameras.seed": 1, "data.cameras.distance_m": 4.0, "data.cameras.height_m": 1.0},
        notes=(f"Not in the paper. {_RUNS}, tested on four cameras 4 m away and 1 m high.",),
    ),
    "forms": Experiment(
        "Variants of the network and its training that might be better on both common and rare poses",
        (
            Row("FC", FC),
            Row("FC, roll", FC | _ROLL),
            Row("SFS", SFS),
            Row("SFS of SR-wide layers", WIDE | SFS | {"model.split_layers": "split_recombine"}),
            Row("SR", SR),
            Row("SR, roll", SR | _ROLL),
            Row("SR, centered", SR | {"model.normalization": "centered"}),
            Row(WIDE_NAME, WIDE),
            Row("SR-wide, roll", WIDE | _ROLL),
            Row("SR, concat H = 200 %", CONCAT | {"model.context_dim": 2.0}),
            Row("SR + body", SR | {"model.global_group": True}),
        ),
        _SUBSETS,
        "FC",
        notes=(
            "Not in the paper. roll: the camera is turned about its axis in half of the training samples; centered: the 2D "
            "joints are relative to the root and scaled to unit size; body: an additional group has all joints, and its "
            "prediction is added.",
        ),
    ),
}
