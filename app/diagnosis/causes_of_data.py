"""Causes that lie in the database, the recording and the warehouse."""

from __future__ import annotations

from collections.abc import Callable

from app.diagnosis.cause import Cause
from app.diagnosis.facts import DatabaseFacts, Facts, WarehouseFacts
from app.supervisor.checks.database_check import CONNECTIONS_NEEDED
from app.supervisor.checks.logins import shared_logins
from streams.settings import Settings
from streams.storage.access.logins import GROUPS
from streams.storage.schema_version import code_schema_version

_SKEW_LIMIT_S = 2.0
_MART_INTERVALS = 3
_MART_BUILD_S = 120
_EVENT_MARTS = frozenset({"volume_1m"})
"""They have a row only where something happened; how old the newest one is says nothing."""


def mart_limit_s(settings: Settings) -> float:
    """Return how old the newest minute of a mart may be: three intervals and the time of a build."""
    return _MART_INTERVALS * settings.marts_interval_s + _MART_BUILD_S


def _of_database(look: Callable[[DatabaseFacts], str]) -> Callable[[Facts], str]:
    def run(facts: Facts) -> str:
        return "" if facts.database is None or facts.database.problem else look(facts.database)

    return run


def _of_warehouse(look: Callable[[WarehouseFacts], str]) -> Callable[[Facts], str]:
    return lambda facts: "" if facts.warehouse is None else look(facts.warehouse)


def _malformed(facts: Facts) -> str:
    return facts.database.problem if facts.database is not None and facts.database.is_malformed else ""


def _unreachable(facts: Facts) -> str:
    # A home in which nothing runs has no embedded server to answer.
    if facts.database is None or facts.database.is_malformed:
        return ""
    return facts.database.problem if facts.is_running or facts.settings.database_url is not None else ""


def _schema(facts: Facts) -> str:
    found, ours = None if facts.trading is None else facts.trading.schema_version, code_schema_version()
    if found is None or found == ours:
        return ""
    return f"the schema {found} is {'newer' if found > ours else 'older'} than this code's {ours}"


def _no_schema(facts: Facts) -> str:
    if facts.database is None or facts.database.problem or facts.database.has_schema:
        return ""
    return "The database has no Crossbook schema yet." if facts.expects_life else ""


def _environment(facts: Facts) -> str:
    found = None if facts.trading is None else facts.trading.environment
    if found is None or found == facts.settings.venues:
        return ""
    return f"the database belongs to {found}, CROSSBOOK_VENUES is {facts.settings.venues}"


def _connections(database: DatabaseFacts) -> str:
    free = database.free_connections
    return f"{max(0, free)} connections are free, {CONNECTIONS_NEEDED} are needed" if free < CONNECTIONS_NEEDED else ""


def _one_login(facts: Facts) -> str:
    shared = shared_logins(facts.settings)
    if not shared:
        return ""
    if len(shared) == len(GROUPS):
        return "every process logs in as the user of DATABASE_URL"
    return f"the user of DATABASE_URL does the work of {', '.join(shared)}"


def _superuser(facts: Facts) -> str:
    if facts.database is None or facts.settings.database_url is None or not facts.database.is_superuser:
        return ""
    return "the user of DATABASE_URL is a superuser of its server"


def _skew(database: DatabaseFacts) -> str:
    return f"the database's clock is {database.skew_s:+.1f} s off ours" if abs(database.skew_s) > _SKEW_LIMIT_S else ""


def _no_marts(facts: Facts) -> str:
    if facts.warehouse is None or facts.warehouse.marts:
        return ""
    return "The warehouse models have not been built yet." if facts.expects_life else ""


def _stale_marts(facts: Facts) -> str:
    if facts.warehouse is None:
        return ""
    limit, source = mart_limit_s(facts.settings), facts.warehouse.quote_age_s
    # Where a living recorder receives nothing new, there is nothing a build could add.
    is_quiet = _has_recorder(facts) and source is not None and source > limit
    late = [
        f"{mart.name} is {mart.age_s:.0f} s old"
        for mart in facts.warehouse.marts
        if mart.age_s is not None and mart.age_s > limit and mart.name not in _EVENT_MARTS
    ]
    return "" if is_quiet or not late else f"{', '.join(late)}; built every {facts.settings.marts_interval_s} s"


def _has_recorder(facts: Facts) -> bool:
    return facts.trading is not None and facts.trading.recorders > 0


def _failed_tests(warehouse: WarehouseFacts) -> str:
    return ". ".join(
        f"Data test {test.test} does not pass since {test.failed_at:%Y-%m-%d %H:%M} UTC; it concerns "
        f"{', '.join(test.marts)}"
        for test in warehouse.failed_tests
    )


def _recorder(facts: Facts) -> str:
    if facts.trading is None or not facts.expects_life:
        return ""
    age = facts.trading.recorder_age_s
    if age is None:
        return "No recorder has run yet."
    is_late = age > facts.settings.recorder_stale_after_s
    return f"The recorder had no heartbeat for {age:.0f} s." if is_late else ""


def _gaps(facts: Facts) -> str:
    if facts.warehouse is None or not _has_recorder(facts):
        return ""
    count = facts.warehouse.gaps.open_too_long
    return f"{count} books are not received for two minutes" if count else ""


def _stale_books(facts: Facts) -> str:
    if facts.warehouse is None or not _has_recorder(facts) or not facts.warehouse.stale_books:
        return ""
    return f"{facts.warehouse.stale_books} recorded books are stale or crossed"


def _dead_letters(warehouse: WarehouseFacts) -> str:
    letters = warehouse.dead_letters
    return f"{letters.count} in the last day; the latest: {letters.latest_reason[:200]}" if letters.count else ""


def _sweeps(facts: Facts) -> str:
    if facts.warehouse is None:
        return ""
    if facts.warehouse.failed_sweeps:
        return "; ".join(facts.warehouse.failed_sweeps)
    settings = facts.settings
    interval = settings.sandbox_discovery_interval_s if settings.venues == "sandbox" else settings.discovery_interval_s
    age, limit = facts.warehouse.sweep_age_s, 3 * interval + 600
    return f"the last discovery ended {age:.0f} s ago" if facts.expects_life and age is not None and age > limit else ""


CAUSES: tuple[Cause, ...] = (
    Cause("database address", "DATABASE_URL is malformed.",
          "Write it as postgresql://user:password@host:port/name, with signs like @ and / in it percent-encoded.",
          _malformed),
    Cause("database", "The database does not answer.",
          "Look at its log (CROSSBOOK_HOME/postgres/postgres.log for the embedded one) and at DATABASE_URL.",
          _unreachable),
    Cause("schema", "The schema is older or newer than the code.",
          "Older: start again, the start brings it up to date. Newer: use the version of Crossbook that made it.",
          _schema),
    Cause("schema is there", "A running system's database has no schema.", "Start again with `make up`: it creates it.",
          _no_schema),
    Cause("environment", "The database belongs to other venues.", "Set CROSSBOOK_VENUES, or use another database.",
          _environment),
    Cause("connections", "Too few connections are free.", "Raise max_connections, or end what holds them.",
          _of_database(_connections)),
    Cause("logins", "One login does everything.",
          "Run what `crossbook database sql` prints, then set CROSSBOOK_DATABASE_URL_*; docs/how-to/own-postgresql.md.",
          _one_login, is_notice=True),
    Cause("superuser", "The login of DATABASE_URL is a superuser.", "Use a login that owns this database alone.",
          _superuser, is_notice=True),
    Cause("database clock", "The database's clock and ours differ.", "Set both machines' clocks by NTP.",
          _of_database(_skew)),
    Cause("marts are built", "The warehouse has no series yet.",
          "The first pass builds them; look into Dagster's runs if it failed.", _no_marts),
    Cause("marts", "A mart is older than three of its intervals.",
          "Look into Dagster's runs of the warehouse, and whether default_automation_condition_sensor runs.",
          _stale_marts),
    Cause("data tests", "A data test fails.", "Open the asset in the Dagster UI; the check shows the rows.",
          _of_warehouse(_failed_tests)),
    Cause("recorder", "No recorder gives a sign of life.",
          "Open the Dagster UI: sensor stream_supervisor must be running; see docs/runbooks/recorder.md.", _recorder),
    Cause("coverage", "Books have not been received for two minutes.",
          "The dashboard's health page names them and the cause; see docs/runbooks/recorder.md.", _gaps),
    Cause("books", "Recorded books are stale or crossed.",
          "They are compared with whole ones by themselves; if they stay, see docs/runbooks/recorder.md.",
          _stale_books, is_notice=True),
    Cause("dead letters", "Input could not be used.", "Read the rows of raw.dead_letters: a venue may have changed.",
          _of_warehouse(_dead_letters)),
    Cause("discovery", "Discovery fails or has stopped.", "Look into Dagster's runs of discovery.", _sweeps),
)  # fmt: skip
