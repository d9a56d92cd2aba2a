"""Run one training in several processes, with `jax.distributed`.

`jax.distributed` connects the processes, detects a process that ends, and ends the others. All processes run the same program
on their part of each batch; process 0 writes the workdir (see `run_directory`) and prints. In a single process all functions
here return at once. JAX is imported where it is used, because `python -m launch.train --help` does without it.

JAX's coordination service has no authentication: every client that can reach the coordinator's port can take part. The service
listens on the given address, and gloo's sockets between CPUs on the machine's own address; use both only in a trusted network.
"""

import contextlib
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from srnet_jax.errors import UserError, one_line

START_S = 300.0  # default time to wait for the other processes
_LONGEST_WAIT_S = 1_000_000  # longest time to wait; JAX takes whole seconds
HEARTBEAT_S = 30  # without a heartbeat after which a process counts as lost
AUTO = "auto"
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]]+):([0-9]{1,5})")
_RESTART = "start all processes again to continue"


def check(coordinator: str | None, num_processes: int | None, process_id: int | None, within_s: float = START_S) -> None:
    """Check the flags of a command line that describe the processes.

    Raises:
      UserError: if a flag is missing, superfluous, or out of range.
    """
    if not 1 <= within_s <= _LONGEST_WAIT_S:
        raise UserError(f"--wait_s={within_s:g}: expected seconds from 1 to {_LONGEST_WAIT_S:,}")
    given = {"num_processes": num_processes, "process_id": process_id}
    if coordinator is None or coordinator == AUTO:
        for name, value in given.items():
            if value is not None:
                expected = "no such flag with --coordinator=auto" if coordinator else "--coordinator=HOST:PORT as well"
                raise UserError(f"--{name}={value}: expected {expected}")
        return
    match = _ADDRESS.fullmatch(coordinator)
    if match is None or not 0 < int(match[1]) < 2**16:
        raise UserError(f"--coordinator={coordinator}: expected HOST:PORT, such as 10.0.0.1:1234, or auto")
    if num_processes is None or process_id is None:
        missing = next(name for name, value in given.items() if value is None)
        raise UserError(f"--{missing}: missing, expected a number with --coordinator={coordinator}")
    if num_processes < 1:
        raise UserError(f"--num_processes={num_processes}: expected 1 or more")
    if not 0 <= process_id < num_processes:
        raise UserError(f"--process_id={process_id}: expected a number from 0 to {num_processes - 1}")


def start(coordinator: str | None, num_processes: int | None, process_id: int | None, within_s: float = START_S) -> None:
    """Connect the processes of a training; call this before any other use of JAX.

    Args:
      coordinator: HOST:PORT of process 0, which listens only on that address; `auto` to take all values from SLURM, a TPU,
        Open MPI or Kubernetes, see `jax.distributed.initialize`; None to train in a single process.
      num_processes: number of processes; required with HOST:PORT.
      process_id: number of this process, from 0; required with HOST:PORT.
      within_s: seconds to wait for the other processes.

    Raises:
      UserError: if the arguments are wrong, or the processes do not find each other.
    """
    check(coordinator, num_processes, process_id, within_s)
    if coordinator is None:
        return
    import jax

    given: dict[str, Any] = {}
    if coordinator != AUTO:
        given = {"coordinator_address": coordinator, "num_processes": num_processes, "process_id": process_id}
        given |= {"cluster_detection_method": "deactivate"}
        given |= {"coordinator_bind_address": coordinator} if process_id == 0 else {}
    try:
        jax.distributed.initialize(**given, initialization_timeout=int(within_s), heartbeat_timeout_seconds=HEARTBEAT_S)
    except (RuntimeError, ValueError) as error:
        expected = "SLURM, a TPU, Open MPI or Kubernetes" if coordinator == AUTO else f"all processes within {within_s:g} s"
        raise UserError(f"--coordinator={coordinator}: {one_line(error).rstrip('.')}; expected {expected}") from error
    if jax.process_index():  # only process 0 prints
        sys.stdout.flush()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
    numbers = {len([device for device in jax.devices() if device.process_index == i]) for i in range(jax.process_count())}
    if len(numbers) > 1:
        raise UserError(f"the processes have {min(numbers)} to {max(numbers)} devices, expected the same number in each")


def check_same(fields: dict[str, Any], *close: float) -> None:
    """Check that all processes have the same config and data.

    Args:
      fields: JSON values by name, which must be equal in all processes.
      *close: numbers that may differ in their last bits.

    Raises:
      UserError: in all processes; names the fields of the first process that differs from process 0.
    """
    import jax

    if jax.process_count() == 1:
        return
    checksums = np.array([zlib.crc32(json.dumps(value).encode()) for value in fields.values()], np.uint32)
    from jax.experimental import multihost_utils

    gathered = multihost_utils.process_allgather((checksums, np.array(close, np.float32)))
    others, numbers = (np.asarray(array).reshape(jax.process_count(), -1) for array in gathered)
    for number in range(jax.process_count()):
        names = [name for name, same in zip(fields, others[number] == others[0], strict=True) if not same]
        names += [] if np.allclose(numbers[number], numbers[0], rtol=1e-4, atol=1e-5) else ["data"]
        if names:
            raise UserError(
                f"process {number}: found another {', '.join(names)} than in process 0, expected the same in all processes"
            )


def broadcast(tree: Any) -> Any:
    """Return the arrays of process 0, equal to the bit, in every process; the shapes must be equal in all."""
    import jax

    if jax.process_count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    data = np.concatenate([np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves])
    from jax.experimental import multihost_utils

    data = np.asarray(multihost_utils.broadcast_one_to_all(data))
    parts = np.split(data, np.cumsum([leaf.nbytes for leaf in leaves])[:-1])
    arrays = [part.copy().view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, arrays)


@contextlib.contextmanager
def exiting() -> Iterator[None]:
    """End a failed process at once, without waiting for the other processes, which detect the end and end too."""
    try:
        yield
    except SystemExit as exit_:
        if _connected() and exit_.code not in (None, 0, 75):
            _end(exit_.code if isinstance(exit_.code, int) else 1)
        raise
    except Exception as error:
        if not _connected():
            raise
        print(f"error: {one_line(error)}; {_RESTART}", file=sys.stderr)
        _end(1)


def _connected() -> bool:
    """Return whether this is one of several processes; without JAX it is not."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def _end(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
