"""The edge monitor under a flood of quotes: its share of one core at 5,000 quotes a second, and looks per second.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. 200 pairs of 20-level books share a price
that wanders; each venue quotes around it, so that now and then a pair locks something in. Ticks come ten a second of
the flood's time, as in a recorder; what is measured is the CPU time of the recorder's thread. The baseline evaluates
both bundles of a pair in Decimal at each quote.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from psycopg.types.json import Jsonb

from orchestration.execution.edge_monitor.monitor import EdgeMonitor
from streams.logs import configure_logs
from streams.market.book import Book
from streams.market.events import BookSnapshot, Quote
from streams.market.identity import Outcome, Venue
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from tests.bench import plain_walk
from tests.bench.bench_edges import in_decimals
from tests.support.ports import free_port

PAIRS = 200
QUOTES_PER_S = 5_000
SECONDS = 20
LEVELS = 20
VENUES = (Venue.KALSHI, Venue.POLYMARKET)


class Flood:
    """Books of all pairs, and quotes that change one of them at a time."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self.mids = [self._random.randrange(2_500, 7_500, 100) for _ in range(PAIRS)]
        self.books = [{venue: Book() for venue in VENUES} for _ in range(PAIRS)]
        for number in range(PAIRS):
            for venue in VENUES:
                self._place(number, venue)

    def _place(self, number: int, venue: Venue) -> Book:
        own = round(self._random.gauss(0, 180)) // 10 * 10
        bid = self.mids[number] + own - 100
        size = self._random.randrange(5, 500) * 1_000_000
        bids = [(bid - 20 * step, size + step * 10_000) for step in range(LEVELS)]
        asks = [(bid + 200 + 20 * step, size + step * 10_000) for step in range(LEVELS)]
        book = self.books[number][venue]
        book.replace(BookSnapshot(venue, str(number), bids, asks))
        return book

    def next(self) -> tuple[int, Quote, Book]:
        """Move one book and return its pair, its quote and itself."""
        number, venue = self._random.randrange(PAIRS), self._random.choice(VENUES)
        self.mids[number] = min(8_000, max(2_000, self.mids[number] + self._random.choice((-10, 0, 10))))
        book = self._place(number, venue)
        bid, ask = book.best_bid or 0, book.best_ask or 0
        return (
            number,
            Quote(venue, f"M{number}", time.time_ns(), bid, book.bids[bid], ask, book.asks[ask], True),
            book,
        )


def seed_pairs(connection: Connection) -> None:
    """Write 200 pairs with their markets."""
    now = datetime.now(UTC)
    for number in range(PAIRS):
        keys = [f"{venue}:M{number}" for venue in VENUES]
        for venue, fees in zip(VENUES, ({"fee_type": "quadratic"}, {"rate": "0.04"}), strict=True):
            connection.execute(
                """WITH made AS (
                       INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title,
                           outcomes, close_time, status, terms, payload, seen_at)
                       VALUES (%(venue)s, %(id)s, 'v', 't', 'e', '?', '["Yes", "No"]', %(close)s, 'open', %(terms)s,
                           '{}', %(now)s) RETURNING version_id)
                   INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
                   SELECT %(venue)s, %(id)s, version_id, 'open', %(now)s, %(now)s FROM made""",
                {
                    "venue": str(venue),
                    "id": f"M{number}",
                    "close": now + timedelta(days=9),
                    "terms": Jsonb({"fee_schedule": fees}),
                    "now": now,
                },
            )
        connection.execute(
            """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment,
                updated_at)
               VALUES (%s, 'ladder', '?', %s, %s, true, 'sandbox', now())""",
            (
                f"g{number}",
                Jsonb([{"venue": str(venue), "market_id": f"M{number}"} for venue in VENUES]),
                Jsonb([keys, []]),
            ),
        )


@contextmanager
def database() -> Iterator[str]:
    """A server of its own with the schema and the pairs."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(home=Path(folder) / "postgres", port=free_port())
        server.start()
        try:
            migrate(server.dsn(), "sandbox")
            with connect(server.dsn()) as connection:
                seed_pairs(connection)
            yield server.dsn()
        finally:
            server.destroy()


def cpu_per_quote_s(
    flood: Flood, on_quote: Callable[[int, Quote, Book], None], on_tick: Callable[[int], None]
) -> float:
    """Return seconds of this thread's CPU per quote spent in the callbacks, ticks included."""
    used = 0.0
    begin_ns, per_tick = time.time_ns(), QUOTES_PER_S // 10
    for tick in range(SECONDS * 10):
        moves = [flood.next() for _ in range(per_tick)]
        start = time.thread_time()
        for move in moves:
            on_quote(*move)
        on_tick(begin_ns + tick * 100_000_000)
        used += time.thread_time() - start
    return used / (SECONDS * QUOTES_PER_S)


def evaluate_plainly(books: dict[Venue, Book]) -> None:
    """Both bundles of a pair, in Decimal."""
    kalshi, polymarket = (books[venue] for venue in VENUES)
    bundles: tuple[tuple[Outcome, Outcome], ...] = (("yes", "no"), ("no", "yes"))
    for first, second in bundles:
        plain_walk.walk(in_decimals(kalshi.offers(first)), in_decimals(polymarket.offers(second)), Decimal("0.0005"))


def main() -> None:
    """Measure and print."""
    configure_logs("WARNING")
    with database() as dsn:
        monitor = EdgeMonitor(Settings(venues="sandbox"), dsn, 0)
        try:
            while not monitor.watches:
                time.sleep(0.05)
                monitor.on_tick(time.time_ns())
            ours = cpu_per_quote_s(Flood(), lambda _number, quote, book: monitor.on_quote(quote, book), monitor.on_tick)
            looks, walks, dropped = monitor.evaluations, monitor.walks, monitor.dropped
        finally:
            monitor.close()
    flood = Flood()
    theirs = cpu_per_quote_s(flood, lambda number, _q, _b: evaluate_plainly(flood.books[number]), lambda _now: None)
    share, plain_share = ours * QUOTES_PER_S * 100, theirs * QUOTES_PER_S * 100
    baseline = "both bundles in Decimal at each quote"
    note = f"{looks / SECONDS:.0f} looks and {walks / SECONDS:.0f} walks a second, {dropped} dropped"
    print(
        json.dumps(
            [
                {
                    "name": "monitor_share_at_5000_quotes_per_s",
                    "value": round(share, 2),
                    "unit": "% of a core",
                    "baseline": f"{baseline} ({note})",
                    "baseline_value": round(plain_share, 1),
                    "ratio": round(share / plain_share, 4),
                },
                {
                    "name": "monitor_quotes_per_cpu_s",
                    "value": round(1 / ours),
                    "unit": "quotes/s",
                    "baseline": baseline,
                    "baseline_value": round(1 / theirs),
                    "ratio": round(theirs / ours, 1),
                },
            ]
        )
    )


if __name__ == "__main__":
    main()
