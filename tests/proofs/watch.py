"""Watching a running system from outside: `crossbook status --json`, the venues' cash, memory, first times."""

from __future__ import annotations

import itertools
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg

from tests.proofs.accounts import Reading, read_cash
from tests.support.whole_home import Home

_HEDGED = ("HEDGED", "SETTLED")


@dataclass
class Watch:
    """What was seen of one run.

    Attributes:
        seen: Every status document, in order.
        first: Seconds from the start until something was first seen.
        cash: Readings of accounts with nothing in flight.
        most_memory_mb: Largest sum of the processes' proportional memory.
    """

    home: Home
    started: subprocess.Popen[str]
    seen: list[dict[str, Any]] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)
    cash: list[Reading] = field(default_factory=list)
    most_memory_mb: int = 0
    ended_after_s: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def until_end(self, limit_s: float, poll_s: float = 4.0) -> int:
        """Look on until the system has stopped by itself; return its exit code.

        Raises:
            TimeoutError: If it runs longer than `limit_s`.
        """
        while self.started.poll() is None:
            if time.monotonic() - self._began > limit_s:
                raise TimeoutError(f"it still runs after {limit_s:.0f} s")
            self.look()
            time.sleep(poll_s)
        self.ended_after_s = time.monotonic() - self._began
        return self.started.returncode

    def look(self) -> dict[str, Any]:
        """Take one status; return it, empty when the system does not answer (yet)."""
        try:
            code, document = self.home.ask("status")
        except (subprocess.TimeoutExpired, ValueError):
            return {}
        if code != 0 or not document:
            return {}
        self.seen.append(document)
        self._note_firsts(document)
        self.most_memory_mb = max(self.most_memory_mb, _memory_mb(self.home))
        try:
            with self.home.connect() as connection:
                self.cash += read_cash(self.home.settings(), connection)
        except (psycopg.Error, OSError):
            return dict(document)
        return dict(document)

    def _note_firsts(self, status: dict[str, Any]) -> None:
        is_seen = {
            "answers": True,
            "pairs": sum(status["pairs"].values()) > 0,
            "deltas": status["deltas"] > 0,
            "signal": status["signals"] > 0,
            "hedged trade": any(trade["state"] in _HEDGED for trade in status["trades"]),
            "every mart has rows": bool(status["marts"]) and all(mart["rows"] for mart in status["marts"]),
            "settled trade": any(trade["state"] == "SETTLED" for trade in status["trades"]),
        }
        for name, is_there in is_seen.items():
            if is_there:
                self.first.setdefault(name, time.monotonic() - self._began)


def _memory_mb(home: Home) -> int:
    total = 0
    for process in home.processes():
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total // 1_000_000


def counters(status: dict[str, Any]) -> dict[str, int]:
    """Return the figures of a status that can only grow."""
    found = {f"markets.{venue}": count for venue, count in status["markets"].items()}
    found |= {name: status[name] for name in ("candidates", "verdicts", "deltas", "signals")}
    found |= {"gaps.total": status["gaps"]["total"], "pairs": sum(status["pairs"].values())}
    found |= {f"refusals.{reason}": count for reason, count in status["refusals"].items()}
    found["trades"] = len(status["trades"])
    return found


def decreases(seen: list[dict[str, Any]]) -> list[str]:
    """Return each counter that went down from one status to the next."""
    found = []
    for before, after in itertools.pairwise(seen):
        now = counters(after)
        for name, was in counters(before).items():
            if now.get(name, 0) < was:
                found.append(f"{name}: {was} -> {now.get(name, 0)}")
    return found
