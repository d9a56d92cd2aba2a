"""One training in several processes: how they start, agree, and end together.

All processes run the same program on their part of each batch. Process 0 alone reads and writes the workdir. What only one
of them can know (a signal, a checkpoint that is due, a mistake) is exchanged at points that all reach. In a single process
everything here returns at once.
"""

import contextlib
import json
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from srnet_jax.errors import Interrupted, TrainingError, UserError, one_line
from srnet_jax.training import peers

START_S = 300.0  # to wait for the other processes, by default
AUTO = "auto"
_GRACE_S = 5.0  # for a process to end by itself when another has
_MEETING_S = 1.0  # between two meetings in an epoch
_LOST = "error: another process of this training has ended; start all of them again to continue\n"
_NETWORK = re.compile(r"gloo|nccl|UNAVAILABLE|DEADLINE_EXCEEDED|coordination service", re.IGNORECASE)

_lost = threading.Event()  # another process ended
_leaving = threading.Event()  # this one is about to
_ending = threading.Lock()
_connected = threading.Event()  # `start` has found the others


def check(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Check what a command line says about the processes.

    Raises:
      UserError: if something is missing, superfluous, or out of range.
    """
    given = {"num_processes": num_processes, "process_id": process_id}
    if coordinator is None or coordinator == AUTO:
        for name, value in given.items():
            if value is not None:
                expected = "nothing beside auto" if coordinator else "--coordinator=HOST:PORT too"
                raise UserError(f"--{name}={value}: expected {expected}")
        return
    found = _address(coordinator)
    if found is None:
        raise UserError(f"--coordinator={coordinator}: expected HOST:PORT, as 10.0.0.1:1234, or auto")
    if num_processes is None or process_id is None:
        missing = next(name for name, value in given.items() if value is None)
        raise UserError(f"--{missing}: missing, expected a number beside --coordinator={coordinator}")
    if num_processes < 1:
        raise UserError(f"--num_processes={num_processes}: expected 1 or more")
    if not 0 <= process_id < num_processes:
        raise UserError(f"--process_id={process_id}: expected a number from 0 to {num_processes - 1}")


def start(coordinator: str | None, num_processes: int | None, process_id: int | None, within_s: float = START_S) -> None:
    """Connect the processes of a training, before anything else is done with JAX.

    Args:
      coordinator: HOST:PORT of process 0; `auto` to take all from SLURM, a TPU, Open MPI or Kubernetes, see
        `jax.distributed.initialize`; None to train in this process alone.
      num_processes: with HOST:PORT.
      process_id: of this process, from 0, with HOST:PORT.
      within_s: seconds to wait for the others.

    Raises:
      UserError: if the arguments are wrong, or the processes do not find each other.
    """
    check(coordinator, num_processes, process_id)
    if coordinator is None:
        return
    local_device_ids = None
    if coordinator == AUTO:
        coordinator, num_processes, process_id, local_device_ids = _detect(within_s)
    address = _address(coordinator)
    if address is None or num_processes is None or process_id is None:
        raise UserError(f"--coordinator={coordinator}: expected HOST:PORT, as 10.0.0.1:1234")
    if num_processes == 1:
        return
    if process_id == 0:
        inner = peers.host(address[1], num_processes, within_s, _on_loss)
    else:
        inner = peers.join(address, num_processes, process_id, within_s, _on_loss)
    _connected.set()
    jax.distributed.initialize(
        inner,
        num_processes,
        process_id,
        local_device_ids,
        cluster_detection_method="deactivate",
        coordinator_bind_address=inner,
        initialization_timeout=max(int(within_s), 30),
        heartbeat_timeout_seconds=int(3 * peers.SILENCE_S),  # `peers` is to notice first
    )
    if process_id:  # only process 0 has something to say there, but gloo greets whenever it connects other devices
        sys.stdout.flush()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.close(nothing)
    with _without_stdout():
        numbers = {len([device for device in jax.devices() if device.process_index == i]) for i in range(num_processes)}
        if len(numbers) > 1:
            raise UserError(f"the processes have {min(numbers)} to {max(numbers)} devices, expected the same number in each")
        exchange("")


def count() -> int:
    """Return the number of processes."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
    """Return this process's number."""
    return jax.process_index() if count() > 1 else 0


def is_first() -> bool:
    """Tell whether this is process 0, which alone prints and writes."""
    return index() == 0


def exchange(text: str) -> list[str]:
    """Return what each process gives, in the order of the processes; waits for all of them."""
    if count() == 1:
        return [text]
    data = np.frombuffer(text.encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.int32(len(data))).reshape(-1)
    padded = np.zeros(max(256, 1 << int(sizes.max()).bit_length()), np.uint8)  # few sizes, as each is compiled
    padded[: len(data)] = data
    gathered = multihost_utils.process_allgather(padded).reshape(len(sizes), -1)
    return [bytes(row[:size]).decode() for row, size in zip(gathered, sizes, strict=True)]


def any_of(value: bool) -> bool:
    """Tell whether it is true in any process."""
    return "1" in exchange(str(int(value)))


def from_first(work: Callable[[], float]) -> float:
    """Return the number that process 0 computes."""
    return float(exchange(repr(float(work())) if is_first() else "")[0])


def broadcast(tree: Any) -> Any:
    """Return the arrays of process 0 for those of the same shapes of any process, to the bit; unchanged in a single one."""
    if count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    data = np.concatenate([np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in leaves])
    data = np.asarray(multihost_utils.broadcast_one_to_all(data))
    ends = np.cumsum([leaf.nbytes for leaf in leaves])
    parts = np.split(data, ends[:-1])
    arrays = [part.copy().view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    return jax.tree.unflatten(structure, arrays)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Let a UserError or an Interrupted that one process raises in the context be raised by all at its end."""
    failure: UserError | Interrupted | None = None
    try:
        yield
    except (UserError, Interrupted) as error:
        if count() == 1:
            raise
        failure = error
    said = exchange(json.dumps([isinstance(failure, Interrupted), str(failure)]) if failure else "")
    if failure:
        raise failure
    for number, text in enumerate(said):
        if text:
            interrupted, message = json.loads(text)
            raise Interrupted(message) if interrupted else TrainingError(f"process {number}: {message}")


def _short(value: Any) -> str:
    return one_line(repr(value), 100)


def _identical(a: Any, b: Any) -> bool:
    return json.dumps(a) == json.dumps(b)  # 1 is not 1.0


def check_same(
    fields: dict[str, Any], *, same: Callable[[Any, Any], bool] = _identical, words: Callable[[Any], str] = _short
) -> None:
    """Refuse processes that do not agree.

    Args:
      fields: simply JSON, by name; in all processes.
      same: compares two values.
      words: describes a value.

    Raises:
      UserError: in all processes, names the fields of the first process that differs from process 0.
    """
    found = [json.loads(text) for text in exchange(json.dumps(fields))]
    for number, other in enumerate(found):
        names = [name for name in found[0] if not same(found[0][name], other.get(name))]
        if names:
            differing = [f"{name} ({words(found[0][name])} in process 0, {words(other.get(name))} there)" for name in names]
            raise UserError(f"process {number}: another {', '.join(differing)}; expected the same in all processes")


class Meetings:
    """Points in an epoch at which the processes exchange what each of them wants; about a second apart."""

    def __init__(self, first: int) -> None:
        """Begin after step `first`."""
        self._next = self._last = first
        self._met_at = time.monotonic()

    def at(self, step: int, result: Any, **wants: bool) -> dict[str, bool]:
        """Return which wishes any process has, after a step that all reach; none where they do not meet.

        Args:
          step: steps done.
          result: of the step; waited for, because two computations that communicate must not overlap.
          **wants: wishes by name.
        """
        if count() == 1:
            return wants
        if step < self._next:
            return dict.fromkeys(wants, False)
        jax.block_until_ready(result)
        elapsed = max(time.monotonic() - self._met_at, 1e-3)
        coming = step + max(1, round((step - self._last) * _MEETING_S / elapsed))
        found = [json.loads(text) for text in exchange(json.dumps([coming, wants]))]
        self._next, self._last, self._met_at = found[0][0], step, time.monotonic()
        return {name: any(other[name] for _, other in found) for name in wants}


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """Say at the end of the context that this process finishes what it is about, whatever became of the others."""
    try:
        yield
    finally:
        _leaving.set()


@contextlib.contextmanager
def exiting() -> Iterator[None]:
    """End the program with the context, if it is one of several processes; with exit code 75 and one line if another is gone.

    JAX is not shut down: that would wait for processes that may be gone.
    """
    try:
        yield
    except SystemExit as exit_:
        if _connected.is_set():
            _end(exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None))
        raise
    except Exception as error:
        if not _connected.is_set():
            raise
        _leaving.set()
        if _lost.wait(_GRACE_S) or _NETWORK.search(str(error)):
            _end(75, _LOST)
        traceback.print_exc()
        _end(1)


def _on_loss() -> None:
    """End the process soon after another has, unless it does so itself."""
    _lost.set()
    if not _leaving.wait(_GRACE_S):
        _end(75, _LOST)


def _end(code: int, message: str = "") -> NoReturn:
    _leaving.set()
    _ending.acquire()  # for good: one line, whoever is first
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(2, message.encode())
    os._exit(code)


def _detect(within_s: float) -> tuple[Any, Any, Any, Any]:
    """Return coordinator, number of processes, this one's, and its devices, as `jax.distributed.initialize` finds them."""
    from jax._src.clusters import ClusterEnv  # there is no public way to ask

    try:
        found = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, int(within_s))
    except Exception as error:  # whatever an environment that is half set up leads to
        raise UserError(f"--coordinator=auto: {one_line(error)}") from error
    if None in found[:3]:
        raise UserError("--coordinator=auto: found no SLURM, TPU, Open MPI or Kubernetes, expected HOST:PORT")
    return found


def _address(coordinator: str) -> tuple[str, int] | None:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", coordinator)
    if match is None or not 0 < int(match[3]) < 2**16:
        return None
    return match[1] or match[2], int(match[3])


@contextlib.contextmanager
def _without_stdout() -> Iterator[None]:
    """Drop what libraries in C++ print."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
