"""Prices loaded from the venues' own history, one row per (market, interval, bucket)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.storage.database import Connection, save_each

_UPSERT = """
INSERT INTO raw.candles (venue, market_id, interval_s, bucket_start, bid_close_e4, ask_close_e4, price_open_e4,
    price_high_e4, price_low_e4, price_close_e4, volume_e6, payload, loaded_at)
VALUES (%(venue)s, %(market_id)s, %(interval_s)s, %(bucket_start)s, %(bid_close_e4)s, %(ask_close_e4)s,
    %(price_open_e4)s, %(price_high_e4)s, %(price_low_e4)s, %(price_close_e4)s, %(volume_e6)s, %(payload)s,
    %(loaded_at)s)
ON CONFLICT (venue, market_id, interval_s, bucket_start) DO UPDATE SET bid_close_e4 = excluded.bid_close_e4,
    ask_close_e4 = excluded.ask_close_e4, price_open_e4 = excluded.price_open_e4,
    price_high_e4 = excluded.price_high_e4, price_low_e4 = excluded.price_low_e4,
    price_close_e4 = excluded.price_close_e4, volume_e6 = excluded.volume_e6, payload = excluded.payload,
    loaded_at = excluded.loaded_at
"""


class CandleRow(NamedTuple):
    """A row of `raw.candles`; prices are None where the venue states nothing, `payload` is the venue's JSON."""

    venue: Venue
    market_id: str
    interval_s: int
    bucket_start: datetime
    bid_close_e4: int | None
    ask_close_e4: int | None
    price_open_e4: int | None
    price_high_e4: int | None
    price_low_e4: int | None
    price_close_e4: int | None
    volume_e6: int | None
    payload: JsonDocument
    loaded_at: datetime


def save_candles(connection: Connection, candles: Sequence[CandleRow]) -> list[tuple[CandleRow, str]]:
    """Write candles, or write them again as they are now; returns those the database cannot hold, with the reason."""

    def save(some: Sequence[CandleRow]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(_UPSERT, [{**candle._asdict(), "payload": Jsonb(candle.payload)} for candle in some])

    return save_each(connection, candles, save)[1]
