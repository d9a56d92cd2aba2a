"""The sockets between the processes of one training: who takes part, who is gone, and the messages of JAX between them.

Process 0 listens on the coordinator's port. Each other process connects there and says who it is. When all have, that
connection stays open, to notice the end of either side: the system closes the connections of a process that ends, however it
ends, and one that hangs, or whose machine is gone, falls silent.

Note:
  JAX's own coordination client ends its process with pages of text and SIGABRT as soon as its connection to process 0 breaks,
  and nothing in Python can prevent that. So it is connected to a forwarder in its own process, which never closes: what JAX
  sends travels on through the same port of process 0, to JAX's service, which listens on process 0's machine alone.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from srnet_jax.errors import UserError, one_line

BEAT_S = 5.0  # between signs of life
SILENCE_S = 60.0  # without one after which a process counts as gone
_HELLO_S = 5.0  # for a process that has connected to say who it is
_RETRY_S = 0.2
_LONGEST = 10_000  # bytes of a line


def host(port: int, count: int, within_s: float, lost: Callable[[], None]) -> str:
    """Wait, as process 0, for the others, and watch them from then on.

    Args:
      port: to listen on, on all of the machine's addresses.
      count: of processes, this one among them.
      within_s: seconds to wait.
      lost: called once for each process that ends, from a thread.

    Returns:
      HOST:PORT at which JAX's service must listen.

    Raises:
      UserError: if the port is in use, the processes do not agree on their number, or not all came in time.
    """
    try:
        both = socket.has_dualstack_ipv6()  # IPv4 and IPv6
        family = socket.AF_INET6 if both else socket.AF_INET
        listener = socket.create_server(("", port), family=family, backlog=count, dualstack_ipv6=both)
    except (OSError, OverflowError) as error:
        raise UserError(f"--coordinator: port {port} cannot be listened on ({error}), expected a free one here") from error
    joined: dict[int, socket.socket] = {}
    try:
        _wait_for_others(listener, joined, count, time.monotonic() + within_s, within_s)
    except UserError as error:
        for connection in joined.values():
            _send(connection, {"error": str(error)})
            connection.close()
        listener.close()
        raise
    for connection in joined.values():
        _send(connection, {})
    service = _free_port()
    threading.Thread(target=_forward, args=(listener, ("127.0.0.1", service)), name="forward", daemon=True).start()
    _watch(list(joined.values()), lost)
    return f"127.0.0.1:{service}"


def join(address: tuple[str, int], count: int, process_id: int, within_s: float, lost: Callable[[], None]) -> str:
    """Connect to process 0, wait until all others have, and watch it from then on.

    Args:
      address: host and port of process 0.
      count: of processes.
      process_id: of this one.
      within_s: seconds to wait.
      lost: called when process 0 ends, from a thread.

    Returns:
      HOST:PORT to which JAX's client must connect.

    Raises:
      UserError: if process 0 does not answer in time, or refuses.
    """
    name = f"{address[0]}:{address[1]}"
    deadline = time.monotonic() + within_s
    connection = _connect(address, deadline)
    if connection is None:
        raise UserError(f"--coordinator={name}: no answer within {within_s:g} s, expected process 0 there")
    _send(connection, {"process_id": process_id, "num_processes": count})
    answer = _receive(connection, deadline + 2 * _HELLO_S)  # it waits for the others, and is the first to say who is missing
    if answer is None or "error" in answer:
        connection.close()
        reason = answer["error"] if answer else "no answer that is understood, expected process 0 of a training that starts"
        raise UserError(one_line(reason, _LONGEST) if answer else f"--coordinator={name}: {reason}")
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_forward, args=(listener, address), name="forward", daemon=True).start()
    _watch([connection], lost)
    return f"127.0.0.1:{listener.getsockname()[1]}"


def _wait_for_others(
    listener: socket.socket, joined: dict[int, socket.socket], count: int, deadline: float, within_s: float
) -> None:
    """Fill `joined`, by process, with connections; what says nothing that is understood is ignored."""
    while len(joined) < count - 1:
        listener.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            missing = [str(number) for number in range(1, count) if number not in joined]
            raise UserError(
                f"--num_processes={count}: process {', '.join(missing)} did not start within {within_s:g} s"
            ) from None
        hello = _receive(connection, time.monotonic() + _HELLO_S)
        if hello is None or not all(type(hello.get(name)) is int for name in ("process_id", "num_processes")):
            connection.close()
            continue
        process_id, others = hello["process_id"], hello["num_processes"]
        error = None
        if others != count:
            error = f"--num_processes: {others} in process {process_id}, {count} in process 0, expected the same"
        elif not 0 < process_id < count or process_id in joined:
            error = f"--process_id={process_id}: given to two processes, expected each from 0 to {count - 1} once"
        if error:
            _send(connection, {"error": error})
            connection.close()
            raise UserError(error)
        joined[process_id] = connection


def _watch(connections: list[socket.socket], lost: Callable[[], None]) -> None:
    """Send signs of life, and call `lost` for each connection that ends or falls silent."""

    def listen(connection: socket.socket) -> None:
        connection.settimeout(SILENCE_S)
        with contextlib.suppress(OSError):
            while connection.recv(64):
                pass
        lost()

    def beat() -> None:
        while True:
            time.sleep(BEAT_S)
            for connection in connections:
                with contextlib.suppress(OSError):  # the other thread notices
                    connection.send(b".")

    for connection in connections:
        threading.Thread(target=listen, args=(connection,), name="watch", daemon=True).start()
    threading.Thread(target=beat, name="beat", daemon=True).start()


def _forward(listener: socket.socket, target: tuple[str, int]) -> None:
    """Connect all who come to a target. No connection is closed before its own side is, see the module."""
    listener.settimeout(None)
    while True:
        near, _ = listener.accept()
        far = _connect(target, time.monotonic() + _HELLO_S)
        if far is None:
            near.close()
            continue
        far.settimeout(None)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, sink), name="forward", daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(2**16):
            sink.sendall(data)


def _connect(address: tuple[str, int], deadline: float) -> socket.socket | None:
    """Return a connection, or None if there is none before the deadline."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            return socket.create_connection(address, timeout=left)
        except (OSError, UnicodeError):  # nobody listens there yet, or the name is not known
            time.sleep(min(_RETRY_S, left))
    return None


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection: socket.socket, deadline: float) -> dict[str, Any] | None:
    """Return a message, or None if none that is one comes before the deadline."""
    line = b""
    while not line.endswith(b"\n"):
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            byte = connection.recv(1)  # not more: what follows belongs to others
        except OSError:
            return None
        if not byte or len(line) > _LONGEST:
            return None
        line += byte
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
