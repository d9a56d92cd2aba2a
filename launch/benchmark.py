"""Measure; nothing here is a test.

python -m launch.benchmark data          # start-up time and memory at Human3.6M's size, with windows of 243 frames
python -m launch.benchmark metrics       # all metrics of 543,344 poses, and PA-MPJPE beside NumPy's
python -m launch.benchmark rarity        # 543,344 poses ranked against themselves, and beside exact sums
python -m launch.benchmark checkpoints   # the share of training time that checkpoints and the log take
"""

from absl import flags

from launch import app

_COMMANDS = ("data", "metrics", "rarity", "checkpoints")
_JSON = flags.DEFINE_string("json", None, "File for the figures, beside the table.")


def main(command: str) -> None:
    """Measure and print."""
    import importlib
    import json
    from pathlib import Path

    from rich.table import Table

    if _JSON.value and not Path(_JSON.value).absolute().parent.is_dir():
        app.fail(f"--json={_JSON.value}: expected a file in a folder that exists")
    figures = importlib.import_module(f"srnet_jax.benchmarks.{command}").run()
    table = Table(command, "", show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:,.0f}" if value == int(value) else f"{value:.4g}")
    app.console(width=120).print(table)
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main, commands=_COMMANDS)
