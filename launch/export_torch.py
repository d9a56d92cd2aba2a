"""Export a run's checkpoint to a file for the official PyTorch code; `torch.load(weights_only=True)` reads it.

python -m launch.export_torch --workdir=runs/sr --output=FILE.bin [--checkpoint=best|latest|STEP]

The official code accepts the file with `--evaluate`, but not with `--resume`, which needs a pickled random state; a safe file
cannot hold one.
"""

from absl import flags

from srnet_jax.commands import app

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run to export.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "File to write.", required=True)
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best (on the validation split), latest, or a step.")


def main() -> None:
    """Export the checkpoint."""
    from srnet_jax.official.runs import export_run

    export_run(_WORKDIR.value, _OUTPUT.value, _CHECKPOINT.value)
    print(f"wrote {_OUTPUT.value}")


if __name__ == "__main__":
    app.run(main)
