"""Shards, inventory operations, and how Polymarket's trades settle or fail."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan, FaultRule, SettlementPlan
from streams.sandbox.core.model import CancelOrder, DetermineMarket, ListMarket, PlaceOrder, SettleMarket
from streams.sandbox.core.profile import REALISTIC, ZERO
from streams.sandbox.core.shards import EVERYWHERE, rebalanced, shard_of, split_by_share
from streams.sandbox.exchange.exchange import Exchange
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request

M = MarketRef(Venue.POLYMARKET, "M")


def code_of(act: object, *arguments: object) -> str:
    with pytest.raises(Refused) as refused:
        act(*arguments)  # type: ignore[operator]
    return refused.value.code


def with_event(count: int) -> Exchange:
    """Markets M0, M1, ... of one negative-risk event; "me" has 100 dollars in pairs of M0 and M1."""
    made = Exchange(Venue.POLYMARKET, FaultPlan(), 1)
    plain = listing(Venue.POLYMARKET)
    for number in range(count):
        market = replace(plain.market, market_id=f"M{number}", is_neg_risk=True)
        made.apply(ListMarket(plain.event, market), NOW)
    made.state.accounts.open_account("me", 1_000 * CONTRACT)
    for number in range(2):
        made.inventory.split("me", f"M{number}", 100 * CONTRACT, NOW)
    return made


# -- shards -----------------------------------------------------------------------------------------------------------


def test_an_accounts_cash_is_spread_so_that_it_can_trade_on_every_shard() -> None:
    made = exchange(Venue.KALSHI)
    assert made.state.accounts.accounts["me"].cash_by_shard_e6 == {
        0: 400 * CONTRACT, 1: 200 * CONTRACT, 2: 200 * CONTRACT, 3: 200 * CONTRACT,
    }  # fmt: skip
    assert exchange(Venue.POLYMARKET).state.accounts.accounts["me"].cash_by_shard_e6 == {0: 1_000 * CONTRACT}


def test_cash_on_another_shard_does_not_pay_for_an_order_until_it_is_moved() -> None:
    made = exchange(Venue.KALSHI)
    order = request("a", "yes", "buy", 5_000, 900, "gtc")
    assert code_of(made.order_entry.place, order, NOW) == "insufficient_shard_balance"
    assert code_of(made.order_entry.place, replace(order, size_e6=9_000 * CONTRACT), NOW) == "insufficient_balance"
    made.transfers.transfer("me", 1, 0, 100 * CONTRACT, NOW)
    assert made.order_entry.place(order, NOW).status == "resting"
    assert code_of(made.transfers.transfer, "me", 0, 1, 100 * CONTRACT, NOW) == "insufficient_shard_balance"
    assert code_of(made.transfers.transfer, "me", 0, 0, 1, NOW) == "invalid_amount"


def test_the_allocation_is_restored_every_ten_seconds_without_touching_what_is_reserved() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 4_000, 750, "gtc"), NOW)
    made.transfers.set_allocation("me", {2: 100})
    made.tick(NOW + 10_000)
    assert made.state.accounts.accounts["me"].cash_by_shard_e6 == {0: 300 * CONTRACT, 1: 0, 2: 700 * CONTRACT, 3: 0}
    assert code_of(made.transfers.set_allocation, "me", {2: 90}) == "invalid_allocation"


@pytest.mark.parametrize(
    ("cash", "reserved", "percents", "after"),
    [
        ({0: 1_000_000}, {}, {0: 50, 2: 50}, {0: 500_000, 2: 500_000}),
        ({0: 1_000_000}, {0: 800_000}, {0: 50, 2: 50}, {0: 800_000, 2: 200_000}),
        ({0: 1_000_000, 1: 600_000}, {1: 100_000}, {0: 100}, {0: 1_500_000, 1: 100_000}),
        ({0: 1_000_001}, {}, {0: 30, 2: 70}, {0: 300_001, 2: 700_000}),
        ({0: 500, 2: 500}, {0: 600, 2: 600}, {0: 100}, {0: 500, 2: 500}),
    ],
)
def test_rebalancing(
    cash: dict[int, int], reserved: dict[int, int], percents: dict[int, int], after: dict[int, int]
) -> None:
    found = rebalanced(cash, reserved, percents)
    assert found == after
    assert sum(found.values()) == sum(cash.values())


def test_cash_is_divided_in_centicents_and_nothing_of_it_is_lost() -> None:
    assert split_by_share(1_000_123, EVERYWHERE) == {0: 400_123, 1: 200_000, 2: 200_000, 3: 200_000}


@pytest.mark.parametrize(
    ("category", "series", "extra", "shard"),
    [
        ("Crypto", "KXBTCD", {}, 2),
        ("Sports", "KXNBAGAME", {}, 3),
        ("Sports", "KXNFLGAME", {}, 0),
        ("Politics", "KXSEN", {}, 0),
        ("Crypto", "KXBTCD", {"exchange_index": 1}, 1),
    ],
)
def test_a_markets_shard_is_what_the_catalogue_says_or_its_categorys(
    category: str, series: str, extra: dict[str, int], shard: int
) -> None:
    act = listing(Venue.KALSHI)
    event = replace(act.event, category=category, series_id=series)
    assert shard_of(event, replace(act.market, series_id=series, extra=extra)) == shard


def test_closing_a_position_needs_no_cash() -> None:
    made = exchange(Venue.KALSHI)
    made.order_entry.place(request("a", "yes", "buy", 5_200, 100), NOW)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 0}
    made.order_entry.place(request("b", "no", "buy", 9_000, 100, "gtc"), NOW)
    assert made.transfers.reserved_e6("me") == 0
    assert code_of(made.order_entry.place, request("c", "no", "buy", 9_000, 1, "gtc"), NOW) == "insufficient_balance"


# -- inventory --------------------------------------------------------------------------------------------------------


def test_dollars_become_pairs_and_pairs_become_dollars() -> None:
    made = exchange(Venue.POLYMARKET)
    made.inventory.split("me", "M", 30 * CONTRACT, NOW)
    account = made.state.accounts.accounts["me"]
    assert (account.cash_e6, account.position("M").yes_e6) == (970 * CONTRACT, 30 * CONTRACT)
    made.order_entry.place(request("a", "no", "sell", 3_000, 20, "gtc"), NOW)
    assert code_of(made.inventory.merge, "me", "M", 11 * CONTRACT, NOW) == "insufficient_balance"
    made.inventory.merge("me", "M", 10 * CONTRACT, NOW)
    assert account.cash_e6 == 980 * CONTRACT
    assert code_of(made.inventory.split, "me", "M", 981 * CONTRACT, NOW) == "insufficient_balance"


def test_no_on_several_markets_converts_into_dollars_and_yes_on_the_others() -> None:
    made = with_event(4)
    assert made.inventory.convert("me", "E", ["M0", "M1"], 60 * CONTRACT, NOW) == 60 * CONTRACT
    account = made.state.accounts.accounts["me"]
    assert [account.position(f"M{n}").no_e6 // CONTRACT for n in range(4)] == [40, 40, 0, 0]
    assert [account.position(f"M{n}").yes_e6 // CONTRACT for n in range(4)] == [100, 100, 60, 60]
    assert account.cash_e6 == 860 * CONTRACT
    assert code_of(made.inventory.convert, "me", "E", ["M0", "M0"], CONTRACT, NOW) == "market_not_found"
    assert code_of(made.inventory.convert, "me", "E", ["M2"], CONTRACT, NOW) == "insufficient_balance"


@pytest.mark.parametrize("winner", range(4))
def test_a_conversion_neither_makes_nor_loses_money_whoever_wins(winner: int) -> None:
    made = with_event(4)
    made.inventory.convert("me", "E", ["M0", "M1"], 60 * CONTRACT, NOW)
    for number in range(4):
        ref = MarketRef(Venue.POLYMARKET, f"M{number}")
        made.apply(DetermineMarket(ref, 10_000 * (number == winner), "yes" if number == winner else "no"), NOW)
        made.apply(SettleMarket(ref), NOW)
    assert made.state.accounts.accounts["me"].cash_e6 == 1_000 * CONTRACT
    assert made.state.accounts.accounts["venue:neg-risk:E"].cash_e6 == 0
    assert made.state.accounts.total_e6() == 1_000 * CONTRACT


def test_who_redeems_for_itself_is_paid_when_it_asks() -> None:
    made = exchange(Venue.POLYMARKET)
    made.state.accounts.accounts["me"].redeems_itself = False
    made.inventory.split("me", "M", 10 * CONTRACT, NOW)
    assert code_of(made.settlement.redeem, "me", "M", NOW) == "not_resolved"
    made.apply(DetermineMarket(M, 5_000, "scalar"), NOW)
    made.apply(SettleMarket(M), NOW)
    assert made.state.payouts == []
    assert made.settlement.redeem("me", "M", NOW) == 10 * CONTRACT
    assert made.settlement.redeem("me", "M", NOW) == 0
    assert [(p.yes_e6, p.no_e6, p.payout_e6) for p in made.state.payouts] == [
        (10 * CONTRACT, 10 * CONTRACT, 10 * CONTRACT)
    ]


# -- settlement of trades ---------------------------------------------------------------------------------------------


def settled_soon(sellable: str, failed: int = 0) -> FaultPlan:
    return FaultPlan(settlement=SettlementPlan(100, 200, Decimal(failed), sellable))  # type: ignore[arg-type]


def test_bought_tokens_and_the_proceeds_of_sold_ones_are_there_once_they_are_mined() -> None:
    made = exchange(Venue.POLYMARKET, settled_soon("mined"))
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    assert code_of(made.order_entry.place, request("b", "yes", "sell", 4_900, 10), NOW) == "insufficient_balance"
    assert code_of(made.inventory.merge, "me", "M", CONTRACT, NOW) == "insufficient_balance"
    made.tick(NOW + 100)
    made.state.accounts.accounts["me"].cash_by_shard_e6 = {0: 0}
    made.order_entry.place(request("b", "yes", "sell", 4_900, 10), NOW + 100)
    assert code_of(made.inventory.split, "me", "M", CONTRACT, NOW + 100) == "insufficient_balance"
    made.tick(NOW + 200)
    made.inventory.split("me", "M", CONTRACT, NOW + 200)


def test_who_sells_tokens_of_a_trade_that_then_fails_owes_them_and_pays_at_settlement() -> None:
    made = exchange(Venue.POLYMARKET, settled_soon("matched"))
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    made.order_entry.place(request("b", "yes", "sell", 4_900, 10), NOW)
    first = next(iter(made.state.trades.values()))
    made.settlement.fail_trade(first.trade_id, NOW)
    account = made.state.accounts.accounts["me"]
    assert (first.status, account.position("M").yes_e6) == ("FAILED", -10 * CONTRACT)
    before = account.cash_e6
    made.apply(DetermineMarket(M, 10_000, "yes"), NOW)
    made.apply(SettleMarket(M), NOW)
    assert account.cash_e6 == before - 10 * CONTRACT
    assert made.state.accounts.escrow_e6["M"] == 0
    assert made.state.accounts.total_e6() == 2_000 * CONTRACT


def test_a_failed_trade_is_taken_back_from_both_sides() -> None:
    made = exchange(Venue.POLYMARKET, settled_soon("matched"))
    made.order_entry.place(request("maker", "yes", "buy", 5_000, 10, "gtc", who="you"), NOW)
    made.order_entry.place(request("taker", "no", "buy", 5_000, 10), NOW)
    made.settlement.fail_trade(next(iter(made.state.trades)), NOW)
    for name in ("me", "you"):
        account = made.state.accounts.accounts[name]
        assert (account.cash_e6, account.position("M").yes_e6, account.position("M").no_e6) == (1_000 * CONTRACT, 0, 0)
    assert (made.state.accounts.fees_e6, made.state.accounts.escrow_e6["M"]) == (0, 0)
    assert code_of(made.settlement.fail_trade, next(iter(made.state.trades)), NOW) == "not_found"


def test_a_rule_lets_a_trade_fail_after_a_second_attempt() -> None:
    made = exchange(Venue.POLYMARKET, FaultPlan([FaultRule("failed_settlement", times=1)]))
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    trade = next(iter(made.state.trades.values()))
    made.tick(NOW + 1_500)
    assert trade.status == "RETRYING"
    made.tick(NOW + 4_000)
    assert trade.status == "FAILED"


def test_a_trade_fails_more_often_the_further_the_price_has_moved_for_its_taker() -> None:
    made = exchange(Venue.POLYMARKET, profile=REALISTIC)
    made.order_entry.place(request("a", "yes", "buy", 5_100, 10), NOW)
    trade = next(iter(made.state.trades.values()))
    assert made.timing.failing_share(trade) == Decimal("0.005")
    for step in range(1, 5):
        made.apply(CancelOrder(M, "maker", f"a{step}"), NOW)
    made.apply(PlaceOrder(M, "maker", "up", "bid", 5_400, CONTRACT), NOW)
    made.apply(PlaceOrder(M, "maker", "ask", "ask", 5_600, CONTRACT), NOW)
    assert made.timing.failing_share(trade) == Decimal("0.005") * (1 + 2 * 4)


def test_settlement_takes_what_the_behaviour_says() -> None:
    made = exchange(Venue.POLYMARKET, profile=replace(ZERO, settlement_ms=(4_000, 50_000)))
    for number in range(400):
        made.order_entry.place(request(str(number), "yes", "buy", 5_100, 1, "gtc"), NOW)
        made.apply(PlaceOrder(M, "maker", f"again{number}", "ask", 5_100, CONTRACT), NOW)
    times = sorted(trade.final_ms - NOW for trade in made.state.trades.values())
    assert len(times) == 400
    assert 3_000 < times[200] < 5_300
    assert 20_000 < times[395] < 130_000
    assert all(0 < trade.mined_ms - NOW <= (trade.final_ms - NOW) // 3 + 1 for trade in made.state.trades.values())
