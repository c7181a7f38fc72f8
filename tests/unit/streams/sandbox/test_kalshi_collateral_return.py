"""Netting of collateral as Kalshi's clients see it: the switch, balance, exposure, refusals, and what events say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streams.sandbox.core.model import ListMarket
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from tests.support.kalshi_venue import OfflineKalshi, rain

NETTING = "/portfolio/subaccounts/netting"
EVENT = "KXWIN-26DEC01"
_IOC = {"time_in_force": "immediate_or_cancel"}


def venue(settings: KalshiVenueSettings | None = None, *, is_exclusive: bool = True) -> OfflineKalshi:
    """Three more markets of one event without fees; makers bid 0.40 and 0.30 and 0.10 for YES of them."""
    made = OfflineKalshi(settings=settings)
    first = rain()
    event = replace(first.event, event_id=EVENT, series_id="KXWIN", is_exclusive=is_exclusive)
    for number, price in enumerate((4_000, 3_000, 1_000)):
        ticker = f"{EVENT}-{number}"
        market = replace(
            first.market, market_id=ticker, event_id=EVENT, series_id="KXWIN",
            strike={"type": "greater", "floor": str(number)},
            fee_schedule={"fee_type": "quadratic", "fee_multiplier": "0"},
        )  # fmt: skip
        made.exchange.apply(ListMarket(event, market), made.now_ms)
        made.quote("bid", price, 50, key=ticker, ticker=ticker)
    return made


def switch(made: OfflineKalshi, *, is_on: bool = True) -> None:
    body = {"subaccount_number": 0, "enabled": is_on}
    assert made.ask("PUT", NETTING, body, key="key-1").status == 200


def buy_no(made: OfflineKalshi, number: int, price: str) -> None:
    """Ten NO, that is a sale of YES at its price."""
    made.placed(ticker=f"{EVENT}-{number}", side="ask", price=price, client_order_id=f"n{number}", **_IOC)


def balance(made: OfflineKalshi) -> Any:
    return made.own("/portfolio/balance?exchange_index=0")


def test_the_switch_holds_for_every_shard_and_is_off_at_first() -> None:
    made = venue()
    off = [{"subaccount_number": 0, "exchange_index": shard, "enabled": False} for shard in range(4)]
    assert made.own(NETTING)["netting_configs"] == off
    switch(made)
    assert made.own(NETTING)["netting_configs"] == [{**row, "enabled": True} for row in off]
    assert made.own(NETTING, "key-2")["netting_configs"] == off
    assert made.ask("PUT", NETTING, {"subaccount_number": 1, "enabled": True}, key="key-1").status == 400


def test_returned_collateral_is_cash_and_lowers_exposure_and_the_worth_of_positions() -> None:
    made = venue()
    switch(made)
    before = balance(made)
    buy_no(made, 0, "0.4000")
    buy_no(made, 1, "0.3000")
    after = balance(made)
    assert after["balance"] - before["balance"] == -300
    (row,) = made.own(f"/portfolio/positions?event_ticker={EVENT}")["event_positions"]
    assert (row["event_exposure_dollars"], row["total_cost_dollars"]) == ("3.000000", "13.000000")
    markets = made.own(f"/portfolio/positions?event_ticker={EVENT}")["market_positions"]
    assert {one["market_exposure_dollars"] for one in markets} == {"6.000000", "7.000000"}
    worth = sum(10 * (10_000 - (bid + 10_000) // 2) for bid in (4_000, 3_000)) // 100
    assert after["portfolio_value"] == worth - 1_000


def test_resting_orders_of_an_event_hold_what_they_can_take_together() -> None:
    made = venue()
    switch(made)
    before = balance(made)["balance"]
    for number in range(2):
        made.placed(ticker=f"{EVENT}-{number}", side="ask", price="0.5000", client_order_id=f"r{number}")
    assert before - balance(made)["balance"] == 500
    assert made.own("/portfolio/summary/total_resting_order_value")["total_resting_order_value"] == 1_000


def test_closing_a_netted_position_without_cash_is_refused() -> None:
    made = venue()
    switch(made)
    buy_no(made, 0, "0.4000")
    buy_no(made, 1, "0.3000")
    account = made.exchange.state.accounts.accounts["kalshi:key-1"]
    account.allocation = {}
    made.exchange.transfers.transfer(account.account_id, 0, 1, account.cash_by_shard_e6[0], made.now_ms)
    made.exchange.transfers.transfer(account.account_id, 1, 0, 1_000_000, made.now_ms)
    made.quote("ask", 5_000, 50, key="high", ticker=f"{EVENT}-0")
    response = made.place(ticker=f"{EVENT}-0", side="bid", price="0.5000", client_order_id="close", **_IOC)
    assert (response.status, response.body["error"]["code"]) == (404, "insufficient_shard_balance")


def test_positions_from_before_are_netted_at_once_where_the_settings_say_so() -> None:
    for settings, change in ((None, 0), (KalshiVenueSettings(netting_starts="at_once"), 1_000)):
        made = venue(settings)
        buy_no(made, 0, "0.4000")
        buy_no(made, 1, "0.3000")
        before = balance(made)["balance"]
        switch(made)
        assert balance(made)["balance"] - before == change


def test_events_say_how_they_net() -> None:
    made = venue()
    assert made.public(f"/events/{EVENT}")["event"]["collateral_return_type"] == "MECNET"
    ladder = venue(is_exclusive=False)
    shown = {event["event_ticker"]: event["collateral_return_type"] for event in ladder.public("/events")["events"]}
    assert shown == {EVENT: "DIRECNET", "KXRAIN-26DEC01": "DIRECNET", "KXBTCD-26DEC01": "MECNET"}


def test_a_cancel_because_of_a_broken_event_gives_its_reason() -> None:
    made = venue()
    switch(made)
    line = made.open_line()
    line.command(1, "subscribe", channels=["user_orders"])
    made.placed(ticker=f"{EVENT}-2", side="bid", price="0.0100")
    for number in range(2):
        made.settle(ticker=f"{EVENT}-{number}")
    last = [frame["msg"] for frame in line.taken() if frame["type"] == "user_order"][-1]
    assert (last["status"], last["last_update_reason"]) == ("canceled", "MarginCancel")
