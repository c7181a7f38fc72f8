"""How a run gets its secrets: it asks the supervisor over a Unix socket, so that they stand in no file, in no argument
and in no environment that another process inherits.

One JSON line each way: `{"process": name}`, and the variables of that process. Only the user who runs the supervisor
may ask. The process that forks runs never knows their secrets: each run asks for its own.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from streams.log_files import write_line
from streams.market.errors import ConfigurationError
from streams.private_folders import check_private_folder, drop_socket_folder, home_socket, make_private_folder
from streams.processes.parts import SECRET_NAMES, Process, without_secrets
from streams.settings import SUPERVISED, Settings, hold_secrets, setting_name

_NAME = "secrets.sock"
_DAGSTER_ADDRESS = setting_name("dagster_pg_url")
_MESSAGE_MAX = 65_536
_LIMIT_S = 5.0
_PAUSE_S = 0.1


def listen_at(path: Path) -> socket.socket:
    """Listen on a Unix socket in a folder that only we may enter.

    Raises:
        ConfigurationError: If the folder belongs to somebody else.
    """
    make_private_folder(path.parent)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(64)
    return listener


class SecretsDesk:
    """The supervisor's side: answers each process that asks with what is its own, in a thread, until closed."""

    def __init__(self, settings: Settings, secrets: Mapping[Process, Mapping[str, str]]) -> None:
        self._home = settings.home_dir
        self._path = home_socket(self._home, _NAME)
        self._answers = {str(process): dict(values) for process, values in secrets.items()}
        self._listener = listen_at(self._path)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="secrets", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket; the last use of the folder that sockets of a long home stand in."""
        self._is_closed.set()
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(_LIMIT_S)
        drop_socket_folder(self._home)

    def _serve(self) -> None:
        while not self._is_closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed, or for now there is no descriptor left
                self._is_closed.wait(_PAUSE_S)
                continue
            with connection, suppress(OSError, ValueError, RecursionError):
                connection.settimeout(_LIMIT_S)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        if _peer_user(connection) != os.getuid():
            return
        asked = _receive(connection)
        connection.sendall(json.dumps(self._answers.get(str(asked.get("process")), {})).encode() + b"\n")


def take_secrets(settings: Settings, process: Process) -> None:
    """Let `load_settings` know the secrets of this process, and no others; a run does it first of all.

    They stay in memory: a process that this one starts, as Dagster does to copy a run's output, does not inherit them.
    A process that no supervisor started keeps what it has, and so does one whose supervisor does not answer.
    """
    if SUPERVISED not in os.environ:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_LIMIT_S)
            path = home_socket(settings.home_dir, _NAME)
            check_private_folder(path.parent)
            connection.connect(str(path))
            connection.sendall(json.dumps({"process": process}).encode() + b"\n")
            answer = _receive(connection)
    except (OSError, ValueError, ConfigurationError) as error:
        write_line(f"the supervisor hands out no secrets: {type(error).__name__}")
        return
    for name in set(os.environ) - set(without_secrets(os.environ)):
        del os.environ[name]
    fields = {setting_name(field): field for field in Settings.model_fields}
    hold_secrets({fields[name]: value for name, value in answer.items() if name in SECRET_NAMES - {_DAGSTER_ADDRESS}})
    # Dagster reads its address from the environment and nowhere else.
    os.environ.update(
        {name: str(value) for name, value in answer.items() if name not in SECRET_NAMES or name == _DAGSTER_ADDRESS}
    )


def _receive(connection: socket.socket) -> dict[str, object]:
    data = b""
    while not data.endswith(b"\n"):
        part = connection.recv(4096)
        if not part or len(data) > _MESSAGE_MAX:
            break
        data += part
    message = json.loads(data or b"{}")
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def _peer_user(connection: socket.socket) -> int:
    """Return the user id of the process at the other end."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", packed)[1])
