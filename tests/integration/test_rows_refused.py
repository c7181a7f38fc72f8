"""A row of the recorder that no table can hold is a dead letter, and everything beside it is written."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import orjson

from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.storage.database import connect
from streams.storage.recording import commit_batch, open_segment
from streams.storage.segments import Record, RecordKind

LONG = secrets.token_hex(20_000)  # beyond what an index takes, and not to be made smaller


def life(ticker: str, extra: bytes = b"1") -> bytes:
    return (
        b'{"type":"market_lifecycle_v2","sid":3,"seq":1,"msg":{"market_ticker":"%s","event_type":"created","x":%s}}'
        % (ticker.encode(), extra)
    )


def trade(ticker: str) -> bytes:
    message = {"market_ticker": ticker, "yes_price_dollars": "0.5", "count_fp": "1.00"}
    return orjson.dumps({"type": "trade", "sid": 3, "seq": 1, "msg": message})


def test_a_row_that_no_table_can_hold_costs_itself(database: str) -> None:
    now = datetime.now(UTC)
    pipeline = Pipeline(PARSERS)
    with connect(database) as connection:
        segment = open_segment(connection, 0, "run", Path("/segment"), now, 0)
        pipeline.begin(segment, 0)
        bodies = [
            (RecordKind.OPENED, orjson.dumps({"parser": "kalshi"})),
            *((RecordKind.FRAME, life(name)) for name in ("KXA", LONG)),
            (RecordKind.FRAME, life("KXB", b"1e200000")),
            *((RecordKind.FRAME, trade(name)) for name in (LONG, "KXC")),
        ]
        for offset, (kind, body) in enumerate(bodies):
            at_ns = int(now.timestamp() * 1e9)
            pipeline.consume(Record(offset, offset + 1, kind, Venue.KALSHI, 1, at_ns, body))
        assert commit_batch(connection, 0, "run", pipeline.take())
        kept = connection.execute(
            "SELECT market_id FROM raw.lifecycle_events UNION ALL SELECT market_id FROM raw.trades"
        ).fetchall()
        letters = connection.execute("SELECT raw FROM raw.dead_letters").fetchall()
    assert [row["market_id"] for row in kept] == ["KXA", "KXC"]
    assert sorted(LONG.encode() in bytes(row["raw"]) for row in letters) == [False, True, True]
