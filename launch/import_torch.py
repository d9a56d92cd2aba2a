"""Import a checkpoint of the official PyTorch code or of VideoPose3D as a workdir, to evaluate it or to continue training.

python -m launch.import_torch --checkpoint=FILE.bin --workdir=runs/official [--config=configs/... --config.FIELD=VALUE ...]

The network is read from the file. Config fields state what a file does not hold: --config.model.causal=True;
--config.model.activation=relu or leaky_relu if the file does not distinguish networks of VideoPose3D from those of the official
SRNet (a line says so); --config.model.adds_input=True and --config.model.normalization=lcn for networks trained under lcn;
--config.model.recombine=add for context from all joints; --config.model.input_joints=coco_17 and --config.model.joints=... for
keypoints and joints other than Human3.6M's. Do not set a field that the file decides. Data, protocol and training come from the
config.
"""

from absl import flags

from srnet_jax.commands import app

app.define_config()
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "Checkpoint file, in PyTorch's zip format or its older format.", required=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder to create for the run.", required=True)


def main() -> None:
    """Import the checkpoint, and print the next commands."""
    from ml_collections import config_flags

    from srnet_jax.config import command_line
    from srnet_jax.official.runs import import_run

    import_run(
        _CHECKPOINT.value, command_line.load(), _WORKDIR.value, changed=config_flags.get_override_values(flags.FLAGS["config"])
    )
    print(f"done. Evaluate with: python -m launch.evaluate --workdir={_WORKDIR.value}")
    print(f"  Continue training with: python -m launch.train --workdir={_WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)
