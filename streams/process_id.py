"""Which process is which: known by boot, process namespace, id and start ticks.

Neither a reused id nor a step of the clock is mistaken for it.

Start times that libraries derive from the wall clock move with it; the ticks in `/proc/<pid>/stat` never do.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of one boot of one machine.

    Attributes:
        boot: The kernel's id of this boot, empty where it is not known.
        namespace: Number of the process namespace: a container sees only its own ids. 0 where it is not known.
        pid: Process id within that namespace.
        ticks: When it started, in clock ticks since boot.
    """

    boot: str
    namespace: int
    pid: int
    ticks: int

    @classmethod
    def own(cls) -> Self:
        """Return the identity of this process; asked anew after a fork."""
        return cls(boot_id(), pid_namespace(), os.getpid(), start_ticks(os.getpid()) or 0)

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the identity of a process that runs here now; None if there is none or it is a zombie."""
        ticks = start_ticks(pid)
        return None if ticks is None else cls(boot_id(), pid_namespace(), pid, ticks)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what `str` made a text of; None where the text is none of those."""
        boot, _, rest = text.partition("/")
        parts = rest.split("/")
        if not boot or len(parts) != 3 or not all(part.isdecimal() and part.isascii() for part in parts):
            return None
        return cls(boot, *(int(part) for part in parts))

    def __str__(self) -> str:
        return f"{self.boot}/{self.namespace}/{self.pid}/{self.ticks}"

    @property
    def is_visible(self) -> bool:
        """Whether it would be seen from here: the same boot and the same namespace."""
        return bool(self.boot) and (self.boot, self.namespace) == (boot_id(), pid_namespace())

    @property
    def is_alive(self) -> bool:
        """Whether this very process is known to run. False also where it cannot be seen from here."""
        return self.is_visible and start_ticks(self.pid) == self.ticks

    @property
    def is_gone(self) -> bool:
        """Whether this very process is known to have ended. False also where it cannot be seen from here."""
        return self.is_visible and start_ticks(self.pid) != self.ticks

    def signal(self, number: int) -> bool:
        """Send a signal to this very process and to no other; False if it is not there or not ours to signal."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return self._signal_by_number(number)
        try:
            # The descriptor is of one process: whoever has the id now is compared before anything is sent.
            if not self.is_alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _signal_by_number(self, number: int) -> bool:
        """Where the kernel has no descriptors of processes."""
        if not self.is_alive:
            return False
        with suppress(OSError):
            os.kill(self.pid, number)
            return True
        return False


@cache
def boot_id() -> str:
    """Return the kernel's id of this boot; empty where it tells none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def pid_namespace() -> int:
    """Return the number of the namespace that our process ids belong to; 0 where the kernel tells none."""
    try:
        return int(os.readlink("/proc/self/ns/pid").partition("[")[2].rstrip("]"))
    except (OSError, ValueError):
        return 0


def start_ticks(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot); None if there is none or it is a zombie."""
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def stat_fields(pid: int) -> list[str] | None:
    """Return what `/proc/<pid>/stat` says behind the command's name; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields if len(fields) > 19 else None


def private_memory_mb(pid: int) -> float:
    """Return the memory (MB) that a process has by itself, without what it shares; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0.0


def all_pids() -> list[int]:
    """Return the ids of all processes that can be seen from here."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def session_cpu_s(session: int) -> float:
    """Return the processor time (seconds) that a session's processes have used so far, their dead children's too."""
    ticks = 0
    for pid in all_pids():
        fields = stat_fields(pid)
        if fields is not None and int(fields[3]) == session:
            ticks += sum(int(part) for part in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def pid_with_arguments(*arguments: bytes) -> int | None:
    """Return a process whose first arguments behind its program are these; None where there is none."""
    for pid in all_pids():
        with suppress(OSError):
            found = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if found[1 : 1 + len(arguments)] == list(arguments):
                return pid
    return None


def works_in(pid: int, folder: Path) -> bool:
    """Whether a folder is a process's working directory; False where that may not be seen."""
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


def environment_value(pid: int, name: str) -> str | None:
    """Return a variable of the environment a process was started with; None where it has none or may not be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    start = name.encode() + b"="
    for entry in environment.split(b"\0"):
        if entry.startswith(start):
            return os.fsdecode(entry[len(start) :])
    return None
