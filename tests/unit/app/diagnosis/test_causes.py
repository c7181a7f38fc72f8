"""Each cause of the registry is found when it is there, alone, and none is found on a healthy system."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from app.diagnosis.causes import CAUSES, LIVENESS
from app.diagnosis.facts import DatabaseFacts, Facts
from app.diagnosis.processes import PROCESSES, wanted_processes
from app.queries.health import MartRow
from app.supervisor.last_start import LastStart
from streams.settings import Settings
from streams.storage.recording_status import DeadLetters, Gaps
from streams.storage.store.alerts import FailedTest
from tests.unit.app.diagnosis.healthy import PARTS, healthy

LIVE = {"settings": {"venues": "live", "trading": "live"}, "trading__environment": "live"}
OWN = {"settings": {"database_url": SecretStr("postgresql://u@h/d")}}
ALL = wanted_processes(Settings.model_construct())

BROKEN: dict[str, dict[str, Any]] = {
    "settings": {"bad_settings": ("CROSSBOOK_API_PORT cannot be used: input should be a valid integer.",)},
    "system": {"files__platform": "Crossbook runs on Linux; this is Plan9."},
    "python": {"software__python": "3.10.1"},
    "packages": {"software__drift": ("httpx 0.1, locked 0.28.1",)},
    "home": {"files__home": "CROSSBOOK_HOME (/nowhere) cannot be written: Read-only file system."},
    "home rights": {"files__home_rights": "everybody may write in /nowhere"},
    "disk space": {"files__free_mb": 499, "database__grown_mb_per_day": 0},
    "disk growth": {"files__free_mb": 2_000},
    "segment retention": {"files__late_segments": 3},
    "kill on disk": {"files__kill_on_disk": True},
    "env file": {"files__env_file": "/nowhere/.env"},
    "token rights": {"files__open_token": True},
    "token": {"files__token": "api_token holds no usable token"},
    "secret files": {"files__open_files": ("keystore.key",)},
    "keystore": {"files__keystore": "keystore.json is not a keystore"},
    "accounts": {"files__accounts": "doors/accounts.sqlite cannot be used: it is damaged"},
    "people": {"files__people": "Live trading needs a trader or owner who signs in with a password or OIDC."},
    "passphrase": {"files__short_passphrase": True},
    "keys": {**LIVE, "files__key_names": ("kalshi-live", "kalshi-read-live")},
    "book streams": {"settings": {"venues": "live"}, "trading__environment": "live"},
    "recorder's key": {**LIVE, "files__key_names": ("kalshi-live", "kalshi-read-demo", "polymarket-live")},
    "postgresql binaries": {"files__binaries": "The embedded PostgreSQL is not installed."},
    "restore": {"files__restore": "A restore into /nowhere was broken off."},
    "last start": {"supervisor_pid": None, "files__last_start": LastStart("2026-11-29T20:00", "Port 1 is taken.")},
    "supervisor": {"supervisor_pid": None, "processes__is_abandoned": True},
    "ports": {"processes__ports": "Port 3000 is taken by nginx (pid 3)."},
    **{name: {"processes__alive": ALL - {name}} for name in [*PROCESSES, "postgres"]},
    "daemon heartbeat": {"dagster__heartbeat_age_s": 121.0},
    "sensors": {"dagster__stopped": ("stream_supervisor",)},
    "event log": {"dagster__event_log_mb": 2_001},
    "webhook": {"outside__webhook": "the webhook does not answer (ConnectError)"},
    "alert channels": {"outside__channels": "the address of channel 2 names no service"},
    "judge address": {"outside__judge": "the judge's address does not answer (ConnectError)"},
    "venues": {"outside__venues": {"kalshi": "kalshi answers HTTP 503"}},
    "venue clock": {"outside__skews_s": {"kalshi": 31.0}},
    "looks": {"failed_looks": ("warehouse (InsufficientPrivilege)",)},
    "looked at": {"not_looked_at": ("outside",)},
    "database address": {"database": DatabaseFacts("DATABASE_URL is not an address", is_malformed=True)},
    "database": {"database": DatabaseFacts("Connection refused")},
    "schema": {"trading__schema_version": "0001"},
    "schema is there": {"database__has_schema": False},
    "environment": {"trading__environment": "demo"},
    "connections": {"database__free_connections": 12},
    "logins": OWN,
    "superuser": {**OWN, "database__is_superuser": True},
    "database clock": {"database__skew_s": -2.5},
    "marts are built": {"warehouse__marts": ()},
    "marts": {"warehouse__marts": (MartRow("quotes_1m", 5000, 394.0),)},
    "data tests": {"warehouse__failed_tests": (FailedTest("unique", ("trades",), datetime(2026, 1, 1, tzinfo=UTC)),)},
    "recorder": {"trading__recorder_age_s": 61.0},
    "coverage": {"warehouse__gaps": Gaps(2, 9)},
    "books": {"warehouse__stale_books": 1},
    "dead letters": {"warehouse__dead_letters": DeadLetters(7, "not JSON")},
    "discovery": {"warehouse__failed_sweeps": ("kalshi: HTTP 500",)},
    "trading": {"trading__balances_age_s": 901.0},
    "armed run": {"trading__armed_age_s": 61.0},
    "switch": {"trading__switch": "reduce", "trading__switched_by": "Ada"},
    "switch row": {"trading__switch": None},
    "unresolved orders": {"trading__unknown_orders": 1},
    "escalated trades": {"trading__escalated": 1},
    "stuck trades": {"trading__stuck_executions": 1},
    "waiting acts": {"trading__waiting_commands": 1},
    "ledger": {"warehouse__ledger_differences_e6": {"kalshi": -10_000}},
    "open alerts": {"trading__critical_alerts": ["Execution 4 is ESCALATED."]},
    "alerts reach people": {"trading__unsent_age_s": 901.0},
    "alert channel": {"trading__no_channel_alerts": 2},
    "alert severities": {"settings": {"alert_severities": "critical,loud"}},
    "leases": {"trading__expired_leases": ["shard:0"]},
    "paused pairs": {"trading__changed_pairs": ["00ab"]},
    "judge budget": {"settings": {"openai_api_key": SecretStr("k")}, "trading__judged_today_usd": 5.0},
}  # fmt: skip
COMPANIONS = {"superuser": {"logins"}}


def found(facts: Facts) -> set[str]:
    """Return the checks that found something, notices included."""
    return {cause.check for cause in CAUSES if cause.look(facts)}


def test_nothing_is_found_on_a_healthy_system() -> None:
    assert found(healthy()) == set()


def test_nothing_is_found_where_nothing_is_known() -> None:
    assert found(healthy(**dict.fromkeys(PARTS))) == set()
    assert found(healthy(supervisor_pid=None, **dict.fromkeys(PARTS))) == set()


def test_a_healthy_system_that_was_stopped_is_well() -> None:
    changes = {"trading__switch": "reduce", "trading__recorder_age_s": 90_000.0, "trading__balances_age_s": 90_000.0,
               "trading__armed_age_s": 90_000.0}  # fmt: skip
    facts = healthy(supervisor_pid=None, processes__alive=frozenset(), dagster__heartbeat_age_s=90_000.0, **changes)
    assert found(facts) == set()


@pytest.mark.parametrize("check", [cause.check for cause in CAUSES])
def test_each_cause_is_found_when_it_is_there_and_no_other(check: str) -> None:
    facts = healthy(**dict(BROKEN[check]))
    assert found(facts) == {check} | COMPANIONS.get(check, set())
    finding = next(cause.judge(facts) for cause in CAUSES if cause.check == check)
    assert finding.found
    assert finding.remedy


def test_the_registry_is_broad_named_once_and_has_a_remedy_for_each() -> None:
    checks = [cause.check for cause in CAUSES]
    assert len(checks) == len(set(checks)) >= 30
    assert all(cause.remedy and cause.meaning for cause in CAUSES)
    assert set(checks) >= LIVENESS
    assert set(BROKEN) == set(checks)


def test_a_notice_does_not_fail() -> None:
    for cause in CAUSES:
        assert cause.judge(healthy(**dict(BROKEN[cause.check]))).is_ok is cause.is_notice


def test_a_quiet_market_is_no_stale_mart() -> None:
    late = (MartRow("quotes_1m", 5000, 2_000.0),)
    assert found(healthy(warehouse__marts=late, warehouse__quote_age_s=1_950.0)) == set()
    assert found(healthy(warehouse__marts=late, warehouse__quote_age_s=3.0)) == {"marts"}
    dead = healthy(warehouse__marts=late, warehouse__quote_age_s=1_950.0, trading__recorders=0)
    assert found(dead) == {"marts"}


def test_the_limit_of_a_mart_follows_its_interval() -> None:
    late = (MartRow("quotes_1m", 5000, 394.0),)
    assert found(healthy(settings={"marts_interval_s": 120}, warehouse__marts=late)) == set()


def test_a_newer_schema_is_told_from_an_older_one() -> None:
    cause = next(cause for cause in CAUSES if cause.check == "schema")
    assert "older" in cause.look(healthy(trading__schema_version="0001"))
    assert "newer" in cause.look(healthy(trading__schema_version="9999"))


def test_trading_that_is_off_need_not_live() -> None:
    assert found(healthy(settings={"trading": "off"}, trading__balances_age_s=9e9)) == set()
    assert found(healthy(settings={"judge_daily_budget_usd": Decimal(0)}, trading__judged_today_usd=1.0)) == set()


def test_a_disk_without_inodes_is_a_cause_whatever_space_it_has() -> None:
    facts = healthy(files__free_inodes=12.0)
    assert found(facts) == {"disk space"}
    (cause,) = (cause for cause in CAUSES if cause.check == "disk space")
    assert "12 inodes" in cause.judge(facts).found
