"""Measure; nothing here is a test.

python -m launch.benchmark data   # start-up time and memory at Human3.6M's size, with windows of 243 frames
"""

from absl import flags

from launch import app

_JSON = flags.DEFINE_string("json", None, "File for the figures, beside the table.")


def main(command: str) -> None:
    """Measure and print."""
    import json
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from srnet_jax.benchmarks import data

    if _JSON.value and not Path(_JSON.value).absolute().parent.is_dir():
        app.fail(f"--json={_JSON.value}: expected a file in a folder that exists")
    figures = {"data": data.run}[command]()
    table = Table(command, "", show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:,.0f}" if value == int(value) else f"{value:.3g}")
    Console(highlight=False).print(table)
    if _JSON.value:
        Path(_JSON.value).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main, commands=("data",))
