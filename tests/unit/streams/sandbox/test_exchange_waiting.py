"""Orders that wait: for their expiry, for their release, for a trade to be final."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan, SettlementPlan
from streams.sandbox.core.model import ChangeTick, DetermineMarket, ListMarket, PlaceOrder, SettleMarket
from streams.sandbox.core.records import Amendment
from streams.sandbox.exchange.exchange import Exchange
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request

POLYMARKET = MarketRef(Venue.POLYMARKET, "M")


def settle(made: Exchange, settlement_e4: int) -> None:
    ref = MarketRef(made.state.venue, "M")
    made.apply(DetermineMarket(ref, settlement_e4, "yes" if settlement_e4 else "no"), NOW + 10)
    made.apply(SettleMarket(ref), NOW + 11)


# -- expiry -----------------------------------------------------------------------------------------------------------


def test_nothing_trades_with_an_order_whose_time_has_come_even_before_the_next_tick() -> None:
    made = exchange(Venue.KALSHI)
    for name in ("early", "late"):
        made.order_entry.place(request(name, "yes", "buy", 5_000, 10, "gtd", expires_ms=NOW + 100), NOW)
    taken = made.order_entry.place(request("taker", "no", "buy", 5_000, 10, who="you"), NOW + 99)
    missed = made.order_entry.place(request("missed", "no", "buy", 5_000, 10, who="you"), NOW + 100)
    assert (taken.filled_e6, missed.filled_e6) == (10 * CONTRACT, 0)
    assert made.state.orders["late"].reason == "expired"


def test_a_house_order_and_an_amendment_do_not_meet_an_expired_order_either() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("old", "yes", "buy", 5_000, 10, "gtd", expires_ms=NOW + 100), NOW)
    made.apply(PlaceOrder(MarketRef(Venue.KALSHI, "M"), "taker", "t", "ask", 5_000, CONTRACT, True), NOW + 100)
    made.order_entry.place(request("mine", "yes", "buy", 4_000, 10, "gtd", expires_ms=NOW + 200), NOW)
    with pytest.raises(Refused, match="not_found"):
        made.order_entry.amend("me", "mine", Amendment(4_100, 10 * CONTRACT), NOW + 200)
    assert [made.state.orders[name].filled_e6 for name in ("old", "mine")] == [0, 0]


def test_a_held_order_that_has_expired_at_its_release_never_reaches_the_book() -> None:
    made = exchange(Venue.KALSHI)
    record = made.order_entry.hold(request("a", "yes", "buy", 5_200, 10, "gtd", expires_ms=NOW + 500), NOW + 500, NOW)
    made.tick(NOW + 500)
    assert (record.status, record.reason, record.filled_e6) == ("canceled", "expired", 0)


# -- held orders ------------------------------------------------------------------------------------------------------


def test_a_held_reduce_only_order_never_opens_a_position_that_was_closed_meanwhile() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("open", "yes", "buy", 5_200, 10), NOW)
    held = made.order_entry.hold(request("held", "no", "buy", 4_800, 10, is_reduce_only=True), NOW + 500, NOW)
    made.order_entry.place(request("close", "no", "buy", 4_800, 7), NOW + 1)
    made.tick(NOW + 500)
    assert (held.filled_e6, held.status) == (3 * CONTRACT, "executed")
    assert made.state.accounts.accounts["me"].held_e6("M", "no") == 0


def test_a_held_reduce_only_order_with_nothing_left_to_reduce_ends() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("open", "yes", "buy", 5_200, 10), NOW)
    held = made.order_entry.hold(request("held", "no", "buy", 4_800, 10, is_reduce_only=True), NOW + 500, NOW)
    made.order_entry.place(request("close", "no", "buy", 4_800, 10), NOW + 1)
    made.tick(NOW + 500)
    assert (held.filled_e6, held.status, held.reason) == (0, "canceled", "reduce_only")


def test_an_order_is_held_only_if_its_account_can_pay_its_limit_whatever_the_book_shows_now() -> None:
    made = exchange(Venue.POLYMARKET)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 10 * CONTRACT}
    for more in ({}, {"spend_e6": 11 * CONTRACT}):
        with pytest.raises(Refused, match="insufficient_balance"):
            made.order_entry.hold(request("a", "yes", "buy", 4_000, 30, **more), NOW + 500, NOW)
    assert made.transfers.reserved_e6("me") == 0


def test_a_held_order_that_was_to_close_a_position_needs_cash_when_that_is_closed_already() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("open", "no", "buy", 4_800, 10), NOW)
    held = made.order_entry.hold(request("held", "yes", "buy", 5_200, 10), NOW + 500, NOW)
    made.order_entry.place(request("close", "yes", "buy", 5_200, 10), NOW + 1)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: CONTRACT}
    made.tick(NOW + 500)
    assert (held.status, held.reason, held.filled_e6) == ("canceled", "insufficient_balance", 0)


def test_an_order_is_held_only_if_its_account_can_pay_the_taker_fee_too() -> None:
    made = exchange(Venue.POLYMARKET)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 5_100_000}
    with pytest.raises(Refused, match="insufficient_balance"):
        made.order_entry.hold(request("a", "yes", "buy", 5_100, 10, "gtc"), NOW + 500, NOW)


def test_held_orders_end_with_their_market_so_that_nothing_paid_out_stays_promised() -> None:
    made = exchange(Venue.POLYMARKET)
    made.inventory.split("me", "M", 10 * CONTRACT, NOW)
    held = made.order_entry.hold(request("a", "yes", "sell", 4_800, 10, "gtc"), NOW + 10_000, NOW)
    settle(made, 10_000)
    assert (held.status, held.reason, made.state.delayed) == ("canceled", "market_closed", {})
    made.evict_market("M")
    made.tick(NOW + 10_000)
    assert made.state.orders == {}


# -- dollars ----------------------------------------------------------------------------------------------------------


def test_a_buy_that_spends_dollars_never_pays_more_than_them_however_many_fills_are_rounded() -> None:
    made = exchange(Venue.POLYMARKET)
    made.apply(ChangeTick(POLYMARKET, 10), NOW)
    for number in range(9):
        made.apply(PlaceOrder(POLYMARKET, "maker", f"odd{number}", "ask", 5_010, 333_333), NOW)
    record = made.order_entry.place(request("a", "yes", "buy", 5_100, 0, spend_e6=1_500_000), NOW)
    assert len(record.trade_ids) == 9
    assert record.taker_cash_e6 == 1_500_000


def test_a_buy_that_spends_dollars_needs_all_of_them_even_if_the_book_would_take_less() -> None:
    made = exchange(Venue.POLYMARKET)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 10 * CONTRACT}
    with pytest.raises(Refused, match="insufficient_balance"):
        made.order_entry.place(request("a", "yes", "buy", 4_500, 0, spend_e6=11 * CONTRACT), NOW)


# -- trades that fail -------------------------------------------------------------------------------------------------


def test_a_sale_that_fails_leaves_the_position_as_if_it_had_never_been_made() -> None:
    made = exchange(Venue.POLYMARKET, FaultPlan(settlement=SettlementPlan(10, 20)))
    made.order_entry.place(request("buy", "yes", "buy", 5_100, 10, "gtc"), NOW)
    made.tick(NOW + 10)
    made.tick(NOW + 20)
    position = made.state.accounts.accounts["me"].position("M")
    before = (position.yes_e6, position.yes_cost_e6, position.realized_e6, position.fees_e6, position.volume_e6)
    sale = made.order_entry.place(request("sell", "yes", "sell", 4_900, 10, "gtc"), NOW + 30)
    assert position.realized_e6 == -200_000
    made.settlement.fail_trade(sale.trade_ids[0], NOW + 31)
    after = (position.yes_e6, position.yes_cost_e6, position.realized_e6, position.fees_e6, position.volume_e6)
    assert after == before


def test_an_account_that_owes_tokens_pays_at_the_settlement_though_it_redeems_by_hand() -> None:
    made = exchange(Venue.POLYMARKET, FaultPlan(settlement=SettlementPlan(1_000, 2_000)))
    account = made.state.accounts.accounts["me"]
    account.redeems_itself = False
    bought = made.order_entry.place(request("buy", "yes", "buy", 5_100, 10, "gtc"), NOW)
    made.order_entry.place(request("sell", "yes", "sell", 4_900, 10, "gtc"), NOW)
    made.settlement.fail_trade(bought.trade_ids[0], NOW + 1)
    assert account.held_e6("M", "yes") == -10 * CONTRACT
    cash = account.cash_e6
    settle(made, 10_000)
    assert (account.held_e6("M", "yes"), account.cash_e6) == (0, cash - 10 * CONTRACT)


def test_a_debt_of_tokens_is_rounded_up_when_it_is_paid() -> None:
    made = exchange(Venue.POLYMARKET)
    account = made.state.accounts.accounts["me"]
    account.position("M").change("yes", -333_333, 0)
    assert made.state.accounts.settle(account, "M", 3_700, NOW) == -123_334


def test_a_conversion_pays_at_once_what_a_market_of_the_event_has_resolved_to() -> None:
    made = Exchange(Venue.POLYMARKET, FaultPlan(), 1)
    rows = [replace(listing(Venue.POLYMARKET).market, market_id=name, is_neg_risk=True) for name in "ABC"]
    for row in rows:
        made.apply(ListMarket(listing(Venue.POLYMARKET).event, row), NOW)
    account = made.state.accounts.open_account("me", 100 * CONTRACT)
    for name in "AB":
        made.inventory.split("me", name, 10 * CONTRACT, NOW)
    made.apply(DetermineMarket(MarketRef(Venue.POLYMARKET, "C"), 10_000, "yes"), NOW)
    # Two NO are worth two dollars now: C has won.
    assert made.inventory.convert("me", "E", ["A", "B"], 10 * CONTRACT, NOW) == 20 * CONTRACT
    assert account.cash_e6 == 100 * CONTRACT
    assert made.state.accounts.total_e6() == 100 * CONTRACT


@pytest.mark.parametrize(("step_e6", "paid_e6"), [(1, 456_207), (100, 456_200), (10_000, 450_000)])
def test_a_scalar_payout_is_rounded_down_to_the_step_of_the_venue(step_e6: int, paid_e6: int) -> None:
    made = exchange(Venue.KALSHI)
    made.state.payout_step_e6 = step_e6
    account = made.state.accounts.accounts["me"]
    made.order_entry.place(replace(request("a", "yes", "buy", 5_100, 0), size_e6=1_230_000), NOW)
    cash = account.cash_e6
    made.apply(DetermineMarket(MarketRef(Venue.KALSHI, "M"), 3_709, "scalar"), NOW)
    made.apply(SettleMarket(MarketRef(Venue.KALSHI, "M")), NOW)
    # 1.23 contracts at 0.3709
    assert account.cash_e6 - cash == paid_e6
    assert made.state.accounts.total_e6() == 2_000 * CONTRACT
