"""Pre-rendered runs of frames: a closed loop of house orders whose frames can be played again and again.

Orders are placed, traded and cancelled on real books while a face renders what its subscriber would see; at the end
every book is as it was, so the next lap goes on from there. What changes between laps (sequence numbers, times) is left
blank and filled in when a chunk is sent.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from streams.market.identity import MarketRef, Side
from streams.sandbox.core.model import CancelOrder, PlaceOrder
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.kalshi.formats import moment

CHUNK_FRAMES = 100
_MAKER, _TAKER = "house-load", "house-load-taker"
_RESTING = 12
"""Orders of the loop that rest on one book at most."""
_TRADE_SHARE = 0.01
_KEPT_CHUNKS = 64
_FRESH_MS = 50
_SEQ = re.compile(rb'"sid":(\d+),"seq":(\d+)')
_TIMES = (
    (re.compile(rb'"ts":"[^"]*"'), b'"ts":"%(iso)s"'),
    (re.compile(rb'"ts":\d+'), b'"ts":%(s)d'),
    (re.compile(rb'"ts_ms":\d+'), b'"ts_ms":%(ms)d'),
    (re.compile(rb'"timestamp":"\d+"'), b'"timestamp":"%(ms)d"'),
)

Sequences = dict[int, int]
"""Last sequence number by subscription."""


@dataclass(frozen=True, slots=True)
class Blank:
    """A frame with its sequence number and times left out. `sid` 0: it has no number."""

    sid: int
    template: bytes


def blank(frame: bytes) -> Blank:
    """Leave out what changes from lap to lap."""
    found = _SEQ.search(frame)
    text = frame.replace(b"%", b"%%")
    if found is not None:
        text = _SEQ.sub(rb'"sid":\1,"seq":%(seq)d', text, count=1)
    for pattern, replacement in _TIMES:
        text = pattern.sub(replacement, text)
    return Blank(int(found.group(1)) if found is not None else 0, text)


def renumbered(frame: bytes, sequences: Sequences) -> bytes:
    """Give a frame the next number of its subscription."""
    found = _SEQ.search(frame)
    if found is None:
        return frame
    sid = int(found.group(1))
    sequences[sid] = sequences.get(sid, 0) + 1
    return frame[: found.start(2)] + b"%d" % sequences[sid] + frame[found.end(2) :]


def header(size: int) -> bytes:
    """The head of an unmasked text frame."""
    if size < 126:
        return bytes((0x81, size))
    return b"\x81\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x81\x7f" + size.to_bytes(8, "big")


@dataclass(slots=True)
class Lap:
    """The frames of one lap for one set of subscriptions."""

    frames: list[Blank]
    _made: OrderedDict[tuple[int, tuple[tuple[int, int], ...]], tuple[int, bytes, Sequences]] = field(
        default_factory=OrderedDict
    )

    @property
    def chunks(self) -> int:
        """How many pieces it is sent in."""
        return -(-len(self.frames) // CHUNK_FRAMES)

    def chunk(self, number: int, sequences: Sequences, now_ms: int) -> tuple[bytes, int]:
        """Return a piece ready for the wire and its number of frames; moves the sequences on.

        Subscribers at the same place get the same bytes, rendered once.
        """
        key = (number, tuple(sequences.items()))
        made = self._made.get(key)
        if made is None or now_ms - made[0] > _FRESH_MS:
            made = self._made[key] = (now_ms, *self._render(number, dict(sequences), now_ms))
            if len(self._made) > _KEPT_CHUNKS:
                self._made.popitem(last=False)
        sequences.update(made[2])
        return made[1], min(CHUNK_FRAMES, len(self.frames) - number * CHUNK_FRAMES)

    def _render(self, number: int, sequences: Sequences, now_ms: int) -> tuple[bytes, Sequences]:
        values = {b"ms": now_ms, b"s": now_ms // 1000, b"iso": moment(now_ms).encode(), b"seq": 0}
        parts: list[bytes] = []
        for frame in self.frames[number * CHUNK_FRAMES : (number + 1) * CHUNK_FRAMES]:
            if frame.sid:
                values[b"seq"] = sequences[frame.sid] = sequences.get(frame.sid, 0) + 1
            text = frame.template % values
            parts += (header(len(text)), text)
        return b"".join(parts), sequences


def run_loop(
    exchange: Exchange, market_ids: Iterable[str], now_ms: int, random: Random, wants_more: Callable[[], bool]
) -> None:
    """Move the books of these markets and bring them back: every order placed here is gone at the end.

    Args:
        exchange: Whose books; nothing else may act on them meanwhile.
        market_ids: Those without a price on either side are left alone.
        now_ms: Time of everything that happens.
        random: Decides everything that is drawn.
        wants_more: Asked before each step.
    """
    loops = [loop for loop in (_Loop.over(exchange, market_id, now_ms) for market_id in market_ids) if loop is not None]
    while loops and wants_more():
        random.choice(loops).step(random)
    for loop in loops:
        while loop.resting:
            loop.cancel(loop.resting.pop())


@dataclass(slots=True)
class _Loop:
    """The loop on one book. `prices` are those where it may rest; `better` are free prices inside the spread."""

    exchange: Exchange
    ref: MarketRef
    now_ms: int
    prices: list[tuple[Side, int]]
    better: list[tuple[Side, int]]
    resting: list[str] = field(default_factory=list)
    placed: int = 0

    @classmethod
    def over(cls, exchange: Exchange, market_id: str, now_ms: int) -> _Loop | None:
        listed = exchange.markets.get(market_id)
        if listed is None or listed.status != "open" or not listed.book.bids or not listed.book.asks:
            return None
        bids, asks = listed.book.levels("bid"), listed.book.levels("ask")
        prices: list[tuple[Side, int]] = [("bid", price) for price, _ in bids[:8]]
        prices += [("ask", price) for price, _ in asks[:8]]
        step = listed.tick_e4
        low, high = bids[0][0] + step, asks[0][0] - step
        better: list[tuple[Side, int]] = []
        if low < high and listed.book.is_on_grid(low) and listed.book.is_on_grid(high):
            better = [("bid", low), ("ask", high)]
        return cls(exchange, MarketRef(exchange.venue, market_id), now_ms, prices, better)

    def step(self, random: Random) -> None:
        if self.better and random.random() < _TRADE_SHARE:
            self._trade(random)
        elif self.resting and random.random() * _RESTING < len(self.resting):
            self.cancel(self.resting.pop(random.randrange(len(self.resting))))
        else:
            side, price = random.choice(self.prices + self.better)
            self.resting.append(self._place(_MAKER, side, price, random.randint(1, 200) * 1_000_000))

    def _trade(self, random: Random) -> None:
        """An order inside the spread that is taken at once and whole; those resting there step aside."""
        while self.resting:
            self.cancel(self.resting.pop())
        side, price = random.choice(self.better)
        size = random.randint(5, 50) * 1_000_000
        self._place(_MAKER, side, price, size)
        self._place(_TAKER, "ask" if side == "bid" else "bid", price, size, is_immediate=True)

    def _place(self, account: str, side: Side, price: int, size_e6: int, *, is_immediate: bool = False) -> str:
        self.placed += 1
        key = f"{self.ref.market_id}.{self.placed}"
        act = PlaceOrder(self.ref, account, key, side, price, size_e6, is_immediate=is_immediate)
        self.exchange.apply(act, self.now_ms)
        return key

    def cancel(self, key: str) -> None:
        self.exchange.apply(CancelOrder(self.ref, _MAKER, key), self.now_ms)
