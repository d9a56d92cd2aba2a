"""Time functions in turns, in this process or in several, so that a machine whose speed drifts treats them alike."""

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

Maker = Callable[[str], Callable[[], object]]  # from a case to the function that is timed
_ALLOCATOR = "GLIBC_TUNABLES"  # see launch/__init__.py
_PEAK_MEMORY = "peak memory"  # sent instead of a case


def seconds_of(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def in_turns(timers: dict[str, Callable[[], float]], rounds: int, warm_up: int = 3) -> dict[str, list[float]]:
    """Call timers in turns, and return what they return, round by round, after `warm_up` rounds that do not count."""
    taken = [{name: timer() for name, timer in timers.items()} for _ in range(warm_up + rounds)][warm_up:]
    return {name: [seconds[name] for seconds in taken] for name in timers}


def medians(functions: dict[str, Callable[[], object]], rounds: int, warm_up: int) -> dict[str, float]:
    """Call functions of this process in turns, and return the median seconds of each."""
    seconds = in_turns({name: partial(seconds_of, function) for name, function in functions.items()}, rounds, warm_up)
    return {name: statistics.median(times) for name, times in seconds.items()}


def ratios(slow: list[float], fast: list[float]) -> list[float]:
    """Return the ratios, round by round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(ratios(slow, fast))


def _serve(pipe: Connection, make: Maker) -> None:
    """Call the function of each case that arrives, and answer with its seconds."""
    functions: dict[str, Callable[[], object]] = {}
    while (case := pipe.recv()) is not None:
        try:
            if case == _PEAK_MEMORY:
                pipe.send(_peak_memory())
                continue
            if case not in functions:
                functions.clear()  # one at a time, as in a training
                functions[case] = make(case)
            pipe.send(seconds_of(functions[case]))
        except UserError as error:
            pipe.send(error)
            return
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
            return


def _peak_memory() -> int:
    """Return the peak memory of this process, bytes: of JAX's device if it is counted there, otherwise of the machine."""
    jax = sys.modules.get("jax")
    statistics_of_device = jax and jax.devices()[0].memory_stats()
    peak = (statistics_of_device or {}).get("peak_bytes_in_use")
    unit = 1 if sys.platform == "darwin" else 1024
    return peak or unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextlib.contextmanager
def workers(makers: dict[str, tuple[Maker, bool]]) -> Iterator[dict[str, Connection]]:
    """Start a process for each maker.

    Args:
      makers: by name the maker, which is imported in its process, and whether the process keeps our allocator's settings;
        otherwise it has the system's.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    ours = os.environ.get(_ALLOCATOR)
    try:
        for name, (maker, tuned) in makers.items():
            if not tuned:
                os.environ.pop(_ALLOCATOR, None)
            pipes[name], theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, maker), daemon=True)
            process.start()
            processes.append(process)
            if ours is not None:
                os.environ[_ALLOCATOR] = ours
        yield pipes
    finally:
        for pipe in pipes.values():
            with contextlib.suppress(OSError):  # of a worker that has ended
                pipe.send(None)
        for process in processes:
            process.join(5)
            process.kill()


def ask(pipe: Connection, case: str = _PEAK_MEMORY) -> Any:
    """Return the seconds that a worker's function of a case takes, or the peak memory of the worker, bytes.

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
    """Call every worker's function of a case in turns; return the seconds, round by round."""
    return in_turns({name: partial(ask, pipe, case) for name, pipe in pipes.items()}, rounds)
