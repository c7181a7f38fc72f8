"""`crossbook doctor`: what is wrong with this installation and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from app.supervisor.preflight import check_home, check_platform, check_ports, wanted_ports
from app.supervisor.state import read_state
from streams.market.errors import ConfigurationError, StreamsError
from streams.settings import Settings
from streams.storage.database import Connection, connect, database_dsn
from streams.storage.embedded import binaries_dir
from streams.storage.store.alerts import count_critical_alerts
from streams.storage.store.executions import count_escalated
from streams.storage.store.leases import last_recorder_heartbeat
from streams.storage.store.orders import count_unknown_orders


@dataclass(frozen=True)
class Finding:
    """One check: what was found and, where something is wrong, its remedy."""

    check: str
    is_ok: bool
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Run every check that makes sense in the state the system is in."""
    running = read_state(settings.home_dir)
    findings = [
        _attempt("system", check_platform, "use a Linux with glibc 2.28 or newer"),
        _attempt("home", lambda: check_home(settings.home_dir, settings.min_free_disk_mb), "free space or move it"),
        _attempt("postgresql binaries", binaries_dir, "run `make up` again, or set DATABASE_URL"),
    ]
    if running is None:
        findings.append(_attempt("ports", lambda: check_ports(wanted_ports(settings)), "free the port or set another"))
        findings.append(Finding("running", True, "nothing runs in this home"))
        return findings
    findings.append(Finding("running", True, f"supervisor {running.pid}"))
    try:
        with connect(database_dsn(settings)) as connection:
            findings += _examine_database(settings, connection)
    except (psycopg.Error, StreamsError) as error:
        findings.append(Finding("database", False, str(error).strip(), "look at logs and at DATABASE_URL"))
    return findings


def _examine_database(settings: Settings, connection: Connection) -> list[Finding]:
    findings = [Finding("database", True, "answers")]
    heartbeat = last_recorder_heartbeat(connection)
    age = datetime.now(UTC) - heartbeat if heartbeat is not None else None
    findings.append(
        Finding(
            "recorder",
            age is not None and age < timedelta(seconds=settings.recorder_stale_after_s),
            f"last heartbeat {age.total_seconds():.0f} s ago" if age else "no recorder has a shard",
            "open the Dagster UI: sensor stream_supervisor must be running; see docs/runbooks/recorder.md",
        )
    )
    findings.append(
        _counted(
            "unresolved orders",
            count_unknown_orders(connection),
            "reads decide them; if they stay, compare with the venue's own order list",
        )
    )
    findings.append(_counted("escalated trades", count_escalated(connection), "see docs/runbooks/escalated-trade.md"))
    findings.append(
        _counted("open alerts", count_critical_alerts(connection), "the dashboard's health page lists them")
    )
    return findings


def _counted(check: str, count: int, remedy: str) -> Finding:
    return Finding(check, count == 0, str(count), remedy if count else "")


def _attempt(check: str, act: Callable[[], object], remedy: str) -> Finding:
    try:
        act()
    except ConfigurationError as error:
        return Finding(check, False, str(error), remedy)
    return Finding(check, True, "well")
