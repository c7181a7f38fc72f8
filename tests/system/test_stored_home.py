"""A home written by an earlier version: `up` on it keeps every row, position, key and stop.

What the home held is read from the facts beside it, never from itself, so that a later version is compared with what
was written and not with what it makes of it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.market.errors import ConfigurationError
from streams.sandbox.exchange.persistence.journal import FORMAT
from streams.storage.server.embedded import binaries_dir
from streams.venues.credentials.keystore import Keystore
from tests.homes.archive import digest, read_facts, unpack
from tests.homes.dagster_page import sensor_states
from tests.homes.stored_rows import ledger, lost_rows, states
from tests.homes.venue_facts import read_venues
from tests.support.whole_home import Home, wait_for

NAME = "first"
_LATER = {"HEDGED": {"HEDGED", "SETTLED"}, "SETTLED": {"SETTLED"}, "FLAT": {"FLAT"}}
_HAS_WORKED = """
    SELECT (SELECT count(*) FROM trading.balances) >= %(balances)s + 2
       AND (SELECT count(*) FROM raw.discovery_sweeps WHERE ended_at IS NOT NULL) > %(sweeps)s
       AND (SELECT count(DISTINCT segment_id) FROM raw.book_deltas) > %(segments)s AS has_worked
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    try:
        binaries_dir()
    except ConfigurationError as error:
        pytest.skip(f"the stored home needs the embedded PostgreSQL: {error}")
    unpacked = unpack(NAME, tmp_path)
    yield unpacked
    unpacked.clear()


@pytest.mark.timeout(600)
def test_a_start_on_a_stored_home_keeps_every_row_position_key_and_stop(home: Home) -> None:
    facts = read_facts(NAME)
    journal = _files(home.path / "sandbox" / "journal")
    assert sorted(journal) == facts["journal"]["files"]
    _check_tables(home, facts)

    started = home.start()
    _wait(home, started, lambda: (home.path / "run" / "state.json").exists())
    with home.connect() as connection:
        counts = {
            "balances": len(facts["tables"]["trading.balances"]["ended"]),
            "sweeps": len(facts["tables"]["raw.discovery_sweeps"]["ended"]),
            "segments": len(facts["tables"]["raw.book_deltas"]["ended"]),
        }
        _wait(home, started, lambda: connection.execute(_HAS_WORKED, counts).fetchone() == {"has_worked": True})
    _check_venues(home, facts)
    _check_keys(home, facts)
    _check_stops(home, facts)
    _check_token(home, facts)

    started.terminate()
    assert started.wait(240) == 0, home.output()
    assert home.leavings() == []
    _check_tables(home, facts)
    _check_journal(home, facts, journal)


def _check_tables(home: Home, facts: dict[str, Any]) -> None:
    with home.only_database() as connection:
        assert lost_rows(connection, facts["tables"]) == {}
        now = states(connection)
        assert ledger(connection) == facts["ledger"]
    went_back = {
        number: (state, now[number])
        for number, state in facts["executions"].items()
        if now[number] not in _LATER[state]
    }
    assert went_back == {}


def _check_venues(home: Home, facts: dict[str, Any]) -> None:
    found = read_venues(home.settings())
    assert found == facts["venues"]
    for venue, ours in facts["ledger"].items():
        assert (found[venue]["cash_e6"], found[venue]["positions"]) == (ours["cash_e6"], ours["positions"])


def _check_keys(home: Home, facts: dict[str, Any]) -> None:
    keystore = Keystore(home.settings())
    assert {key: digest(json.dumps(keystore.get(key), sort_keys=True)) for key in keystore.list()} == facts["keys"]


def _check_stops(home: Home, facts: dict[str, Any]) -> None:
    sensors = sensor_states(home)
    assert sorted(name for name, state in sensors.items() if state == "STOPPED") == facts["stopped_sensors"]
    code, status = home.ask("trade", "status")
    assert code == 0
    assert status["switch"] == facts["switch"]
    assert status["limits_usd"].items() >= facts["limits_usd"].items()
    assert status["order_contracts"] == facts["order_contracts"], "it stands in the .env"


def _check_token(home: Home, facts: dict[str, Any]) -> None:
    token = (home.path / "api_token").read_text().strip()
    assert digest(token) == facts["token"]
    answer = httpx.post(
        home.address("API_PORT", "/api/trading/pause"),
        json={"who": "ben", "reason": "still paused"},
        headers=home.bearer(),
        timeout=60,
    )
    assert answer.status_code == 201, answer.text


def _check_journal(home: Home, facts: dict[str, Any], journal: dict[str, str]) -> None:
    """A journal of an earlier form is kept beside the one it was made into, byte for byte."""
    if facts["journal"]["format"] == FORMAT:
        return
    kept = _files(home.path / "sandbox").values()
    assert {name for name, content in journal.items() if content not in kept} == set()


def _files(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder by its path in it; the empty lock says nothing."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def _wait(home: Home, started: subprocess.Popen[str], condition: Any) -> None:
    assert wait_for(lambda: started.poll() is not None or condition(), 240) is not None, home.output()
    assert started.poll() is None, home.output()
