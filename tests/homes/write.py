"""Writes a small home of the whole system and stores it: `python -m tests.homes.write NAME [--keep FOLDER]`.

The system runs on a catalogue of eleven pairs that close ten years from now, and on the short series; a person acts as
people do (over the API, the command line and Dagster's own API). Once every kind of row is there, trading is paused,
what is short settles, the system stops, and `NAME.tar.xz` with `NAME.json` is written beside this file.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.operator_actions import set_limit
from streams.sandbox.exchange.persistence.journal import Journal
from streams.storage.database import Connection
from streams.venues.credentials.keystore import Keystore
from tests.homes.archive import digest, facts_path, pack
from tests.homes.dagster_page import stop_sensor
from tests.homes.stored_rows import ledger, states, store_rows
from tests.homes.venue_facts import read_venues
from tests.support.whole_home import Home, wait_for

HERE = Path(__file__).parent
PERSON = "ann"
STOPPED_SENSOR = "recorder_watch"
_LIMIT_S = 600.0
_HAS_TRADED = """
    SELECT count(*) FILTER (WHERE state = 'SETTLED') > 1 AS has_settled,
        count(*) FILTER (WHERE state = 'HEDGED' AND EXISTS (
            SELECT 1 FROM trading.intents JOIN raw.market_state AS s USING (venue, market_id)
                JOIN raw.market_versions AS v USING (version_id)
            WHERE intents.execution_id = executions.execution_id AND v.close_time > now() + interval '1 year')) > 1
            AS has_open
    FROM trading.executions
"""
_HAS_SETTLED = """
    SELECT NOT EXISTS (
        SELECT 1 FROM trading.positions AS p JOIN raw.market_state AS s USING (venue, market_id)
            JOIN raw.market_versions AS v USING (version_id)
        WHERE p.contracts_e6 <> 0 AND v.close_time < now() + interval '1 year')
      AND NOT EXISTS (SELECT 1 FROM trading.fills WHERE state = 'provisional')
      AND NOT EXISTS (SELECT 1 FROM trading.orders WHERE state IN ('prepared', 'sent', 'unknown', 'resting'))
      AND NOT EXISTS (SELECT 1 FROM trading.executions WHERE state NOT IN ('HEDGED', 'SETTLED', 'FLAT', 'ESCALATED'))
      AS is_still
"""
_PAIR_TO_REJECT = """
    SELECT pair_id FROM trading.pairs JOIN raw.market_state AS s
            ON s.venue = 'kalshi' AND s.market_id = kalshi_market_id
        JOIN raw.market_versions AS v USING (version_id)
    WHERE v.close_time > now() + interval '1 year' AND NOT EXISTS (
        SELECT FROM trading.executions WHERE group_id LIKE '%' || pair_id || '%')
    ORDER BY pair_id LIMIT 1
"""


def live(home: Home) -> dict[str, Any]:
    """Run the system in an empty home until every kind of row is there, then stop it; return what the venues said.

    Raises:
        RuntimeError: If a condition is not met in time, or the stop was not clean.
    """
    started = home.start()
    _wait(home, "ready", lambda: (home.path / "run" / "state.json").exists())
    with home.connect() as connection:
        set_limit(connection, "total_usd", Decimal("1500"), who=PERSON, reason="less while I am away")
        stop_sensor(home, STOPPED_SENSOR)
        _store_key(home)
        _wait(home, "a pair", lambda: _one(connection, "SELECT count(*) > 8 FROM trading.pairs"))
        _reject_a_pair(home, connection)
        _wait(home, "trades", lambda: _row(connection, _HAS_TRADED) == {"has_settled": True, "has_open": True})
        _wait(home, "marts", lambda: _are_built(connection))
        _post(home, "/trading/pause", {"who": PERSON, "reason": "enough for today"})
        _wait(home, "settlement", lambda: _one(connection, _HAS_SETTLED))
        venues = read_venues(home.settings())
    started.terminate()
    if started.wait(240) != 0 or home.leavings():
        raise RuntimeError(f"The stop was not clean: {home.leavings()}\n{home.output()}")
    return venues


def store(home: Home, name: str, venues: dict[str, Any]) -> None:
    """Write down what a stopped home holds, and pack it."""
    settings = home.settings()
    keystore = Keystore(settings)
    with home.only_database() as connection:
        facts = {
            "executions": states(connection),
            "ledger": ledger(connection),
            "venues": venues,
            "switch": "pause",
            "limits_usd": {"total": "1500.000000", "pair": "60.000000"},
            "order_contracts": "12.000000",
            "stopped_sensors": [STOPPED_SENSOR],
            "keys": {key: digest(json.dumps(keystore.get(key), sort_keys=True)) for key in keystore.list()},
            "token": digest((home.path / "api_token").read_text().strip()),
            "journal": {
                "format": _journal_format(home),
                "files": _journal_files(home),
            },
            "tables": store_rows(connection),
        }
    facts_path(name).write_text(json.dumps(facts, indent=1) + "\n")
    pack(home, name)


def _journal_files(home: Home) -> list[str]:
    return sorted(path.name for path in (home.path / "sandbox" / "journal").iterdir() if path.name != "lock")


def _journal_format(home: Home) -> int:
    with closing(Journal(home.path / "sandbox" / "journal" / "memory.db")) as journal:
        return int(journal.read()[0]["format"])


def _reject_a_pair(home: Home, connection: Connection) -> None:
    pair = _one(connection, _PAIR_TO_REJECT)
    _post(home, f"/pairs/{pair}/decision", {"decision": "reject", "who": PERSON, "reason": "the rules differ"})


def _store_key(home: Home) -> None:
    """Store a key of the demo exchange that was drawn here and belongs to nobody."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file = home.path.parent / "key.json"
    file.write_text(json.dumps({"key_id": secrets.token_hex(16), "private_key_pem": pem.decode()}))
    code, answer = home.ask("keys", "set", "kalshi-demo", "--file", str(file))
    file.unlink()
    if code != 0:
        raise RuntimeError(f"The key was not stored: {answer}")


def _post(home: Home, path: str, body: dict[str, str]) -> None:
    address = home.address("API_PORT", f"/api{path}")
    httpx.post(address, json=body, headers=home.bearer(), timeout=20).raise_for_status()


def _are_built(connection: Connection) -> bool:
    return not _one(connection, "SELECT count(*) < 5 FROM pg_tables WHERE schemaname = 'analytics'")


def _wait(home: Home, what: str, condition: Any) -> None:
    took = wait_for(lambda: home.starts[-1].poll() is not None or condition(), _LIMIT_S, 2.0)
    if took is None or home.starts[-1].poll() is not None:
        raise RuntimeError(f"No {what} within {_LIMIT_S:.0f} s\n{home.output()}")
    print(f"{what} after {took:.0f} s", file=sys.stderr, flush=True)


def _row(connection: Connection, query: str) -> dict[str, Any]:
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return found


def _one(connection: Connection, query: str) -> Any:
    return next(iter(_row(connection, query).values()))


def main() -> None:
    """Write the home, and store it."""
    parser = argparse.ArgumentParser(prog="python -m tests.homes.write", description=__doc__)
    parser.add_argument("name", help="of the stored home")
    parser.add_argument("--keep", type=Path, help="folder to work in and keep; default: a temporary one")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="crossbook-home-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    shutil.copyfile(HERE / "env", folder / ".env")
    home = Home.make(folder / "home", folder)
    try:
        store(home, given.name, live(home))
    finally:
        if given.keep is None:
            home.clear()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
