"""Train a network, or continue an interrupted run: the same command does both.

python -m launch.train --config=configs/quickstart.py --workdir=runs/sr [--config.FIELD=VALUE ...]

Without --config a run continues with the config that its workdir holds; a new one takes configs/default.py.
"""

from absl import flags

from launch import app

app.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of this run: config, metrics and checkpoints.", required=True)


def main() -> None:
    """Train, and say what to type next."""
    from srnet_jax.training.loop import train_and_evaluate

    train_and_evaluate(app.config_for(_WORKDIR.value), _WORKDIR.value)
    print(f"done. Evaluate with: python -m launch.evaluate --workdir={_WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)
