"""How a launcher and the warm runner speak: one JSON line each way over a Unix socket in a 0700 folder.

Request `{"run_id", "arguments"}`: `arguments` is what follows `python -m dagster`. Answer `{"pid", "started"}`, or
`{"refused": reason}`. A process is known by its id and its start time, so that a reused id is never mistaken for it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from streams.settings import Settings

_MAX_MESSAGE = 8_000_000
_SOCKET_PATH_MAX = 100


class WarmRunnerUnavailable(Exception):
    """Nobody answers on the socket, or the answer is a refusal; the stock way must be taken."""


@dataclass(frozen=True)
class Worker:
    """One process: its id and its start time in clock ticks since boot."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return start_ticks(self.pid) == self.started


def socket_path(settings: Settings) -> Path:
    """Return the path of the socket: in the home, or in a folder of its own under /tmp where that path is too long."""
    path = settings.home_dir / "run" / "warm.sock"
    if len(str(path)) <= _SOCKET_PATH_MAX:
        return path
    digest = sha256(str(settings.home_dir).encode()).hexdigest()[:10]
    return Path("/tmp") / f"crossbook-run-{digest}" / "warm.sock"  # noqa: S108 - a 0700 folder, checked by its maker


def start_ticks(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot); None if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def request_launch(path: Path, run_id: str, arguments: Sequence[str], timeout_s: float = 5.0) -> Worker:
    """Ask the warm runner to fork a process for a run and return it.

    Raises:
        WarmRunnerUnavailable: If it cannot or does not want to.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            send(connection, {"run_id": run_id, "arguments": list(arguments)})
            answer = receive(connection)
    except (OSError, ValueError) as error:
        raise WarmRunnerUnavailable(f"{type(error).__name__}: {error}") from None
    if "pid" not in answer:
        raise WarmRunnerUnavailable(str(answer.get("refused", "no answer")))
    return Worker(int(str(answer["pid"])), int(str(answer["started"])))


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
