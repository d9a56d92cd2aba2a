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

PANELS = {  # the row of the results, and the end of the files' names
    "all": (ACTIONS, ""),
    "common half": (("subset", "common half"), ""),
    "rarest 10 %": (("rare", "10"), ""),
    "rare wholes of\ncommoner parts": (("subset", "rare whole, common parts"), "_parts"),
    "upright, rarest\n10 % of articulation": (("subset", "upright, articulation: rarest 10 %"), ""),
    "all,\nother cameras": (ACTIONS, "_other_cameras"),
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
    """Draw how much better the first network of each pair is than the second: a panel for each kind of poses."""
    figure = Figure((10, 2.6), layout="constrained")
    subplots = figure.subplots(1, len(PANELS), sharex=True, sharey=True)
    for axes, (title, (row, tested)) in zip(subplots, PANELS.items(), strict=True):
        for place, (first, second) in enumerate(pairs):
            found = gain(runs(first, tested), runs(second, tested), row)
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


def runs(name: str, tested: str) -> list[Evaluation]:
    """Read the results of a network, one for each seed; `tested` is the end of the files' names."""
    paths = [RESULTS / f"{name}_long_hdm05{seed}{tested}.json" for seed in ("", "_seed1")]
    return [read(str(path)) for path in paths if path.exists()]


if __name__ == "__main__":
    save(steps_figure(curves(RESULTS / "steps_long_hdm05.csv")), "steps_hdm05.png")
    save(draw_gains(PAIRS), "gains_hdm05.png")
