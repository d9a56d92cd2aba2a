"""Time functions by calling them alternately, in one process or in several.

If the speed of the machine changes during the measurement, it changes for all functions.
"""

import contextlib
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from srnet_jax.errors import UserError

Maker = Callable[[str], Callable[[], object]]  # maps the name of a case to the function that is timed
_ALLOCATOR = "GLIBC_TUNABLES"  # see commands/process.py
_PEAK_MEMORY = "peak memory"  # sent instead of a case


def seconds_of(function: Callable[[], object]) -> float:
    """Call a function and return the seconds that it took."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def in_turns(timers: dict[str, Callable[[], float]], rounds: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Call timers alternately, and return the seconds of each timer in each round; the first `warm_up` rounds are left out."""
    taken = [{name: timer() for name, timer in timers.items()} for _ in range(warm_up + rounds)][warm_up:]
    return {name: [seconds[name] for seconds in taken] for name in timers}


def medians(functions: dict[str, Callable[[], object]], rounds: int, warm_up: int) -> dict[str, float]:
    """Call functions in this process alternately, and return the median seconds of each."""
    seconds = in_turns({name: partial(seconds_of, function) for name, function in functions.items()}, rounds, warm_up)
    return {name: statistics.median(times) for name, times in seconds.items()}


def ratios(slow: list[float], fast: list[float]) -> list[float]:
    """Return the ratio of slow to fast seconds in each round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median over the rounds of the ratio of slow to fast seconds."""
    return statistics.median(ratios(slow, fast))


def _serve(pipe: Connection, make: Maker) -> None:
    """Run in a worker: receive names of cases, call their functions, and send back the seconds or an error message."""
    functions: dict[str, Callable[[], object]] = {}
    while (case := pipe.recv()) is not None:
        try:
            if case == _PEAK_MEMORY:
                pipe.send(_peak_memory())
                continue
            if case not in functions:
                functions.clear()  # keep only one function in memory, as in a training
                functions[case] = make(case)
            pipe.send(seconds_of(functions[case]))
        except UserError as error:
            pipe.send(error)
            return
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return


def _peak_memory() -> int:
    """Return the peak memory of this process, bytes: on JAX's device if JAX reports it, otherwise in main memory."""
    jax = sys.modules.get("jax")
    device_statistics = jax and jax.devices()[0].memory_stats()
    peak = (device_statistics or {}).get("peak_bytes_in_use")
    unit = 1 if sys.platform == "darwin" else 1024
    return peak or unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextlib.contextmanager
def workers(makers: dict[str, tuple[Maker, bool]]) -> Iterator[dict[str, Connection]]:
    """Start a worker process for each maker, and stop the workers when the context ends.

    Args:
      makers: for each name a maker, which its process imports, and whether the process runs with our allocator settings
        (otherwise with those of the system).

    Yields:
      A pipe to each worker, by name; see `ask`.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    own_settings = os.environ.get(_ALLOCATOR)
    try:
        for name, (maker, tuned) in makers.items():
            if not tuned:
                os.environ.pop(_ALLOCATOR, None)
            pipes[name], worker_end = context.Pipe()
            process = context.Process(target=_serve, args=(worker_end, maker), daemon=True)
            process.start()
            processes.append(process)
            if own_settings is not None:
                os.environ[_ALLOCATOR] = own_settings
        yield pipes
    finally:
        for pipe in pipes.values():
            with contextlib.suppress(OSError):  # of a worker that has ended
                pipe.send(None)
        for process in processes:
            process.join(5)
            process.kill()


def ask(pipe: Connection, case: str = _PEAK_MEMORY) -> Any:
    """Ask a worker to call the function of a case; return the seconds that it took.

    Without a case, return the worker's peak memory in bytes.

    Raises:
      UserError: the worker's.
      RuntimeError: if the worker failed otherwise.
    """
    pipe.send(case)
    answer = pipe.recv()
    if isinstance(answer, UserError):
        raise answer
    if isinstance(answer, str):
        raise RuntimeError(f"{case}: {answer}")
    return answer


def alternate(pipes: dict[str, Connection], case: str, rounds: int) -> dict[str, list[float]]:
    """Call the function of a case in each worker alternately; return the seconds of each worker in each round."""
    return in_turns({name: partial(ask, pipe, case) for name, pipe in pipes.items()}, rounds)
