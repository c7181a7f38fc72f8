"""What people decide becomes rows, bound to what they saw."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from app import act_rules
from app import operator_actions as acts
from app.queries.markets import MarketFilter, load_markets
from app.queries.pairs import load_pairs
from streams.market.identity import Venue
from streams.market.trading import SwitchState
from streams.storage.database import Connection, connect
from streams.storage.store import risk
from streams.storage.store.decisions.group_decisions import find_group_state, pair_group_id
from streams.storage.store.risk import last_switch, load_limits
from tests.fixtures.seed_warehouse import PAIR_IDS


def _state(connection: Connection, pair_id: str) -> str:
    return load_pairs(connection, pair_id=pair_id).rows[0].state


def test_an_approval_lapses_when_a_text_changes(connection: Connection) -> None:
    acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada")
    assert _state(connection, PAIR_IDS[2]) == "approved"
    connection.execute("UPDATE trading.pairs SET kalshi_text_hash = 'other' WHERE pair_id = %s", (PAIR_IDS[2],))
    assert _state(connection, PAIR_IDS[2]) == "lapsed"


def test_a_decision_on_other_texts_than_were_read_is_refused(connection: Connection) -> None:
    with pytest.raises(act_rules.TextsChanged):
        acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada", seen_hashes={"kalshi:a": "b"})
    assert _state(connection, PAIR_IDS[2]) == "proposed"


def test_an_unknown_pair_is_refused(connection: Connection) -> None:
    with pytest.raises(act_rules.UnknownSubject):
        acts.decide_group(connection, pair_group_id("none"), "approve", who="Ada", seen_hashes={"kalshi:a": "b"})


@pytest.mark.parametrize("who", ["", "   ", "x" * 81, "Sandbox", "a\x00b"])
def test_a_decision_needs_a_persons_name(connection: Connection, who: str) -> None:
    with pytest.raises(act_rules.ActRefused):
        acts.set_switch(connection, "kill", who=who)


@pytest.mark.parametrize(("name", "value"), [("nope", "1"), ("total_usd", "-1"), ("total_usd", "NaN")])
def test_an_unusable_limit_is_refused(connection: Connection, name: str, value: str) -> None:
    with pytest.raises(act_rules.ActRefused):
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
    with pytest.raises(act_rules.UnknownSubject):
        acts.watch_market(connection, Venue.KALSHI, "none", who="Ada")


def test_only_open_trades_can_be_flattened(connection: Connection) -> None:
    assert acts.ask_flatten(connection, 4, who="Ada") > 0
    with pytest.raises(act_rules.ActRefused, match="has settled"):
        acts.ask_flatten(connection, 1, who="Ada")
    with pytest.raises(act_rules.UnknownSubject):
        acts.ask_flatten(connection, 99, who="Ada")


def test_the_role_of_the_faces_may_do_all_of_it(connection: Connection) -> None:
    connection.execute("SET ROLE crossbook_interface")
    acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "pause", who="Ada")
    acts.set_switch(connection, "pause", who="Ada")
    acts.set_limit(connection, "total_usd", Decimal(5), who="Ada")
    acts.watch_market(connection, Venue.KALSHI, "KXTEMP-3", who="Ada")
    acts.unwatch_market(connection, Venue.KALSHI, "KXTEMP-3")
    acts.ask_flatten(connection, 4, who="Ada")


SLIPPAGE = Decimal("0.05")


def test_an_offer_names_what_is_sold_and_the_worst_price(connection: Connection) -> None:
    offer = acts.offer_flatten(connection, 4, SLIPPAGE)
    yes, no = offer.legs
    assert (yes.venue, yes.market_id, yes.outcome, yes.contracts) == ("kalshi", "KXBTC-26DEC31-150K", "yes", 50)
    assert (no.venue, no.market_id, no.outcome, no.contracts) == ("polymarket", "0xbtc150", "no", 38)
    assert (yes.best_bid, yes.worst_price) == (Decimal("0.30"), Decimal("0.25"))
    # the best ask for YES stands at 33.2 cents: 66.8 are bid for NO
    assert (no.best_bid, no.worst_price) == (Decimal("0.6680"), Decimal("0.6180"))
    assert offer.least_usd == 50 * Decimal("0.25") + 38 * Decimal("0.618")
    assert offer.sentences[0] == "50 contracts YES of kalshi:KXBTC-26DEC31-150K, at worst $0.25 each (best bid $0.3)"


def test_without_a_bid_no_worst_price_is_invented(connection: Connection) -> None:
    connection.execute("DELETE FROM raw.book_deltas")
    connection.execute("UPDATE raw.book_snapshots SET bids = '[]' WHERE market_id = 'KXBTC-26DEC31-150K'")
    offer = acts.offer_flatten(connection, 4, SLIPPAGE)
    assert offer.legs[0].worst_price is None
    assert offer.least_usd is None
    assert "nobody bids now" in offer.sentences[0]


def test_a_flatten_carries_the_worst_prices_that_were_seen(connection: Connection) -> None:
    offer = acts.offer_flatten(connection, 4, SLIPPAGE)
    command_id = acts.ask_flatten(connection, 4, who="Ada", seen=offer)
    row = connection.execute("SELECT subject FROM trading.commands WHERE command_id = %s", (command_id,)).fetchone()
    assert row is not None
    assert [(price["market_id"], price["outcome"], price["price"]) for price in row["subject"]["worst_prices"]] == [
        ("KXBTC-26DEC31-150K", "yes", "0.2500"),
        ("0xbtc150", "no", "0.6180"),
    ]


def test_a_trade_that_changed_since_it_was_seen_is_not_sold(connection: Connection) -> None:
    offer = acts.offer_flatten(connection, 4, SLIPPAGE)
    connection.execute("UPDATE trading.fills SET state = 'failed' WHERE venue_fill_id = 'f-4-1'")
    with pytest.raises(act_rules.ItChanged, match=r"It changed: trade 4 is ESCALATED.*look again"):
        acts.ask_flatten(connection, 4, who="Ada", seen=offer)
    with pytest.raises(act_rules.ItChanged, match="not the one you saw"):
        acts.ask_flatten(connection, 3, who="Ada", seen=offer)
    assert connection.execute("SELECT 1 FROM trading.commands").fetchone() is None


def test_prices_that_move_do_not_refuse_a_flatten(connection: Connection) -> None:
    offer = acts.offer_flatten(connection, 4, SLIPPAGE)
    connection.execute("UPDATE raw.book_snapshots SET bids = '[[100, 5000000]]'")
    assert acts.ask_flatten(connection, 4, who="Ada", seen=offer) > 0


def test_a_flatten_is_asked_for_once(connection: Connection) -> None:
    offer = acts.offer_flatten(connection, 4, SLIPPAGE)
    first = acts.ask_flatten(connection, 4, who="Ada", seen=offer)
    assert acts.ask_flatten(connection, 4, who="Ada", seen=offer) == first
    assert acts.ask_flatten(connection, 4, who="Bob") == first
    assert acts.ask_flatten(connection, 3, who="Bob") != first
    connection.execute("UPDATE trading.commands SET done_at = now(), result = 'HEDGED: no bid'")
    assert acts.ask_flatten(connection, 4, who="Ada", seen=offer) > first


def test_two_tabs_at_the_same_moment_ask_once(seeded: str) -> None:
    def ask(_: int) -> int:
        with connect(seeded) as opened:
            return acts.ask_flatten(opened, 4, who="Ada")

    with ThreadPoolExecutor(6) as tabs:
        assert len(set(tabs.map(ask, range(6)))) == 1


def test_a_pair_that_changed_since_it_was_seen_is_not_decided_on(connection: Connection) -> None:
    def seen() -> str:
        subject = find_group_state(connection, pair_group_id(PAIR_IDS[2]))
        assert subject is not None
        return subject.seen

    shown = seen()
    acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "reject", who="Bob", seen=shown)
    with pytest.raises(act_rules.ItChanged, match="is rejected by Bob, equivalent, aligned; look again"):
        acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada", seen=shown)
    shown = seen()
    connection.execute("UPDATE trading.pairs SET polarity = 'inverted' WHERE pair_id = %s", (PAIR_IDS[2],))
    with pytest.raises(act_rules.ItChanged, match="inverted"):
        acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada", seen=shown)
    assert _state(connection, PAIR_IDS[2]) == "rejected"


def test_a_decision_that_is_clicked_twice_is_written_once(connection: Connection) -> None:
    subject = find_group_state(connection, pair_group_id(PAIR_IDS[2]))
    assert subject is not None
    first = acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada", seen=subject.seen)
    assert acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada", seen=subject.seen) == first
    with pytest.raises(act_rules.ItChanged):
        acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Bob", seen=subject.seen)


def test_a_kill_that_came_meanwhile_is_not_lifted_unseen(connection: Connection) -> None:
    shown = last_switch(connection)
    assert shown is not None
    acts.set_switch(connection, "kill", who="Bob", reason="books look wrong")
    for state in ("run", "pause", "reduce"):
        with pytest.raises(act_rules.ItChanged, match="the switch is kill, set by Bob"):
            acts.set_switch(connection, state, who="Ada", seen=shown.seen)
    current = last_switch(connection)
    assert current is not None
    assert acts.set_switch(connection, "run", who="Ada", seen=current.seen) > 0


def _at_the_moment_of(
    monkeypatch: pytest.MonkeyPatch, state: str, event: Callable[[], object], *, before: bool
) -> None:
    """Let something happen once, just before or after a switch of this state is written."""
    happened: list[object] = []
    write = risk.set_switch

    def write_with(connection: Connection, wanted: SwitchState, *arguments: str) -> int:
        is_moment = wanted == state and not happened
        if is_moment and before:
            happened.append(event())
        switch_id = write(connection, wanted, *arguments)
        if is_moment and not before:
            happened.append(event())
        return switch_id

    monkeypatch.setattr(risk, "set_switch", write_with)


@pytest.mark.parametrize("state", ["run", "pause", "reduce"])
def test_a_kill_between_the_look_and_the_row_is_not_lifted(
    connection: Connection, seeded: str, monkeypatch: pytest.MonkeyPatch, state: SwitchState
) -> None:
    shown = last_switch(connection)
    assert shown is not None
    with connect(seeded) as other:
        _at_the_moment_of(
            monkeypatch, state, lambda: acts.set_switch(other, "kill", who="Bob", reason="drill"), before=True
        )
        with pytest.raises(act_rules.ItChanged, match="the switch is kill, set by Bob"):
            acts.set_switch(connection, state, who="Ada", seen=shown.seen)
    current = last_switch(connection)
    assert current is not None
    assert (current.state, current.set_by, current.reason) == ("kill", "Bob", "drill")


def test_a_switch_that_could_not_see_a_kill_does_not_outlast_it(
    connection: Connection, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(seeded) as other:
        _at_the_moment_of(monkeypatch, "kill", lambda: acts.set_switch(other, "run", who="Bob"), before=False)
        switch_id = acts.set_switch(connection, "kill", who="Ada")
    current = last_switch(connection)
    assert current is not None
    assert (current.state, current.set_by, current.switch_id) == ("kill", "Ada", switch_id)


def test_a_kill_goes_through_whatever_was_seen(connection: Connection) -> None:
    acts.set_switch(connection, "pause", who="Bob")
    acts.set_switch(connection, "kill", who="Ada", seen="1-run")
    current = last_switch(connection)
    assert current is not None
    assert (current.state, current.set_by) == ("kill", "Ada")


def test_a_limit_that_changed_since_it_was_seen_is_not_set(connection: Connection) -> None:
    first = acts.set_limit(connection, "total_usd", Decimal(1500), who="Ada", seen=Decimal(2000))
    assert acts.set_limit(connection, "total_usd", Decimal(1500), who="Ada", seen=Decimal(2000)) == first
    with pytest.raises(act_rules.ItChanged, match="total_usd is 1500, set by Ada, not 2000"):
        acts.set_limit(connection, "total_usd", Decimal(9000), who="Bob", seen=Decimal(2000))
    assert load_limits(connection)["total_usd"].value == 1500


@pytest.mark.parametrize("reason", ["x" * 1001, "a\x1b[31mb", "a\u202eb", "a\x00b", "a\ud800b"])
def test_a_reason_that_no_page_can_show_is_refused_but_never_a_kill_for_it(connection: Connection, reason: str) -> None:
    for act in (
        lambda: acts.set_switch(connection, "pause", who="Ada", reason=reason),
        lambda: acts.decide_group(connection, pair_group_id(PAIR_IDS[2]), "approve", who="Ada", reason=reason),
        lambda: acts.set_limit(connection, "total_usd", Decimal(1), who="Ada", reason=reason),
        lambda: acts.ask_flatten(connection, 1, who="Ada", reason=reason),
    ):
        with pytest.raises(act_rules.UnusableReason, match="at most 1000 printable"):
            act()
    acts.set_switch(connection, "kill", who="Ada", reason=reason)
    switch = last_switch(connection)
    assert switch is not None
    assert (switch.state, switch.reason.isprintable(), len(switch.reason) <= 1000) == ("kill", True, True)


def test_a_reason_of_several_lines_becomes_one(connection: Connection) -> None:
    acts.set_switch(connection, "pause", who="Ada", reason=" books\n look\twrong ")
    switch = last_switch(connection)
    assert switch is not None
    assert switch.reason == "books look wrong"
