"""Decisions on market groups: bound to all texts and dates, to the terms, and to the environment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from psycopg.types.json import Jsonb

from app.act_rules import ActRefused, ItChanged, TextsChanged, UnknownSubject
from app.operator_actions import decide_group
from orchestration.execution.edge_monitor.watchlist import WatchlistLoader
from streams.storage.database import Connection, connect
from streams.storage.store.decisions.group_decisions import (
    approve_groups_in_sandbox,
    find_group_state,
    list_group_states,
)
from streams.storage.store.market_groups import load_group, load_groups

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LADDER = "ladder:kalshi:KXGAS:up:abc"
READ = {"kalshi:KXGAS-3.0": "text 0", "kalshi:KXGAS-3.1": "text 1", "polymarket:0xgas32": "text 2"}
KEYS = ("kalshi:KXGAS-3.0", "kalshi:KXGAS-3.1", "polymarket:0xgas32")


@pytest.fixture
def ladder(database: str):  # type: ignore[no-untyped-def]
    with connect(database) as connection:
        for number, key in enumerate(KEYS):
            venue, market = key.split(":")
            row = connection.execute(
                """INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, rules,
                       outcomes, close_time, terms, status, payload, seen_at)
                   VALUES (%s, %s, %s, %s, 'KXGAS', 'Gas', 'Read me.', '["Yes", "No"]', %s, '{}', 'open', '{}', %s)
                   RETURNING version_id""",
                (venue, market, f"v{number}", f"text {number}", NOW, NOW),
            ).fetchone()
            assert row is not None
            connection.execute(
                """INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
                   VALUES (%s, %s, %s, 'open', %s, %s)""",
                (venue, market, row["version_id"], NOW, NOW),
            )
        _put(connection, KEYS)
        yield connection


def _put(connection: Connection, keys: tuple[str, ...], *, is_tradable: bool = True) -> None:
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES (%s, 'ladder', 'Gas', %s, %s, %s, 'sandbox', now()) ON CONFLICT (group_id) DO UPDATE
           SET markets = excluded.markets, outcomes = excluded.outcomes, is_tradable = excluded.is_tradable""",
        (
            LADDER,
            Jsonb([dict(zip(("venue", "market_id"), key.split(":"), strict=True)) for key in keys]),
            Jsonb([list(keys[:count]) for count in range(len(keys) + 1)]),
            is_tradable,
        ),
    )


def _state(connection: Connection) -> str:
    group = load_group(connection, LADDER)
    assert group is not None
    assert [found.decision_state for found in load_groups(connection)] == [group.decision_state]
    return str(group.decision_state)


def test_a_ladder_is_traded_only_with_a_decision_on_all_its_texts(ladder: Connection) -> None:
    group = load_group(ladder, LADDER)
    assert group is not None
    assert group.decision_state == "proposed"
    assert not group.is_allowed(needs_approval=True)
    assert group.is_allowed(needs_approval=False)
    decide_group(
        ladder, LADDER, "approve", who="mara", seen_hashes=dict(zip(KEYS, ("text 0", "text 1", "text 2"), strict=True))
    )
    group = load_group(ladder, LADDER)
    assert group is not None
    assert group.is_allowed(needs_approval=True)
    decide_group(ladder, LADDER, "pause", who="mara")
    group = load_group(ladder, LADDER)
    assert group is not None
    assert not group.is_allowed(needs_approval=False)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE raw.market_versions SET text_hash = 'other' WHERE market_id = '0xgas32'",
        "UPDATE raw.market_versions SET close_time = close_time + interval '1 hour' WHERE market_id = 'KXGAS-3.1'",
        "UPDATE trading.groups SET outcomes = outcomes - 0",
        "UPDATE trading.groups SET markets = markets - 2",
        "UPDATE trading.groups SET environment = 'live'",
    ],
)
def test_an_approved_ladder_lapses_with_a_text_a_date_its_markets_or_the_environment(
    ladder: Connection, change: str
) -> None:
    decide_group(ladder, LADDER, "approve", who="mara")
    assert _state(ladder) == "approved"
    ladder.execute(change)
    assert _state(ladder) == "lapsed"
    assert approve_groups_in_sandbox(ladder, NOW) == 0  # it waits for a person
    assert _state(ladder) == "lapsed"


def test_the_sandbox_approves_ladders_by_itself_and_marks_them(ladder: Connection) -> None:
    assert approve_groups_in_sandbox(ladder, NOW) == 1
    assert approve_groups_in_sandbox(ladder, NOW) == 0
    found = find_group_state(ladder, LADDER)
    assert found is not None
    assert (found.state, found.decided_by, found.decided_at) == ("approved", "sandbox", NOW)
    ladder.execute("UPDATE raw.market_versions SET text_hash = 'other' WHERE market_id = '0xgas32'")
    assert approve_groups_in_sandbox(ladder, NOW) == 1
    assert _state(ladder) == "approved"
    decide_group(ladder, LADDER, "reject", who="mara")
    assert approve_groups_in_sandbox(ladder, NOW) == 0
    assert _state(ladder) == "rejected"


def test_a_group_of_live_venues_or_one_that_is_not_traded_is_never_approved_by_the_sandbox(ladder: Connection) -> None:
    ladder.execute("UPDATE trading.groups SET environment = 'live'")
    assert approve_groups_in_sandbox(ladder, NOW) == 0
    ladder.execute("UPDATE trading.groups SET environment = 'sandbox', is_tradable = false")
    assert approve_groups_in_sandbox(ladder, NOW) == 0


def test_a_decision_on_other_texts_or_on_what_has_changed_is_refused(ladder: Connection) -> None:
    shown = find_group_state(ladder, LADDER)
    assert shown is not None
    with pytest.raises(TextsChanged, match="changed since you read them"):
        decide_group(ladder, LADDER, "approve", who="mara", seen_hashes={KEYS[0]: "text 0"})
    _put(ladder, KEYS[:2])
    with pytest.raises(ItChanged, match=r"ladder .* is proposed; look again"):
        decide_group(ladder, LADDER, "approve", who="mara", seen=shown.seen)
    with pytest.raises(UnknownSubject, match="no group ladder:none"):
        decide_group(ladder, "ladder:none", "approve", who="mara")
    _put(ladder, (*KEYS, "kalshi:KXGAS-9"))
    with pytest.raises(ActRefused, match="is not listed"):
        decide_group(ladder, LADDER, "approve", who="mara")
    assert _state(ladder) == "proposed"


def test_groups_are_found_by_kind_state_and_market(ladder: Connection) -> None:
    assert [group.group_id for group in list_group_states(ladder, kind="ladder", state="proposed")] == [LADDER]
    assert [group.group_id for group in list_group_states(ladder, market_id="0xgas32")] == [LADDER]
    assert list_group_states(ladder, state="approved") == []
    ladder.execute("UPDATE trading.groups SET ended_at = %s", (NOW,))
    assert list_group_states(ladder) == []


@pytest.mark.parametrize("needs_approval", [True, False])
def test_the_monitor_watches_an_undecided_ladder_and_trades_it_on_paper_alone(
    ladder: Connection, needs_approval: bool
) -> None:
    ladder.execute("""UPDATE raw.market_versions SET terms = '{"fee_schedule": {}}' WHERE venue = 'polymarket'""")
    ladder.execute(
        """UPDATE raw.market_versions SET terms = '{"fee_schedule": {"fee_type": "quadratic", "fee_multiplier": "1"}}'
           WHERE venue = 'kalshi'"""
    )
    watched = WatchlistLoader(needs_approval=needs_approval, max_legs=2).load(ladder).watched.values()
    assert {bundle.is_tradable for bundle in watched if len(bundle.bundle.legs) == 2} == {not needs_approval}
