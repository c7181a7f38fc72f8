"""Mutated frames through every socket decoder: nothing but MalformedFrame may come out, and nothing may hang.

`python -m tests.proofs.fuzz [--frames N] [--seed S]` starts from the self-made frames, and from the collected samples
where they are. A mutated frame goes through all decoders of its venue; what they give is checked against what the
warehouse can hold, and one in eight goes through the recorder's whole pipeline as well. Prints what was done.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import orjson

from streams.market.errors import MalformedFrame
from streams.market.events import BookSnapshot, LevelChange
from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.storage.segments import Record, RecordKind
from tests.proofs.table import Table
from tests.support.frames import TOKENS, Decode, Frame, decoder, fixture_frames, sample_frames

LIMIT_S = 0.25
HANG_S = 30
MUTATIONS = (1, 1, 1, 2, 3)
_SHARED = Path(__file__).resolve().parents[3] / "shared" / "venues"
_MARK = "@@raw"
_LARGEST = 2**63
_RAW_VALUES = [
    b"NaN", b"Infinity", b"-Infinity", b"-0", b"1e999", b"1E-400", b"0.1", b"-1", b"9" * 400, b"0." + b"1" * 300,
    b"18446744073709551616", b"9223372036854775808", b"1795000000000.5", b"00", b"0x10", b"'a'", b"\xff\xfe", b"",
    b"[" * 2000 + b"]" * 2000, b'{"a":' * 600 + b"1" + b"}" * 600, b"[" * 50_000, b'"\\ud800"', b'"\\u0000"',
    b'"' + b"7" * 5000 + b'"',
]  # fmt: skip
_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 10**18, 0.5, "", "0", "-0", "1", "1.0", "0.00001", "1e5", " 0.5", "0.5 ", "+1", ".5",
    "5.", "0..5", "NaN", "Infinity", "-1", "9" * 40, "0.9999", "yes", "no", "BUY", "SELL", "é", "٣", "²", "1_0",
    [], {}, [[]], [["0.5"]], [["0.5", "1", "2"]], [None], {"price": "0.5"}, "\t\n\\", "7001", "7002", "2100-01-01",
    4_102_444_800_000, -62_135_596_800_000,
]  # fmt: skip


@dataclass
class Findings:
    """What a run came to; `failures` is empty in a good one."""

    frames: int = 0
    decodings: int = 0
    refused: int = 0
    recorded: int = 0
    events: Counter[str] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


class Fuzzer:
    """Makes mutated frames from a seed and runs them; the same seed gives the same frames."""

    def __init__(self, seeds: list[Frame], seed: int) -> None:
        self.chance = random.Random(seed)
        self.seeds = seeds
        self.found = Findings()
        self._pools = {venue: [frame for frame in seeds if frame.read_as.startswith(venue)] for venue in Venue}
        self._values = {venue: _values_of(pool) for venue, pool in self._pools.items()}
        kinds = sorted({frame.read_as for frame in seeds})
        plain = {kind: decoder(Frame("", kind, b"")) for kind in kinds}
        self._decoders = {venue: [plain[kind] for kind in kinds if kind.startswith(venue)] for venue in Venue}
        self._pipelines = {venue: _pipeline(venue) for venue in Venue}
        self._bytes: list[Callable[[bytearray], None]] = [
            self._flip_bits, self._cut, self._remove, self._insert, self._repeat, self._break_text,
        ]  # fmt: skip
        self._json: list[Callable[[Any, Venue], None]] = [
            self._replace, self._replace_raw, self._swap, self._drop_key, self._graft, self._repeat_entries,
        ]  # fmt: skip

    def run(self, count: int) -> Findings:
        """Run `count` mutated frames."""
        for number in range(count):
            if number % 1000 == 0:
                # Decoders run in C as well: only this ends a hang there.
                faulthandler.dump_traceback_later(HANG_S, exit=True)
            frame = self.seeds[self.chance.randrange(len(self.seeds))]
            venue = Venue(frame.read_as.split("_")[0])
            raw = self.mutate(frame, venue)
            self._check(raw, venue, [decoder(frame), *self._decoders[venue]])
            if number % 8 == 0:
                self._record(raw, venue)
        faulthandler.cancel_dump_traceback_later()
        self.found.frames += count
        return self.found

    def mutate(self, frame: Frame, venue: Venue) -> bytes:
        """Return a frame with one to three changes, of its values, of its bytes or of both."""
        raw = frame.raw
        if self.chance.random() < 0.65:
            raw = self._mutate_values(raw, venue)
        if raw == frame.raw or self.chance.random() < 0.2:
            changed = bytearray(raw)
            for _ in range(self.chance.choice(MUTATIONS)):
                change = self.chance.choice(self._bytes)
                change(changed)
                self.found.mutations[change.__name__.strip("_")] += 1
            raw = bytes(changed)
        return raw

    # -- what is run ------------------------------------------------------------------------------------------------

    def _check(self, raw: bytes, venue: Venue, decoders: list[Decode]) -> None:
        for decode in decoders:
            self.found.decodings += 1
            started = time.thread_time()
            try:
                events = decode(raw)
            except MalformedFrame as error:
                self.found.refused += 1
                if error.raw != raw or not error.reason:
                    self._fail(raw, venue, "an error without the frame or the reason")
            except Exception as error:
                self._fail(raw, venue, f"{type(error).__name__}: {error}")
            else:
                for event in events:
                    self.found.events[type(event).__name__] += 1
                    wrong = _what_cannot_be_kept(event)
                    if wrong:
                        self._fail(raw, venue, wrong)
            took = time.thread_time() - started
            self.found.slowest_s = max(self.found.slowest_s, took)
            if took > LIMIT_S:
                self._fail(raw, venue, f"took {took:.2f} s of CPU time")

    def _record(self, raw: bytes, venue: Venue) -> None:
        pipeline = self._pipelines[venue]
        self.found.recorded += 1
        try:
            _feed(pipeline, venue, RecordKind.FRAME, raw, self.found.recorded)
            pipeline.requests.clear()
            pipeline.reconnects.clear()
            rows = pipeline.take()
            for table, lines in rows.lines.items():
                if any(line.count("\n") != 1 for line in lines):
                    self._fail(raw, venue, f"a row of {table} that is not one line")
        except Exception as error:
            self._fail(raw, venue, f"the recorder: {type(error).__name__}: {error}")

    def _fail(self, raw: bytes, venue: Venue, reason: str) -> None:
        if len(self.found.failures) < 50:
            self.found.failures.append(f"{venue}: {reason[:300]}: {raw[:600]!r}")

    # -- changes of bytes -------------------------------------------------------------------------------------------

    def _flip_bits(self, raw: bytearray) -> None:
        for _ in range(self.chance.randint(1, 8)):
            if raw:
                raw[self.chance.randrange(len(raw))] ^= 1 << self.chance.randrange(8)

    def _cut(self, raw: bytearray) -> None:
        del raw[self.chance.randint(0, len(raw)) :]

    def _remove(self, raw: bytearray) -> None:
        at = self.chance.randint(0, len(raw))
        del raw[at : at + self.chance.randint(1, 20)]

    def _insert(self, raw: bytearray) -> None:
        at = self.chance.randint(0, len(raw))
        raw[at:at] = self.chance.choice([self.chance.randbytes(self.chance.randint(1, 8)), *_RAW_VALUES])

    def _repeat(self, raw: bytearray) -> None:
        at = self.chance.randint(0, len(raw))
        raw[at:at] = raw[at : at + self.chance.randint(1, 60)] * self.chance.randint(1, 4)

    def _break_text(self, raw: bytearray) -> None:
        at = self.chance.randint(0, len(raw))
        raw[at:at] = self.chance.choice(
            [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80", b"\x00", b"\xef\xbb\xbf"]
        )

    # -- changes of values ------------------------------------------------------------------------------------------

    def _mutate_values(self, raw: bytes, venue: Venue) -> bytes:
        document = orjson.loads(raw)
        self._inserts: list[bytes] = []
        for _ in range(self.chance.choice(MUTATIONS)):
            change = self.chance.choice(self._json)
            change(document, venue)
            self.found.mutations[change.__name__.strip("_")] += 1
        text = orjson.dumps(document)
        for number, inserted in enumerate(self._inserts):
            text = text.replace(f'"{_MARK}{number}"'.encode(), inserted)
        if self.chance.random() < 0.1:
            text = self._with_key_twice(text)
        return text

    def _place(self, document: Any) -> tuple[Any, Any] | None:
        """Return a container within the document and one of its keys or positions, any depth."""
        place = None
        while isinstance(document, dict | list) and document:
            key = (
                self.chance.choice(list(document))
                if isinstance(document, dict)
                else self.chance.randrange(len(document))
            )
            place = (document, key)
            document = document[key]
            if self.chance.random() < 0.3:
                break
        return place

    def _replace(self, document: Any, venue: Venue) -> None:
        place = self._place(document)
        if place is not None:
            pool = _VALUES if self.chance.random() < 0.6 else self._values[venue]
            place[0][place[1]] = copy.deepcopy(self.chance.choice(pool))

    def _replace_raw(self, document: Any, _venue: Venue) -> None:
        place = self._place(document)
        if place is not None:
            place[0][place[1]] = f"{_MARK}{len(self._inserts)}"
            self._inserts.append(self.chance.choice(_RAW_VALUES))

    def _swap(self, document: Any, _venue: Venue) -> None:
        one, other = self._place(document), self._place(document)
        if one is not None and other is not None and not isinstance(one[0][one[1]], dict | list):
            value = one[0][one[1]]
            if not isinstance(other[0][other[1]], dict | list):
                one[0][one[1]] = other[0][other[1]]
                other[0][other[1]] = value

    def _drop_key(self, document: Any, _venue: Venue) -> None:
        place = self._place(document)
        if place is not None:
            del place[0][place[1]]

    def _graft(self, document: Any, venue: Venue) -> None:
        """Take fields of another frame of the venue."""
        other = orjson.loads(self.chance.choice(self._pools[venue]).raw)
        if isinstance(document, dict) and isinstance(other, dict):
            for key in self.chance.sample(list(other), min(len(other), self.chance.randint(1, 3))):
                document[key] = other[key]

    def _repeat_entries(self, document: Any, _venue: Venue) -> None:
        place = self._place(document)
        if place is not None and isinstance(place[0], list) and len(place[0]) < 2000:
            place[0].extend(place[0] * self.chance.randint(1, 3))

    def _with_key_twice(self, text: bytes) -> bytes:
        self.found.mutations["key_twice"] += 1
        start = text.find(b"{")
        return text if start < 0 else text[: start + 1] + b'"type":"trade","event_type":"book",' + text[start + 1 :]


def _values_of(frames: list[Frame]) -> list[Any]:
    """Every plain value that stands somewhere in the frames."""
    found: dict[str, Any] = {}

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value[:20]:
                walk(inner)
        else:
            found[repr(value)] = value

    for frame in frames:
        walk(orjson.loads(frame.raw))
    return list(found.values())


def _what_cannot_be_kept(event: Any) -> str | None:
    """Return what is wrong with an event by the limits of the warehouse's columns and of a book."""
    assert is_dataclass(event)
    for item in fields(event):
        value = getattr(event, item.name)
        if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
            return f"{type(event).__name__}.{item.name} is {value}"
        if item.name.endswith("_ms") and value is not None and not 0 <= value < 4_102_444_800_000:
            return f"{type(event).__name__}.{item.name} is no time: {value}"
    if isinstance(event, LevelChange) and not 0 < event.price_e4 < 10_000:
        return f"a level at {event.price_e4}"
    if isinstance(event, BookSnapshot) and any(
        not 0 < price < 10_000 or size <= 0 for price, size in [*event.bids, *event.asks]
    ):
        return "a book with an impossible level"
    return None


def _pipeline(venue: Venue) -> Pipeline:
    pipeline = Pipeline(PARSERS)
    pipeline.begin(1, 0)
    _feed(pipeline, venue, RecordKind.OPENED, orjson.dumps({"parser": str(venue)}), 0)
    ids = ["KXSNOW-26DEC24-BOS", "KXA-1"] if venue is Venue.KALSHI else [next(iter(TOKENS.values())).market_id]
    keys = [[market_id, *TOKENS] for market_id in ids]
    _feed(pipeline, venue, RecordKind.MARKETS, orjson.dumps({"add": keys, "remove": []}), 0)
    return pipeline


def _feed(pipeline: Pipeline, venue: Venue, kind: int, body: bytes, number: int) -> None:
    pipeline.consume(Record(number, number + 1, kind, venue, 1, 1_795_000_000_000_000_000 + number * 1_000_000, body))


def seeds() -> list[Frame]:
    """Return the frames to start from."""
    return fixture_frames() + (sample_frames(_SHARED) if _SHARED.exists() else [])


def main() -> int:
    """Run and print; returns 1 when something was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=20261121)
    given = options.parse_args()
    started = time.process_time()
    found = Fuzzer(seeds(), given.seed).run(given.frames)
    table = Table("Mutated frames through the socket decoders")
    table.least("mutated frames", found.frames, given.frames)
    table.same("errors outside the typed tree, values that cannot be kept, frames that take too long",
               len(found.failures), 0)  # fmt: skip
    table.check("CPU time of the slowest frame", f"<= {LIMIT_S} s", f"{found.slowest_s * 1000:.1f} ms",
                found.slowest_s <= LIMIT_S)  # fmt: skip
    table.figures = {
        "decodings": f"{found.decodings:,}",
        "refused as malformed": f"{found.refused:,}",
        "through the recorder's pipeline": f"{found.recorded:,}",
        "events": ", ".join(f"{name} {count:,}" for name, count in found.events.most_common()),
        "mutations": ", ".join(f"{name} {count:,}" for name, count in found.mutations.most_common()),
        "seed, CPU time": f"{given.seed}, {time.process_time() - started:.0f} s",
    }
    print(table.render())
    print("\n".join(found.failures[:20]), file=sys.stderr)
    return 0 if table.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
