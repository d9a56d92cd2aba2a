"""Make a workdir of a checkpoint of the official PyTorch code or of VideoPose3D, to evaluate it or to train it on.

python -m launch.import_torch --checkpoint=FILE.bin --workdir=runs/official [--config=configs/... --config.FIELD=VALUE ...]

The network is read from the file. Fields give what a file does not hold: --config.model.causal=True;
--config.model.activation=relu or leaky_relu where the file does not tell VideoPose3D's networks from the official SRNet's (a
line says so); --config.model.adds_input=True and --config.model.normalization=lcn for networks trained under lcn;
--config.model.recombine=add for context from all joints; --config.model.input_joints=coco_17 and --config.model.joints=... for
other keypoints and joints than Human3.6M's. A field that the file decides must not be set. Data, protocol and
training are the config's.
"""

from absl import flags

from srnet_jax.commands import app

app.define_config()
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "The file, in PyTorch's zip or older format.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "New folder for the run.", required=True)


def main() -> None:
    """Import, and say what to type next."""
    from ml_collections import config_flags

    from srnet_jax.config import command_line
    from srnet_jax.official.runs import import_run

    import_run(
        _CHECKPOINT.value, command_line.load(), _WORKDIR.value, changed=config_flags.get_override_values(flags.FLAGS["config"])
    )
    print(f"done. Evaluate with: python -m launch.evaluate --workdir={_WORKDIR.value}")
    print(f"  train on with: python -m launch.train --workdir={_WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)
