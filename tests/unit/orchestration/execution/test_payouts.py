"""What the venues' lists say of payouts: however old, listed twice, corrected, or partly unreadable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from orchestration.execution.venues.gateway import AwaitedMarket, Payouts
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import IncompleteList, MalformedFrame, Refused, StreamsError, TransientError
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.kalshi.types.portfolio import SettlementState
from streams.venues.polymarket.chain.calldata import ContractCall, approve_all_call, redeem_call, redeem_v2_call
from streams.venues.polymarket.chain.relayer import RelayedTransaction
from streams.venues.polymarket.contracts import COLLATERAL_ADAPTER, CONDITIONAL_TOKENS, NEG_RISK_COLLATERAL_ADAPTER
from streams.venues.polymarket.data.portfolio import ActivityState

NOW = datetime.now(UTC)
OLD = timedelta(days=200)
CONDITION, POSITION = "0x" + "ab" * 32, "0x" + "cd" * 31
KEY = PolymarketCredentials(SecretStr("0x1"), "0xme", "key", SecretStr("s"), SecretStr("p"))
BROKEN = MalformedFrame(b"{}", "no ticker")


def settled(market_id: str, result: str, age: timedelta, value_e4: int | None = None) -> SettlementState:
    return SettlementState(market_id, "E", result, 0, 0, 0, 0, 0, value_e4, 0, NOW - age, {})


def redeemed(market_id: str, cash_e6: int, age: timedelta) -> ActivityState:
    return ActivityState("REDEEM", market_id, "", cash_e6, cash_e6, "0x", NOW - age, {})


class Client:
    """The calls that payouts are read with; `broken` names the filters whose answer cannot be had or read."""

    def __init__(self, rows: Sequence[Any], broken: dict[str | None, StreamsError] | None = None) -> None:
        self.rows = list(rows)
        self.broken = broken or {}
        self.asked: list[str | None] = []
        self.stated: dict[str, int | None] = {}

    async def settlements(self, *, market_id: str | None = None, min_ts: int | None = None) -> list[Any]:
        return self._answer(market_id, [row for row in self.rows if _fits(row, market_id, row.settled_at, min_ts)])

    async def activity(self, user: str, **filters: Any) -> list[Any]:
        assert (user, filters.pop("type")) == ("0xme", "REDEEM")
        condition, start = filters.pop("condition", None), filters.pop("start", None)
        return self._answer(condition, [row for row in self.rows if _fits(row, condition, row.happened_at, start)])

    async def market(self, market_id: str) -> Any:
        if market_id not in self.stated:
            raise TransientError("timeout")
        return SimpleNamespace(settlement_e4=self.stated[market_id])

    async def token_balance(self, token_id: str) -> int:
        return {"1": 5_000_000, "2": 0}[token_id]

    def _answer(self, name: str | None, rows: list[Any]) -> list[Any]:
        self.asked.append(name)
        error = self.broken.get(name)
        if isinstance(error, IncompleteList):
            raise IncompleteList("rows", rows, error.unreadable)
        if error is not None:
            raise error
        return rows


def _fits(row: Any, name: str | None, at: datetime, since: int | None) -> bool:
    return (name is None or row.market_id == name) and (since is None or at.timestamp() >= since)


def of_kalshi(client: Client, *markets: AwaitedMarket) -> Payouts:
    return asyncio.run(KalshiGateway(client).payouts(markets))  # type: ignore[arg-type]


def of_polymarket(client: Client, *markets: AwaitedMarket) -> Payouts:
    return asyncio.run(PolymarketGateway(client, KEY).payouts(markets))  # type: ignore[arg-type]


def test_kalshi_is_asked_by_name_for_what_is_over_and_not_among_what_settled_lately() -> None:
    client = Client([settled("NEW", "yes", timedelta(hours=1)), settled("OLD", "no", OLD)])
    markets = [AwaitedMarket(name, None, is_over=name != "OPEN") for name in ("NEW", "OLD", "OPEN", "WAITS")]
    found = of_kalshi(client, *markets)
    assert {(payout.market_id, payout.settlement_e4) for payout in found.found} == {("NEW", 10_000), ("OLD", 0)}
    assert client.asked[0] is None
    assert sorted(map(str, client.asked[1:])) == ["OLD", "WAITS"]


def test_kalshi_closes_early_and_is_found_though_the_catalogue_does_not_know() -> None:
    client = Client([settled("M", "yes", timedelta(minutes=1))])
    assert [p.settlement_e4 for p in of_kalshi(client, AwaitedMarket("M", None, is_over=False)).found] == [10_000]


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_of_two_rows_of_a_market_the_later_settlement_counts(is_newest_first: bool) -> None:
    rows = [settled("M", "no", timedelta(hours=1)), settled("M", "yes", timedelta(hours=2))]
    client = Client(rows if is_newest_first else rows[::-1])
    assert [p.settlement_e4 for p in of_kalshi(client, AwaitedMarket("M", None, is_over=True)).found] == [0]


def test_a_list_with_something_unreadable_costs_no_market_that_can_be_read() -> None:
    client = Client(
        [settled("NEW", "yes", timedelta(hours=1)), settled("OLD", "no", OLD)],
        {None: IncompleteList("settlements", [], [BROKEN]), "LOST": TransientError("502")},
    )
    found = of_kalshi(client, *(AwaitedMarket(name, None, is_over=True) for name in ("NEW", "OLD", "LOST")))
    assert {payout.market_id for payout in found.found} == {"NEW", "OLD"}
    assert set(found.failed) == {"", "LOST"}


def test_a_venue_that_does_not_answer_is_asked_for_no_more_and_nobody_stands_in_front() -> None:
    """Each unanswered call takes a time-out, and the other venue waits for the cycle."""
    markets = [AwaitedMarket(f"0x{n}", 10_000, is_over=True) for n in range(50)]
    for ask in (of_kalshi, of_polymarket):
        away = dict.fromkeys([None, *(market.market_id for market in markets)], TransientError("timeout"))
        client = Client([], away)
        found = ask(client, *markets)
        assert len(client.asked) == len(found.failed) == 3
        # Where some never answer, the others are asked in time.
        client = Client([], {f"0x{n}": TransientError("502") for n in range(5)})
        for _ in range(200):
            ask(client, *markets)
        assert {market.market_id for market in markets} <= set(client.asked)


@pytest.mark.parametrize(
    ("known", "stated", "value"), [(3_333, None, 3_333), (None, 3_333, 3_333), (None, None, 3_300)]
)
def test_a_void_takes_the_finer_value_of_the_catalogue_or_of_the_market(
    known: int | None, stated: int | None, value: int
) -> None:
    client = Client([settled("M", "scalar", OLD, 3_300)])
    client.stated["M"] = stated
    assert of_kalshi(client, AwaitedMarket("M", known, is_over=True)).found[0].settlement_e4 == value


def test_a_void_whose_market_does_not_answer_waits_and_costs_no_other() -> None:
    client = Client([settled(name, "scalar", timedelta(hours=1), 3_300) for name in ("AWAY", "M")])
    client.stated["M"] = 3_333
    found = of_kalshi(client, *(AwaitedMarket(name, None, is_over=True) for name in ("AWAY", "M")))
    assert [(payout.market_id, payout.settlement_e4) for payout in found.found] == [("M", 3_333)]
    assert set(found.failed) == {"AWAY"}


def test_polymarket_sums_all_redemptions_of_a_market_however_old() -> None:
    client = Client([redeemed("0xa", 20_000_000, OLD), redeemed("0xa", 30_000_000, timedelta(minutes=5))])
    [payout] = of_polymarket(client, AwaitedMarket("0xa", 10_000, is_over=True)).found
    assert (payout.settlement_e4, payout.paid_e6) == (10_000, 50_000_000)


def test_polymarket_leaves_open_what_nobody_has_redeemed() -> None:
    [payout] = of_polymarket(Client([]), AwaitedMarket("0xa", 10_000, is_over=True)).found
    assert (payout.paid_e6, payout.settled_at) == (None, None)


@pytest.mark.parametrize("error", [IncompleteList("data", [], [BROKEN]), TransientError("timeout")])
def test_a_market_whose_redemptions_cannot_all_be_read_waits_alone(error: StreamsError) -> None:
    client = Client([redeemed("0xa", 20_000_000, OLD), redeemed("0xb", 1_000_000, OLD)], {"0xa": error})
    markets = [AwaitedMarket(name, 10_000, is_over=True) for name in ("0xa", "0xb")]
    found = of_polymarket(client, *markets)
    assert [payout.market_id for payout in found.found] == ["0xb"]
    assert set(found.failed) == {"0xa"}


def test_what_is_held_and_open_costs_one_call_however_much_it_is() -> None:
    for ask in (of_kalshi, of_polymarket):
        client = Client([])
        ask(client, *(AwaitedMarket(f"M{n}", None, is_over=False) for n in range(500)))
        assert client.asked == [None]


def test_what_waits_for_its_result_for_long_is_asked_for_by_lot_and_all_of_it_in_time() -> None:
    for ask in (of_kalshi, of_polymarket):
        waiting = [AwaitedMarket(f"0x{n}", None, is_over=True) for n in range(60)]
        client = Client([])
        for _ in range(100):
            before = len(client.asked)
            ask(client, *waiting, AwaitedMarket("0xknown", 0, is_over=True))
            assert len(client.asked) - before == 22
        assert set(client.asked) == {None, "0xknown", *(market.market_id for market in waiting)}


class Relayer:
    """A relayer that takes what it is given."""

    def __init__(self) -> None:
        self.calls: list[ContractCall] = []

    async def submit(self, calls: Sequence[ContractCall], *, metadata: str = "") -> RelayedTransaction:
        self.calls += calls
        return RelayedTransaction("t-1", "NEW", "", "", {})


def target(market_id: str, *, is_neg_risk: bool = False) -> Target:
    terms = MarketTerms(yes_token="1", no_token="2", is_neg_risk=is_neg_risk)
    return Target(Venue.POLYMARKET, market_id, terms, from_json("polymarket", {}))


@pytest.mark.parametrize("is_neg_risk", [True, False])
def test_a_smart_wallet_redeems_through_the_relayer(is_neg_risk: bool) -> None:
    relayer = Relayer()
    gateway = PolymarketGateway(Client([]), KEY, relayer)  # type: ignore[arg-type]
    assert asyncio.run(gateway.redeem(target(CONDITION, is_neg_risk=is_neg_risk))) == "t-1"
    adapter = NEG_RISK_COLLATERAL_ADAPTER if is_neg_risk else COLLATERAL_ADAPTER
    allowed = approve_all_call(CONDITIONAL_TOKENS, adapter)
    assert relayer.calls == [allowed, redeem_call(CONDITION, is_neg_risk=is_neg_risk)]


def test_a_position_of_protocol_v2_is_redeemed_by_outcome_and_what_is_held() -> None:
    relayer = Relayer()
    gateway = PolymarketGateway(Client([]), KEY, relayer)  # type: ignore[arg-type]
    asyncio.run(gateway.redeem(target(POSITION)))
    assert relayer.calls == [redeem_v2_call(POSITION, 0, 5_000_000)]


def test_without_a_relayer_a_person_redeems() -> None:
    with pytest.raises(Refused) as refused:
        asyncio.run(PolymarketGateway(Client([]), KEY).redeem(target(CONDITION)))  # type: ignore[arg-type]
    assert refused.value.code == "no_relayer"
