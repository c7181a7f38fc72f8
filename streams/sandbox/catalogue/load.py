"""Catalogues: the markets a sandbox lists, read from a file and moved to the day the sandbox was first started.

The file is JSON lines (plain or .gz). `{"type": "fact", ...}` lines come before the markets that use them; `event`,
`market` and `near_miss` lines follow. Dates inside any text are written relative to the anchor day as `{{d30}}` (days
after it), `{{m1}}` (first day of a later month), `{{y1}}` (first of January of a later year), each with an optional
format after a colon (`{{d30:%b %-d, %Y}}`), so that the bundled catalogue is always in the future. A file whose lines
have none of these types is one of the recorded lists and is read by `streams.sandbox.catalogue.recorded_lists`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from streams.market.errors import ConfigurationError
from streams.market.fees import from_json
from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.catalogue import UNREADABLE, Catalogue, check_kinds, read_lines
from streams.sandbox.catalogue.recorded_lists import load_recorded
from streams.sandbox.catalogue.truth import NearMiss, Truth, parse_condition, parse_fact
from streams.sandbox.core.identifiers import polymarket_ids
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket

BUNDLED = Path(__file__).parent / "bundled" / "catalogue.jsonl.gz"
_PLACEHOLDER = re.compile(r"\{\{([dmy])(-?\d+)(?::([^}]*))?\}\}")
_OWN_TYPES = frozenset({"fact", "event", "market", "near_miss"})


def load_catalogue(path: Path | None, now: datetime, truth_path: Path | None = None) -> Catalogue:
    """Read a catalogue, the bundled one when `path` is None.

    Args:
        path: A catalogue of ours, one recorded list, or a folder of recorded lists.
        now: Aware UTC; its day becomes the anchor.
        truth_path: Recorded lists only: JSON lines that say which markets settle alike.

    Raises:
        ConfigurationError: If a file cannot be read or a line does not fit; the message names file and line.
    """
    anchor = now.astimezone(UTC).date()
    source = path or BUNDLED
    if source.is_dir() or not _is_own(source):
        return load_recorded(source, anchor, truth_path)
    if truth_path is not None:
        raise ConfigurationError(f"{source.name} carries its own truth; --truth is for recorded lists")
    return _assemble(source, anchor)


def _is_own(path: Path) -> bool:
    for _, row in read_lines(path):
        return isinstance(row.get("type"), str) and row["type"] in _OWN_TYPES
    raise ConfigurationError(f"catalogue {path} is empty")


def render_dates(text: str, anchor: date) -> str:
    """Replace every date placeholder of a text by the date it means."""
    return _PLACEHOLDER.sub(lambda match: _render(match, anchor), text)


def _render(match: re.Match[str], anchor: date) -> str:
    unit, count, form = match.group(1), int(match.group(2)), match.group(3)
    if unit == "d":
        day = anchor + timedelta(days=count)
    elif unit == "m":
        months = anchor.year * 12 + anchor.month - 1 + count
        day = date(months // 12, months % 12 + 1, 1)
    else:
        day = date(anchor.year + count, 1, 1)
    return day.strftime(form) if form else day.isoformat()


def _assemble(path: Path, anchor: date) -> Catalogue:
    events: list[CatalogueEvent] = []
    markets: list[CatalogueMarket] = []
    truth = Truth({}, {})
    for number, raw in read_lines(path):
        try:
            row: dict[str, Any] = _rendered(raw, anchor)
            if row["type"] == "fact":
                fact = parse_fact(row)
                check_kinds(fact)
                truth.facts[fact.fact_id] = fact
            elif row["type"] == "event":
                events.append(_event(row))
            elif row["type"] == "market":
                _add_market(row, markets, truth)
            else:
                condition_id = polymarket_ids(row["slug"]).condition_id
                truth.near_misses.append(NearMiss(row["kalshi"].upper(), condition_id, row["why"]))
        except UNREADABLE as error:
            raise ConfigurationError(f"{path.name} line {number}: {error!r}"[:500]) from None
    _check(path, events, markets, truth)
    return Catalogue(tuple(events), tuple(markets), truth, anchor, f"catalogue {path.name}")


def _rendered(value: Any, anchor: date) -> Any:
    if isinstance(value, str):
        return render_dates(value, anchor) if "{{" in value else value
    if isinstance(value, dict):
        return {key: _rendered(item, anchor) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, anchor) for item in value]
    return value


def _event(row: Mapping[str, Any]) -> CatalogueEvent:
    venue = Venue(row["venue"])
    is_kalshi = venue is Venue.KALSHI
    event = CatalogueEvent(
        venue=venue,
        event_id=row["id"].upper() if is_kalshi else row["id"],
        series_id=row.get("series", "").upper() if is_kalshi else row.get("series", ""),
        title=row["title"],
        subtitle=row.get("subtitle", ""),
        category=row.get("category", ""),
        is_exclusive=row.get("exclusive", False),
        extra=row.get("extra", {}),
    )
    check_kinds(event)
    return event


def _add_market(row: Mapping[str, Any], markets: list[CatalogueMarket], truth: Truth) -> None:
    venue = Venue(row["venue"])
    is_kalshi = venue is Venue.KALSHI
    identity: dict[str, Any] = {"market_id": row["id"].upper()}
    if not is_kalshi:
        ids = polymarket_ids(row["id"])
        identity = {"market_id": ids.condition_id, "slug": _slug(row["id"]), "gamma_id": ids.gamma_id}
        identity |= {"yes_token": ids.yes_token, "no_token": ids.no_token}
    ref = MarketRef(venue, identity["market_id"])
    if ref in truth.conditions:
        raise ValueError(f"{ref} is listed twice")
    truth.conditions[ref] = parse_condition(row["truth"], truth.facts)
    start = min(max(round(truth.probability(ref) * 10_000), 10), 9_990)
    markets.append(
        CatalogueMarket(
            venue=venue,
            event_id=row["event"].upper() if is_kalshi else row["event"],
            series_id=row.get("series", "").upper() if is_kalshi else row.get("series", ""),
            title=row["title"],
            rules=row["rules"],
            rules_secondary=row.get("rules2", ""),
            close_time=datetime.fromisoformat(row["close"]),
            open_time=datetime.fromisoformat(row["open"]),
            subtitle=row.get("subtitle", ""),
            yes_means=row.get("yes", ""),
            no_means=row.get("no", ""),
            outcomes=_two(row.get("outcomes", ["Yes", "No"])),
            strike=row.get("strike"),
            category=row.get("category", ""),
            price_ranges=tuple((low, high, step) for low, high, step in row["ranges"]),
            min_size_e6=row.get("min_size_e6", 10_000),
            fee_schedule=row.get("fee", {}),
            settle_lag_s=row.get("lag", 0),
            start_price_e4=start,
            volume_contracts=row.get("volume", 0),
            is_neg_risk=row.get("neg_risk", False),
            extra=row.get("extra", {}),
            **identity,
        )
    )
    check_kinds(markets[-1])
    from_json(venue, markets[-1].fee_schedule)
    if not all(0 <= low < high and step > 0 for low, high, step in markets[-1].price_ranges):
        raise ValueError("a range of prices is [start, end, step] in 1/10,000 dollar")


def _slug(text: str) -> str:
    """A slug without blanks and capitals, which dates written into it can bring."""
    return text.lower().replace(" ", "-")


def _two(names: list[str]) -> tuple[str, str]:
    first, second = names
    return first, second


def _check(path: Path, events: list[CatalogueEvent], markets: list[CatalogueMarket], truth: Truth) -> None:
    known = {(event.venue, event.event_id) for event in events}
    if len(known) != len(events):
        raise ConfigurationError(f"{path.name}: an event is listed twice")
    for market in markets:
        if (market.venue, market.event_id) not in known:
            raise ConfigurationError(f"{path.name}: {market.ref} belongs to an unknown event {market.event_id}")
    for miss in truth.near_misses:
        for ref in (MarketRef(Venue.KALSHI, miss.kalshi_id), MarketRef(Venue.POLYMARKET, miss.polymarket_id)):
            if ref not in truth.conditions:
                raise ConfigurationError(f"{path.name}: near miss names {ref}, which is not listed ({miss.why})")
