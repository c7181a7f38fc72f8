"""How a launcher and the warm runner speak: one JSON line each way over a Unix socket in a 0700 folder.

Request `{"run_id", "process", "arguments"}`: `process` says whose secrets the run takes, `arguments` is what follows
`python -m dagster`. Answer `{"pid", "started", "boot"}`, or `{"refused": reason}`. A process is known by its id, its
start time and the boot, so that a reused id is never mistaken for it. Arguments may name secrets: they are sent only
into a folder that nobody else can have made.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.market.errors import ConfigurationError
from streams.private_folders import check_private_folder, home_socket
from streams.process_id import ProcessId, boot_id, pid_namespace, start_ticks
from streams.processes.parts import Process
from streams.settings import Settings

_MAX_MESSAGE = 8_000_000


class WarmRunnerUnavailable(Exception):
    """Nobody answers on the socket, or the answer is a refusal; the stock way must be taken."""


@dataclass(frozen=True)
class Worker:
    """One process.

    Attributes:
        pid: Its id.
        started: Its start time in clock ticks since boot.
        boot: The kernel's id of that boot; empty in runs that an earlier version launched.
    """

    pid: int
    started: int
    boot: str = ""

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return self.boot in ("", boot_id()) and start_ticks(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Send a signal to this very process; False if it has ended."""
        return ProcessId(self.boot or boot_id(), pid_namespace(), self.pid, self.started).signal(number)


def socket_path(settings: Settings) -> Path:
    """Return the path of the socket: in the home, or in a folder of its own under /tmp where that path is too long."""
    return home_socket(settings.home_dir, "warm.sock")


def request_launch(
    path: Path, run_id: str, process: Process, arguments: Sequence[str], timeout_s: float = 5.0
) -> Worker:
    """Ask the warm runner to fork a process for a run and return it.

    Raises:
        WarmRunnerUnavailable: If it cannot or does not want to.
    """
    try:
        check_private_folder(path.parent)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            send(connection, {"run_id": run_id, "process": str(process), "arguments": list(arguments)})
            answer = receive(connection)
    except (OSError, ValueError, ConfigurationError) as error:
        raise WarmRunnerUnavailable(f"{type(error).__name__}: {error}") from None
    if "pid" not in answer:
        raise WarmRunnerUnavailable(str(answer.get("refused", "no answer")))
    return Worker(int(str(answer["pid"])), int(str(answer["started"])), str(answer.get("boot", "")))


def send(connection: socket.socket, message: dict[str, object]) -> None:
    """Send one message."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection: socket.socket) -> dict[str, object]:
    """Receive one message.

    Raises:
        ValueError: If it is no JSON object, or too long.
    """
    data = b""
    while not data.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            break
        data += part
        if len(data) > _MAX_MESSAGE:
            raise ValueError("message too long")
    message = json.loads(data or b"{}")
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message
