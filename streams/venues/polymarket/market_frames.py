"""Polymarket's market socket frames as events in YES terms. Pure; the only error is MalformedFrame.

The books of the two tokens mirror each other, and a frame usually states everything twice. What is stated of both
tokens is folded into one event of the YES book; what is stated of the NO token alone is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.events import (
    Acknowledgement,
    BookSnapshot,
    BookStale,
    LevelChange,
    Levels,
    LifecycleChange,
    MarketEvent,
    OtherChannel,
    TickSizeChange,
    TradePrint,
    VenueQuote,
)
from streams.market.identity import Outcome, Side, Venue, other_outcome
from streams.market.units import PRICE_ONE_E4
from streams.venues.common.decimals import check_text, wire_bound_e4, wire_ms, wire_price_e4, wire_size_e6
from streams.venues.polymarket import wire


class TokenRef(NamedTuple):
    """Which market and outcome a token id stands for."""

    market_id: str
    outcome: Outcome


_one = msgspec.json.Decoder(wire.MarketMessage).decode
_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_change = msgspec.json.Decoder(wire.PriceChange).decode
_PONG = b"PONG"
BOOKLESS_FRAMES = frozenset({"last_trade_price", "tick_size_change", "best_bid_ask", "new_market", "market_resolved"})
"""Types of frames that change no book."""


def parse_frame(raw: bytes, tokens: Mapping[str, TokenRef]) -> list[MarketEvent]:
    """Return the events of one server frame, in its order; entries of tokens we do not know are left out.

    Args:
        raw: The frame as received: one object, an array of them, or the text PONG.
        tokens: What the subscribed token ids stand for.

    Raises:
        MalformedFrame: For anything that is not a frame of the documented shape.
    """
    try:
        check_text(raw)
        start = raw.lstrip()[:1]
        if start == b"{":
            return _parse_message(_one(raw), raw, tokens)
        if start != b"[":
            if raw.strip() == _PONG:
                return [Acknowledgement(Venue.POLYMARKET, "pong")]
            raise InvalidAmount("neither an object nor an array")
        events: list[MarketEvent] = []
        parts = [(_one(part), bytes(part)) for part in _many(raw)]
        with_yes_book = _markets_with_yes_book([message for message, _ in parts], tokens)
        for message, part in parts:
            ref = tokens.get(message.asset_id)
            if message.event_type == "book" and ref is not None and ref.outcome == "no" and ref[0] in with_yes_book:
                continue
            events += _parse_message(message, part, tokens)
        return events
    except (msgspec.DecodeError, InvalidAmount, ValueError, RecursionError) as error:
        raise MalformedFrame(raw, f"{type(error).__name__}: {error}") from None


def _markets_with_yes_book(messages: list[wire.MarketMessage], tokens: Mapping[str, TokenRef]) -> set[str]:
    found = set()
    for message in messages:
        ref = tokens.get(message.asset_id)
        if message.event_type == "book" and ref is not None and ref.outcome == "yes":
            found.add(ref.market_id)
    return found


def _parse_message(message: wire.MarketMessage, raw: bytes, tokens: Mapping[str, TokenRef]) -> list[MarketEvent]:
    kind = message.event_type
    if kind == "price_change":
        return _parse_price_change(message, raw, tokens)
    if kind == "market_resolved":
        return [_parse_resolved(message, raw, tokens)]
    if kind == "new_market":
        return [
            LifecycleChange(
                Venue.POLYMARKET,
                _present(message.market, "market"),
                "created",
                venue_sent_ms=wire_ms(message.timestamp),
                payload=raw,
            )
        ]
    if kind == wire.STALE:
        names = {tokens[token].market_id: None for token in message.assets_ids or () if token in tokens}
        return [BookStale(Venue.POLYMARKET, name, message.cause or "stale") for name in names]
    parse = _PARSERS.get(kind)
    if parse is None and (message.bids, message.asks, message.price_changes) != (None, None, None):
        raise InvalidAmount(f"levels in a frame of unknown type: {kind[:40]!r}")
    ref = None if parse is None else tokens.get(_present(message.asset_id, "asset_id"))
    if ref is None or parse is None:
        return [OtherChannel(Venue.POLYMARKET, kind or "without event_type", payload=raw)]
    return [parse(message, raw, ref)]


def _parse_tick_size(message: wire.MarketMessage, raw: bytes, ref: TokenRef) -> MarketEvent:
    return TickSizeChange(
        venue=Venue.POLYMARKET,
        market_id=ref.market_id,
        old_tick_e4=None if not message.old_tick_size else wire_price_e4(message.old_tick_size),
        new_tick_e4=wire_price_e4(_present(message.new_tick_size, "new_tick_size")),
        venue_sent_ms=wire_ms(message.timestamp),
        payload=raw,
    )


def _parse_best(message: wire.MarketMessage, raw: bytes, ref: TokenRef) -> MarketEvent:
    if message.best_bid is None or message.best_ask is None:
        raise InvalidAmount("best_bid or best_ask is missing")
    # An empty side may be stated as an empty text.
    bid, ask = wire_bound_e4(message.best_bid or "0"), wire_bound_e4(message.best_ask or "1")
    if ref.outcome == "no":
        bid, ask = PRICE_ONE_E4 - ask, PRICE_ONE_E4 - bid
    return VenueQuote(Venue.POLYMARKET, ref.market_id, bid, ask, venue_sent_ms=wire_ms(message.timestamp), payload=raw)


def _parse_price_change(message: wire.MarketMessage, raw: bytes, tokens: Mapping[str, TokenRef]) -> list[MarketEvent]:
    if message.price_changes is None:
        raise InvalidAmount("price_change without price_changes")
    sent_ms = wire_ms(message.timestamp)
    entries: list[tuple[_Level, bool, wire.PriceChange, msgspec.Raw]] = []
    said_of_yes: list[_Level] = []
    for part in message.price_changes:
        entry = _change(part)
        ref = tokens.get(entry.asset_id)
        if ref is None:
            continue
        is_yes = ref.outcome == "yes"
        level = _level_of(entry, ref.market_id, is_yes)
        entries.append((level, is_yes, entry, part))
        if is_yes:
            said_of_yes.append(level)
    if not entries:
        return [OtherChannel(Venue.POLYMARKET, "price_change", payload=raw)]
    events: list[MarketEvent] = []
    for level, is_yes, entry, part in entries:
        # An entry of the NO token that repeats one of the YES token is dropped, once per repetition.
        if not is_yes and level in said_of_yes:
            said_of_yes.remove(level)
        else:
            events.append(_level_change(level, is_yes, entry, part, sent_ms))
    return events


_Level = tuple[str, bool, int, int]
"""(market_id, is_bid, price_e4, size_e6) in YES terms."""


def _level_of(entry: wire.PriceChange, market_id: str, is_yes: bool) -> _Level:
    price = wire_price_e4(entry.price)
    size = wire_size_e6(entry.size)
    if size < 0:
        raise InvalidAmount("a level of negative size")
    is_bid = _is_buy(entry.side)
    return (market_id, is_bid, price, size) if is_yes else (market_id, not is_bid, PRICE_ONE_E4 - price, size)


def _level_change(
    level: _Level, is_yes: bool, entry: wire.PriceChange, part: msgspec.Raw, sent_ms: int | None
) -> LevelChange:
    market_id, is_bid, price, size = level
    best_bid = wire_bound_e4(entry.best_bid) if entry.best_bid else None
    best_ask = wire_bound_e4(entry.best_ask) if entry.best_ask else None
    if not is_yes:
        best_bid, best_ask = (
            None if best_ask is None else PRICE_ONE_E4 - best_ask,
            None if best_bid is None else PRICE_ONE_E4 - best_bid,
        )
    return LevelChange(
        Venue.POLYMARKET,
        market_id,
        "bid" if is_bid else "ask",
        price,
        None,
        size,
        sent_ms,
        None,
        None,
        best_bid,
        best_ask,
        None,
        bytes(part),
    )


def _parse_book(message: wire.MarketMessage, raw: bytes, ref: TokenRef) -> MarketEvent:
    if message.bids is None or message.asks is None:
        raise InvalidAmount("book without bids and asks")
    bids, asks = book_levels(message.bids, message.asks, ref.outcome)
    return BookSnapshot(
        venue=Venue.POLYMARKET,
        market_id=ref.market_id,
        bids=bids,
        asks=asks,
        venue_sent_ms=wire_ms(message.timestamp),
        venue_hash=message.hash,
        tick_e4=None if not message.tick_size else wire_price_e4(message.tick_size),
        payload=raw,
    )


def book_levels(bids: list[wire.BookLevel], asks: list[wire.BookLevel], outcome: Outcome) -> tuple[Levels, Levels]:
    """Return (bids, asks) in YES terms, best first, of the book of an outcome's token.

    Raises:
        InvalidAmount: For a price or size that cannot be one, or a price named twice.
    """
    if outcome == "yes":
        return _levels(bids, "bid", is_mirrored=False), _levels(asks, "ask", is_mirrored=False)
    return _levels(asks, "bid", is_mirrored=True), _levels(bids, "ask", is_mirrored=True)


def _levels(levels: list[wire.BookLevel], side: Side, *, is_mirrored: bool) -> Levels:
    found = {}
    for level in levels:
        price, size = wire_price_e4(level.price), wire_size_e6(level.size)
        if size < 0 or price in found:
            raise InvalidAmount("a book with a negative size or a price named twice")
        found[price] = size
    rows = [(PRICE_ONE_E4 - price if is_mirrored else price, size) for price, size in found.items() if size]
    return sorted(rows, reverse=side == "bid")


def _parse_trade(message: wire.MarketMessage, raw: bytes, ref: TokenRef) -> MarketEvent:
    price = wire_price_e4(_present(message.price, "price"))
    size = wire_size_e6(_present(message.size, "size"))
    if size <= 0:
        raise InvalidAmount("a trade without size")
    taker: Outcome | None = None
    if message.side:
        taker = ref.outcome if _is_buy(message.side) else other_outcome(ref.outcome)
    return TradePrint(
        venue=Venue.POLYMARKET,
        market_id=ref.market_id,
        price_e4=price if ref.outcome == "yes" else PRICE_ONE_E4 - price,
        size_e6=size,
        taker_outcome=taker,
        venue_sent_ms=wire_ms(message.timestamp),
        payload=raw,
        transaction_hash=message.transaction_hash or None,
    )


def _parse_resolved(message: wire.MarketMessage, raw: bytes, tokens: Mapping[str, TokenRef]) -> MarketEvent:
    """The winner is the outcome of its token, or of its name where we do not know the token."""
    winner = tokens.get(message.winning_asset_id or "")
    word = (message.winning_outcome or "").strip().casefold()
    named: Outcome | None = "yes" if word == "yes" else "no" if word == "no" else None
    if winner is not None and named not in (None, winner.outcome):
        raise InvalidAmount(f"the token of {winner.outcome} won as {named}")
    result: str | None = named if winner is None else winner.outcome
    known = winner or next((tokens[token] for token in message.assets_ids or () if token in tokens), None)
    return LifecycleChange(
        venue=Venue.POLYMARKET,
        market_id=_present(message.market, "market") if known is None else known.market_id,
        kind="determined",
        result=result,
        settlement_e4=None if result is None else PRICE_ONE_E4 * (result == "yes"),
        venue_sent_ms=wire_ms(message.timestamp),
        payload=raw,
    )


def _is_buy(side: str) -> bool:
    word = side if side in ("BUY", "SELL") else side.upper()
    if word not in ("BUY", "SELL"):
        raise InvalidAmount(f"unknown side: {side[:20]!r}")
    return word == "BUY"


def _present(value: str | None, name: str) -> str:
    if not value:
        raise InvalidAmount(f"{name} is missing")
    return value


_PARSERS: Mapping[str, Callable[[wire.MarketMessage, bytes, TokenRef], MarketEvent]] = {
    "book": _parse_book,
    "last_trade_price": _parse_trade,
    "tick_size_change": _parse_tick_size,
    "best_bid_ask": _parse_best,
}
