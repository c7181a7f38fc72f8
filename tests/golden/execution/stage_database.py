"""Another module that knows internals: trades on fake venues in a real database, and its rows as plain values.

The venues do what a script says at which order, and nothing depends on how long anything takes: a decision lives for
ten minutes, and an order that a venue does not show twice is given up. Times and ids of others become tokens.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from psycopg import sql

from app import operator_actions as acts
from orchestration.execution.edge_monitor.monitor import EdgeMonitor
from orchestration.execution.paper_account import PaperLedger
from orchestration.execution.settlement_cycle import run_cycle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import Gateway, OrderAnswer, OrderSpec, PreparedOrder
from orchestration.execution.venues.paper import PaperGateway, PaperSources, books_read_at
from orchestration.execution.venues.paper_matching import paper_profile
from streams.market.book import Book
from streams.market.events import BookSnapshot, Quote
from streams.market.identity import Venue
from streams.market.trading import BootTime, Target
from streams.storage.database import Connection, connect
from streams.storage.recording import commit_batch, open_segment
from streams.storage.store.signals import load_actionable
from tests.golden.execution.stage import Plain, RecordedBatch, settings_of
from tests.support.fake_venue import (
    KALSHI_MARKET,
    POLYMARKET_MARKET,
    FakeVenue,
    approve,
    seed_group,
    seed_signal,
    set_books,
)

MARKETS = {"kalshi": KALSHI_MARKET, "polymarket": POLYMARKET_MARKET}
Faults = Mapping[str, Mapping[str, Sequence[int]]]
"""Venue -> fault -> numbers of the orders, from 1, at which it happens."""

TRADING = {
    "group_decisions": "decision_id",
    "watch_list": "venue, market_id",
    "signals": "signal_id",
    "signal_legs": "signal_id, leg_no",
    "executions": "execution_id",
    "execution_events": "execution_id, event_id",
    "refusals": "refusal_id",
    "reservations": "execution_id, leg_no",
    "intents": "intent_id",
    "orders": "order_id",
    "fills": "order_id, venue_fill_id",
    "ledger": 'entry_key COLLATE "C"',
    "positions": "environment, mode, venue, market_id, outcome",
    "balances": "balance_id",
    "limits": "limit_id",
    "switches": "switch_id",
    "leases": "name",
    "commands": "command_id",
    "alerts": "alert_id",
}
RAW = {
    "segments": "segment_id",
    "book_deltas": "segment_id, frame_offset, entry_index",
    "book_snapshots": "segment_id, frame_offset, venue, market_id, reason",
    "quotes": "segment_id, frame_offset, venue, market_id, state, bid_e4, ask_e4, bid_size_e6, ask_size_e6",
    "trades": "segment_id, frame_offset, trade_id",
    "lifecycle_events": "segment_id, frame_offset, market_id",
    "coverage": "venue, market_id, coverage_id",
    "dead_letters": "dead_letter_id",
}
_OWN_NUMBERS = ("decision_id", "event_id", "refusal_id", "fill_id", "entry_id", "balance_id", "alert_id", "coverage_id")
"""Numbers that nothing refers to: an insert that wrote nothing may take one, so they are counted anew."""
_VARY = {
    "closes_at": "<time>",
    "worth": "<worth>",
    "exposure_e6_s": "<exposure>",
    "exposed": "<exposure>",
    "holder": "<holder>",
    "annualised_return": "<return>",
    "expected_per_day": "<return>",
    "path": "<path>",
}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)?")


class _Coin(random.Random):
    """What a fake venue throws when it is asked whether a match is confirmed, and how late an order is shown."""

    is_settling = True

    def random(self) -> float:
        return 0.0 if self.is_settling else 0.999


class ScriptedVenue(FakeVenue):
    """A fake venue whose faults happen at given orders."""

    def __init__(self, venue: Venue, connection: Connection, faults: Mapping[str, Sequence[int]]) -> None:
        super().__init__(venue, connection, 0, {})
        self.coin = self._random = _Coin()
        self.script = faults
        self.after_send: Callable[[], object] | None = None
        self._number = 0

    def _is(self, fault: str) -> bool:
        return self._number in self.script.get(fault, ())

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        client_id = f"{self.venue}-order-{len(self.prepared) + 1}"
        self.prepared[client_id] = spec
        return PreparedOrder(client_id, {"id": client_id})

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        self._number = int(order.client_order_id.rsplit("-", 1)[1])
        found = await super().send(order)
        if self.after_send is not None:
            self.after_send()
        return found


class Life:
    """A pair of markets, two accounts and what people ask for."""

    def __init__(self, connection: Connection, faults: Faults, *, is_paper: bool = False, **settings: Any) -> None:
        self.connection = connection
        seed_group(connection)
        given = settings_of({"trading_mode": "paper" if is_paper else "live", **settings})
        slow = {"decision_ttl_ms": 600_000, "lease_ttl_s": 600.0, "unknown_absent_after_s": 0.000_001}
        slow |= {"polymarket_absent_after_s": 0.000_001}
        self._settings = given.model_copy(update=slow)
        self.venues = {venue: ScriptedVenue(venue, connection, faults.get(venue.value, {})) for venue in Venue}
        gateways: dict[Venue, Gateway] = dict(self.venues)
        clock = itertools.count(0, 100_000)
        self._accounts = TradingContext(
            self._settings, "paper" if is_paper else "live", gateways, boot_clock=lambda: BootTime("boot", next(clock))
        )
        if is_paper:
            gateways.update({venue: self._on_paper(fake) for venue, fake in self.venues.items()})
        self._signals = 0

    def _on_paper(self, fake: ScriptedVenue) -> PaperGateway:
        async def at_once(_: float) -> None:
            return None

        async def without_delay(_: Target) -> int:
            return 0

        account = PaperLedger(self.connection, fake.venue, self._accounts, start_cash_e6=10_000_000_000, clock=_now)
        sources = PaperSources(
            books_read_at(fake, _now, at_once), without_delay, lambda: (60,), random.Random(fake.venue), _now
        )
        profile = paper_profile("realistic", fade_probability_e6=250_000, fade_e4=100)
        return PaperGateway(fake, account, profile, sources)

    def quote(self, edge_e4: int = 400, depth_e6: int | None = None, seed: int = 5) -> None:
        """Quote both markets anew."""
        set_books(self.venues, random.Random(seed), edge_e4=edge_e4)
        for fake in self.venues.values():
            for level in (level for levels in fake.asks.values() for level in levels):
                level[1] = depth_e6 or level[1]

    def take_offers(self, venue: str, outcome: str) -> None:
        """Leave nothing to buy of an outcome, which is nothing to sell the other one into."""
        self.venues[Venue(venue)].asks[MARKETS[venue], outcome] = []

    def confirm(self, *, now: bool) -> None:
        """Let matches be confirmed at the next reading, or stay provisional."""
        for fake in self.venues.values():
            fake.coin.is_settling = now

    async def trade(self, kalshi: str = "yes", polymarket: str = "no") -> None:
        """Trade a new signal."""
        self._signals += 1
        signal = seed_signal(self.connection, self._signals, kalshi=kalshi, polymarket=polymarket)
        await SignalTrader(self.connection, self._accounts, "run").trade(signal)

    async def rounds(self, number: int = 1) -> None:
        """Do rounds of upkeep."""
        for _ in range(number):
            await run_cycle(self.connection, self._accounts, "round")

    def settle(self, settlement_e4: int, *, is_known: bool = False) -> None:
        """Let both markets pay; `is_known`: only the catalogue says so, as with paper."""
        for venue, fake in self.venues.items():
            fake.settle_market(MARKETS[venue.value], settlement_e4)
        if is_known:
            self.execute(f"UPDATE raw.market_state SET settlement_e4 = {settlement_e4}")

    def switch(self, state: Any) -> None:
        """Set the switch."""
        acts.set_switch(self.connection, state, who="mara", reason="a test")

    def limit(self, name: str, value: str) -> None:
        """Set a limit."""
        acts.set_limit(self.connection, name, Decimal(value), who="mara", reason="a test")

    def decide(self, decision: Any, text_hash: str | None = None) -> None:
        """Decide on the pair; with a text hash, on other texts than there are."""
        if text_hash is None:
            acts.decide_group(self.connection, "pair:p1", decision, who="mara", reason="a test")
        else:
            approve(self.connection, decision, text_hash)

    def watch(self, venue: str) -> None:
        """Put a market on the watch list."""
        acts.watch_market(self.connection, Venue(venue), MARKETS[venue], who="mara")

    def flatten(self, execution_id: int) -> None:
        """Ask for a flatten."""
        acts.ask_flatten(self.connection, execution_id, who="mara", reason="a test")

    def execute(self, statement: str) -> None:
        """Change the database by hand."""
        self.connection.execute(sql.SQL(statement))  # type: ignore[arg-type]

    def rows(self) -> list[Plain]:
        """Return the rows of all trading tables, and what would be taken up next."""
        actionable = [found.signal_id for found in load_actionable(self.connection, 0, 9, 9)]
        return [*dump(self.connection, "trading", TRADING), {"actionable": actionable}]


def _now() -> datetime:
    return datetime.now(UTC)


Story = Callable[[Life], Coroutine[Any, Any, None]]


def dump(connection: Connection, schema: str, tables: Mapping[str, str]) -> list[Plain]:
    """Return the rows of tables in the order given by columns, with tokens for what differs between two runs."""
    ids: dict[str, str] = {}
    found: list[Plain] = []
    for table, order in tables.items():
        rows = connection.execute(f"SELECT * FROM {schema}.{table} ORDER BY {order}").fetchall()
        for number, row in enumerate(rows, start=1):
            plain = {name: number if name in _OWN_NUMBERS else _plain(name, value, ids) for name, value in row.items()}
            found.append({"table": table, **plain})
    return found


def _plain(name: str, value: Any, ids: dict[str, str]) -> Any:
    if value is not None and name in _VARY:
        return _VARY[name]
    if isinstance(value, dict):
        return {key: _plain(key, value[key], ids) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain("", item, ids) for item in value]
    if isinstance(value, datetime):
        is_scripted = value.year == 2023
        return value.astimezone(UTC).isoformat() if is_scripted else "<time>"
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        named = _UUID.sub(lambda found: ids.setdefault(found[0], f"<id {len(ids) + 1}>"), value)
        return _TIME.sub("<time>", named) if name != "payload" else named
    return value


def live(address: str, story: Story, faults: Faults, *, is_paper: bool = False) -> list[Plain]:
    """Let a story happen on an empty database; returns the rows it leaves."""
    with connect(address) as connection:
        life = Life(connection, faults, is_paper=is_paper)
        asyncio.run(story(life))
        return life.rows()


def record(address: str, batches: Sequence[RecordedBatch]) -> list[Plain]:
    """Write batches as a recorder does, each of them twice; returns the rows."""
    with connect(address) as connection:
        return _recorded(connection, batches)


def _recorded(connection: Connection, batches: Sequence[RecordedBatch]) -> list[Plain]:
    opened = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    segment_id = open_segment(connection, 0, "run", Path("segment"), opened, batches[0].start_offset)
    written = []
    for batch in batches:
        assert batch.segment_id == segment_id
        written.append([commit_batch(connection, 0, "run", batch) for _ in range(2)])
    return [{"written": written}, *dump(connection, "raw", RAW)]


def watch_pair(address: str) -> list[Plain]:
    """Return the signals of a pair that is quoted with an edge, a larger one, and not any more."""
    with connect(address) as connection:
        seed_group(connection)
        monitor = EdgeMonitor(settings_of({"signal_min_duration_ms": 0}), address, 0)
        try:
            for edge_e4, is_live, until in (
                (500, True, "SELECT 1 FROM trading.signals"),
                (900, True, "SELECT 1 FROM trading.signals WHERE peak_edge_usd > open_edge_usd"),
                (-200, True, "SELECT 1 FROM trading.signals HAVING count(*) = count(closed_at)"),
                (500, True, "SELECT 1 FROM trading.signals HAVING count(*) = 2"),
                (500, False, "SELECT 1 FROM trading.signals HAVING count(*) = count(closed_at)"),
            ):
                _quote(monitor, Venue.KALSHI, KALSHI_MARKET, 5_000 - edge_e4, is_live=is_live)
                _quote(monitor, Venue.POLYMARKET, POLYMARKET_MARKET, 5_000)
                deadline = time.monotonic() + 100
                while connection.execute(sql.SQL(until)).fetchone() is None:  # type: ignore[arg-type]
                    assert time.monotonic() < deadline, until
                    monitor.on_tick(time.time_ns())
                    time.sleep(0.01)
        finally:
            monitor.close()
        return dump(connection, "trading", {name: TRADING[name] for name in ("signals", "signal_legs")})


def _quote(monitor: EdgeMonitor, venue: Venue, market: str, bid: int, *, is_live: bool = True) -> None:
    book, size, now = Book(), 50_000_000, time.time_ns()
    book.replace(BookSnapshot(venue, market, [(bid, size)], [(bid + 100, size)]))
    monitor.on_quote(Quote(venue, market, now, bid, size, bid + 100, size, is_live), book)
