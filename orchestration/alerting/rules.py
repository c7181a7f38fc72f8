"""Which alerts are due by the facts: what is wrong is opened, what is over is closed, what is not known stays. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestration.alerting.facts import DagsterFacts, Facts
from streams.alerting.facts import LedgerReading, TableFacts, VenueFacts
from streams.alerting.kinds import KINDS, Severity
from streams.market.documents import JsonDocument

_SILENT_S = 120.0
_SWEEPS_MISSED = 10
_BEHIND_AT_LEAST_S = 600.0
_CENT_E6 = 10_000
_LETTERS_LEAST = 10
_CHECKS_WITH_AN_ALERT_OF_THEIR_OWN = frozenset({"ledger_cash_equals_venue_cash", "nothing_is_escalated"})


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on things are wrong.

    Attributes:
        discovery_interval_s: Time between two sweeps of a venue.
        dead_letter_share: Share of the input above which what cannot be used alarms.
    """

    discovery_interval_s: float
    dead_letter_share: float


@dataclass(frozen=True, slots=True)
class WantedAlert:
    """An alert that is to be open. Its key begins with that of its `Judged`."""

    kind: str
    key: str
    message: str
    severity: Severity
    detail: JsonDocument = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was judged under one beginning of keys.

    Attributes:
        prefix: Beginning of the keys; open alerts that begin so and are neither wanted nor unknown are over.
        wanted: To be open.
        unknown: Keys about which nothing is known now: they stay as they are.
    """

    prefix: str
    wanted: Sequence[WantedAlert] = ()
    unknown: Sequence[str] = ()


def due_alerts(facts: Facts, limits: Limits) -> list[Judged]:
    """Return what follows from the facts. The same facts give the same answer, whoever judges and how often."""
    judged: list[Judged] = []
    if facts.dagster is not None:
        judged += _of_dagster(facts.dagster, facts.watched_s)
    if facts.tables is not None:
        judged += _of_tables(facts.tables, limits, facts.watched_s)
    return judged


def _wanted(kind: str, subject: str, message: str, severity: Severity | None = None, **detail: object) -> WantedAlert:
    key = f"{kind}:{subject}" if subject else kind
    return WantedAlert(kind, key, message, severity or KINDS[kind].severity, detail)


# -- Dagster -----------------------------------------------------------------------------------------------------------


def _of_dagster(facts: DagsterFacts, watched_s: float) -> Iterator[Judged]:
    yield Judged(
        "run_failed:",
        [
            _wanted(
                "run_failed",
                run.work,
                f"{run.work}: run {run.run_id[:8]} failed at {run.failed_at:%Y-%m-%d %H:%M} UTC"
                f"{f': {run.why}' if run.why else ''}.",
                run_id=run.run_id,
            )
            for run in facts.failed_runs
        ],
    )
    checks = [check for check in facts.checks if check.name.split(": ")[-1] not in _CHECKS_WITH_AN_ALERT_OF_THEIR_OWN]
    yield Judged(
        "check_failed:",
        [
            _wanted(
                "check_failed",
                check.name,
                f"The check {check.name} does not pass.",
                "warning" if check.is_error else "notice",
            )
            for check in checks
            if check.passed is False
        ],
        [f"check_failed:{check.name}" for check in checks if check.passed is None],
    )
    for kind, is_mart in (("stale_asset", False), ("stale_mart", True)):
        late = [asset for asset in facts.assets if asset.is_mart is is_mart and (asset.age_s or 0.0) > asset.limit_s]
        yield Judged(
            f"{kind}:",
            [
                _wanted(
                    kind,
                    asset.name,
                    f"{asset.name} was made last {_ago(asset.age_s or 0.0)} ago; it should be every "
                    f"{_ago(asset.limit_s)}.",
                )
                for asset in late
                if watched_s > asset.limit_s
            ],
            [f"{kind}:{asset.name}" for asset in late if watched_s <= asset.limit_s],
        )
    yield Judged(
        "sensor_stopped:",
        [
            _wanted("sensor_stopped", one.name, f"{one.name} is stopped, and must run.")
            for one in facts.instigators
            if one.is_stopped
        ],
    )
    yield Judged(
        "sensor_failed:",
        [
            _wanted("sensor_failed", one.name, f"{one.name} fails each time it is evaluated: {one.error}.")
            for one in facts.instigators
            if one.error and not one.is_stopped
        ],
    )


def _ago(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


# -- tables ------------------------------------------------------------------------------------------------------------


def _of_tables(facts: TableFacts, limits: Limits, watched_s: float) -> Iterator[Judged]:
    yield Judged(
        "silent_venue:",
        [wanted for venue in facts.venues for wanted in _silent(venue)],
        [f"silent_venue:{venue.venue}" for venue in facts.venues if not _is_heard(venue) and _is_quiet(venue)],
    )
    yield Judged(
        "discovery_behind:",
        [wanted for venue in facts.venues for wanted in _behind(venue, limits.discovery_interval_s, watched_s)],
    )
    yield Judged(
        "dead_letters:recorder:",
        [wanted for venue in facts.venues for wanted in _unusable(venue, limits.dead_letter_share)],
    )
    by_venue: dict[str, list[LedgerReading]] = {venue.venue: [] for venue in facts.venues}
    for reading in facts.ledger:
        by_venue.setdefault(reading.venue, []).append(reading)
    yield Judged(
        "ledger:",
        [wanted for readings in by_venue.values() for wanted in _differs(readings)],
        [f"ledger:{venue}" for venue, readings in by_venue.items() if _is_open_question(readings)],
    )
    undelivered = f"{facts.undelivered} alerts could not be sent by any channel for ten minutes."
    yield Judged("undelivered", [_wanted("undelivered", "", undelivered)] if facts.undelivered else [])


def _is_heard(venue: VenueFacts) -> bool:
    """Whether somebody has listened for long enough to say that the venue is silent, or that it is not."""
    return venue.recorded_s is not None and venue.recorded_s > _SILENT_S


def _is_quiet(venue: VenueFacts) -> bool:
    return venue.markets > 0 and venue.quiet_s > _SILENT_S


def _silent(venue: VenueFacts) -> list[WantedAlert]:
    if not _is_heard(venue) or not _is_quiet(venue):
        return []
    message = f"{venue.venue} has sent nothing for {_ago(venue.quiet_s)}; {venue.markets} of its markets are recorded."
    return [_wanted("silent_venue", venue.venue, message)]


def _behind(venue: VenueFacts, interval_s: float, watched_s: float) -> list[WantedAlert]:
    limit_s = max(_SWEEPS_MISSED * interval_s, _BEHIND_AT_LEAST_S)
    age_s = watched_s if venue.sweep_age_s is None else venue.sweep_age_s
    if age_s <= limit_s:
        return []
    if venue.sweep_age_s is None:
        message = f"No sweep of {venue.venue} has ended well in {_ago(age_s)}."
    else:
        message = f"The last good sweep of {venue.venue} ended {_ago(age_s)} ago."
    return [_wanted("discovery_behind", venue.venue, message)]


def _unusable(venue: VenueFacts, share: float) -> list[WantedAlert]:
    if venue.letters < _LETTERS_LEAST or venue.letters <= share * venue.frames:
        return []
    message = f"{venue.letters} frames of {venue.venue} within an hour cannot be used, of {venue.frames} received."
    return [_wanted("dead_letters", f"recorder:{venue.venue}", message)]


def _differs(readings: Sequence[LedgerReading]) -> list[WantedAlert]:
    if len(readings) < 2 or not all(_is_apart(reading) for reading in readings):
        return []
    newest = readings[0]
    cash, ledger = newest.cash_e6 / 1e6, newest.ledger_cash_e6 / 1e6
    message = f"{newest.venue} holds {cash:.2f} dollars, and our ledger {ledger:.2f}."
    return [_wanted("ledger", newest.venue, message, cash_e6=newest.cash_e6, ledger_cash_e6=newest.ledger_cash_e6)]


def _is_open_question(readings: Sequence[LedgerReading]) -> bool:
    """Whether the last two readings say two things, or there is one only."""
    return len(readings) < 2 or _is_apart(readings[0]) is not _is_apart(readings[1])


def _is_apart(reading: LedgerReading) -> bool:
    return abs(reading.cash_e6 - reading.ledger_cash_e6) >= _CENT_E6
