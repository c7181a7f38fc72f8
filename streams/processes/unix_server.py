"""An ASGI application served on a Unix socket in a folder that only we may enter."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn

from streams.processes.handover import listen_at


def serve_on_socket(app: Any, path: Path, *, log_level: str, **options: Any) -> None:
    """Serve an application until a signal; a socket that a killed process left is replaced, ours is removed.

    Args:
        app: The ASGI application.
        path: Of the socket.
        log_level: Of uvicorn, in lower case.
        options: Further ones of uvicorn.

    Raises:
        ConfigurationError: If the folder is somebody else's.
    """
    config = uvicorn.Config(app, log_level=log_level, access_log=False, proxy_headers=False, **options)
    logging.getLogger("uvicorn.access").disabled = True  # Streamlit gives that logger a handler of its own
    try:
        serve_on([listen_at(path)], config)
    finally:
        path.unlink(missing_ok=True)


def serve_on(listeners: Sequence[socket.socket], config: uvicorn.Config) -> None:
    """Serve on sockets that listen until a signal, and close them.

    uvicorn raises the signal once more at its end; that must not end the process before what its caller does last.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        uvicorn.Server(config).run(sockets=list(listeners))
    finally:
        for listener in listeners:
            listener.close()
