"""A scripted recording of both venues: every frame of the fixtures, holes, unreadable frames, minutes and a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.golden.execution import stage
from tests.golden.execution.stage import Plain, RecordedBatch
from tests.support.frames import fixture_frames
from tests.support.kalshi_frames import KalshiFrames

START_NS = 1_700_000_000_123_456_789
FIRST_OFFSET = 8
SNOW, FIVES, POLLED = "KXSNOW-26DEC24-BOS", "0x" + "5e" * 32, "KXPOLLED-1"
Scripted = tuple[str, str | None, int, int, bytes]
"""Kind of the record, venue, connection, milliseconds after the one before, and the body."""


def script() -> Iterator[Scripted]:
    """Give the records of the recording."""
    for connection, venue, parser in (
        (1, "kalshi", "kalshi"),
        (2, "polymarket", "polymarket"),
        (3, "kalshi", "kalshi_polling"),
    ):
        yield "OPENED", venue, connection, 1, json.dumps({"parser": parser}).encode()
    for connection, venue, added in (
        (1, "kalshi", [["A", "", ""], ["B", "", ""], [SNOW, "", ""]]),
        (2, "polymarket", [[FIVES, "7001", "7002"]]),
        (3, "kalshi", [[POLLED, "", ""]]),
    ):
        yield "MARKETS", venue, connection, 1, json.dumps({"add": added, "remove": []}).encode()
    for body in _kalshi():
        yield "FRAME", "kalshi", 1, 7, body
    for frame in fixture_frames():
        if frame.read_as == "polymarket_market":
            yield "FRAME", "polymarket", 2, 11, frame.raw
            if "stale" in frame.name or "removal" in frame.name:
                yield "FRAME", "polymarket", 2, 11, _named("first_books")
        elif frame.read_as == "kalshi_market":
            yield "FRAME", "kalshi", 1, 5, frame.raw
    yield "FRAME", "polymarket", 2, 3, _named("first_books")
    yield "FRAME", "polymarket", 2, 3, _named("first_books")
    yield "FRAME", "polymarket", 2, 3, _named("price_change_removal").replace(b'"0.42"', b'"0.39"')
    yield "FRAME", "polymarket", 2, 3, _named("first_books")
    wrong = _named("price_change").replace(b'"best_bid":"0.42"', b'"best_bid":"0.43"')
    yield "FRAME", "polymarket", 2, 3, wrong
    yield "FRAME", "polymarket", 2, 3, _named("first_books")
    yield "FRAME", "polymarket", 2, 3, b"\x00not json"
    yield "FRAME", "kalshi", 3, 3, _named("polled_book").replace(SNOW.encode(), POLLED.encode())
    yield "FRAME", "kalshi", 9, 3, b'{"type": "of a connection nobody opened"}'
    yield "STALE", "polymarket", 2, 3, json.dumps({"markets": [FIVES], "cause": "silence"}).encode()
    yield "TICK", None, 0, 21_000, b"{}"
    yield "TICK", None, 0, 60_000, b"{}"
    again = KalshiFrames(sid=7)
    yield "FRAME", "kalshi", 1, 5, again.snapshot("A", [("0.4000", "10.00")], [("0.5000", "2.50")])
    yield "FRAME", "kalshi", 1, 5, again.delta("A", "yes", "0.4000", "-20.00")
    yield "FRAME", "kalshi", 1, 5, again.snapshot("A", [("0.4100", "3.00")], [("0.5900", "2.50")])
    yield "FRAME", "kalshi", 1, 5, again.delta("A", "yes", "0.6100", "1.00")
    yield "TICK", None, 0, 61_000, b"{}"
    yield "FRAME", "kalshi", 1, 5, again.snapshot("A", [("0.4100", "3.00")], [("0.5900", "2.50")])
    yield "FRAME", "kalshi", 1, 5, b'{"type": "error", "sid": 7, "seq": 6, "msg": {"code": 25, "msg": "overflow"}}'
    yield "FRAME", "kalshi", 1, 5, b'{"type": "error", "msg": {"code": 10, "msg": "Channel error"}}'
    yield "MARKETS", "kalshi", 1, 5, json.dumps({"add": [["C", "", ""]], "remove": ["B"]}).encode()
    yield "FRAME", "kalshi", 1, 5, again.snapshot("C", [("0.2000", "1.00")], [])
    yield "CLOSED", "kalshi", 1, 5, json.dumps({"cause": "disconnect"}).encode()
    yield "CLOSED", "polymarket", 2, 5, json.dumps({"cause": "silence", "since_ns": START_NS + 5_000_000}).encode()


def _kalshi() -> Iterator[bytes]:
    frames = KalshiFrames()
    yield frames.snapshot("A", [("0.4000", "10.00"), ("0.3900", "2.00")], [("0.5800", "5.00")])
    yield frames.snapshot("B", [("0.2000", "1.00")], [])
    yield frames.delta("A", "yes", "0.4000", "-4.00")
    yield frames.delta("A", "no", "0.5900", "3.25")
    yield frames.delta("A", "yes", "0.4000", "-6.00", ts_ms=1_700_000_000_500)
    yield frames.delta("A", "yes", "0.4200", "7.00")
    yield frames.trade("A", "0.4100", "2.00", "t-\t-\\-1")
    yield frames.delta("A", "no", "0.5900", "-3.25")
    yield frames.snapshot("A", [("0.3900", "2.00"), ("0.4200", "7.00")], [("0.5800", "5.00")])
    yield frames.snapshot("A", [("0.3900", "2.00"), ("0.4200", "6.00")], [("0.5800", "5.00")])
    frames.sequence += 2
    yield frames.delta("B", "yes", "0.2100", "1.00")
    yield frames.snapshot("A", [("0.4000", "1.00")], [("0.5000", "1.00")])
    yield frames.snapshot("B", [("0.2000", "1.00")], [("0.7000", "1.00")])
    yield frames.delta("B", "yes", "nothing", "1.00")
    yield frames.snapshot("B", [("0.2000", "1.00")], [("0.7000", "1.00")])
    yield frames.delta("Z", "yes", "0.2000", "1.00")


def _named(name: str) -> bytes:
    return next(frame.raw for frame in fixture_frames() if frame.name == name)


def play(segment_id: int = 1) -> tuple[list[Plain], list[RecordedBatch]]:
    """Return all rows of the recording, and its batches of ten records."""
    rows: list[Plain] = []
    batches: list[RecordedBatch] = []
    recorder, at_ns = stage.Recorder(segment_id, FIRST_OFFSET), START_NS
    records = list(script())
    for number, (kind, venue, connection, later_ms, body) in enumerate(records, start=1):
        at_ns += later_ms * 1_000_000
        rows.append({"record": number, "kind": kind, "head": recorder.take(kind, venue, connection, at_ns, body)})
        if number % 10 == 0 or number == len(records):
            batches.append(recorder.batch())
            rows += stage.batch_rows(batches[-1])
            rows.append(recorder.asked())
        if number == len(records) * 2 // 3:
            rows.append({"state": json.loads(recorder.state())})
    return rows, batches


def rows() -> Iterator[Plain]:
    """Give all rows, and those of a recorder that goes on from the state of another."""
    yield from play()[0]
    first, second = stage.Recorder(1, FIRST_OFFSET), stage.Recorder(2, FIRST_OFFSET)
    at_ns, records = START_NS, list(script())
    for number, (kind, venue, connection, later_ms, body) in enumerate(records):
        at_ns += later_ms * 1_000_000
        if number == len(records) // 3:
            second.take("STATE", None, 0, at_ns, first.state())
        (first if number < len(records) // 3 else second).take(kind, venue, connection, at_ns, body)
    yield {"from here on": "a new segment that begins with the state of the books"}
    yield from stage.batch_rows(second.batch())
    yield second.asked()
    yield {"state": json.loads(second.state())}
