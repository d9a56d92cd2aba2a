"""Evaluate trained runs on their test split, and print tables that compare them.

python -m launch.evaluate --workdir=runs/fc,runs/sr [--checkpoint=best|latest|STEP] [--output=FOLDER]
    [--protocol=rare_pose] [--data.path=PATH] [--config.FIELD=VALUE ...]

Each workdir gets results.json and results.csv. --output writes the comparison: tables.md, results.csv, results.json, and the
figures training_curves.png, error_by_rareness.png, joint_errors.png, best_and_worst.png and qualitative.png. A run is
evaluated with the config in its workdir; only fields of data, test_data, protocol and evaluate may be changed.
"""

from pathlib import Path

from absl import flags

from srnet_jax.commands import app

app.define_config(file=False)
_WORKDIR = flags.DEFINE_list(
    "workdir",
    None,
    "Folder of a run, or several, separated by commas; runs that differ only in the seed share a column.",
    required=True,
)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best (on the validation split), latest, or a step.")
_PROTOCOL = flags.DEFINE_string("protocol", None, "Protocol of the evaluation; short for --config.protocol.name.")
_PATH = flags.DEFINE_string("data.path", None, "File or folder of the data; short for --config.data.path.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for the tables and figures of the comparison; it is made if it does not exist."
)


def main() -> None:
    """Evaluate the runs, print the tables, and write the comparison."""
    import json

    from srnet_jax.commands.console import print_table
    from srnet_jax.config import command_line
    from srnet_jax.errors import UserError
    from srnet_jax.evaluation import evaluate, figures, tables
    from srnet_jax.io.files import check_folder, plain, write_whole

    changes = command_line.changes({"protocol.name": _PROTOCOL.value, "data.path": _PATH.value})
    if not (_WORKDIR.value and all(_WORKDIR.value)):
        raise UserError(f"--workdir={','.join(_WORKDIR.value)}: found an empty name, expected folders separated by commas")
    workdirs = [run for name in _WORKDIR.value for run in evaluate.runs_with_checkpoint(Path(name), _CHECKPOINT.value)]
    output = plain(_OUTPUT.value) if _OUTPUT.value else None
    if output:
        check_folder(output)
    differing = evaluate.differing_test_fields(workdirs, changes) if output else []
    if differing:
        raise UserError(f"--output: the runs differ in {', '.join(differing)}, expected the same test set for all runs")
    if output:
        output.mkdir(parents=True, exist_ok=True)
    evaluations, tests = evaluate.evaluate(workdirs, _CHECKPOINT.value, changes)
    for test in dict.fromkeys(map(id, tests)):
        grids = tables.comparison([e for e, used in zip(evaluations, tests, strict=True) if id(used) == test])
        for grid in grids:
            print_table(grid)
    print("results: " + ", ".join(str(e.workdir / evaluate.RESULTS_FILE) for e in evaluations))
    if output:
        write_whole(output / "tables.md", "\n".join(map(tables.to_markdown, grids)))
        write_whole(output / "results.csv", evaluate.to_csv(evaluations))
        by_workdir = {str(e.workdir): e.results for e in evaluations}
        write_whole(output / evaluate.RESULTS_FILE, json.dumps(by_workdir, indent=2) + "\n")
        figures.draw_all(output, tests[0], evaluations)
        print(f"tables and figures: {output}")


if __name__ == "__main__":
    app.run(main)
