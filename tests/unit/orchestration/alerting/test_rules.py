"""Which alerts follow from which facts: opened, closed, or left as they are where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orchestration.alerting.facts import CheckResult, DagsterFacts, Facts, FailedRun, Instigator, MadeAsset
from orchestration.alerting.rules import Judged, Limits, due_alerts
from streams.alerting.facts import LedgerReading, TableFacts, VenueFacts
from streams.alerting.kinds import KINDS

LIMITS = Limits(discovery_interval_s=60, dead_letter_share=0.01)
WELL = VenueFacts("kalshi", 1000.0, 20, 3.0, 50.0, 0, 100_000)
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def judged(
    watched_s: float = 1e6,
    venue: VenueFacts = WELL,
    ledger: tuple[LedgerReading, ...] = (),
    undelivered: int = 0,
    dagster: DagsterFacts | None = None,
) -> list[Judged]:
    empty = DagsterFacts((), (), (), ())
    return due_alerts(Facts(watched_s, dagster or empty, TableFacts((venue,), ledger, undelivered)), LIMITS)


def wanted(parts: list[Judged]) -> list[str]:
    return [alert.key for part in parts for alert in part.wanted]


def unknown(parts: list[Judged]) -> list[str]:
    return [key for part in parts for key in part.unknown]


def test_where_all_is_well_nothing_is_wanted_and_everything_is_judged() -> None:
    parts = judged()
    assert (wanted(parts), unknown(parts)) == ([], ["ledger:kalshi"])
    assert {part.prefix for part in parts} == {
        "run_failed:", "check_failed:", "stale_asset:", "stale_mart:", "sensor_stopped:", "sensor_failed:",
        "silent_venue:", "discovery_behind:", "dead_letters:recorder:", "ledger:", "undelivered",
    }  # fmt: skip


def test_what_could_not_be_looked_at_is_not_judged() -> None:
    assert due_alerts(Facts(1.0, None, None), LIMITS) == []


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"quiet_s": 121.0}, "silent_venue:kalshi"),
        ({"quiet_s": 119.0}, ""),
        ({"quiet_s": 900.0, "recorded_s": None}, ""),
        ({"quiet_s": 900.0, "recorded_s": 60.0}, ""),
        ({"quiet_s": 900.0, "markets": 0}, ""),
        ({"sweep_age_s": 601.0}, "discovery_behind:kalshi"),
        ({"sweep_age_s": 599.0}, ""),
        ({"sweep_age_s": None}, "discovery_behind:kalshi"),
        ({"letters": 1001}, "dead_letters:recorder:kalshi"),
        ({"letters": 1000}, ""),
        ({"letters": 9, "frames": 9}, ""),
    ],
)
def test_a_venue_that_is_silent_behind_or_unreadable(changed: dict[str, float | None], key: str) -> None:
    assert wanted(judged(venue=replace(WELL, **changed))) == ([key] if key else [])  # type: ignore[arg-type]


def readings(*differences: int) -> tuple[LedgerReading, ...]:
    return tuple(LedgerReading("kalshi", 1_000_000 + difference, 1_000_000) for difference in differences)


@pytest.mark.parametrize(
    ("differences", "is_wanted", "is_unknown"),
    [
        ((10_000, -10_000), True, False),
        ((10_000, 9_999), False, True),
        ((0, 10_000), False, True),
        ((10_000,), False, True),
        ((9_999, 0), False, False),
        ((), False, True),
    ],
)
def test_a_ledger_alarms_and_clears_after_two_readings_that_agree(
    differences: tuple[int, ...], is_wanted: bool, is_unknown: bool
) -> None:
    parts = judged(ledger=readings(*differences))
    assert (bool(wanted(parts)), bool(unknown(parts))) == (is_wanted, is_unknown), "without a reading nothing is known"


def test_discovery_that_never_ended_well_gets_its_time_after_a_start() -> None:
    never = replace(WELL, sweep_age_s=None)
    assert wanted(judged(watched_s=599.0, venue=never)) == []
    assert wanted(judged(watched_s=601.0, venue=never)) == ["discovery_behind:kalshi"]


@pytest.mark.parametrize(
    ("changed", "is_unknown"),
    [
        ({"quiet_s": 900.0, "recorded_s": None}, True),
        ({"quiet_s": 900.0, "recorded_s": 60.0}, True),
        ({"quiet_s": 900.0, "recorded_s": 60.0, "markets": 0}, False),
        ({"quiet_s": 3.0, "recorded_s": 60.0}, False),
    ],
)
def test_that_nobody_listens_does_not_mean_that_a_silent_venue_speaks(
    changed: dict[str, float | None], is_unknown: bool
) -> None:
    parts = judged(venue=replace(WELL, **changed))  # type: ignore[arg-type]
    assert (wanted(parts), unknown(parts)) == ([], ["silent_venue:kalshi", "ledger:kalshi"][not is_unknown :])


def test_what_no_channel_took_is_one_alert() -> None:
    assert wanted(judged(undelivered=3)) == ["undelivered"]


def test_each_failed_run_check_asset_and_sensor_has_its_alert() -> None:
    facts = DagsterFacts(
        [FailedRun("refresh_pairs", "0123456789", AT, "PageFailed: no")],
        [CheckResult("pairs: a", False, is_error=True), CheckResult("pairs: b", False, is_error=False),
         CheckResult("pairs: c", True, is_error=True), CheckResult("pairs: d", None, is_error=True),
         CheckResult("ledger: ledger_cash_equals_venue_cash", False, is_error=True)],
        [MadeAsset("listings", False, 1801.0, 1800.0), MadeAsset("analytics/quotes_1m", True, 9e9, 1800.0),
         MadeAsset("never", False, None, 1800.0), MadeAsset("fresh", False, 1799.0, 1800.0)],
        [Instigator("pairs_refresh", True), Instigator("spread_sensor", False, "boom"),
         Instigator("both", True, "boom"), Instigator("well", False)],
    )  # fmt: skip
    parts = judged(dagster=facts)
    assert wanted(parts) == [
        "run_failed:refresh_pairs", "check_failed:pairs: a", "check_failed:pairs: b", "stale_asset:listings",
        "stale_mart:analytics/quotes_1m", "sensor_stopped:pairs_refresh", "sensor_stopped:both",
        "sensor_failed:spread_sensor",
    ]  # fmt: skip
    assert unknown(parts) == ["check_failed:pairs: d", "ledger:kalshi"]
    by_key = {alert.key: alert for part in parts for alert in part.wanted}
    assert by_key["check_failed:pairs: b"].severity == "notice"
    assert by_key["run_failed:refresh_pairs"].message == (
        "refresh_pairs: run 01234567 failed at 2026-05-01 12:00 UTC: PageFailed: no."
    )
    assert all(alert.kind in KINDS for alert in by_key.values())


def test_after_a_start_an_asset_gets_its_time_and_an_open_alert_stays() -> None:
    late = DagsterFacts((), (), [MadeAsset("listings", False, 7200.0, 1800.0)], ())
    parts = judged(watched_s=1700.0, dagster=late)
    assert (wanted(parts), unknown(parts)) == ([], ["stale_asset:listings", "ledger:kalshi"])
    assert wanted(judged(watched_s=1801.0, dagster=late)) == ["stale_asset:listings"]


def test_every_key_begins_with_what_was_judged_and_that_with_its_kind() -> None:
    late = DagsterFacts([FailedRun("a", "b", AT, "")], (), (), ())
    for part in judged(venue=replace(WELL, quiet_s=900.0, sweep_age_s=1e6, letters=9999), undelivered=1, dagster=late):
        assert all(alert.key.startswith(part.prefix) for alert in part.wanted)
        assert part.prefix.split(":")[0] in KINDS
