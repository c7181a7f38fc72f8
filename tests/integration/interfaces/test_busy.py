"""A warehouse that is busy, away or read-only: every interface says which, and goes on when it is over."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from app.api import main
from app.cli.main import cli
from app.supervisor.checks.database_check import check_database
from streams.market.errors import ConfigurationError
from streams.settings import load_settings
from streams.storage.database import Connection, connect
from tests.support.api import api_client, home_token
from tests.support.ports import free_port

PATH = "/api/markets"


def end_sessions(dsn: str) -> None:
    """End every session of a database but the own one, and wait until they are gone."""
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def problem(client: TestClient) -> tuple[int, str, str | None]:
    answer = client.get(PATH)
    return answer.status_code, answer.json().get("error", {}).get("code", ""), answer.headers.get("Retry-After")


def test_the_api_says_busy_away_or_read_only_and_when_to_ask_again(
    seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "_POOL_TIMEOUT_S", 4.0)
    monkeypatch.setattr(main, "_STATEMENT_TIMEOUT_S", 1.0)
    with api_client(tmp_path, make_conninfo(seeded, port=free_port())) as client:
        assert problem(client) == (503, "warehouse_unavailable", "5")
    with api_client(tmp_path, seeded) as client:
        assert problem(client)[0] == 200
        pool = client.app.state.pool()  # type: ignore[attr-defined]
        lent = [pool.getconn() for _ in range(pool.max_size)]
        assert problem(client) == (503, "warehouse_busy", "2")
        for connection in lent:
            pool.putconn(connection)
        assert problem(client)[0] == 200
        # The server ends every session: the next request has a new one.
        name = conninfo_to_dict(seeded)["dbname"]
        end_sessions(seeded)
        assert problem(client)[0] == 200
        with psycopg.connect(seeded) as holder:
            holder.execute("LOCK TABLE raw.market_state, raw.market_lookup IN ACCESS EXCLUSIVE MODE")
            assert problem(client) == (503, "warehouse_busy", "2")
            holder.rollback()
        with connect(seeded) as other:
            other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        end_sessions(seeded)
        answer = client.post("/api/trading/pause", json={"reason": "drill"}, headers=home_token(tmp_path))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "warehouse_read_only")
        assert answer.headers["Retry-After"]
    with pytest.raises(ConfigurationError, match="takes no writes"):
        check_database(load_settings(database_url=seeded, home=tmp_path))


def test_health_says_busy_of_a_busy_warehouse(seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already")
    monkeypatch.setattr("app.api.routes.health.brief_connection", _raising(full))
    with api_client(tmp_path, seeded) as client:
        answer = client.get("/api/health")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "busy" in answer.json()["problems"][0]
    assert not any("does not answer" in problem for problem in answer.json()["problems"])


def test_a_kill_of_the_command_line_waits_for_a_connection(
    seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    refused = [psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already")] * 3

    def full(dsn: str, **options: str) -> Connection:
        if refused:
            raise refused.pop()
        return connect(dsn, **options)

    monkeypatch.setattr("streams.storage.database.connect", full)
    result = CliRunner().invoke(cli, ["trade", "kill", "--by", "Ada", "--json"])
    assert result.exit_code == 0, result.output
    assert refused == []


def test_a_command_whose_warehouse_goes_away_meanwhile_ends_with_one_sentence(
    seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    for error, code, word in (
        (psycopg.errors.AdminShutdown("x"), 3, "does not answer"),
        (psycopg.errors.QueryCanceled("x"), 1, "busy"),
        (psycopg.errors.ReadOnlySqlTransaction("x"), 1, "takes no writes"),
    ):
        monkeypatch.setattr("streams.storage.store.pairs.list_pairs", _raising(error))
        result = CliRunner().invoke(cli, ["pairs", "list"])
        assert result.exit_code == code, result.output
        assert word in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def _raising(error: BaseException) -> object:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    return fail


def test_a_page_that_stopped_is_drawn_again_when_the_warehouse_is_back(
    seeded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", make_conninfo(seeded, port=free_port()))
    script = """
import streamlit as st
from app.dashboard.data import drawn, read
from streams.storage.store.warehouse import load_environment
drawn_times = st.session_state.setdefault("drawn_times", [])
read(load_environment)
drawn()
drawn_times.append(1)
"""
    page = AppTest.from_string(script, default_timeout=60).run()
    assert "does not answer" in page.error[0].value
    assert page.session_state["stopped_for_the_warehouse"]
    monkeypatch.setenv("DATABASE_URL", seeded)
    page.run()
    assert not page.error
    assert "stopped_for_the_warehouse" not in page.session_state
    assert page.session_state["drawn_times"] == [1]
