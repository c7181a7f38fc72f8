"""Channels on this machine: HTTP servers that take alerts, refuse them, hang, drip, answer nonsense or lead away."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

How = Literal["takes", "HTTP 500", "hangs", "garbage", "drips", "sends elsewhere"]


@dataclass
class LocalChannel:
    """A server that takes alerts; `received` are the JSON documents posted to it."""

    port: int
    how: How
    received: list[dict[str, Any]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def webhook(self) -> str:
        """Its address as a webhook."""
        return f"http://127.0.0.1:{self.port}/hook/sesame-opens-it"

    @property
    def apprise(self) -> str:
        """Its address as a channel of apprise."""
        return f"json://127.0.0.1:{self.port}/apprise/sesame-opens-it"


@contextmanager
def local_channel(how: How = "takes") -> Iterator[LocalChannel]:
    """Run a server on loopback for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            channel.received.append(json.loads(body))
            channel.arrived.set()
            self._answer()

        def do_GET(self) -> None:
            channel.gets.append(self.path)
            channel.arrived.set()
            self._answer()

        def _answer(self) -> None:
            if channel.how == "hangs":
                channel.released.wait(60)
                self.close_connection = True
            elif channel.how == "garbage":
                self.wfile.write(b"\x00\xff not HTTP at all\r\n\r\n")
                self.close_connection = True
            elif channel.how == "drips":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not channel.released.wait(0.05):
                    try:
                        self.wfile.write(b"x")
                    except OSError:
                        return
            elif channel.how == "sends elsewhere" and self.path != "/sign-in":
                self.send_response(302)
                self.send_header("Location", "/sign-in")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.send_response(500 if channel.how == "HTTP 500" else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        channel = LocalChannel(server.server_address[1], how)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield channel
        finally:
            channel.released.set()
            server.shutdown()
            thread.join()


def refused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
