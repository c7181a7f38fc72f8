"""What people decide becomes rows, bound to what they saw."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app import operator_actions as acts
from app.queries.markets import MarketFilter, load_markets
from app.queries.pairs import load_pairs
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.risk import load_limits
from tests.fixtures.seed_warehouse import PAIR_IDS


def _state(connection: Connection, pair_id: str) -> str:
    return load_pairs(connection, pair_id=pair_id).rows[0].state


def test_an_approval_lapses_when_a_text_changes(connection: Connection) -> None:
    acts.decide_pair(connection, PAIR_IDS[2], "approve", who="Ada")
    assert _state(connection, PAIR_IDS[2]) == "approved"
    connection.execute("UPDATE trading.pairs SET kalshi_text_hash = 'other' WHERE pair_id = %s", (PAIR_IDS[2],))
    assert _state(connection, PAIR_IDS[2]) == "lapsed"


def test_a_decision_on_other_texts_than_were_read_is_refused(connection: Connection) -> None:
    with pytest.raises(acts.TextsChanged):
        acts.decide_pair(connection, PAIR_IDS[2], "approve", who="Ada", seen_hashes=("a", "b"))
    assert _state(connection, PAIR_IDS[2]) == "proposed"


def test_an_unknown_pair_is_refused(connection: Connection) -> None:
    with pytest.raises(acts.UnknownSubject):
        acts.decide_pair(connection, "none", "approve", who="Ada", seen_hashes=("a", "b"))


@pytest.mark.parametrize("who", ["", "   ", "x" * 81, "Sandbox", "a\x00b"])
def test_a_decision_needs_a_persons_name(connection: Connection, who: str) -> None:
    with pytest.raises(acts.ActRefused):
        acts.set_switch(connection, "kill", who=who)


@pytest.mark.parametrize(("name", "value"), [("nope", "1"), ("total_usd", "-1"), ("total_usd", "NaN")])
def test_an_unusable_limit_is_refused(connection: Connection, name: str, value: str) -> None:
    with pytest.raises(acts.ActRefused):
        acts.set_limit(connection, name, Decimal(value), who="Ada")


def test_a_limit_keeps_its_digits(connection: Connection) -> None:
    acts.set_limit(connection, "total_usd", Decimal("123.456789"), who="Ada")
    assert load_limits(connection)["total_usd"].value == Decimal("123.456789")


def test_watching_twice_is_watching_once(connection: Connection) -> None:
    for _ in range(2):
        acts.watch_market(connection, Venue.KALSHI, "KXTEMP-3", who="Ada")
    assert load_markets(connection, MarketFilter(search="KXTEMP-3", venue="kalshi")).rows[0].is_watched
    acts.unwatch_market(connection, Venue.KALSHI, "KXTEMP-3")
    assert not load_markets(connection, MarketFilter(search="KXTEMP-3", venue="kalshi")).rows[0].is_watched
    with pytest.raises(acts.UnknownSubject):
        acts.watch_market(connection, Venue.KALSHI, "none", who="Ada")


def test_only_open_trades_can_be_flattened(connection: Connection) -> None:
    assert acts.ask_flatten(connection, 4, who="Ada") > 0
    with pytest.raises(acts.ActRefused, match="has settled"):
        acts.ask_flatten(connection, 1, who="Ada")
    with pytest.raises(acts.UnknownSubject):
        acts.ask_flatten(connection, 99, who="Ada")


def test_the_role_of_the_faces_may_do_all_of_it(connection: Connection) -> None:
    connection.execute("SET ROLE crossbook_face")
    acts.decide_pair(connection, PAIR_IDS[2], "pause", who="Ada")
    acts.set_switch(connection, "pause", who="Ada")
    acts.set_limit(connection, "total_usd", Decimal(5), who="Ada")
    acts.watch_market(connection, Venue.KALSHI, "KXTEMP-3", who="Ada")
    acts.unwatch_market(connection, Venue.KALSHI, "KXTEMP-3")
    acts.ask_flatten(connection, 4, who="Ada")
