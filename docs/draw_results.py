"""Draw the two pictures of RESULTS.md from the results in docs/results.

python -m docs.draw_results

One has the errors during training (`steps_long_hdm05.csv`, which `launch.reproduce --table=steps` writes), the other the gains
of one network over another with their 95 % intervals.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from docs.compare_results import ACTIONS, RESULTS, read
from docs.make_pictures import save
from srnet_jax.evaluation.charts import RUN_COLOURS
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.intervals import gain
from srnet_jax.reproduce.drawing import steps_figure
from srnet_jax.reproduce.results import Curves

ROWS = {
    "all": ACTIONS,
    "common half": ("subset", "common half"),
    "rarest 20 %": ("rare", "20"),
    "rarest 10 %": ("rare", "10"),
    "upright, rarest\n10 % of articulation": ("subset", "upright, articulation: rarest 10 %"),
}
PAIRS = (("sr", "fc_small"), ("sr_wide", "fc"), ("sr", "fc"), ("sfs", "fc"))
NAMES = {"sr": "SR", "sr_wide": "SR-wide", "sfs": "SFS", "fc": "FC", "fc_small": "FC of SR's size"}


def curves(path: Path) -> Curves:
    """Read what `launch.reproduce --table=steps` writes as `.steps.csv`."""
    found: Curves = {}
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            errors = [float(number) for number in line["by_seed"].split()]
            found.setdefault(line["row"], {}).setdefault(line["column"], {})[int(line["step"])] = errors
    return found


def draw_gains(pairs: Sequence[tuple[str, str]]) -> Figure:
    """Draw how much better the first network of each pair is than the second: a panel for each row of the results."""
    figure = Figure((9, 2.6), layout="constrained")
    for axes, (title, row) in zip(figure.subplots(1, len(ROWS), sharex=True, sharey=True), ROWS.items(), strict=True):
        for place, (first, second) in enumerate(pairs):
            found = gain(runs(first), runs(second), row)
            assert found is not None, (first, second, row)
            colour = {"better": RUN_COLOURS[0], "worse": RUN_COLOURS[1], "undecided": "#808080"}[found.verdict]
            axes.plot((found.low, found.high), (place, place), color=colour, linewidth=2)
            axes.plot(found.percent, place, "o", color=colour, markersize=5)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title(title, fontsize=9)
        axes.set_yticks(range(len(pairs)), [f"{NAMES[first]} over {NAMES[second]}" for first, second in pairs])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    figure.supxlabel("better by, %, with the 95 % interval", fontsize=9)
    return figure


def runs(name: str) -> list[Evaluation]:
    """Read the results of a network, one for each seed."""
    return [read(str(path)) for path in sorted(RESULTS.glob(f"{name}_long_hdm05*.json")) if "cameras" not in path.stem]


if __name__ == "__main__":
    save(steps_figure(curves(RESULTS / "steps_long_hdm05.csv")), "steps_hdm05.png")
    save(draw_gains(PAIRS), "gains_hdm05.png")
