"""Orders at the exchange: amending, decreasing, holding, the venue's modes, and cancels in every form."""

from __future__ import annotations

from decimal import Decimal

import pytest

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule
from streams.sandbox.core.model import CancelOrder, PlaceOrder
from streams.sandbox.core.records import Amendment, ExchangeMode
from streams.sandbox.exchange.exchange import Exchange
from tests.engine.quoted import CONTRACT, NOW, exchange, request


def queue(made: Exchange, price: int, side: str = "bid") -> list[str]:
    book = made.state.markets["M"].book
    return list((book.bids if side == "bid" else book.asks)[price].orders)


def code_of(act: object, *arguments: object, **more: object) -> str:
    with pytest.raises(Refused) as refused:
        act(*arguments, **more)  # type: ignore[operator]
    return refused.value.code


# -- amending ---------------------------------------------------------------------------------------------------------


def test_a_smaller_size_or_another_expiry_keeps_the_place_in_the_queue() -> None:
    made = exchange(Venue.KALSHI)
    for name in ("first", "second"):
        made.order_entry.place(request(name, "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.order_entry.amend("me", "first", Amendment(4_000, 4 * CONTRACT, expires_ms=NOW + 50), NOW)
    assert queue(made, 4_000) == ["first", "second"]
    assert made.state.markets["M"].book.bids[4_000].total_e6 == 14 * CONTRACT
    made.tick(NOW + 50)
    assert queue(made, 4_000) == ["second"]
    assert made.state.orders["first"].reason == "expired"


@pytest.mark.parametrize("change", [Amendment(4_000, 11 * CONTRACT), Amendment(4_100, 10 * CONTRACT)])
def test_a_larger_size_or_another_price_loses_the_place(change: Amendment) -> None:
    made = exchange(Venue.KALSHI)
    for name in ("first", "second"):
        made.order_entry.place(request(name, "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.order_entry.amend("me", "second", Amendment(4_000, 9 * CONTRACT), NOW)
    made.order_entry.amend("me", "first", change, NOW)
    made.order_entry.amend("me", "second", Amendment(change.price_e4, 20 * CONTRACT), NOW)
    assert queue(made, change.price_e4) == ["first", "second"]


def test_an_amended_order_trades_at_its_new_price_and_counts_what_was_filled_before() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 60, "gtc"), NOW)
    record = made.order_entry.amend("me", "a", Amendment(5_200, 70 * CONTRACT, "new-name"), NOW)
    assert (record.filled_e6, record.status, record.initial_e6) == (70 * CONTRACT, "executed", 60 * CONTRACT)
    assert record.request.client_order_id == "new-name"
    assert sum(made.state.trades[name].size_e6 for name in record.trade_ids) == 70 * CONTRACT


def test_an_amendment_that_cannot_be_made_changes_nothing() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc"), NOW)
    for change, code in (
        (Amendment(4_005, 10 * CONTRACT), "invalid_price"),
        (Amendment(4_000, 0), "invalid_size"),
        (Amendment(4_000, 100_000 * CONTRACT), "insufficient_balance"),
    ):
        assert code_of(made.order_entry.amend, "me", "a", change, NOW) == code
    assert code_of(made.order_entry.amend, "you", "a", Amendment(4_000, CONTRACT), NOW) == "not_found"
    assert queue(made, 4_000) == ["a"]
    assert made.state.orders["a"].remaining_e6 == 10 * CONTRACT


def test_amending_frees_what_the_order_reserved_before() -> None:
    made = exchange(Venue.KALSHI)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 41 * CONTRACT}
    made.order_entry.place(request("a", "yes", "buy", 4_000, 100, "gtc"), NOW)
    record = made.order_entry.amend("me", "a", Amendment(4_100, 100 * CONTRACT), NOW)
    assert (record.status, made.transfers.reserved_e6("me")) == ("resting", 41 * CONTRACT)


def test_a_post_only_order_amended_across_the_book_ends() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc", is_post_only=True), NOW)
    record = made.order_entry.amend("me", "a", Amendment(5_100, 10 * CONTRACT), NOW)
    assert (record.status, record.reason, record.filled_e6) == ("canceled", "post_only_cross", 0)


@pytest.mark.parametrize(("mode", "left"), [("taker_at_cross", ["own"]), ("maker", [])])
def test_an_amended_order_that_meets_an_own_one_follows_its_self_trade_mode(mode: str, left: list[str]) -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("own", "no", "buy", 5_050 // 100 * 100, 10, "gtc"), NOW)
    made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc", self_trade=mode), NOW)
    record = made.order_entry.amend("me", "a", Amendment(5_000, 10 * CONTRACT), NOW)
    assert [name for name in ("own",) if name in made.state.resting] == left
    assert record.status == ("canceled" if left else "resting")


def test_a_decrease_keeps_the_place_and_to_zero_is_a_cancel() -> None:
    made = exchange(Venue.KALSHI)
    for name in ("first", "second"):
        made.order_entry.place(request(name, "yes", "buy", 4_000, 10, "gtc"), NOW)
    assert made.order_entry.decrease("me", "first", 3 * CONTRACT, NOW).remaining_e6 == 3 * CONTRACT
    assert queue(made, 4_000) == ["first", "second"]
    assert code_of(made.order_entry.decrease, "me", "first", 3 * CONTRACT, NOW) == "invalid_size"
    assert made.order_entry.decrease("me", "first", 0, NOW).status == "canceled"
    assert code_of(made.order_entry.decrease, "me", "first", 0, NOW) == "not_found"


# -- fill or kill, reduce only ----------------------------------------------------------------------------------------


def test_a_fill_or_kill_order_that_meets_an_own_order_keeps_what_it_has() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("own", "no", "buy", 5_200, 10, "gtc"), NOW)
    record = made.order_entry.place(request("a", "yes", "buy", 5_200, 105, "fok"), NOW)
    # 50 rest at 0.51 and 50 of others before the own 10 at 0.52: enough in all, stopped at the own ones
    assert (record.filled_e6, record.reason) == (100 * CONTRACT, "self_trade")
    assert code_of(made.order_entry.place, request("b", "yes", "buy", 5_200, 11, "fok"), NOW) == "fok_unfilled"


def test_a_reduce_only_order_never_opens_a_position() -> None:
    made = exchange(Venue.KALSHI)
    none = made.order_entry.place(request("none", "no", "buy", 4_900, 10, is_reduce_only=True), NOW)
    assert (none.filled_e6, none.reason) == (0, "reduce_only")
    made.order_entry.place(request("a", "yes", "buy", 5_100, 4), NOW)
    assert (
        made.order_entry.place(request("b", "no", "buy", 4_900, 10, is_reduce_only=True), NOW).filled_e6 == 4 * CONTRACT
    )
    assert made.state.accounts.accounts["me"].position("M").yes_e6 == 0


# -- holding ----------------------------------------------------------------------------------------------------------


def test_a_held_order_reserves_its_cost_cannot_be_cancelled_and_trades_when_released() -> None:
    made = exchange(Venue.POLYMARKET)
    record = made.order_entry.hold(request("a", "yes", "buy", 5_100, 10), NOW + 250, NOW)
    assert (record.status, record.filled_e6) == ("delayed", 0)
    assert made.transfers.reserved_e6("me") >= 10 * 510_000
    assert made.order_entry.cancel("me", "a", NOW + 1) is None
    made.tick(NOW + 249)
    assert record.status == "delayed"
    made.tick(NOW + 250)
    assert (record.status, record.filled_e6) == ("executed", 10 * CONTRACT)
    assert made.transfers.reserved_e6("me") == 0


def test_a_held_order_is_checked_again_when_released() -> None:
    made = exchange(Venue.POLYMARKET)
    gone = made.order_entry.hold(request("gone", "yes", "buy", 5_100, 10, "fok"), NOW + 250, NOW)
    rests = made.order_entry.hold(request("rests", "yes", "buy", 5_100, 60, "gtc"), NOW + 250, NOW)
    made.apply(CancelOrder(MarketRef(Venue.POLYMARKET, "M"), "maker", "a1"), NOW + 100)
    made.tick(NOW + 250)
    assert (gone.status, gone.reason) == ("canceled", "fok_unfilled")
    assert (rests.status, rests.remaining_e6) == ("resting", 60 * CONTRACT)


def test_a_late_fill_fault_answers_before_the_order_is_matched() -> None:
    made = exchange(Venue.POLYMARKET, FaultPlan([FaultRule("late_fill", ms=700, probability=Decimal(1))]))
    record = made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    assert record.status == "delayed"
    made.tick(NOW + 700)
    assert record.filled_e6 == 10 * CONTRACT


# -- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "entry", "cancels"),
    [
        ("trading_paused", "trading_paused", True),
        ("cancel_only", "cancel_only_mode", True),
        ("post_only", "post_only_mode", True),
        ("closed", "exchange_closed", False),
        ("restarting", "restarting", False),
    ],
)
def test_each_mode_refuses_with_its_own_code(mode: ExchangeMode, entry: str, cancels: bool) -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.status.change(mode, NOW)
    assert code_of(made.order_entry.place, request("b", "yes", "buy", 4_000, 10, "gtc"), NOW) == entry
    assert code_of(made.order_entry.amend, "me", "a", Amendment(4_000, CONTRACT), NOW) == entry
    if cancels:
        assert made.order_entry.cancel("me", "a", NOW) == 10 * CONTRACT
    else:
        assert (
            code_of(made.order_entry.cancel, "me", "a", NOW) == code_of(made.order_entry.cancel_all, "me", NOW) == entry
        )


def test_a_pause_ends_the_orders_that_asked_for_it_and_keeps_the_others() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("ends", "yes", "buy", 4_000, 10, "gtc", cancel_on_pause=True), NOW)
    made.order_entry.place(request("stays", "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.status.change("trading_paused", NOW, until_ms=NOW + 1_000)
    assert made.state.orders["ends"].reason == "paused"
    assert queue(made, 4_000) == ["stays"]
    made.tick(NOW + 1_000)
    assert made.state.mode == "open"


def test_after_a_restart_two_minutes_of_post_only_follow() -> None:
    made = exchange(Venue.POLYMARKET)
    made.status.change("restarting", NOW, until_ms=NOW + 90_000, then="post_only")
    made.tick(NOW + 90_000)
    assert made.state.mode == "post_only"
    assert (
        made.order_entry.place(request("a", "yes", "buy", 4_000, 10, "gtc", is_post_only=True), NOW + 90_001).status
        == "resting"
    )
    made.tick(NOW + 209_999)
    assert made.state.mode == "post_only"
    made.tick(NOW + 210_000)
    assert made.state.mode == "open"


def test_makers_cannot_move_while_the_exchange_is_closed_and_take_back_their_quotes_after_it() -> None:
    made, ref = exchange(Venue.KALSHI), MarketRef(Venue.KALSHI, "M")
    made.status.change("closed", NOW, until_ms=NOW + 100)
    made.apply(PlaceOrder(ref, "maker", "late", "bid", 4_950 // 100 * 100, CONTRACT), NOW)
    made.apply(CancelOrder(ref, "maker", "b1"), NOW)
    assert made.state.markets["M"].book.best_bid == 4_900
    made.tick(NOW + 100)
    assert made.state.markets["M"].book.best_bid == 4_800
    assert made.state.refused_participant_orders == 1


def test_a_paused_market_takes_cancels_only_and_its_reactivation_cancels_what_rests() -> None:
    made = exchange(Venue.KALSHI)
    for name in ("a", "b"):
        made.order_entry.place(request(name, "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.lifecycle.pause("M", NOW)
    assert code_of(made.order_entry.place, request("c", "yes", "buy", 4_000, 10, "gtc"), NOW) == "market_paused"
    assert made.order_entry.cancel("me", "a", NOW) == 10 * CONTRACT
    made.lifecycle.reactivate("M", NOW)
    assert made.state.orders["b"].reason == "reactivated"
    assert made.order_entry.place(request("c", "yes", "buy", 4_000, 10, "gtc"), NOW).status == "resting"
    made.lifecycle.close_early("M", NOW)
    assert code_of(made.lifecycle.pause, "M", NOW) == "market_closed"


def test_cancelling_everything_can_be_narrowed_to_a_market_and_an_outcome() -> None:
    made = exchange(Venue.POLYMARKET)
    made.order_entry.place(request("yes", "yes", "buy", 4_000, 10, "gtc"), NOW)
    made.order_entry.place(request("no", "no", "buy", 6_000, 10, "gtc"), NOW)
    assert made.order_entry.cancel_all("me", NOW, market_id="other") == []
    assert [record.order_id for record in made.order_entry.cancel_all("me", NOW, market_id="M", outcome="no")] == ["no"]
    assert [record.order_id for record in made.order_entry.cancel_all("me", NOW)] == ["yes"]


def test_polymarkets_ticks_get_finer_when_the_price_nears_an_end() -> None:
    made, ref = exchange(Venue.POLYMARKET), MarketRef(Venue.POLYMARKET, "M")
    for step in range(1, 5):
        made.apply(CancelOrder(ref, "maker", f"a{step}"), NOW)
    made.apply(PlaceOrder(ref, "maker", "ask", "ask", 9_800, CONTRACT), NOW)
    assert made.state.markets["M"].tick_e4 == 100
    made.apply(PlaceOrder(ref, "maker", "bid", "bid", 9_500, CONTRACT), NOW)
    assert (made.state.markets["M"].tick_e4, made.state.markets["M"].previous_tick_e4) == (10, 100)
