"""Handle SIGTERM and Ctrl-C: the first stops training after the current step, the second ends the program at once."""

import os
import signal
import threading
from types import FrameType, TracebackType

from srnet_jax.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_at_once() -> None:
    """Make SIGTERM and Ctrl-C end the program at once with exit code 75 ("try again"), while there is nothing to save.

    The handler does not raise an exception, because a library that is being imported can swallow it. This module does not
    import JAX, so that the handler can be installed before slow imports.
    """
    for number in _SIGNALS:
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted; run the same command again to continue\n")
    os._exit(75)


class Interruption:
    """A context manager that listens for the signals.

    In several processes, JAX's own notifier listens for SIGTERM, and all processes agree on the step to stop after; Ctrl-C is
    forwarded as SIGTERM.

    Attributes:
      deferred: True if the caller polls `stop` after each step; while it is False, a signal raises Interrupted.
    """

    def __init__(self) -> None:
        import jax

        self.deferred = False
        self._requested = False
        self._calls = 0
        self._together = jax.process_count() > 1

    def __enter__(self) -> "Interruption":
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            signals = (signal.SIGINT,) if self._together else _SIGNALS
            self._before = {number: signal.signal(number, self._handle) for number in signals}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop(self) -> bool:
        """Return whether training must stop now; all processes call this equally often and get the same answer."""
        if not self._together:
            return self._requested
        from jax.experimental import multihost_utils

        self._calls += 1
        return multihost_utils.reached_preemption_sync_point(self._calls)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            os._exit(128 + number)  # the exit code of an uncaught signal; the next start removes half-written files
        self._requested = True
        if self._together:
            os.kill(os.getpid(), signal.SIGTERM)
        elif not self.deferred:
            raise Interrupted("stopped before training began; run the same command again")
        os.write(2, b"stopping after this step; a second signal stops at once\n")  # print() is not allowed in a handler
