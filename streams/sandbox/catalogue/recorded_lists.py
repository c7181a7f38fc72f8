"""Recorded lists of real markets as a catalogue, so that a sandbox can be run on them.

Read are the list of 2026-03-24 (one object a line per market: `kalshi_markets.jsonl.gz`, `polymarket_markets.jsonl.gz`)
and raw event lists of one topic (`kalshi_events_raw.json.gz`, `polymarket_events_raw.json.gz`): a file or a folder
of them. What a list lacks is derived from the id and named in the market's `derived_fields`. A close date before the
anchor day is moved later by multiples of 52 weeks until it lies ahead, and named there too.
Start prices are as recorded.

A market of no known fact gets a binary fact of its own. `--truth` ties markets together: JSON lines with
`kalshi_ticker`, `polymarket_id` (gamma id, slug or condition id) and `relation`; rows that are neither `equivalent` nor
`inverted` (or `same_contract` false) stay apart.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from streams.documents import parse_document
from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.catalogue import UNREADABLE, Catalogue, check_kinds, read_lines
from streams.sandbox.catalogue.truth import Condition, Fact, Truth
from streams.sandbox.core.identifiers import polymarket_ids
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket

_FAR = date(2099, 12, 31)


@dataclass
class _Listing:
    """What is collected while the lists are read."""

    anchor: date
    events: dict[tuple[Venue, str], CatalogueEvent] = field(default_factory=dict)
    markets: dict[MarketRef, CatalogueMarket] = field(default_factory=dict)
    aliases: dict[str, MarketRef] = field(default_factory=dict)

    def add(self, event: CatalogueEvent, market: CatalogueMarket) -> None:
        """Keep a market once; a later list does not replace an earlier one. Raises TypeError for odd values."""
        check_kinds(event)
        check_kinds(market)
        if market.ref in self.markets:
            return
        self.events.setdefault((event.venue, event.event_id), event)
        self.markets[market.ref] = market
        for alias in (market.market_id, market.gamma_id, market.slug):
            if alias:
                self.aliases[alias] = market.ref


def load_recorded(path: Path, anchor: date, truth_path: Path | None) -> Catalogue:
    """Read one recorded list, or every one in a folder.

    Raises:
        ConfigurationError: If nothing that can be read is there, or a row lacks its id or title.
    """
    files = sorted(_known_files(path)) if path.is_dir() else [path]
    if not files:
        raise ConfigurationError(f"no list of markets in {path}: expected kalshi_*/polymarket_* .jsonl or .json files")
    listing = _Listing(anchor)
    for file in files:
        for number, row in _rows(file):
            try:
                _add(listing, row)
            except UNREADABLE as error:
                raise ConfigurationError(f"{file.name} row {number}: {error!r}"[:500]) from None
    moved = sum("close_time" in market.derived_fields for market in listing.markets.values())
    truth = _truth(listing, truth_path)
    notes = (f"{moved} close dates in the past were moved later by multiples of 52 weeks",)
    return Catalogue(
        tuple(listing.events.values()),
        tuple(listing.markets.values()),
        truth,
        anchor,
        f"recorded lists of {path}",
        notes,
    )


def _known_files(folder: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name.startswith(("kalshi_", "polymarket_")) and ("market" in path.name or "events_raw" in path.name):
            yield path


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    """Yield market rows; an event with nested markets yields one row each, with the event under `_event`."""
    if ".jsonl" in path.name:
        rows: Iterable[tuple[int, dict[str, Any]]] = read_lines(path)
    else:
        rows = enumerate(_document(path), 1)
    for number, row in rows:
        if "markets" not in row:
            yield number, row
            continue
        event = {key: value for key, value in row.items() if key != "markets"}
        nested = row["markets"] or []
        if not isinstance(nested, list) or not all(isinstance(market, dict) for market in nested):
            raise ConfigurationError(f"{path.name} row {number}: markets is no list of objects")
        for market in nested:
            yield number, {**market, "_event": event}


def _document(path: Path) -> list[dict[str, Any]]:
    try:
        raw = path.read_bytes()
        document = parse_document((gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8"))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ConfigurationError(f"catalogue {path} cannot be read: {error}") from None
    events = document.get("events", []) if isinstance(document, dict) else document
    if not isinstance(events, list):
        raise ConfigurationError(f"catalogue {path} cannot be read: it is no list of events")
    return [event for event in events if isinstance(event, dict)]


def _add(listing: _Listing, row: Mapping[str, Any]) -> None:
    if "ticker" in row and "event_ticker" in row:
        _add_kalshi(listing, row)
    else:
        _add_polymarket(listing, row)


def _add_kalshi(listing: _Listing, row: Mapping[str, Any]) -> None:
    derived: list[str] = []
    event_row = row.get("_event", {})
    event_id = row["event_ticker"]
    series = event_row.get("series_ticker") or event_id.split("-")[0]
    if not event_row:
        derived += ["series_id", "event_title", "is_exclusive_event", "category", "fee_schedule", "price_ranges"]
    event = CatalogueEvent(
        Venue.KALSHI, event_id, series, event_row.get("title") or row["title"], event_row.get("sub_title") or "",
        event_row.get("category") or "", bool(event_row.get("mutually_exclusive", False)),
        {name: event_row[name] for name in ("collateral_return_type",) if name in event_row},
    )  # fmt: skip
    yes_means = row.get("yes_sub_title") or row.get("subtitle") or ""
    strike = {key: str(row[f"{key}_strike"]) for key in ("floor", "cap") if row.get(f"{key}_strike") is not None}
    listing.add(event, CatalogueMarket(
        venue=Venue.KALSHI, market_id=row["ticker"], event_id=event_id, series_id=series,
        title=row.get("title") or event.title, rules=row.get("rules_primary") or row.get("rules") or "",
        rules_secondary=row.get("rules_secondary") or "", subtitle=row.get("subtitle") or "",
        yes_means=yes_means, no_means=row.get("no_sub_title") or yes_means,
        strike={"type": str(row.get("strike_type", "custom")), **strike} if strike else None,
        category=event.category, fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"}, settle_lag_s=300,
        start_price_e4=_kalshi_price(row, derived), volume_contracts=_whole(row.get("volume_fp") or row.get("volume")),
        open_time=_open_time(row.get("open_time"), listing.anchor, derived),
        close_time=_close_time(row.get("close_time"), listing.anchor, derived), derived_fields=tuple(derived),
    ))  # fmt: skip


def _add_polymarket(listing: _Listing, row: Mapping[str, Any]) -> None:
    derived: list[str] = []
    event_row = row.get("_event", {})
    slug, gamma_id = row["slug"], str(row["id"])
    ids = polymarket_ids(f"gamma-{gamma_id}")
    condition_id, yes_token, no_token = ids.condition_id, ids.yes_token, ids.no_token
    if row.get("conditionId"):
        condition_id = row["conditionId"]
    else:
        derived.append("market_id")
    tokens = json.loads(row["clobTokenIds"]) if row.get("clobTokenIds") else []
    if len(tokens) == 2:
        yes_token, no_token = tokens
    else:
        derived.append("tokens")
    if not event_row:
        derived += ["event_id", "event_title", "is_neg_risk", "fee_schedule", "price_ranges"]
    title = row.get("question") or row["title"]
    names = json.loads(row["outcomes"]) if row.get("outcomes") else ["Yes", "No"]
    is_neg_risk = bool(row.get("negRisk", event_row.get("negRisk", False)))
    event = CatalogueEvent(
        Venue.POLYMARKET, str(event_row.get("slug") or slug), "", event_row.get("title") or title,
        is_exclusive=is_neg_risk,
    )  # fmt: skip
    tick = round(float(row.get("orderPriceMinTickSize") or 0.01) * 10_000)
    listing.add(event, CatalogueMarket(
        venue=Venue.POLYMARKET, market_id=condition_id, event_id=event.event_id, series_id="", title=title,
        rules=row.get("description") or "", slug=slug, gamma_id=gamma_id, yes_token=yes_token,
        no_token=no_token, outcomes=(names[0], names[1]), subtitle=row.get("groupItemTitle") or "",
        category=row.get("category") or "", price_ranges=((0, 10_000, max(tick, 1)),), min_size_e6=5_000_000,
        fee_schedule={}, settle_lag_s=7_200, is_neg_risk=is_neg_risk, start_price_e4=_polymarket_price(row, derived),
        volume_contracts=_whole(row.get("volumeNum") or row.get("volume")),
        open_time=_open_time(row.get("startDate"), listing.anchor, derived),
        close_time=_close_time(row.get("end_date") or row.get("endDate"), listing.anchor, derived),
        derived_fields=tuple(derived),
    ))  # fmt: skip


def _whole(value: Any) -> int:
    return int(Decimal(str(value))) if value not in (None, "") else 0


def _clamped(price: Decimal) -> int:
    return min(max(int(price * 10_000), 10), 9_990)


def _kalshi_price(row: Mapping[str, Any], derived: list[str]) -> int:
    """The middle between the YES ask and the YES bid (one minus the NO ask), as recorded."""
    ask, no_ask = (_dollars(row.get(f"{side}_ask_dollars"), row.get(f"{side}_ask")) for side in ("yes", "no"))
    if ask is None or no_ask is None:
        derived.append("start_price_e4")
        return 5_000
    return _clamped((ask + 1 - no_ask) / 2)


def _dollars(dollars: Any, cents: Any) -> Decimal | None:
    if dollars not in (None, ""):
        return Decimal(str(dollars))
    return Decimal(str(cents)) / 100 if cents is not None else None


def _polymarket_price(row: Mapping[str, Any], derived: list[str]) -> int:
    prices = json.loads(row["outcomePrices"]) if row.get("outcomePrices") else []
    if len(prices) != 2:
        derived.append("start_price_e4")
        return 5_000
    return _clamped(Decimal(prices[0]))


def _close_time(text: Any, anchor: date, derived: list[str]) -> datetime:
    if not text:
        derived.append("close_time")
        return datetime(anchor.year + 1, 12, 31, tzinfo=UTC)
    moment = datetime.fromisoformat(str(text))
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment.date() > anchor:
        return moment
    derived.append("close_time")
    while moment.date() <= anchor + timedelta(days=1):
        moment += timedelta(days=364)
    return moment


def _open_time(text: Any, anchor: date, derived: list[str]) -> datetime:
    start = datetime(anchor.year, anchor.month, anchor.day, tzinfo=UTC) - timedelta(days=30)
    if not text:
        derived.append("open_time")
        return start
    moment = datetime.fromisoformat(str(text))
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return min(moment, start)


def _truth(listing: _Listing, truth_path: Path | None) -> Truth:
    """One binary fact per market, or per set of markets the truth file ties together."""
    truth = Truth({}, {})
    if truth_path is not None:
        for number, row in read_lines(truth_path):
            _tie(listing, truth, row, f"{truth_path.name} line {number}")
    for ref, market in listing.markets.items():
        if ref not in truth.conditions:
            _own_fact(truth, ref, market)
    return truth


def _own_fact(truth: Truth, ref: MarketRef, market: CatalogueMarket) -> None:
    fact_id = f"{ref.venue}:{ref.market_id}"
    truth.facts[fact_id] = Fact(fact_id, "binary", probability=market.start_price_e4 / 10_000)
    truth.conditions[ref] = Condition(fact_id, True)


def _tie(listing: _Listing, truth: Truth, row: Mapping[str, Any], where: str) -> None:
    relation = row.get("relation") or ("equivalent" if row.get("same_contract") else "unrelated")
    if relation not in ("equivalent", "inverted"):
        return
    try:
        refs = [listing.aliases.get(str(row[key])) for key in ("kalshi_ticker", "polymarket_id")]
    except KeyError as error:
        raise ConfigurationError(f"{where}: {error} is missing") from None
    first, second = refs
    if first is None or second is None:
        return
    if second in truth.conditions and first not in truth.conditions:
        first, second = second, first
    elif second in truth.conditions:
        return
    if first not in truth.conditions:
        _own_fact(truth, first, listing.markets[first])
    known = truth.conditions[first]
    truth.conditions[second] = Condition(known.fact_id, bool(known.yes) != (relation == "inverted"))
