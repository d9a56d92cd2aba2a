"""Write a run's checkpoint as a file for the official PyTorch code, which `torch.load(weights_only=True)` reads.

python -m launch.export_torch --workdir=runs/sr --output=FILE.bin [--checkpoint=best|latest|STEP]

The official `--evaluate` takes the file; its `--resume` also wants a pickled random state, which a safe file cannot hold.
"""

from absl import flags

from srnet_jax.commands import app

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The file to write.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best (on the validation split), latest, or a step.")


def main() -> None:
    """Export."""
    from srnet_jax.official.runs import export_run

    export_run(_WORKDIR.value, _OUTPUT.value, _CHECKPOINT.value)
    print(f"wrote {_OUTPUT.value}")


if __name__ == "__main__":
    app.run(main)
