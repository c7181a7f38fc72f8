"""The books of a run again, from its segment files by the recorder's own pipeline, to whoever watches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from streams.market.book import Book
from streams.market.events import Quote
from streams.recorder.observer import ObserverGuard
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.storage.segments import RecordKind, SegmentReader

_TICK_NS = 10_000_000
_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a recorder shard's run."""

    shard: int
    run_id: str
    path: Path


class Watcher(Protocol):
    """Who is shown the books: `streams.recorder.observer.Observer`, and told when they begin anew."""

    def on_quote(self, quote: Quote, book: Book) -> None:
        """A quote has changed; `book` is whole within this call and the next ones."""

    def on_tick(self, now_ns: int) -> None:
        """Time has passed, up to this record."""

    def lose_books(self) -> None:
        """No book that was shown is right any more."""

    def close(self) -> None:
        """The recording is over."""


class _Everything(ObserverGuard):
    """Passes every quote on: a replay has the time for it, and an error in it is one of the proof."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        super().__init__(())
        self._watchers = watchers

    def on_quote(self, quote: Quote, book: Book) -> None:
        for watcher in self._watchers:
            watcher.on_quote(quote, book)


def replay(segments: Iterable[Segment], watchers: Sequence[Watcher]) -> int:
    """Show the books of one recorder shard, in the order they were recorded; returns how many records there were.

    Args:
        segments: Its files, oldest first.
        watchers: Who looks at them.
    """
    records = 0
    for _, files in groupby(segments, key=lambda segment: segment.run_id):
        for watcher in watchers:
            watcher.lose_books()
        records += _replay_run([segment.path for segment in files], watchers)
    for watcher in watchers:
        watcher.close()
    return records


def _replay_run(paths: Sequence[Path], watchers: Sequence[Watcher]) -> int:
    """Show the books of one run of a recorder: its later files go on where the one before ended."""
    pipeline = Pipeline(PARSERS, _Everything(watchers))
    pipeline.begin(0, 0)
    records, tick_ns = 0, 0
    for path in paths:
        for record in SegmentReader(path):
            records += 1
            if record.received_ns >= tick_ns:
                tick_ns = record.received_ns + _TICK_NS
                for watcher in watchers:
                    watcher.on_tick(record.received_ns)
            if record.kind == RecordKind.STATE and pipeline.connections:
                continue  # the same books, as the file before left them
            pipeline.consume(record)
            if pipeline.pending_rows >= _ROWS:
                pipeline.take()
    return records
