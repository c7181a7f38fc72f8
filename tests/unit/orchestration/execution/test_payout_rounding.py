"""What a venue keeps of a payout by paying whole steps: the ledger's cash is what the sandbox's exchange pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.execution.decide.ledger import FillFact, entries_of
from orchestration.execution.decide.market_account import Lot, MarketAccount, Result, after, missing_entries
from orchestration.execution.decide.postings import Entry, cash_of
from streams.market.fees import FeeSchedule, KalshiFeeSchedule, PolymarketFeeSchedule
from streams.market.identity import Outcome, Venue
from streams.market.units import cash_e6_of
from streams.sandbox.core.accounts import Accounts, Fill, Intent
from streams.sandbox.core.venue_rules import RULES

CENT, HUNDREDTH = 10_000, 10_000
OPENED = 10_000_000_000
SCHEDULES: dict[Venue, FeeSchedule] = {
    Venue.KALSHI: KalshiFeeSchedule(),
    Venue.POLYMARKET: PolymarketFeeSchedule(rate_e6=40_000),
}


@dataclass(frozen=True)
class Bought:
    """Contracts that a trade bought."""

    execution_id: int
    outcome: Outcome
    contracts: int
    price_e4: int


BOUGHT = st.builds(
    Bought, st.integers(1, 4), st.sampled_from(["yes", "no"]), st.integers(1, 5_000), st.integers(1, 9_999)
)


class Both:
    """An account of the sandbox's exchange and our ledger, which hear of the same fills."""

    def __init__(self, venue: Venue, step_e6: int) -> None:
        self.venue, self.step = venue, step_e6
        # On Kalshi hundredths of a contract are traded, on Polymarket any number of millionths.
        self.size = HUNDREDTH if venue is Venue.KALSHI else 7
        self.exchange = Accounts(RULES[venue])
        self.account = self.exchange.open_account("us", OPENED)
        self.ours = MarketAccount(venue, "M", payout_step_e6=step_e6)
        self.booked: list[Entry] = []

    def buy(self, number: int, bought: Bought) -> None:
        size = bought.contracts * self.size
        cash = cash_e6_of(bought.price_e4, size, paying=True)
        fill = Fill("M", f"order-{number}", Intent(bought.outcome, "buy"), bought.price_e4, size, cash, True, 0)
        fee = self.exchange.fill(self.account, fill, SCHEDULES[self.venue]).fee_e6
        fact = FillFact(
            f"fill-{number}", self.venue, "M", bought.outcome, "buy", size, cash, fee, bought.execution_id, number
        )
        self.booked += entries_of(fact)
        key = (bought.execution_id, bought.outcome)
        lots = {(lot.execution_id, lot.outcome): lot for lot in self.ours.lots}
        lot = lots.get(key, Lot(*key, 0))
        lots[key] = replace(lot, traded_e6=lot.traded_e6 + size)
        self.ours = replace(self.ours, lots=tuple(lots.values()))
        self._book(None, f"fill-{number}")

    def pay(self, settlement_e4: int) -> None:
        self.exchange.settle(self.account, "M", settlement_e4, 0, self.step)
        self._book(Result(settlement_e4))

    def _book(self, result: Result | None, cause: str = "") -> None:
        entries = missing_entries(self.ours, result, cause)
        self.booked += entries
        self.ours = after(self.ours, entries)

    def assert_alike(self) -> None:
        assert cash_of(self.booked) == self.account.cash_e6 - OPENED


def test_a_hundredth_of_a_contract_that_is_void_at_72_cents_is_paid_nothing() -> None:
    both = Both(Venue.KALSHI, CENT)
    both.buy(1, Bought(1, "yes", 1, 7_000))
    both.pay(7_200)
    both.assert_alike()
    assert [(entry.kind, entry.cash_e6, entry.contracts_e6) for entry in both.booked[-2:]] == [
        ("settlement", 7_200, -10_000),
        ("adjustment", -7_200, 0),
    ]


@pytest.mark.parametrize("step_e6", [CENT, 100])
@given(st.lists(BOUGHT, max_size=8), st.integers(0, 10_000))
def test_what_kalshi_pays_for_the_net_position_is_in_the_ledger(
    step_e6: int, all_bought: Sequence[Bought], settlement_e4: int
) -> None:
    both = Both(Venue.KALSHI, step_e6)
    for number, bought in enumerate(all_bought):
        both.buy(number, bought)
        both.assert_alike()
    both.pay(settlement_e4)
    both.assert_alike()
    assert -step_e6 < both.ours.shared_e6 <= len(both.ours.lots)
    assert missing_entries(both.ours, Result(settlement_e4)) == []


@given(st.lists(BOUGHT, max_size=8), st.integers(0, 10_000))
def test_what_polymarket_pays_for_odd_millionths_of_both_tokens_is_in_the_ledger(
    all_bought: Sequence[Bought], settlement_e4: int
) -> None:
    both = Both(Venue.POLYMARKET, 1)
    for number, bought in enumerate(all_bought):
        both.buy(number, bought)
    both.pay(settlement_e4)
    both.assert_alike()


def test_a_correction_is_rounded_as_a_whole_too() -> None:
    both = Both(Venue.KALSHI, CENT)
    both.buy(1, Bought(1, "yes", 1, 7_000))
    both.pay(7_200)
    before = cash_of(both.booked)
    for settlement_e4, paid in ((10_000, 10_000), (3_333, 0), (7_200, 0)):
        entries = missing_entries(both.ours, Result(settlement_e4))
        both.booked += entries
        both.ours = after(both.ours, entries)
        assert cash_of(both.booked) == before + paid
