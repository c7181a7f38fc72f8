"""One examination: the facts are gathered within a limit and judged by the registry."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from app.diagnosis import causes
from app.diagnosis.cause import Finding
from app.diagnosis.database import (
    look_at_dagster,
    look_at_database,
    look_at_trading,
    look_at_warehouse,
    look_with,
)
from app.diagnosis.facts import (
    DagsterFacts,
    DatabaseFacts,
    Facts,
    FileFacts,
    OutsideFacts,
    ProcessFacts,
    SoftwareFacts,
    WarehouseFacts,
)
from app.diagnosis.files import look_at_files
from app.diagnosis.gathering import Failed, gather
from app.diagnosis.outside import look_outside
from app.diagnosis.processes import look_at_processes
from app.diagnosis.software import look_at_software
from app.supervisor.state import read_state
from streams.market.errors import ConfigurationError
from streams.settings import Settings, load_settings, setting_name
from streams.storage.store.warehouse import TradingPulse

T = TypeVar("T")

_LIMIT_S = 10.0
_LIVE_LIMIT_S = 6.0
_SETTING = re.compile(r"\b(CROSSBOOK_[A-Z0-9_]+|DATABASE_URL|OPENAI_API_KEY)\b")
_BAD_MAX = 50


def examine(settings: Settings, bad_settings: tuple[str, ...] = ()) -> list[Finding]:
    """Look at everything and return one finding per cause, within twelve seconds whatever hangs."""
    facts = gather_facts(settings, bad_settings)
    if facts.supervisor_pid is None:
        running = Finding("running", True, "nothing runs in this home")
    else:
        running = Finding("running", True, f"supervisor {facts.supervisor_pid}")
    return [running, *(cause.judge(facts) for cause in causes.CAUSES)]


def examine_live(settings: Settings) -> list[Finding]:
    """Look at what tells whether the system lives, on this machine and in the database only, and return what is wrong.

    Quick enough for a page that is drawn every few seconds, and without a look at the keys of the venues.
    """
    facts = gather_facts(settings, only_live=True)
    findings = (cause.judge(facts) for cause in causes.CAUSES if cause.check in causes.LIVENESS)
    return [finding for finding in findings if not finding.is_ok]


def gather_facts(settings: Settings, bad_settings: tuple[str, ...] = (), *, only_live: bool = False) -> Facts:
    """Return what is known now; what does not answer in time is named and left out."""
    pid = None
    with suppress(ConfigurationError):  # another user's home; the look at its files says so
        running = read_state(settings.home_dir)
        pid = None if running is None else running.pid
    looks: dict[str, Callable[[], object]] = {
        "files": lambda: look_at_files(settings, opens_keys=not only_live),
        "processes": lambda: look_at_processes(settings, pid),
        "database": lambda: look_at_database(settings),
    }
    tables: dict[str, Callable[[], object]] = {
        "trading": look_with(settings, look_at_trading(settings)),
        "warehouse": look_with(settings, look_at_warehouse),
        "dagster": look_with(settings, look_at_dagster),
    }
    if not only_live:
        looks["software"] = look_at_software
        asks = settings.venues != "sandbox" or pid is not None
        looks["outside"] = lambda: look_outside(settings, ask_venues=asks)
    has_database = pid is not None or settings.database_url is not None
    found = gather(looks | (tables if has_database else {}), _LIVE_LIMIT_S if only_live else _LIMIT_S)
    database = _database(found.get("database"))
    # Without a database or its tables nothing of theirs can be seen, which is said by causes of their own.
    asked = [*looks, *(tables if has_database and not database.problem and database.has_schema else ())]
    return Facts(
        settings=settings,
        bad_settings=bad_settings,
        supervisor_pid=pid,
        files=_as(FileFacts, found.get("files")),
        software=_as(SoftwareFacts, found.get("software")),
        processes=_as(ProcessFacts, found.get("processes")),
        database=database,
        dagster=_as(DagsterFacts, found.get("dagster")),
        trading=_as(TradingPulse, found.get("trading")),
        warehouse=_as(WarehouseFacts, found.get("warehouse")),
        outside=_as(OutsideFacts, found.get("outside")),
        not_looked_at=tuple(name for name in asked if name not in found),
        failed_looks=tuple(f"{name} ({look.error})" for name in asked if isinstance(look := found.get(name), Failed)),
        is_served=only_live,
    )


def _database(found: object) -> DatabaseFacts:
    if isinstance(found, Failed):
        return DatabaseFacts(f"it could not be looked at ({found.error})")
    return found if isinstance(found, DatabaseFacts) else DatabaseFacts("it did not answer in time")


def _as(kind: type[T], value: object) -> T | None:
    return value if isinstance(value, kind) else None


def settings_and_problems() -> tuple[Settings, tuple[str, ...]]:
    """Return the settings, each that cannot be used replaced by its default, and what is wrong with those."""
    overrides: dict[str, Any] = {}
    problems: list[str] = []
    fields = {setting_name(name): name for name in Settings.model_fields}
    for _ in range(_BAD_MAX):
        try:
            return load_settings(**overrides), tuple(problems)
        except ConfigurationError as error:
            problems.append(str(error))
            named = _SETTING.search(str(error))
        name = "" if named is None else named[0]
        field = fields.get(name)
        if field is not None and field not in overrides:
            overrides[field] = Settings.model_fields[field].default
        elif field is None and name in os.environ:
            del os.environ[name]  # of this process, which only looks
        else:
            break
    home = os.environ.get(setting_name("home")) or str(Settings.model_fields["home"].default)
    return Settings.model_construct(home=Path(home)), tuple(problems)
