"""What the proofs on recordings share: a home with ports of its own, processes in it, and a watch on memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import SHARED
from tests.support.ports import free_port

PORTS = (
    "DAGSTER_PORT",
    "DASHBOARD_PORT",
    "API_PORT",
    "CODE_SERVER_PORT",
    "KALSHI_SANDBOX_PORT",
    "POLYMARKET_SANDBOX_PORT",
    "SANDBOX_ADMIN_PORT",
    "POSTGRES_PORT",
)
ROOT = Path(__file__).resolve().parents[2]
_SAMPLE_S = 0.05


def recordings_folder() -> Path:
    """Return the folder of real recordings, or leave with a sentence that says where it is looked for."""
    folder = SHARED / "data"
    if not folder.is_dir():
        sys.exit(f"The proof needs the folder of real recordings at {folder}, which is not there.")
    return folder


@contextmanager
def own_environment(home: Path, **settings: str) -> Iterator[dict[str, str]]:
    """Let this process and its children use `home` and free ports; `settings` are names without the prefix."""
    before = dict(os.environ)
    os.environ.pop("DATABASE_URL", None)
    os.environ["CROSSBOOK_HOME"] = str(home)
    os.environ.update({f"CROSSBOOK_{name}": str(free_port()) for name in PORTS})
    os.environ.update({f"CROSSBOOK_{name.upper()}": value for name, value in settings.items()})
    try:
        yield dict(os.environ)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def sandbox(log: Path, limit_s: float = 120.0) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run the sandbox as a process; gives it and its ready line, and ends it at the end."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.sandbox"], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        watchdog = threading.Timer(limit_s, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            watchdog.cancel()
            if not line:
                raise SystemExit(f"the sandbox did not start: {log.read_text()[-2000:]}")
            yield process, json.loads(line)
        finally:
            watchdog.cancel()
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass
class Watch(threading.Thread):
    """Samples the resident memory of some processes, by name, and the CPU time they used."""

    processes: dict[str, psutil.Process]
    peaks_mb: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            for name, process in self.processes.items():
                with suppress(psutil.Error):
                    found = process.memory_info().rss / 1e6
                    self.peaks_mb[name] = max(self.peaks_mb.get(name, 0.0), found)

    def end(self) -> dict[str, int]:
        """Stop and return the peaks in MB."""
        self._ended.set()
        self.join()
        return {name: round(peak) for name, peak in self.peaks_mb.items()}


def measured(act: Callable[[], Any], processes: dict[str, psutil.Process]) -> tuple[Any, dict[str, Any]]:
    """Run `act`; return what it gave, and its seconds with the peak memory of the processes."""
    watch = Watch(processes)
    watch.start()
    started = time.monotonic()
    try:
        result = act()
    finally:
        seconds = time.monotonic() - started
        peaks = watch.end()
    return result, {"seconds": round(seconds, 1), "peak_mb": peaks}
