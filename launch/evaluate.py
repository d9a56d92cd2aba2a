"""Evaluate trained runs on their test split, side by side in one table; `results.json` and `results.csv` go to each workdir.

python -m launch.evaluate --workdir=runs/sr,runs/fc [--checkpoint=best|latest|STEP] [--figure=poses.png]
"""

from pathlib import Path

from absl import flags

from launch import app

_WORKDIR = flags.DEFINE_list(
    "workdir", None, "Folder of a run, or several with commas; runs that differ only in the seed share a column.", required=True
)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best (on the validation split), latest, or a step.")
_FIGURE = flags.DEFINE_string("figure", None, "PNG file for a few lifted poses beside their ground truth.")


def main() -> None:
    """Evaluate, print the table and draw the figure."""
    from rich.console import Console

    from srnet_jax.errors import UserError
    from srnet_jax.evaluation import evaluate, figures, tables

    figure = Path(_FIGURE.value) if _FIGURE.value else None
    if figure and (figure.suffix != ".png" or not figure.absolute().parent.is_dir()):
        raise UserError(f"--figure={figure}: expected a name ending in .png in a folder that exists")
    evaluations, tests = evaluate.evaluate([Path(name) for name in _WORKDIR.value], _CHECKPOINT.value)
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=160)
    for test in dict.fromkeys(map(id, tests)):
        console.print(tables.comparison([e for e, used in zip(evaluations, tests, strict=True) if id(used) == test]))
    print("results: " + ", ".join(str(e.workdir / evaluate.RESULTS_FILE) for e in evaluations))
    if figure:
        if any(test is not tests[0] for test in tests):
            raise UserError("--figure: the runs have different data, expected one data set and protocol")
        figures.lifted_poses(figure, tests[0], [group[0] for group in tables.group_seeds(evaluations)])
        print(f"figure: {figure}")


if __name__ == "__main__":
    app.run(main)
