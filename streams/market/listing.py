"""A market as its venue describes it: the input of matching and the stable part of a discovered market."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from streams.market.identity import Venue

MarketStatus = Literal["unopened", "open", "paused", "closed", "determined", "settled", "unknown"]
"""Life cycle in our words. closed: no trading, no result yet; determined: result known, not paid; settled: paid.

unknown: the venue says a word that we do not know. Such a market is shown, and neither matched, recorded nor traded.
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """The texts and terms of one market. Absent texts are empty strings.

    Attributes:
        yes_means: What a YES pays for, in words, where the venue names it (a team, a bracket).
        outcomes: The venue's names of the two outcomes, YES first.
        strike: `{"type", "floor", "cap"}` with decimal strings, or None.
    """

    venue: Venue
    market_id: str
    event_id: str
    title: str
    subtitle: str = ""
    event_title: str = ""
    rules: str = ""
    close_time: datetime | None = None
    outcomes: tuple[str, str] = ("Yes", "No")
    yes_means: str = ""
    strike: dict[str, str] | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """What must be known to trade a market, as the venue states it.

    Attributes:
        series_id: Kalshi series ticker, empty elsewhere.
        price_ranges: [(start_e4, end_e4, step_e4)], ascending; the grid of valid prices.
        size_step_e6: Smallest change of an order's size.
        min_size_e6: Smallest order.
        min_notional_e6: Smallest cost of a marketable buy in 1/1,000,000 dollar, 0 where there is none.
        fee_schedule: The JSON form of the market's fee schedule (`streams.market.fees`).
        settle_lag_s: The venue's stated time between determination and payment.
        yes_token / no_token: Polymarket token ids, empty elsewhere.
        is_neg_risk: Polymarket: orders are signed for the neg-risk exchange.
        exchange_index: Kalshi's exchange shard, None where unknown.
        is_exclusive_event: At most one market of the event resolves yes.
    """

    series_id: str = ""
    price_ranges: tuple[tuple[int, int, int], ...] = ((0, 10_000, 100),)
    size_step_e6: int = 10_000
    min_size_e6: int = 10_000
    min_notional_e6: int = 0
    fee_schedule: dict[str, Any] = field(default_factory=dict)
    settle_lag_s: int = 0
    yes_token: str = ""
    no_token: str = ""
    is_neg_risk: bool = False
    exchange_index: int | None = None
    is_exclusive_event: bool = False


@dataclass(frozen=True, slots=True)
class DiscoveredMarket:
    """One market of one page of a venue's list, parsed.

    What money hangs on must be readable or the market is refused: ids, tokens and outcomes, texts and rules, strike,
    status, times, price grid and sizes, fees, liveness, result and settlement. What is only shown (`volatile`, the
    category, the slug and Gamma's own id) is left out where it cannot be read.

    Attributes:
        ids: All ids that mean it: [(id_kind, id)], the canonical one first, then e.g. ("slug", ...), ("token", ...).
        volatile: Prices, volumes and other things that change all the time (JSON values, decimals as strings).
        derived_fields: Names of fields the source lacked and that were derived (only from catalogues of recordings).
        payload: The venue's own JSON, unchanged.
    """

    listing: Listing
    terms: MarketTerms
    status: MarketStatus
    open_time: datetime | None
    expected_settle_time: datetime | None
    result: str | None
    settlement_e4: int | None
    ids: tuple[tuple[str, str], ...]
    volatile: dict[str, Any]
    payload: dict[str, Any]
    derived_fields: tuple[str, ...] = ()


def terms_from_json(stored: Mapping[str, Any]) -> MarketTerms:
    """Return the terms from their JSON form; keys we do not know are ignored."""
    known = {name: value for name, value in stored.items() if name in MarketTerms.__dataclass_fields__}
    if "price_ranges" in known:
        known["price_ranges"] = tuple((int(a), int(b), int(c)) for a, b, c in known["price_ranges"])
    return MarketTerms(**known)


def text_hash(listing: Listing) -> str:
    """Return 32 hex digits over the texts that decide how a market settles; approvals hold for these texts."""
    return _digest(
        [
            listing.title,
            listing.subtitle,
            listing.event_title,
            listing.rules,
            list(listing.outcomes),
            listing.yes_means,
            listing.strike,
        ]
    )


def version_hash(market: DiscoveredMarket) -> str:
    """Return 32 hex digits over all stable fields; a new version row is written when it changes."""
    listing = asdict(market.listing)
    terms = asdict(market.terms)
    return _digest([listing, terms, market.status, market.open_time, market.expected_settle_time])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    # Half of a surrogate pair is no Unicode text, and still a text that two markets may differ in.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
