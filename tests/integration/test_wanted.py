"""Which markets are wanted, in which order, and in which shard."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.types.json import Jsonb

from streams.storage.database import connect
from streams.storage.store.wanted import load_wanted, resolve_wanted, shard_of
from tests.support.decisions import write_decision


def market(dsn: str, venue: str, market_id: str, event_id: str = "", status: str = "open") -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            """INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, outcomes,
                   status, terms, payload, seen_at)
               VALUES (%s, %s, 'v', 't', %s, %s, '[]', %s, %s, '{}', now()) RETURNING version_id""",
            (venue, market_id, event_id, market_id, status, Jsonb({"yes_token": "y" + market_id, "no_token": "n"})),
        ).fetchone()
        assert row is not None
        connection.execute(
            """INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
               VALUES (%s, %s, %s, %s, now(), now())""",
            (venue, market_id, row[0], status),
        )


def pair(dsn: str, pair_id: str, kalshi: str, polymarket: str, decision: str | None = None) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,
                   kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
               VALUES (%s, %s, %s, 'equivalent', 'aligned', 't', 't', 'sandbox', now(), now())""",
            (pair_id, kalshi, polymarket),
        )
        if decision:
            write_decision(connection, f"pair:{pair_id}", decision, who="me")  # type: ignore[arg-type]


@pytest.fixture
def listed(database: str) -> str:
    for name in ("K1", "K2", "K3", "K4"):
        market(database, "kalshi", name, "E1" if name in ("K1", "K4") else name)
    for name in ("P1", "P2", "P3"):
        market(database, "polymarket", name)
    market(database, "kalshi", "K9", status="settled")
    pair(database, "a", "K1", "P1", "approve")
    pair(database, "b", "K2", "P2")
    pair(database, "c", "K3", "P3", "reject")
    pair(database, "d", "K9", "P1", "approve")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO trading.watch_list VALUES ('polymarket', 'P3', 'me', now())")
    return database


def ids(dsn: str, limit: int) -> list[str]:
    with connect(dsn) as connection:
        return [found.market_id for found in load_wanted(connection, limit)]


def test_approved_pairs_come_first_then_the_watch_list_proposals_and_siblings(listed: str) -> None:
    assert ids(listed, 100) == ["K1", "P1", "P3", "K2", "P2", "K4"]


def test_a_pair_that_does_not_fit_whole_is_left_out_and_a_smaller_set_may_follow(listed: str) -> None:
    assert ids(listed, 4) == ["K1", "P1", "P3", "K4"]


def test_markets_of_one_component_share_a_shard_and_carry_their_tokens(listed: str) -> None:
    with connect(listed) as connection:
        found = {market.market_id: market for market in load_wanted(connection, 100)}
    assert found["K1"].component == found["P1"].component == found["K4"].component
    assert found["K1"].component != found["K2"].component
    assert found["P1"].yes_token == "yP1"
    assert shard_of("a", 1) == 0


def test_any_id_names_a_market_and_unknown_ones_are_told(listed: str) -> None:
    with psycopg.connect(listed, autocommit=True) as connection:
        connection.execute("INSERT INTO raw.market_ids VALUES ('polymarket', 'slug', 'the-slug', 'P2')")
    with connect(listed) as connection:
        found, unknown = resolve_wanted(connection, ["the-slug", "K1", "nobody"])
    assert sorted(market.market_id for market in found) == ["K1", "P2"]
    assert unknown == ["nobody"]
