"""The process of the doors: it listens on all their ports with one uvicorn server."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.doors.proxy.app import Limits, Proxy, Site
from app.doors.proxy.decisions.buckets import Buckets
from app.doors.proxy.decisions.origin import parse_names
from app.doors.proxy.http import Behind
from app.doors.proxy.identities import Identities
from app.doors.proxy.own_pages import OwnPages
from app.doors.proxy.ports import doors_of
from app.doors.proxy.sockets import MESSAGE_MAX
from streams.logs import get_logger
from streams.market.errors import ConfigurationError
from streams.private_folders import home_socket
from streams.processes.unix_server import serve_on
from streams.settings import Settings, setting_name

HEAD_MAX = 64 * 1024
"""Most bytes of a request's line and headers, or between two parts of its body."""
_BURST_S = 5
_NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL, errno.EPROTONOSUPPORT})

log = get_logger(room="doors")


def create_proxy(settings: Settings) -> Proxy:
    """Return the application.

    Raises:
        ConfigurationError: If a setting cannot be used.
    """
    doors = doors_of(settings)
    try:
        others = parse_names(settings.other_hosts)
    except ValueError as error:
        raise ConfigurationError(f"{setting_name('other_hosts')}: {error}.") from None
    identities = Identities(settings)
    known, unknown = settings.requests_per_s, settings.unknown_requests_per_s
    return Proxy(
        {door.port: door for door in doors},
        {door.name: Behind(door.name, home_socket(settings.home_dir, door.socket_name)) for door in doors},
        identities,
        OwnPages(identities, settings),
        Limits(Buckets(known, known * _BURST_S), Buckets(unknown, unknown * _BURST_S)),
        Site(others, settings.is_live),
    )


def serve(settings: Settings) -> None:
    """Serve all doors until a signal.

    Raises:
        ConfigurationError: If a port is taken or a setting cannot be used.
    """
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_no_refusal)
    config = proxy_config(create_proxy(settings))
    serve_on(listen(door.port for door in doors_of(settings)), config)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's says more than that a handshake was refused, which it takes for a fault of ours."""
    return "without completing handshake" not in record.getMessage()


def proxy_config(app: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn serves the proxy."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="websockets-sansio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws_max_size=MESSAGE_MAX,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )


def listen(ports: Iterable[int]) -> list[socket.socket]:
    """Listen on ports of loopback: of 127.0.0.1, and of ::1 too, which `localhost` may mean, where there is IPv6.

    Raises:
        ConfigurationError: If a port of 127.0.0.1 cannot be had.
    """
    listeners: list[socket.socket] = []
    for port in ports:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                listeners.append(_bound(family, address, port))
            except OSError as error:
                if family == socket.AF_INET:
                    raise ConfigurationError(f"Port {port} cannot be opened: {error.strerror}.") from None
                if error.errno not in _NO_IPV6:
                    log.warning("localhost may lead browsers elsewhere", port=port, reason=error.strerror)
    return listeners


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which ends a connection whose headers, trailers or chunk extensions go on and on."""

    _unread = 0

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_MAX and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_body(self, body: bytes) -> None:
        """Part of a body was read."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request was read."""
        self._unread = 0
        super().on_message_complete()
