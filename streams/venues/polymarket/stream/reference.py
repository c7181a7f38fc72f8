"""Polymarket's reference prices (RTDS) and sports frames as typed values. Pure; the only error is MalformedFrame.

Nothing here subscribes: markets that settle on these feeds can be understood with them, and no order depends on one.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from streams.market.errors import InvalidAmount, MalformedFrame
from streams.market.reference import GameState, ReferencePrice
from streams.venues.common.decimals import check_text, plain_decimal, wire_ms

_ISSUES = (msgspec.DecodeError, InvalidAmount, ValueError, ArithmeticError, RecursionError)


class _Point(msgspec.Struct):
    timestamp: int
    value: Decimal
    full_accuracy_value: str | None = None


class _Payload(msgspec.Struct):
    symbol: str
    timestamp: int | None = None
    value: Decimal | None = None
    full_accuracy_value: str | None = None
    data: list[_Point] | None = None


class _PriceFrame(msgspec.Struct):
    topic: str
    type: str
    payload: _Payload


class _Game(msgspec.Struct, rename="camel"):
    game_id: int | None = None
    metadata_game_id: str | None = None
    league_abbreviation: str = ""
    home_team: str = ""
    away_team: str = ""
    status: str = ""
    score: str = ""
    period: str = ""
    live: bool = False
    ended: bool = False
    finished_timestamp: str | None = None


_price_frame = msgspec.json.Decoder(_PriceFrame).decode
_games = msgspec.json.Decoder(list[msgspec.Raw]).decode
_game = msgspec.json.Decoder(_Game).decode


def parse_price_frame(raw: bytes) -> list[ReferencePrice]:
    """Return the prices of a frame: one of an update, several of the answer to a subscription; none of PONG.

    Raises:
        MalformedFrame: For anything that is not a frame of the known shape.
    """
    if raw.strip() == b"PONG":
        return []
    try:
        check_text(raw)
        frame = _price_frame(raw)
        payload = frame.payload
        if payload.data is not None:
            return [_price(frame.topic, payload.symbol, point) for point in payload.data]
        if payload.value is None or payload.timestamp is None:
            raise InvalidAmount("neither a price nor a list of them")
        point = _Point(payload.timestamp, payload.value, payload.full_accuracy_value)
        return [_price(frame.topic, payload.symbol, point)]
    except _ISSUES as error:
        raise MalformedFrame(raw, f"{type(error).__name__}: {error}") from None


def _price(topic: str, symbol: str, point: _Point) -> ReferencePrice:
    at_ms = wire_ms(point.timestamp)
    assert at_ms is not None
    return ReferencePrice(topic, symbol, Decimal(plain_decimal(point.full_accuracy_value or point.value)), at_ms)


def parse_sports_frame(raw: bytes) -> list[GameState]:
    """Return the games of a frame: one object, or an array of them.

    Raises:
        MalformedFrame: For anything that is not a frame of the known shape.
    """
    try:
        check_text(raw)
        parts = _games(raw) if raw.lstrip()[:1] == b"[" else [msgspec.Raw(raw)]
        return [_state(_game(part), bytes(part)) for part in parts]
    except _ISSUES as error:
        raise MalformedFrame(raw, f"{type(error).__name__}: {error}") from None


def _state(game: _Game, payload: bytes) -> GameState:
    game_id = game.metadata_game_id or (None if game.game_id is None else str(game.game_id))
    if not game_id:
        raise InvalidAmount("a game without an id")
    return GameState(
        game_id=game_id,
        league=game.league_abbreviation,
        home_team=game.home_team,
        away_team=game.away_team,
        status=game.status,
        score=game.score,
        period=game.period,
        is_live=game.live,
        has_ended=game.ended,
        payload=payload,
    )
