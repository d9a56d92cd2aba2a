"""Train a network, or continue an interrupted run: the same command does both.

python -m launch.train --config=configs/quickstart.py --workdir=runs/sr [--config.FIELD=VALUE ...]

Without --config a run continues with the config that its workdir holds; a new one takes configs/default.py.

SIGTERM and Ctrl-C stop after the step in flight, with a checkpoint. However training ends, the same command continues it, to
the same result. Exit codes: 0 done, 2 a mistake or a run that cannot go on (one line says why), 75 stopped by a signal.
"""

from srnet_jax.training import interruption

interruption.stop_at_once()  # before imports that take seconds

from absl import flags

from launch import app

app.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of this run: config, metrics and checkpoints.", required=True)
_FORK = flags.DEFINE_bool("fork", False, "Go on with the workdir's run under another config; forks.json records it.")


def main() -> None:
    """Train, and say what to type next."""
    from srnet_jax.training.loop import train_members

    train_members(app.config_for(_WORKDIR.value), _WORKDIR.value, fork=_FORK.value)
    print(f"done. Evaluate with: python -m launch.evaluate --workdir={_WORKDIR.value}")


if __name__ == "__main__":
    app.run(main)
