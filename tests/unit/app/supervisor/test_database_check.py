"""What a server of somebody else is refused for, each in one sentence that names the remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.supervisor.checks.database_check import (
    CONNECTIONS_NEEDED,
    CONNECTIONS_OF_A_RECORDER,
    ServerFacts,
    check_database,
    problem_of,
)
from streams.market.errors import ConfigurationError
from streams.settings import load_settings
from tests.support.ports import free_port

GOOD = ServerFacts(
    version=160_004,
    encoding="UTF8",
    is_read_only=False,
    may_create=True,
    may_use_temp=True,
    has_schemas=False,
    max_connections=20,
    free=CONNECTIONS_NEEDED,
)


def test_a_server_of_twenty_connections_is_enough() -> None:
    assert problem_of(GOOD, is_pooled=False) is None
    assert problem_of(replace(GOOD, free=20 - 3 - 1), is_pooled=False) is None
    assert problem_of(replace(GOOD, longest_statement_s=3600.0), is_pooled=False) is None
    assert problem_of(replace(GOOD, may_create=False, has_schemas=True), is_pooled=False) is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"version": 140_012}, "15"),
        ({"is_read_only": True}, "primary"),
        ({"encoding": "SQL_ASCII"}, "UTF8"),
        ({"encoding": "LATIN1"}, "LATIN1"),
        ({"may_create": False}, "GRANT CREATE"),
        ({"may_use_temp": False}, "GRANT TEMPORARY"),
        ({"max_connections": 12, "free": 8}, "max_connections (it is 12)"),
        ({"free": -2}, "0 more connections"),
        ({"longest_statement_s": 30.0}, "longer than 30 s"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, object], word: str) -> None:
    problem = problem_of(replace(GOOD, **changes), is_pooled=False)  # type: ignore[arg-type]
    assert problem is not None
    assert word in problem
    assert "\n" not in problem
    assert problem.endswith(".")


def test_a_pooler_in_transaction_mode_is_refused() -> None:
    assert "transaction mode" in str(problem_of(GOOD, is_pooled=True))


def test_a_pooler_that_keeps_options_from_the_server_is_refused() -> None:
    problem = str(problem_of(GOOD, is_pooled=False, takes_options=False))
    assert "options" in problem
    assert problem.endswith(".")


def test_a_recorder_alone_needs_fewer_connections() -> None:
    few = replace(GOOD, free=CONNECTIONS_OF_A_RECORDER)
    assert problem_of(few, is_pooled=False, needed=CONNECTIONS_OF_A_RECORDER) is None
    assert f"{CONNECTIONS_NEEDED} are needed" in str(problem_of(few, is_pooled=False))


def test_a_server_that_is_not_there_is_one_sentence_without_the_password(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    settings = load_settings(database_url=f"postgresql://ada:hunter2@127.0.0.1:{free_port()}/x")
    with pytest.raises(ConfigurationError, match="cannot be reached") as caught:
        check_database(settings)
    assert "hunter2" not in str(caught.value)
