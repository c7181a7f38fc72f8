"""How long after a kill has its row the last order arrives at a venue's socket.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}, in milliseconds; fails when an order arrives
more than 200 ms after a kill. Twenty-four writers in six processes write intents and send orders without a pause, with
the code that trading runs use; after 24 to 72 orders, at a random moment, a kill is committed. The venue is a server of
this program that notes when the body of an order is there, on the clock that all processes share. The baseline is the
time of one order from its intent to its answer in the same run: what is under way when a kill comes.
`python -m tests.bench.bench_kill --trials 1000` takes longer and sees more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx

from orchestration.execution.decide.hedge import Place
from orchestration.execution.decide.plan import PlanLeg
from orchestration.execution.sending.send_orders import OrderSender
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.kalshi import KalshiGateway
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import RefusalReason, Target
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.leases import acquire, process_holder
from streams.storage.store.risk import set_switch
from streams.venues.common.endpoints import endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from tests.support.kalshi_stub import CREDENTIALS
from tests.support.ports import free_port

PROCESSES, WRITERS = 6, 4
LIMIT_MS = 200.0
ORDERS_BEFORE = (24, 72)
LONGEST_PAUSE_S = 0.02
_STEP_LIMIT_S = 60.0
_ANSWER = json.dumps(
    {"order_id": "v", "fill_count": "0.00", "remaining_count": "0.00", "average_fill_price": None, "ts_ms": 1}
).encode()
_RESPONSE = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ANSWER),
    _ANSWER,
)


@dataclass
class VenueServer:
    """A venue that notes when orders arrive (monotonic seconds) and answers each at once; in a thread of its own."""

    port: int = 0
    arrivals: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Listen; returns when it does."""
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._main(ready)), name="venue", daemon=True).start()
        ready.wait(_STEP_LIMIT_S)

    async def _main(self, ready: threading.Event) -> None:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                await reader.readexactly(length)
                self.arrivals.append(time.monotonic())
                writer.write(_RESPONSE)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@dataclass(frozen=True)
class Work:
    """What a writer process needs: the database, the venue's port, and its executions."""

    dsn: str
    port: int
    executions: tuple[int, ...]
    trials: int
    home: str


def write_orders(work: Work, start: Barrier, end: Barrier, answered_ms: Any) -> None:
    """Be a process of writers: in each trial send orders until a kill keeps them back."""
    threads = [
        threading.Thread(target=lambda number=number: asyncio.run(_write(work, number, start, end, answered_ms)))
        for number in work.executions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _write(work: Work, execution_id: int, start: Barrier, end: Barrier, answered_ms: Any) -> None:
    base = f"http://127.0.0.1:{work.port}/trade-api/v2"
    settings = Settings(venues="sandbox", home=Path(work.home), kalshi_rest_url=base)
    with connect(work.dsn) as connection:
        async with httpx.AsyncClient(trust_env=False) as http:
            client = KalshiClient(endpoints(settings), CREDENTIALS, http=http, limits=KalshiLimits.unlimited())
            context = TradingContext(settings, "live", {Venue.KALSHI: KalshiGateway(client)})
            market = f"KXKILL-{execution_id}"
            lease = acquire(connection, f"market:kalshi:{market}", process_holder(str(execution_id)), "", 600)
            if lease is None:
                raise RuntimeError("the market is somebody else's")
            sender = OrderSender(connection, context, [lease])
            leg, target = _leg(market), _target(market)
            for _ in range(work.trials):
                await asyncio.to_thread(start.wait, _STEP_LIMIT_S)
                while True:
                    began = time.monotonic()
                    step = Place(0, "complete", "buy", 5_000, 1_000_000, 500_000)
                    refusal = await sender.place(execution_id, leg, target, step, datetime.now(UTC))
                    if refusal is None:
                        answered_ms.value = (time.monotonic() - began) * 1000
                    elif refusal.reason is RefusalReason.KILLED:
                        break
                await asyncio.to_thread(end.wait, _STEP_LIMIT_S)


def _leg(market: str) -> PlanLeg:
    return PlanLeg(0, Venue.KALSHI, market, "yes", 5_000, (10_000,), 500_000)


def _target(market: str) -> Target:
    schedule = from_json(Venue.KALSHI, {"fee_type": "quadratic", "fee_multiplier": "1"})
    return Target(Venue.KALSHI, market, MarketTerms(), schedule)


@contextmanager
def database() -> Iterator[tuple[str, Path]]:
    """A server with a migrated database, and a home beside it."""
    with tempfile.TemporaryDirectory(prefix="crossbook-bench-") as folder:
        home = Path(folder)
        server = EmbeddedServer(home=home / "server", port=free_port())
        (home / "server").mkdir()
        server.start()
        try:
            with connect(server.dsn("postgres")) as connection:
                connection.execute("CREATE DATABASE bench")
            migrate(server.dsn("bench"), "sandbox")
            yield server.dsn("bench"), home
        finally:
            server.destroy()


def seed(connection: Connection, number: int) -> list[int]:
    """Write executions that have bought their first leg, so that what is sent is no opening; return their ids."""
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES ('g', 'ladder', 't', '[]', '[[]]', true, 'sandbox', now())"""
    )
    ids = []
    for index in range(number):
        row = connection.execute(
            """WITH signal AS (
                   INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at,
                       open_edge_usd, peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6,
                       updated_at)
                   VALUES ('g', %(set)s, 0, 'sandbox', true, now(), 1, 1, 1, 1, 1, 1, 1, now()) RETURNING signal_id
               ), execution AS (
                   INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch,
                       edge_usd, contracts_e6, started_at, updated_at)
                   SELECT signal_id, 1, 'g', 'sandbox', 'live', 'COMPLETING', 1, 1, 1, now(), now()
                   FROM signal RETURNING execution_id
               ), intent AS (
                   INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,
                       limit_price_e4, size_e6, reserved_e6, epoch, environment, decided_at, expires_at, created_at)
                   SELECT execution_id, 0, 'open', 'kalshi', 'M', 'yes', 'buy', 5000, 1000000, 0, 1, 'sandbox', now(),
                       now(), now() FROM execution RETURNING intent_id, execution_id
               )
               INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, environment, prepared_at)
               SELECT intent_id, 'kalshi', %(set)s, 'filled', '{}', 'sandbox', now() FROM intent
               RETURNING (SELECT execution_id FROM intent)""",
            {"set": f"first-{index}"},
        ).fetchone()
        assert row is not None
        ids.append(int(row["execution_id"]))
    return ids


def forget(connection: Connection) -> None:
    """Delete the orders of a trial: an execution has some, not thousands."""
    connection.execute("DELETE FROM trading.orders WHERE client_order_id NOT LIKE 'first-%'")
    connection.execute("DELETE FROM trading.intents WHERE purpose = 'complete'")


def trial(connection: Connection, venue: VenueServer, start: Barrier, end: Barrier) -> tuple[int, float]:
    """Kill at a random moment; return how many orders came before and how late the last one was (ms, at least 0)."""
    set_switch(connection, "run", "bench")
    forget(connection)
    venue.arrivals.clear()
    start.wait(_STEP_LIMIT_S)
    wanted, deadline = random.randint(*ORDERS_BEFORE), time.monotonic() + _STEP_LIMIT_S
    while len(venue.arrivals) < wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(random.random() * LONGEST_PAUSE_S)
    set_switch(connection, "kill", "bench")
    killed_at = time.monotonic()
    end.wait(_STEP_LIMIT_S)
    late = [arrived - killed_at for arrived in venue.arrivals if arrived > killed_at]
    return len(venue.arrivals) - len(late), max(late, default=0.0) * 1000


def report(before: Sequence[int], late_ms: Sequence[float], order_ms: float) -> list[dict[str, Any]]:
    """Return the results."""
    cuts = quantiles(late_ms, n=100, method="inclusive")
    figures = [("p50", median(late_ms)), ("p99", cuts[98]), ("max", max(late_ms))]
    rows: list[dict[str, Any]] = [
        {
            "name": f"kill_to_last_arrival_{name}",
            "value": round(value, 1),
            "unit": "ms",
            "baseline": "one order from intent to answer",
            "baseline_value": round(order_ms, 1),
            "ratio": round(value / order_ms, 3) if order_ms else None,
        }
        for name, value in figures
    ]
    empty = {"baseline": None, "baseline_value": None, "ratio": None}
    rows.append({"name": "kill_trials", "value": len(late_ms), "unit": "trials", **empty})
    rows.append({"name": "orders_before_a_kill_median", "value": round(median(before)), "unit": "orders", **empty})
    return rows


def main() -> None:
    """Run the trials and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    processes = multiprocessing.get_context("spawn")
    parties = PROCESSES * WRITERS + 1
    start, end = processes.Barrier(parties), processes.Barrier(parties)
    answered_ms = processes.Value("d", 0.0)
    venue = VenueServer()
    venue.start()
    with database() as (dsn, home), connect(dsn) as connection:
        ids = seed(connection, PROCESSES * WRITERS)
        children = []
        for number in range(PROCESSES):
            mine = tuple(ids[number * WRITERS : (number + 1) * WRITERS])
            work = Work(dsn, venue.port, mine, trials, str(home / "home"))
            children.append(processes.Process(target=write_orders, args=(work, start, end, answered_ms), daemon=True))
            children[-1].start()
        results, order_ms = [], []
        for _ in range(trials):
            results.append(trial(connection, venue, start, end))
            order_ms.append(answered_ms.value)
        for child in children:
            child.join(_STEP_LIMIT_S)
    late_ms = [late for _, late in results]
    print(json.dumps(report([before for before, _ in results], late_ms, median(order_ms))))
    if max(late_ms) > LIMIT_MS:
        sys.exit(f"an order arrived {max(late_ms):.0f} ms after a kill")


if __name__ == "__main__":
    main()
