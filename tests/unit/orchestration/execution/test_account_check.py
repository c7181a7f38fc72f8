"""The interval that our books allow an account, and when a figure outside of it is a break."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.execution.decide.account_check import (
    CASH,
    AccountBooks,
    EndedMarket,
    Finding,
    Interval,
    ProvisionalFill,
    Watch,
    cash_interval,
    findings,
    follow,
    position_intervals,
)
from streams.market.identity import Venue
from streams.market.trading import OrderRow

ONE = 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = timedelta(seconds=120)
K, P = Venue.KALSHI, Venue.POLYMARKET


def order(venue: Venue = P, action: str = "buy", **more: Any) -> OrderRow:
    given: dict[str, Any] = {
        "order_id": 1, "execution_id": 1, "leg_no": 0, "purpose": "open", "venue": venue, "market_id": "M",
        "outcome": "yes", "action": action, "limit_price_e4": 4_600, "size_e6": 20 * ONE, "spend_e6": None,
        "reserved_e6": 9_300_000, "client_order_id": "c", "venue_order_id": None, "state": "unknown", "reason": "",
        "filled_e6": 0, "cash_e6": 0, "fee_e6": 0, "prepared_at": START, "sent_at": START, "environment": "sandbox",
        "answered_e6": 0, "answered_cash_e6": 0, "answered_fee_e6": 0, "is_answered_final": False, "seen_e6": 0,
    }  # fmt: skip
    return OrderRow(**(given | more))


def books(venue: Venue = P, cash: int = 100 * ONE, **more: Any) -> AccountBooks:
    return AccountBooks(venue, cash, more.pop("held", {}), **more)


def said(before: Watch | None, value: int, *, after_s: float, low: int = -5 * ONE, high: int = 0) -> Any:
    finding = Finding(CASH, Interval(low, 0, high), value)
    return follow(
        before, finding, began_at=START + timedelta(seconds=after_s), last_write_at=START, unexplained_after=LIMIT
    )


def test_with_nothing_open_the_venue_shows_what_is_booked() -> None:
    ours = cash_interval(books(held={("M", "yes"): ONE}))
    assert ours == Interval(100 * ONE, 100 * ONE, 100 * ONE)
    assert ours.holds(100 * ONE + 9_999)
    assert not ours.holds(100 * ONE - 10_000)


def test_a_provisional_purchase_may_or_may_not_be_shown() -> None:
    """The case of -9.20: what is matched and not confirmed has left our cash, and perhaps the venue's."""
    mine = books(
        cash=90_800_000,
        held={("M", "yes"): 20 * ONE},
        provisional=[ProvisionalFill("M", "yes", -9_200_000, 20 * ONE)],
    )
    assert cash_interval(mine) == Interval(90_800_000, 90_800_000, 100 * ONE)
    assert position_intervals(mine) == {("M", "yes"): Interval(0, 20 * ONE, 20 * ONE)}


def test_an_unknown_purchase_may_have_taken_all_that_is_reserved_and_brought_its_contracts() -> None:
    mine = books(unresolved=[order()])
    assert cash_interval(mine) == Interval(90_700_000, 100 * ONE, 100 * ONE)
    assert position_intervals(mine) == {("M", "yes"): Interval(0, 0, 20 * ONE)}


def test_what_of_an_unknown_order_is_booked_already_is_not_counted_twice() -> None:
    partly = order(filled_e6=15 * ONE, cash_e6=6_900_000, fee_e6=0)
    assert cash_interval(books(unresolved=[partly])) == Interval(100 * ONE - 2_400_000, 100 * ONE, 100 * ONE)


def test_an_order_whose_answer_is_final_leaves_open_only_what_was_not_read() -> None:
    answered = order(is_answered_final=True, answered_e6=8 * ONE, answered_cash_e6=3_680_000, answered_fee_e6=0)
    assert position_intervals(books(unresolved=[answered])) == {("M", "yes"): Interval(0, 0, 8 * ONE)}
    assert cash_interval(books(unresolved=[order(state="filled")])) == Interval(100 * ONE, 100 * ONE, 100 * ONE)


def test_dollars_may_buy_more_contracts_than_were_expected() -> None:
    found = position_intervals(books(unresolved=[order(spend_e6=9 * ONE)]))
    assert found["M", "yes"].high_e6 == 9_000 * ONE


def test_an_unknown_purchase_on_a_venue_that_nets_may_bring_the_dollars_of_couples() -> None:
    assert cash_interval(books(K, unresolved=[order(K)])).high_e6 == 120 * ONE


def test_an_unknown_sale_brings_a_dollar_a_contract_at_most() -> None:
    mine = books(held={("M", "yes"): 20 * ONE}, unresolved=[order(action="sell", reserved_e6=50_000)])
    assert cash_interval(mine) == Interval(100 * ONE - 50_000, 100 * ONE, 120 * ONE)
    assert position_intervals(mine) == {("M", "yes"): Interval(0, 20 * ONE, 20 * ONE)}


def test_what_is_in_transit_may_not_have_arrived_and_what_is_owed_may_have() -> None:
    mine = books(in_transit_e6=7 * ONE, receivable_e6=3 * ONE)
    assert cash_interval(mine) == Interval(93 * ONE, 100 * ONE, 103 * ONE)


def test_an_ended_market_may_have_paid_its_better_side_and_shown_nothing_any_more() -> None:
    held = {("M", "yes"): 20 * ONE, ("M", "no"): 5 * ONE}
    ended = [EndedMarket("M", 20 * ONE, 5 * ONE)]
    assert cash_interval(books(P, held=held, ended=ended)).high_e6 == 120 * ONE
    # Kalshi has paid the five couples already.
    mine = books(K, held=held, ended=ended)
    assert cash_interval(mine).high_e6 == 115 * ONE
    assert position_intervals(mine) == {("M", "yes"): Interval(-5 * ONE, 15 * ONE, 20 * ONE)}


def test_kalshis_position_is_yes_less_no() -> None:
    held = {("M", "yes"): 3 * ONE, ("M", "no"): 10 * ONE}
    assert position_intervals(books(K, held=held)) == {("M", "yes"): Interval(-7 * ONE, -7 * ONE, -7 * ONE)}


def test_what_a_venue_still_shows_of_a_settled_market_is_no_finding() -> None:
    found = findings(books(), 100 * ONE, {("OLD", "yes"): ONE, ("NEW", "no"): ONE}, {"OLD"})
    assert [finding.what for finding in found] == ["cash", "position:NEW:no"]
    assert found[1].is_outside


def test_two_readings_outside_that_are_newer_than_our_last_write_are_a_break() -> None:
    watch, verdict = said(None, 3 * ONE, after_s=5)
    assert (watch.outside_reads, verdict) == (1, "outside")
    watch, verdict = said(watch, 3 * ONE, after_s=35)
    assert (watch.is_break, verdict) == (True, "break")
    assert watch.since == START + timedelta(seconds=5)


def test_a_reading_that_may_be_older_than_our_last_write_counts_for_nothing() -> None:
    watch, verdict = said(None, 3 * ONE, after_s=0)
    assert (watch.outside_reads, verdict) == (0, "outside")
    watch, _ = said(watch, 3 * ONE, after_s=1)
    assert watch.outside_reads == 1


def test_readings_outside_must_follow_each_other() -> None:
    watch, _ = said(None, 3 * ONE, after_s=5)
    watch, verdict = said(watch, -3 * ONE, after_s=10)
    assert (watch.outside_reads, verdict) == (0, "explained")
    assert said(watch, 3 * ONE, after_s=15)[1] == "outside"
    assert said(watch, 0, after_s=15) == (None, "agrees")


def test_what_is_explained_for_two_minutes_is_unexplained() -> None:
    watch, verdict = said(None, -3 * ONE, after_s=1)
    assert verdict == "explained"
    assert said(watch, -2 * ONE, after_s=120)[1] == "explained"
    assert said(watch, -2 * ONE, after_s=121)[1] == "unexplained"


def test_a_break_stays_one_whatever_is_read_later() -> None:
    broken = Watch(START, 2, is_break=True)
    for value in (3 * ONE, -3 * ONE, 0):
        assert said(broken, value, after_s=500) == (broken, "break")


FILLS = st.builds(
    ProvisionalFill,
    st.just("M"),
    st.sampled_from(["yes", "no"]),
    st.integers(-50 * ONE, 50 * ONE),
    st.integers(-50 * ONE, 50 * ONE),
)


@given(st.lists(st.tuples(FILLS, st.booleans()), max_size=6), st.sampled_from(list(Venue)))
def test_whichever_provisional_fills_a_venue_shows_its_figures_are_inside(
    fills: list[tuple[ProvisionalFill, bool]], venue: Venue
) -> None:
    held: dict[Any, int] = {}
    for fill, _ in fills:
        held["M", fill.outcome] = held.get(("M", fill.outcome), 0) + fill.contracts_e6
    cash = 100 * ONE + sum(fill.cash_e6 for fill, _ in fills)
    mine = books(venue, cash, held=held, provisional=[fill for fill, _ in fills])
    shown = cash - sum(fill.cash_e6 for fill, is_shown in fills if not is_shown)
    assert cash_interval(mine).holds(shown)
    for (market, outcome), interval in position_intervals(mine).items():
        at = {
            side: sum(f.contracts_e6 for f, is_shown in fills if is_shown and f.outcome == side)
            for side in ("yes", "no")
        }
        value = at["yes"] - at["no"] if venue is K else at[outcome]
        assert market == "M"
        assert interval.holds(value)


@given(st.integers(0, 20), st.integers(0, 100), st.sampled_from(["buy", "sell"]))
def test_whatever_part_of_an_unknown_order_has_filled_is_inside(part: int, price: int, action: str) -> None:
    is_buy = action == "buy"
    unknown = order(
        action=action, limit_price_e4=4_600 if is_buy else 1_000, reserved_e6=9_300_000 if is_buy else 50_000
    )
    mine = books(held={} if is_buy else {("M", "yes"): 20 * ONE}, unresolved=[unknown])
    paid = part * (min(price, 46) if is_buy else max(price, 10)) * 10_000
    shown = 100 * ONE - paid if is_buy else 100 * ONE + paid
    assert cash_interval(mine).holds(shown)
    contracts = part * ONE if is_buy else (20 - part) * ONE
    assert position_intervals(mine)["M", "yes"].holds(contracts)


@pytest.mark.parametrize(("value", "beyond"), [(-6, -1), (-5, 0), (0, 0), (3, 2)])
def test_how_far_a_figure_lies_outside(value: int, beyond: int) -> None:
    assert Interval(-5, 0, 1).beyond_e6(value) == beyond
