"""The still markets of the scripts, and what keeps them still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.market.identity import Venue
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket, ListMarket, PlaceOrder
from tests.golden.clock import START_MS

CONTRACT = 1_000_000


def condition(number: int) -> str:
    """The id of a Polymarket market."""
    return "0x" + f"{number + 1:02x}" * 32


def token(number: int, outcome: str = "yes") -> str:
    """A token of a Polymarket market."""
    return str(2**200 + 3 * 10**50 + 2 * number + (outcome == "no"))


def start() -> datetime:
    return datetime.fromtimestamp(START_MS / 1000, UTC)


def _kalshi_market(ticker: str, event: str, series: str, **more: Any) -> ListMarket:
    title = f"Will {ticker} happen?"
    fees = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"}
    market = CatalogueMarket(
        Venue.KALSHI, ticker, event, series, title, f"If {ticker} happens, the market resolves to Yes.",
        start() + timedelta(days=10), start() - timedelta(days=20), fee_schedule=fees, category="Climate",
    )  # fmt: skip
    is_exclusive = bool(more.pop("is_exclusive", False))
    listed = CatalogueEvent(Venue.KALSHI, event, series, f"Event {event}", "Sub", "Climate", is_exclusive=is_exclusive)
    return ListMarket(listed, replace(market, **more))


def _polymarket_market(number: int, event: str, **more: Any) -> ListMarket:
    market = CatalogueMarket(
        Venue.POLYMARKET, condition(number), event, "", f"Will number {number} happen?", "If it happens.",
        start() + timedelta(days=10), start() - timedelta(days=20), min_size_e6=5 * CONTRACT,
        fee_schedule={"rate": "0.05", "exponent": "1", "taker_only": True}, gamma_id=str(1_000 + number),
        slug=f"number-{number}", yes_token=token(number), no_token=token(number, "no"), category="Politics",
    )  # fmt: skip
    return ListMarket(
        CatalogueEvent(Venue.POLYMARKET, event, "", f"Event {event}", category="Politics"), replace(market, **more)
    )


def still_listings() -> list[ListMarket]:
    game = (start() + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    return [
        _kalshi_market("KXRAIN-26DEC01-NYC", "KXRAIN-26DEC01", "KXRAIN"),
        _kalshi_market("KXRAIN-26DEC01-BOS", "KXRAIN-26DEC01", "KXRAIN"),
        _kalshi_market("KXCUP-26-A", "KXCUP-26", "KXCUP", is_exclusive=True, fee_schedule={
            "fee_type": "quadratic", "fee_multiplier": "0.5"}),
        _kalshi_market("KXCUP-26-B", "KXCUP-26", "KXCUP", is_exclusive=True),
        _kalshi_market("KXSNOW-26DEC02-T2", "KXSNOW-26DEC02", "KXSNOW", extra={"exchange_index": 1},
                       strike={"type": "greater", "floor": "2"}),
        _polymarket_market(0, "900"),
        _polymarket_market(1, "901", is_neg_risk=True),
        _polymarket_market(2, "901", is_neg_risk=True),
        _polymarket_market(3, "902", category="Crypto", fee_schedule={
            "rate": "0.07", "exponent": "1", "taker_only": True}),
        _polymarket_market(4, "903", category="Sports", outcomes=("Reds", "Blues"), extra={
            "secondsDelay": 3, "clearBookOnStart": True, "gameStartTime": game}),
    ]  # fmt: skip


def late_listing() -> list[ListMarket]:
    """Markets that are listed while clients listen."""
    return [_kalshi_market("KXRAIN-26DEC01-LA", "KXRAIN-26DEC01", "KXRAIN"), _polymarket_market(5, "905")]


class NullLog:
    """A log that nobody reads."""

    def info(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    warning = error = exception = info


class StillFlow:
    """Lists the markets, quotes three levels on either side of 50 cents and does nothing more by itself."""

    def __init__(self) -> None:
        self.next_acts: list[Any] = []
        for listing in still_listings():
            self.next_acts.append(listing)
            for step in (1, 2, 3):
                for side, price in (("bid", 5_000 - 100 * step), ("ask", 5_000 + 100 * step)):
                    key = f"{listing.market.market_id[:20]}{side}{step}"
                    ref = listing.market.ref
                    self.next_acts.append(PlaceOrder(ref, "maker", key, side, price, 50 * CONTRACT))  # type: ignore[arg-type]

    def step(self, now_ms: int, fills: Sequence[Any]) -> list[Any]:
        """What is left to do."""
        acts, self.next_acts = self.next_acts, []
        return acts

    def snapshot(self) -> dict[str, Any]:
        """Nothing to remember."""
        return {"is_listed": True}

    def restore(self, state: dict[str, Any]) -> None:
        """Everything was listed before."""
        self.next_acts = []

    def drop_orders(self) -> None:
        """No order is looked after."""

    def follow(self, behaviour: Any) -> None:
        """It behaves in no way."""
