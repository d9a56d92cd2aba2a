"""Define the tables and figures of the paper: networks, protocols, and the paper's numbers.

Our copy of the paper lacks some headings and cells of its tables. A missing cell has no number here. The notes of an experiment
say how we assigned the numbers whose heading is missing.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from srnet_jax.reproduce import paper_numbers
from srnet_jax.reproduce.experiment import (
    OVER_ACTIONS,
    OVER_FRAMES,
    SUBJECT_AND_RARE,
    Column,
    Columns,
    Experiment,
    Row,
    fixed_columns,
)
from srnet_jax.reproduce.networks import CONCAT, FC, LCN, PIXEL, SEMGCN, SFS, SR, WIDE, WIDE_NAME
from srnet_jax.reproduce.paper_numbers import ACTIONS, AVERAGE

SPLIT_FIELDS = {  # for each family of Fig. 4, the config field of its splitting layer, and the paper's symbol for it
    "LF": ("fuse_layer", "L_fuse"),
    "ES": ("split_layer", "L_split"),
    "SFS": ("link_layers", "L_link"),
}


def _by_action(metric: str) -> Columns:
    def columns(actions: Sequence[str]) -> tuple[Column, ...]:
        each = tuple(Column(action, ("action", action), metric) for action in actions)
        return *each, Column(AVERAGE, OVER_ACTIONS, metric)

    return columns


def _by_training_action(actions: Sequence[str]) -> tuple[Column, ...]:
    each = tuple(Column(action, OVER_ACTIONS, trained_on=action) for action in actions)
    some = set(actions) < set(ACTIONS)  # the average is over fewer actions than the paper's
    return *each, Column(f"{AVERAGE} of {len(actions)}" if some else AVERAGE, OVER_ACTIONS)


def _by_training_action_with_pa(actions: Sequence[str]) -> tuple[Column, ...]:
    columns = _by_training_action(actions)
    return *columns, *(dataclasses.replace(c, label=f"{c.label}, PA", metric="p_mpjpe_mm") for c in columns)


_AVERAGE_ONLY = fixed_columns(Column(AVERAGE, OVER_ACTIONS))
_PERCENT_CORRECT = fixed_columns(
    Column("PCK", OVER_FRAMES, "pck_14_percent", larger_is_better=True),
    Column("AUC", OVER_FRAMES, "auc_14_percent", larger_is_better=True),
    Column("MPJPE", OVER_FRAMES),
)


def _paper(*values: float | None) -> dict[str, float]:
    """Return the paper's numbers by the labels of SUBJECT_AND_RARE; None means that our text lost the number."""
    labels = ("Subject", "Rare 20 %", "Rare 10 %")
    return {label: value for label, value in zip(labels, values, strict=False) if value is not None}


_OTHERS_FC = "The paper's numbers of FC are from Martinez et al., a different fully connected network"
_OTHERS_LONG = "The paper's numbers of FC are from Pavllo et al., the same trunk with full connections"
_OTHERS_GRAPH = "those of SemGCN and LCN are from their authors"
_SINGLE = (
    Row("FC, detected 2D", FC, paper_numbers.FC_DETECTED, detected=True),
    Row("SR, detected 2D", SR, paper_numbers.SR_DETECTED, detected=True),
    Row("FC, exact 2D", FC, paper_numbers.FC_EXACT),
    Row("SR, exact 2D", SR, paper_numbers.SR_EXACT),
    Row("SR pixel, exact 2D", SR | PIXEL, paper_numbers.SR_PIXEL_EXACT),
)
_TEMPORAL = (
    Row("FC, detected 2D", FC, paper_numbers.FC_243_DETECTED, frames=243, detected=True),
    Row("SR, detected 2D", SR, paper_numbers.SR_243_DETECTED, frames=243, detected=True),
    Row("FC, exact 2D", FC, {AVERAGE: 37.2}, frames=243),
    Row("SR, exact 2D", SR, paper_numbers.SR_243_EXACT, frames=243),
)


def _with_paper(rows: Sequence[Row], *numbers: dict[str, float]) -> tuple[Row, ...]:
    return tuple(dataclasses.replace(row, paper=paper) for row, paper in zip(rows, numbers, strict=True))


def _six_layers(family: str, number: int) -> Row:
    """Return a network of Fig. 4 with six layers; at either end every family becomes FC or GP."""
    field, symbol = SPLIT_FIELDS[family]
    grouped = number if family == "LF" else 6 - number
    network = {0: "fc", 6: "gp"}.get(grouped, family.lower())
    fields: dict[str, Any] = {"model.network": network, "model.filter_widths": (1, 1, 1)}
    if 0 < grouped < 6:
        fields[f"model.{field}"] = number
    return Row(f"{family}, {symbol} = {number}", fields, family=family, split=number)


def _action_table(title: str, rows: tuple[Row, ...], others: str, metric: str = "mpjpe_mm") -> Experiment:
    return Experiment(title, rows, _by_action(metric), "FC, exact 2D", by_action=True, notes=(f"{others}.",))


_ASSIGNED = "Our text of the paper lost the headings; we assigned its numbers to the columns"

PAPER_EXPERIMENTS: dict[str, Experiment] = {
    "1": Experiment("Table 1: what each network connects, by Jacobians on random weights", figure=""),
    "2": Experiment(
        "Table 2: networks under the Subject and Rare Pose protocols",
        (
            Row("GP", {"model.network": "gp"}, _paper(None, 89.1, 98.9)),
            Row("FC", FC, _paper(46.8, 76.0, 89.1)),
            Row("LF", {"model.network": "lf"}, _paper(None, 60.1, 69.9)),
            Row("ES", {"model.network": "es"}, _paper(None, 62.5, 73.5)),
            Row("SFS", SFS, _paper(39.4, 59.2, 68.2)),
            Row("SR", SR, _paper(36.6, 48.6, 53.7)),
            Row(WIDE_NAME, WIDE),
        ),
        SUBJECT_AND_RARE,
        "FC",
        notes=(
            f"{_ASSIGNED}. Of the two numbers between FC and SFS, the first is taken as LF. The numbers under Subject are from "
            "the supplement's Table 1; the others are lost.",
            "LF and ES split four of eight layers. At full width SFS has the 3.04 M parameters of the supplement's Table 1.",
        ),
    ),
    "3": Experiment(
        "Table 3: width H of the context, concatenated",
        (
            Row("H = 0", {"model.network": "gp"}, _paper(None, 89.1)),
            Row("H = 1", CONCAT, _paper(38.3, 49.1)),
            Row("H = 3", CONCAT | {"model.context_dim": 3}, _paper(None, 52.2)),
            Row("H = 10", CONCAT | {"model.context_dim": 10}, _paper(None, 53.6)),
            Row("H = 25 %", CONCAT | {"model.context_dim": 0.25}, _paper(None, 56.5)),
            Row("H = 50 %", CONCAT | {"model.context_dim": 0.5}, _paper(45.3, 63.8)),
            Row("H = 100 %", CONCAT | {"model.context_dim": 1.0}, _paper(45.7, 70.1)),
            Row("H = 200 %", CONCAT | {"model.context_dim": 2.0}, _paper(45.8, 78.5)),
        ),
        SUBJECT_AND_RARE,
        "H = 1",
        "lines",
        notes=(
            f"{_ASSIGNED}: eight widths, of which our text names only the last two. H = 1 under Subject is from the "
            "supplement's Table 1.",
        ),
    ),
    "4": Experiment(
        "Table 4: number of groups",
        tuple(
            Row(f"{number} groups" if number > 1 else "1 group (FC)", fields, _paper(subject, rare))
            for number, fields, subject, rare in (
                (1, FC, 46.8, 76.0),
                (2, SR | {"model.num_groups": 2}, None, 55.9),
                (3, SR | {"model.num_groups": 3}, None, 51.0),
                (5, SR, 36.6, 48.6),
                (6, SR | {"model.num_groups": 6}, None, 55.6),
                (8, SR | {"model.num_groups": 8}, None, 60.6),
                (17, SR | {"model.num_groups": 17}, None, 115.3),
            )
        ),
        SUBJECT_AND_RARE,
        "5 groups",
        "lines",
        notes=(
            f"{_ASSIGNED}: 1, 2, 3, 5, 6, 8 and 17 groups. We chose the joints of six, eight and 17 groups (skeleton.py): the "
            "official code does not have them, and our text lacks Fig. 6.",
        ),
    ),
    "5": Experiment(
        "Table 5: joints shuffled among some of the five groups",
        (
            *(
                Row(f"{number} shuffled", SR | {"model.shuffled_groups": number}, _paper(subject))
                for number, subject in ((5, 53.8), (4, 49.7), (3, 45.9), (2, 43.4))
            ),
            Row("none shuffled", SR, _paper(36.6)),
        ),
        SUBJECT_AND_RARE,
        "none shuffled",
        "lines",
        notes=(
            f"{_ASSIGNED}. All seeds have the same shuffled groups (config.model.shuffle_seed) and different initial weights.",
        ),
    ),
    "6": Experiment(
        "Table 6: trained on one data set, tested on another",
        (
            Row("FC", FC, {"PCK": 42.5, "AUC": 17.0}),
            Row("LCN", LCN, {"PCK": 74.0, "AUC": 36.7}),
            Row("SR", SR, {"PCK": 77.6, "AUC": 43.8}),
        ),
        _PERCENT_CORRECT,
        "FC",
        notes=(f"{_OTHERS_FC}; those of LCN are from its authors.",),
        cross_dataset=True,
    ),
    "7": Experiment(
        "Table 7: Cross-Action, by training action",
        (
            Row("FC", FC, paper_numbers.CROSS_ACTION_DETECTED["FC"], detected=True),
            Row("LCN", LCN, paper_numbers.CROSS_ACTION_DETECTED["LCN"], detected=True),
            Row("SR", SR, paper_numbers.CROSS_ACTION_DETECTED["SR"], detected=True),
        ),
        _by_training_action,
        "FC",
        by_action=True,
        each_action=True,
        notes=(
            "Each line: trained on this action, average over all actions of the test subjects. The paper does not say "
            f"whether its columns are the actions of training or of testing. {_OTHERS_FC}.",
        ),
    ),
    "8": Experiment(
        "Table 8: single frame, detected 2D",
        (
            Row("FC", FC, {AVERAGE: 62.9}, detected=True),
            Row("SemGCN", SEMGCN, {AVERAGE: 57.6}, detected=True),
            Row("LCN", LCN, {AVERAGE: 52.7}, detected=True),
            Row("SR", SR, {AVERAGE: 49.9}, detected=True),
        ),
        _AVERAGE_ONLY,
        "FC",
        notes=(f"{_OTHERS_FC}; {_OTHERS_GRAPH}.",),
    ),
    "9": Experiment(
        "Table 9: single frame, exact 2D",
        (
            Row("FC", FC, {AVERAGE: 45.5}),
            Row("SemGCN", SEMGCN, {AVERAGE: 43.8}),
            Row("LCN pixel", LCN | PIXEL, {AVERAGE: 36.4}),
            Row("SR pixel", SR | PIXEL, {AVERAGE: 33.9}),
        ),
        _AVERAGE_ONLY,
        "FC",
        notes=(f"{_OTHERS_FC}; {_OTHERS_GRAPH}. The normalisation `pixel` uses the true depth of the root.",),
    ),
    "10": _action_table(
        "Table 10: 243 frames, by action",
        _with_paper(
            _TEMPORAL,
            paper_numbers.FC_243_DETECTED,
            paper_numbers.SR_243_DETECTED_TABLE_10,
            {AVERAGE: 37.2},
            paper_numbers.SR_243_EXACT,
        ),
        _OTHERS_LONG,
    ),
    "s1": Experiment(
        "Supplement Table 1: how context and local features are combined",
        (
            Row("FC", FC, _paper(46.8)),
            Row("SFS", SFS, _paper(39.4)),
            Row("SR, add", SR | {"model.recombine": "add"}, _paper(36.4)),
            Row("SR, multiply", SR, _paper(36.6)),
            Row("SR, multiply, 6 layers", SR | {"model.filter_widths": (1, 1, 1)}),
            Row("SR, concat", CONCAT, _paper(38.3)),
        ),
        SUBJECT_AND_RARE,
        "FC",
        notes=(
            "The paper says that SR, multiply, has 0.88 M parameters. Ours has 899,029 with 6 layers; the other networks have "
            "8 layers.",
        ),
    ),
    "s2": _action_table("Supplement Table 2: single frame, MPJPE by action", _SINGLE, _OTHERS_FC),
    "s3": _action_table("Supplement Table 3: 243 frames, MPJPE by action", _TEMPORAL, _OTHERS_LONG),
    "s4": _action_table(
        "Supplement Table 4: single frame, PA-MPJPE by action",
        _with_paper(
            _SINGLE,
            paper_numbers.FC_DETECTED_PA,
            paper_numbers.SR_DETECTED_PA,
            {},
            paper_numbers.SR_EXACT_PA,
            paper_numbers.SR_PIXEL_EXACT_PA,
        ),
        _OTHERS_FC,
        "p_mpjpe_mm",
    ),
    "s5": _action_table(
        "Supplement Table 5: 243 frames, PA-MPJPE by action",
        _with_paper(
            _TEMPORAL, paper_numbers.FC_243_DETECTED_PA, paper_numbers.SR_243_DETECTED_PA, {}, paper_numbers.SR_243_EXACT_PA
        ),
        _OTHERS_LONG,
        "p_mpjpe_mm",
    ),
    "s6": Experiment(
        "Supplement Table 6: Cross-Action with exact 2D, MPJPE and PA-MPJPE by training action",
        tuple(
            Row(
                name,
                fields,
                paper_numbers.CROSS_ACTION_EXACT[name]
                | {f"{action}, PA": error for action, error in paper_numbers.CROSS_ACTION_EXACT_PA[name].items()},
            )
            for name, fields in (("FC, pixel", FC | PIXEL), ("SR, basic", SR), ("SR, pixel", SR | PIXEL))
        ),
        _by_training_action_with_pa,
        "FC, pixel",
        by_action=True,
        each_action=True,
        notes=("Each line: trained on this action, average over all actions of the test subjects.",),
    ),
    "fig4": Experiment(
        "Figure 4: where the network is split",
        (
            *(_six_layers("LF", number) for number in range(7)),
            *(_six_layers("ES", number) for number in range(6, -1, -1)),
            *(_six_layers("SFS", number) for number in (6, 4, 2, 0)),
        ),
        SUBJECT_AND_RARE,
        "LF, L_fuse = 0",
        "splits",
        notes=(
            "Six layers, including the first and the last, so that the ends of (a) and (b) are FC and GP, as the paper says. "
            "Our text of the paper lacks the figure's numbers.",
        ),
    ),
    "fig5": Experiment(
        "Figure 5: errors by rareness",
        (
            Row("FC", FC, _paper(46.8, 76.0, 89.1)),
            Row("SFS", SFS, _paper(39.4, 59.2, 68.2)),
            Row("SR", SR, _paper(36.6, 48.6, 53.7)),
            Row(WIDE_NAME, WIDE),
        ),
        SUBJECT_AND_RARE,
        "FC",
        "rareness",
    ),
    "fig6": Experiment("Figure 6: the groups of joints", figure="groups"),
}
