"""Ports for servers that a test starts: none is given twice, and the kernel gives none of them to anybody else."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_LOWEST = 10_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()
_source = random.SystemRandom()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on.

    It lies below those that the kernel hands out by itself, so that no connection and no server on port 0 takes it
    before the test's own server does. Where the kernel hands out nearly all ports, one of them has to do.
    """
    highest = int(_EPHEMERAL.read_text().split()[0]) - 1 if _EPHEMERAL.exists() else 0
    candidates = range(_LOWEST, highest + 1)
    for port in _source.sample(candidates, min(len(candidates), 200)):
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
