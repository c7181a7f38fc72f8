"""The short series: every minute both venues list "is the coin at or above X at hh:mm", to be settled minutes later.

Pure: an event is a function of the coin, the closing minute, the strikes and the time of listing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.market.identity import Venue
from streams.sandbox.catalogue.truth import Condition, parse_condition, parse_fact
from streams.sandbox.core.identifiers import polymarket_ids
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket
from streams.sandbox.simulation.parameters import Coin

MINUTE_MS = 60_000
TAPERED = ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))


@dataclass(frozen=True, slots=True)
class ShortEvent:
    """One closing minute of one coin, as listed on both venues."""

    coin: Coin
    close_ms: int
    listed_ms: int
    strikes: tuple[int, ...]

    @property
    def fact_id(self) -> str:
        """The fact "price of the coin at the closing minute"."""
        return f"spot-{self.coin.code}-{self.close_ms}"

    def as_json(self) -> list[Any]:
        """The event as JSON values."""
        return [self.coin.code, self.close_ms, self.listed_ms, list(self.strikes)]


def due_closes(now_ms: int, coin: Coin, listed_until_ms: int) -> list[int]:
    """The closing minutes of a coin that should be listed by now and are not yet: up to its life ahead."""
    first = max((now_ms + 20_000) // MINUTE_MS + 1, listed_until_ms // MINUTE_MS + 1)
    last = now_ms // MINUTE_MS + coin.life_min
    return [minute * MINUTE_MS for minute in range(first, last + 1)]


def strikes_around(price: float, coin: Coin) -> tuple[int, ...]:
    """Strikes on the coin's grid, centred on the price, ascending."""
    centre = round(price / coin.strike_step) * coin.strike_step
    start = -(coin.strikes // 2)
    return tuple(int(centre + (start + number) * coin.strike_step) for number in range(coin.strikes))


def eastern(moment: datetime) -> datetime:
    """A UTC moment as US Eastern wall-clock time (summer time: second Sunday of March to first of November)."""
    start = datetime(moment.year, 3, 8, 7, tzinfo=UTC)
    end = datetime(moment.year, 11, 1, 6, tzinfo=UTC)
    start += timedelta(days=(6 - start.weekday()) % 7)
    end += timedelta(days=(6 - end.weekday()) % 7)
    return (moment + timedelta(hours=-4 if start <= moment < end else -5)).replace(tzinfo=None)


def listings(event: ShortEvent) -> list[tuple[CatalogueEvent, CatalogueMarket, Condition]]:
    """All markets of the event on both venues, with their events and conditions."""
    return [*_kalshi(event), *_polymarket(event)]


def _condition(event: ShortEvent, strike: int, void: str) -> Condition:
    facts = {event.fact_id: parse_fact({"id": event.fact_id, "kind": "scalar", "step": "0.01"})}
    return parse_condition({"fact": event.fact_id, "op": "ge", "value": strike, "void": void}, facts)


def _times(event: ShortEvent) -> tuple[datetime, datetime, datetime]:
    close = datetime.fromtimestamp(event.close_ms / 1000, UTC)
    return close, datetime.fromtimestamp(event.listed_ms / 1000, UTC), eastern(close)


def _kalshi(event: ShortEvent) -> list[tuple[CatalogueEvent, CatalogueMarket, Condition]]:
    close, opened, local = _times(event)
    coin = event.coin
    series = f"KX{coin.code}1M"
    ticker = f"{series}-{local:%y%b%d%H%M}".upper()
    clock = f"{local:%-I:%M %p} ET on {local:%b %-d, %Y}"
    title = f"{coin.name} price on {local:%b %-d, %Y} at {local:%-I:%M}{local:%p} ET?"
    parent = CatalogueEvent(
        Venue.KALSHI, ticker, series, title, subtitle=f"{local:%b %-d} at {local:%-I:%M %p} ET", category="Crypto",
        extra={"series_title": f"{coin.name} price by the minute"},
    )  # fmt: skip
    rows = []
    for strike in event.strikes:
        words = f"${strike:,} or above"
        market = CatalogueMarket(
            venue=Venue.KALSHI, market_id=f"{ticker}-T{strike}", event_id=ticker, series_id=series, title=title,
            rules=f"If the simple average of the sixty seconds of CF Benchmarks' {coin.name} Real-Time Index before {clock} is at or above {strike}, then the market resolves to Yes.",  # noqa: E501  one rule text
            rules_secondary="Not all cryptocurrency price data is the same. Only the index named above decides. If the index has no value for that minute, the market settles to the last fair price.",  # noqa: E501  one rule text
            close_time=close, open_time=opened, subtitle=words, yes_means=words, no_means=words,
            strike={"type": "greater_or_equal", "floor": str(strike)}, category="Crypto", price_ranges=TAPERED,
            fee_schedule={"fee_type": "quadratic", "fee_multiplier": coin.kalshi_fee}, settle_lag_s=2,
        )  # fmt: skip
        rows.append((parent, market, _condition(event, strike, "fair")))
    return rows


def _polymarket(event: ShortEvent) -> list[tuple[CatalogueEvent, CatalogueMarket, Condition]]:
    close, opened, local = _times(event)
    coin = event.coin
    slug = f"{coin.name.lower()}-at-or-above-{local:%Y-%m-%d-%H%M}-et"
    clock, date = f"{local:%-I:%M}{local:%p} ET", f"{local:%B %-d}"
    parent = CatalogueEvent(
        Venue.POLYMARKET, slug, "", f"{coin.name} above ___ on {date}, {clock}?", category="Crypto"
    )  # fmt: skip
    rows = []
    for strike in event.strikes:
        name = f"{coin.name.lower()}-{strike}-or-above-{local:%Y-%m-%d-%H%M}-et"
        ids = polymarket_ids(name)
        market = CatalogueMarket(
            venue=Venue.POLYMARKET, market_id=ids.condition_id, event_id=slug, series_id="",
            title=f"Will {coin.name} be ${strike:,} or above at {clock} on {date}?",
            rules=f'This market will resolve to "Yes" if the average of CF Benchmarks\' {coin.name} Real-Time Index over the sixty seconds that end at {clock} on {local:%B %-d, %Y} is ${strike:,} or higher. Otherwise, this market will resolve to "No".\n\nPrices on exchanges and other indexes are not considered. If the index publishes no value for that minute, this market will resolve 50-50.',  # noqa: E501  one rule text
            close_time=close, open_time=opened, subtitle=f"{strike:,}", slug=name, category="Crypto",
            price_ranges=((0, 10_000, 100),), min_size_e6=5_000_000,
            fee_schedule={"rate": "0.07", "exponent": "1", "taker_only": True}, settle_lag_s=20,
            extra={"groupItemTitle": f"{strike:,}"}, gamma_id=ids.gamma_id,
            yes_token=ids.yes_token, no_token=ids.no_token,
        )  # fmt: skip
        rows.append((parent, market, _condition(event, strike, "half")))
    return rows
