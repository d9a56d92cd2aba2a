"""Train a network, or continue an interrupted run: the same command does both.

python -m launch.train --config=configs/quickstart.py --workdir=runs/sr [--config.FIELD=VALUE ...]

Without --config a run continues with the config that its workdir holds; a new one takes configs/default.py.

SIGTERM and Ctrl-C stop after the step in flight, with a checkpoint. However training ends, the same command continues it, to
the same result. Exit codes: 0 done, 2 a mistake or a run that cannot go on (one line says why), 75 stopped by a signal (130 or
143 by a second one).

Several processes, on one machine or many, train one network. Start each with the same command and its own number:

python -m launch.train --config=... --workdir=... --coordinator=HOST:PORT --num_processes=N --process_id=I

HOST is where process 0 runs, PORT a free one there. Under SLURM, on a TPU, with Open MPI or Kubernetes --coordinator=auto finds
all three. Process 0 alone uses the workdir and prints. SIGTERM or Ctrl-C to one process stops all with exit code 75; if one
fails or is killed, the others end with a non-zero code.
"""

from srnet_jax.training import interruption

interruption.stop_at_once()  # before imports that take seconds

from absl import flags

from srnet_jax.commands import app
from srnet_jax.training import processes

app.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of this run: config, metrics and checkpoints.", required=True)
_FORK = flags.DEFINE_bool("fork", False, "Go on with the workdir's run under another config; forks.json records it.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Train in several processes: HOST:PORT of process 0, or auto for SLURM, TPU, Open MPI and Kubernetes."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes, with --coordinator=HOST:PORT.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "This process's number, from 0, with --coordinator=HOST:PORT.")
_WAIT_S = flags.DEFINE_float("wait_s", processes.START_S, "Seconds to wait for the other processes to start.")


def main() -> None:
    """Train, and say what to type next."""
    from srnet_jax.config import command_line
    from srnet_jax.training.loop import train_members

    processes.start(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value, _WAIT_S.value)
    train_members(command_line.load(_WORKDIR.value), _WORKDIR.value, fork=_FORK.value)
    print(f"done. Evaluate with: python -m launch.evaluate --workdir={_WORKDIR.value}")


if __name__ == "__main__":
    with processes.exiting():
        app.run(main)
