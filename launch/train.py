"""Train a network, or continue an interrupted training with the same command.

python -m launch.train --config=configs/quickstart.py --workdir=runs/sr [--config.FIELD=VALUE ...]

Without --config a run continues with the config in its workdir, and a new run uses configs/default.py.

SIGTERM and Ctrl-C stop training after the current step and save a checkpoint. However training ends, the same command continues
it, with the same result. Exit codes: 0 done, 2 a mistake or a run that cannot continue (one line says why), 75 stopped by a
signal (130 or 143 by a second one).

Several processes, on one machine or on several, can train one network. Start each with the same command and its own number:

python -m launch.train --config=... --workdir=... --coordinator=HOST:PORT --num_processes=N --process_id=I

HOST:PORT is the address of process 0 and a free port there. Under SLURM, on a TPU, with Open MPI or Kubernetes,
--coordinator=auto finds all three values. Only process 0 uses the workdir and prints. SIGTERM or Ctrl-C to one process stops
all with exit code 75; if one fails or is killed, the others end with a non-zero code.
"""

from srnet_jax.training import interruption

interruption.stop_at_once()  # before the imports, which take seconds

from absl import flags

from srnet_jax.commands import app
from srnet_jax.training import processes

app.define_config()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of this run: config, metrics and checkpoints.", required=True)
_FORK = flags.DEFINE_bool("fork", False, "Continue the workdir's run with a changed config; forks.json records the changes.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "Train in several processes: HOST:PORT of process 0, or auto for SLURM, TPU, Open MPI and Kubernetes."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "Number of processes; required with --coordinator=HOST:PORT.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Number of this process, from 0; required with --coordinator=HOST:PORT.")
_WAIT_S = flags.DEFINE_float("wait_s", processes.START_S, "Seconds to wait for the other processes to start.")


def main() -> None:
    """Train the network, and print the next command."""
    from srnet_jax.config import command_line
    from srnet_jax.training.loop import train_members

    processes.start(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value, _WAIT_S.value)
    train_members(command_line.load(_WORKDIR.value), _WORKDIR.value, fork=_FORK.value)
    print(f"done. Evaluate with: python -m launch.evaluate --workdir={_WORKDIR.value}")


if __name__ == "__main__":
    with processes.exiting():
        app.run(main)
