"""Kalshi's public socket frames as events in YES terms. Pure; the only error is MalformedFrame.

The frame of a public channel becomes one event, our own `STALE` one an event for each market it names. Frames of
channels we have no use for (requests for quotes, index feeds, the user channels on a market data socket) become
`OtherChannel`, because their sequence numbers still count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.events import (
    Acknowledgement,
    BookSnapshot,
    BookStale,
    ChannelError,
    EventFeeChange,
    EventListed,
    LevelChange,
    Levels,
    LifecycleChange,
    LifecycleKind,
    MarketEvent,
    OtherChannel,
    Remedy,
    TradePrint,
    VenueQuote,
)
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4
from streams.venues.common.decimals import (
    check_text,
    fixed_point,
    plain_decimal,
    wire_bound_e4,
    wire_price_e4,
    wire_size_e6,
)
from streams.venues.kalshi.types import wire

_frame = msgspec.json.Decoder(wire.Frame).decode
_delta = msgspec.json.Decoder(wire.DeltaMessage).decode
_snapshot = msgspec.json.Decoder(wire.SnapshotMessage).decode
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_poll = msgspec.json.Decoder(wire.PolledBook).decode
_stale = msgspec.json.Decoder(wire.StaleMessage).decode
_trade = msgspec.json.Decoder(wire.TradeMessage).decode
_lifecycle = msgspec.json.Decoder(wire.LifecycleMessage).decode
_ticker = msgspec.json.Decoder(wire.TickerMessage).decode
_event = msgspec.json.Decoder(wire.EventMessage).decode
_event_fees = msgspec.json.Decoder(wire.EventFeeMessage).decode
_subscribed = msgspec.json.Decoder(wire.SubscribedMessage).decode
_ok = msgspec.json.Decoder(wire.OkMessage | list[wire.ListedChannel] | None).decode
_error = msgspec.json.Decoder(wire.ErrorMessage).decode

_KINDS: dict[str, LifecycleKind] = {
    "created": "created",
    "activated": "activated",
    "deactivated": "deactivated",
    "close_date_updated": "close_date_updated",
    "determined": "determined",
    "settled": "settled",
    "metadata_updated": "metadata_updated",
    "price_level_structure_updated": "price_grid_updated",
}
BOOKLESS_FRAMES = frozenset(
    {
        "trade",
        "ticker",
        "market_lifecycle_v2",
        "multivariate_market_lifecycle",
        "event_lifecycle",
        "event_fee_update",
        "subscribed",
        "ok",
        "unsubscribed",
    }
)
"""Types of frames that change no book."""

_LADDERS = frozenset({"yes_dollars_fp", "no_dollars_fp"})
_LEVEL_WORDS = (b'"delta_fp"', b'"yes_dollars_fp"', b'"no_dollars_fp"')
# Codes without an entry say that the command was wrong (2 to 5, 8, 11 to 15, 19 to 24, 28): repeating it cannot help.
# 6, 16 and 17 are documented as retired.
_REMEDIES: dict[int, Remedy] = {
    1: "ask_again",  # unable to process
    7: "list",  # unknown subscription id
    9: "authenticate",
    10: "resubscribe",  # channel error: the subscription is gone
    18: "ask_again",  # command timeout
    25: "resubscribe",  # subscription buffer overflow: we read too slowly, and the subscription is gone
    26: "fewer_markets",
    27: "slow_down",  # too many commands
}


def parse_frame(raw: bytes, *, use_yes_price: bool = True) -> list[MarketEvent]:
    """Return the events of one server frame, in its order.

    Args:
        raw: The frame as received.
        use_yes_price: What the subscription asked for: whether prices of the NO ladder are YES prices already.

    Raises:
        MalformedFrame: For anything that is not a frame of the documented shape.
    """
    try:
        check_text(raw)
        frame = _frame(raw)
        if frame.type == wire.STALE:
            message = _stale(frame.msg)
            return [BookStale(Venue.KALSHI, ticker, message.cause or "stale") for ticker in message.market_tickers]
        parse = _PARSERS.get(frame.type)
        if parse is None:
            if any(word in raw for word in _LEVEL_WORDS):
                raise InvalidAmount(f"levels in a frame of unknown type: {frame.type[:40]!r}")
            return [OtherChannel(Venue.KALSHI, frame.type, frame.sid, frame.seq, bytes(frame.msg))]
        return [parse(frame, use_yes_price)]
    except (msgspec.DecodeError, InvalidAmount, ValueError, RecursionError) as error:
        raise MalformedFrame(raw, f"{type(error).__name__}: {error}") from None


def _parse_delta(frame: wire.Frame, use_yes_price: bool) -> MarketEvent:
    message = _delta(frame.msg)
    if frame.sid is None or frame.seq is None:
        raise InvalidAmount("a change without a place in the sequence")
    price = wire_price_e4(message.price_dollars)
    if message.side == "yes":
        is_bid = True
    elif message.side == "no":
        is_bid = False
        if not use_yes_price:
            price = PRICE_ONE_E4 - price
    else:
        raise InvalidAmount(f"unknown side: {message.side[:20]!r}")
    return LevelChange(
        Venue.KALSHI,
        message.market_ticker,
        "bid" if is_bid else "ask",
        price,
        wire_size_e6(message.delta_fp),
        None,
        message.ts_ms,
        frame.sid,
        frame.seq,
        None,
        None,
        message.client_order_id,
        bytes(frame.msg),
    )


def _parse_snapshot(frame: wire.Frame, use_yes_price: bool) -> MarketEvent:
    message = _snapshot(frame.msg)
    if frame.sid is None or frame.seq is None:
        raise InvalidAmount("a book without a place in the sequence")
    check_ladders(_LADDERS, {name: bytes(value)[:1] in (b"[", b"{") for name, value in _keys(frame.msg).items()})
    return BookSnapshot(
        venue=Venue.KALSHI,
        market_id=message.market_ticker,
        bids=bid_levels(message.yes_dollars_fp),
        asks=ask_levels(message.no_dollars_fp, use_yes_price=use_yes_price),
        venue_sent_ms=message.ts_ms if message.ts_ms is not None else frame.sending_ts_ms,
        subscription_id=frame.sid,
        sequence=frame.seq,
        payload=bytes(frame.msg),
    )


def check_ladders(known: frozenset[str], may_be_ladder: Mapping[str, bool]) -> None:
    """Refuse a book whose ladders may have other names: an empty side has no key, and would be taken for one.

    Args:
        known: The names of its two ladders.
        may_be_ladder: By each of its keys whether a list or an object stands there.

    Raises:
        InvalidAmount: If a ladder is missing and something else may be it.
    """
    if may_be_ladder.keys() >= known:
        return
    odd = sorted(name for name, may_be in may_be_ladder.items() if may_be and name not in known)
    if odd:
        raise InvalidAmount(f"a book with ladders of unknown names: {', '.join(odd)[:80]}")


def _parse_poll(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _poll(frame.msg)
    return BookSnapshot(
        venue=Venue.KALSHI,
        market_id=message.market_ticker,
        bids=bid_levels(message.yes_dollars),
        asks=ask_levels(message.no_dollars, use_yes_price=False),
        payload=bytes(frame.msg),
        is_polled=True,
    )


def bid_levels(ladder: list[tuple[str, str]]) -> Levels:
    """Return Kalshi's YES ladder as bids, best first.

    Raises:
        InvalidAmount: For a price or size that cannot be one, or a price named twice.
    """
    return _levels([(wire_price_e4(price), wire_size_e6(size)) for price, size in ladder], best_is_high=True)


def ask_levels(ladder: list[tuple[str, str]], *, use_yes_price: bool) -> Levels:
    """Return Kalshi's NO ladder as asks, best first; `use_yes_price` as for `parse_frame`."""
    rows = [(wire_price_e4(price), wire_size_e6(size)) for price, size in ladder]
    if not use_yes_price:
        rows = [(PRICE_ONE_E4 - price, size) for price, size in rows]
    return _levels(rows, best_is_high=False)


def _levels(rows: Levels, *, best_is_high: bool) -> Levels:
    if len({price for price, _ in rows}) != len(rows):
        raise InvalidAmount("a ladder names a price twice")
    if any(size < 0 for _, size in rows):
        raise InvalidAmount("a ladder has a negative size")
    return sorted([row for row in rows if row[1]], reverse=best_is_high)


def _parse_trade(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _trade(frame.msg)
    taker = message.taker_outcome_side or message.taker_side
    size = wire_size_e6(message.count_fp)
    if size <= 0:
        raise InvalidAmount(f"trade of size {message.count_fp[:40]!r}")
    return TradePrint(
        venue=Venue.KALSHI,
        market_id=message.market_ticker,
        price_e4=wire_price_e4(message.yes_price_dollars),
        size_e6=size,
        taker_outcome=outcome_of(taker) if taker else None,
        trade_id=message.trade_id,
        venue_sent_ms=message.ts_ms,
        subscription_id=frame.sid,
        sequence=frame.seq,
        payload=bytes(frame.msg),
        is_block=message.is_block_trade,
    )


def _parse_ticker(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _ticker(frame.msg)
    return VenueQuote(
        venue=Venue.KALSHI,
        market_id=message.market_ticker,
        bid_e4=wire_bound_e4(message.yes_bid_dollars),
        ask_e4=wire_bound_e4(message.yes_ask_dollars),
        bid_size_e6=_size_or_none(message.yes_bid_size_fp),
        ask_size_e6=_size_or_none(message.yes_ask_size_fp),
        last_price_e4=wire_bound_e4(message.price_dollars) if message.price_dollars else None,
        last_size_e6=_size_or_none(message.last_trade_size_fp),
        volume_e6=_size_or_none(message.volume_fp),
        open_interest_e6=_size_or_none(message.open_interest_fp),
        venue_sent_ms=message.ts_ms,
        subscription_id=frame.sid,
        payload=bytes(frame.msg),
    )


def _size_or_none(text: str | None) -> int | None:
    return wire_size_e6(text) if text else None


def outcome_of(text: str) -> Outcome:
    """Return `yes` or `no`.

    Raises:
        InvalidAmount: For any other word.
    """
    if text == "yes":
        return "yes"
    if text == "no":
        return "no"
    raise InvalidAmount(f"unknown outcome: {text[:20]!r}")


def _parse_lifecycle(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _lifecycle(frame.msg)
    settlement = None
    if message.settlement_value:
        settlement = wire_bound_e4(message.settlement_value)
    elif message.result in ("yes", "no"):
        settlement = PRICE_ONE_E4 if message.result == "yes" else 0
    at_s = message.determination_ts or message.settled_ts
    return LifecycleChange(
        venue=Venue.KALSHI,
        market_id=message.market_ticker,
        kind=_KINDS.get(message.event_type, "other"),
        result=message.result or None,
        settlement_e4=settlement,
        venue_sent_ms=frame.sending_ts_ms if frame.sending_ts_ms is not None else (at_s * 1000 if at_s else None),
        subscription_id=frame.sid,
        sequence=frame.seq,
        payload=bytes(frame.msg),
        closes_at_ms=None if message.close_ts is None else message.close_ts * 1000,
        price_ranges=_grid(message.price_ranges or []),
    )


def _grid(bands: list[wire.PriceRange]) -> tuple[tuple[int, int, int], ...]:
    rows = []
    for band in bands:
        step = fixed_point(band.step, 4)
        if step <= 0:
            raise InvalidAmount(f"a price step of {band.step[:40]!r}")
        rows.append((wire_bound_e4(band.start), wire_bound_e4(band.end), step))
    return tuple(sorted(rows))


def _parse_event(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _event(frame.msg)
    return EventListed(
        venue=Venue.KALSHI,
        event_id=message.event_ticker,
        series_id=message.series_ticker,
        title=message.title,
        subtitle=message.subtitle,
        collateral_return=message.collateral_return_type,
        exchange_index=message.exchange_index,
        venue_sent_ms=frame.sending_ts_ms,
        subscription_id=frame.sid,
        sequence=frame.seq,
        payload=bytes(frame.msg),
    )


def _parse_event_fees(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _event_fees(frame.msg)
    multiplier = message.fee_multiplier_override
    return EventFeeChange(
        venue=Venue.KALSHI,
        event_id=message.event_ticker,
        fee_type=message.fee_type_override,
        fee_multiplier=None if multiplier is None else plain_decimal(multiplier),
        venue_sent_ms=frame.sending_ts_ms,
        subscription_id=frame.sid,
        sequence=frame.seq,
        payload=bytes(frame.msg),
    )


def _parse_subscribed(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _subscribed(frame.msg)
    return Acknowledgement(Venue.KALSHI, "subscribed", frame.id, message.sid, None, message.channel)


def _parse_ok(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _ok(frame.msg) if frame.msg else None
    if isinstance(message, list):
        found = [(entry.channel, entry.sid) for entry in message]
        return Acknowledgement(Venue.KALSHI, "listed", frame.id, frame.sid, frame.seq, subscriptions=found)
    tickers = message.market_tickers if message else []
    return Acknowledgement(Venue.KALSHI, "updated", frame.id, frame.sid, frame.seq, None, tickers)


def _parse_unsubscribed(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    return Acknowledgement(Venue.KALSHI, "unsubscribed", frame.id, frame.sid, frame.seq)


def _parse_error(frame: wire.Frame, _use_yes_price: bool) -> MarketEvent:
    message = _error(frame.msg)
    remedy = _REMEDIES.get(message.code, "mend")
    return ChannelError(Venue.KALSHI, message.code, message.msg, remedy, frame.id, frame.sid, frame.seq)


def stale_frame(market_ids: Sequence[str], cause: str) -> bytes:
    """Return our own frame that says that a feed cannot give some books."""
    return msgspec.json.encode({"type": wire.STALE, "msg": {"market_tickers": list(market_ids), "cause": cause}})


_PARSERS: dict[str, Callable[[wire.Frame, bool], MarketEvent]] = {
    "orderbook_delta": _parse_delta,
    "orderbook_snapshot": _parse_snapshot,
    wire.POLLED_BOOK: _parse_poll,
    "trade": _parse_trade,
    "ticker": _parse_ticker,
    "market_lifecycle_v2": _parse_lifecycle,
    "multivariate_market_lifecycle": _parse_lifecycle,
    "event_lifecycle": _parse_event,
    "event_fee_update": _parse_event_fees,
    "subscribed": _parse_subscribed,
    "ok": _parse_ok,
    "unsubscribed": _parse_unsubscribed,
    "error": _parse_error,
}
