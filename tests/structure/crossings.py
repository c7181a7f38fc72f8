"""The things whose way through the project is measured, and what has to be constructed for each.

This is the one module here that knows classes of the project: when they move or change, only it follows. A crossing
makes its world outside of the measure, then lets one thing happen inside of it. Each is done twice in worlds of its
own, and the second time counts, so that what is imported or remembered once per process is not part of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from streamlit.logger import set_log_level

from orchestration.dbt.live_views import stored_views
from orchestration.dbt.project import prepare, views_path
from orchestration.execution.decide.hedge import next_step
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.venues.gateway import OrderAnswer, OrderSpec, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from streams.logs import configure_logs
from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CatalogueEvent, ListMarket
from streams.sandbox.core.profile import ZERO
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Connection, Request, Response
from streams.sandbox.polymarket.app import PolymarketApp
from streams.settings import load_settings
from streams.storage.database import connect
from streams.storage.schema import migrate
from streams.storage.segments import Record, RecordKind
from streams.storage.server.embedded import EmbeddedServer
from streams.storage.store.warehouse import keep_views
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from tests.conftest import new_database
from tests.fixtures.seed_warehouse import seed
from tests.structure.moves import Moves
from tests.support.fake_venue import FakeVenue, fake_settings, make_context, seed_group, seed_signal, set_books
from tests.support.kalshi_frames import KalshiFrames
from tests.support.kalshi_venue import OfflineKalshi, order
from tests.support.ports import free_port
from tests.unit.streams.sandbox.polymarket.conftest import NOW, market
from tests.unit.streams.sandbox.polymarket.conftest import Desk as Signer

Crossing = Callable[[Moves], None]


@dataclass(frozen=True)
class Databases:
    """Addresses of databases to copy: migrated only, and with the seeded warehouse."""

    server: str
    migrated: str
    seeded: str


def measure() -> dict[str, Moves]:
    """Return the moves of every crossing by name."""
    found = {name: second_time(crossing) for name, crossing in IN_MEMORY.items()}
    with _databases() as databases:
        found["hedge order"] = second_time(lambda moves: hedge_order(moves, databases))
        found["dashboard figure"] = second_time(lambda moves: dashboard_figure(moves, databases))
    return found


def second_time(crossing: Crossing) -> Moves:
    """Let a crossing happen twice and return the moves of the second time."""
    crossing(Moves())
    moves = Moves()
    crossing(moves)
    assert moves.moves, "nothing was seen"
    return moves


# -- in memory --------------------------------------------------------------------------------------------------------


def recorded_delta(moves: Moves) -> None:
    """A Kalshi frame with one delta, as the pipeline takes its record, to the rows of delta and quote.

    The delta before it has confirmed the quotes of the twenty seconds, which this one need not do again.
    """
    frames, pipeline = KalshiFrames(), Pipeline(PARSERS)
    pipeline.begin(1, 0)
    offset = 0

    def record(kind: RecordKind, body: bytes) -> Record:
        nonlocal offset
        offset += 10
        return Record(offset - 10, offset, kind, Venue.KALSHI, 1, 1_700_000_000_000_000_000 + offset, body)

    pipeline.consume(record(RecordKind.OPENED, orjson.dumps({"parser": "kalshi"})))
    pipeline.consume(record(RecordKind.MARKETS, orjson.dumps({"add": [["A", "", ""]], "remove": []})))
    snapshot = frames.snapshot("A", [("0.4000", "10.00")], [("0.6000", "5.00")])
    for body in (snapshot, frames.delta("A", "yes", "0.4000", "-4.00")):
        pipeline.consume(record(RecordKind.FRAME, body))
    pipeline.take()
    delta = record(RecordKind.FRAME, frames.delta("A", "yes", "0.4000", "1.00"))
    with moves:
        pipeline.consume(delta)
    lines = pipeline.take().lines
    assert (len(lines["book_deltas"]), len(lines["quotes"])) == (1, 1)


def kalshi_order(moves: Moves) -> None:
    """A signed order at the Kalshi emulator that comes to rest: bytes received to the bytes of the 201."""
    venue = OfflineKalshi()
    request = venue.request("POST", "/portfolio/events/orders", order(), key="key-1")
    _over_the_wire(venue.app, request, moves, b"HTTP/1.1 201 ")


def polymarket_order(moves: Moves) -> None:
    """A signed order at the Polymarket emulator that comes to rest: bytes received to the bytes of the 200."""
    exchange = Exchange(Venue.POLYMARKET, FaultPlan(), 1, ZERO)
    app = PolymarketApp(exchange, {}, lambda: NOW, lambda: None)
    listed = market(0)
    exchange.apply(ListMarket(CatalogueEvent(Venue.POLYMARKET, listed.event_id, "", "An event"), listed), NOW)
    signer = Signer(app).log_in()
    for step in (1, 2, 3):
        signer.quote(f"b{step}", "bid", 5_000 - 100 * step, 50)
        signer.quote(f"a{step}", "ask", 5_000 + 100 * step, 50)
    taken = _Taken(app)
    replace(signer, app=taken).post("BUY", 4_000_000, 10_000_000)  # type: ignore[arg-type]
    _over_the_wire(app, taken.request, moves, b"HTTP/1.1 200 ")


class _Taken:
    """An app that only keeps the request."""

    def __init__(self, app: PolymarketApp) -> None:
        self.polymarket = app.polymarket
        self.request: Request

    def handle(self, request: Request) -> Response:
        """Keep it."""
        self.request = request
        return Response()


class _Transport:
    """The client's end of a connection."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        """Keep what is sent."""
        self.written += data

    def is_closing(self) -> bool:
        """It stays open."""
        return False


def _over_the_wire(app: Any, request: Request, moves: Moves, answer: bytes) -> None:
    """Send a request as bytes, with the four headers that a plain client adds to the signature's."""
    common = {"host": "127.0.0.1", "user-agent": "crossbook", "content-type": "application/json"}
    headers = common | request.headers | {"content-length": str(len(request.body))}
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body
    connection, transport = Connection(app, set()), _Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    with moves:
        connection.data_received(raw)
    assert transport.written.startswith(answer), transport.written


IN_MEMORY: Mapping[str, Crossing] = {
    "recorded delta": recorded_delta,
    "sandbox order, Kalshi": kalshi_order,
    "sandbox order, Polymarket": polymarket_order,
}


# -- with a database --------------------------------------------------------------------------------------------------


@contextmanager
def _databases() -> Iterator[Databases]:
    configure_logs("WARNING")
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(home=Path(folder) / "postgres", port=free_port())
        server.start()
        try:
            dsn = server.dsn("postgres")
            with new_database(dsn) as migrated:
                migrate(migrated, "sandbox")
                with new_database(dsn, migrated) as seeded:
                    _keep_views(seeded, Path(folder))
                    seed(seeded)
                    yield Databases(dsn, migrated, seeded)
        finally:
            server.destroy()


def _keep_views(dsn: str, folder: Path) -> None:
    """Make the views that people read, as a start does."""
    settings = load_settings(home=folder / "home", database_url=None)
    prepare(settings)
    with connect(dsn) as connection:
        keep_views(connection, stored_views(views_path(settings)))


class _Leaving(FakeVenue):
    """A venue with given books whose orders are built, signed and sent by Kalshi's gateway, to the edge of the host."""

    gateway: KalshiGateway

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        """Let the gateway build it."""
        return self.gateway.prepare(spec)

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        """Let the gateway send it."""
        return await self.gateway.send(order)


def hedge_order(moves: Moves, databases: Databases) -> None:
    """The order that completes a hedge on Kalshi: the state machine is asked for the step, to the request leaving.

    The first leg is filled on the other venue before. On the way lie the decision, the building and signing, the last
    check, the intent's rows and the mark that it was sent.
    """

    before: FakeVenue

    class Gone(BaseException):
        """The request has left; what comes after it is not looked at."""

    def leaves(request: httpx.Request) -> httpx.Response:
        moves.end()
        assert b"client_order_id" in request.content
        assert before.sent, "the first leg was not sent before"
        raise Gone

    async def main(dsn: str) -> None:
        nonlocal before
        async with httpx.AsyncClient(transport=httpx.MockTransport(leaves)) as http:
            with connect(dsn) as connection:
                settings = fake_settings()
                seed_group(connection)
                context, venues = make_context(connection, {}, 1, settings)
                kalshi = _Leaving(Venue.KALSHI, connection, 1, {})
                client = KalshiClient(endpoints(settings), _credentials(), http=http, limits=KalshiLimits.unlimited())
                kalshi.gateway = KalshiGateway(client)
                venues[Venue.KALSHI], before = kalshi, venues[Venue.POLYMARKET]
                await ensure_deposits(connection, context)
                set_books(venues, random.Random(5))
                signal_id = seed_signal(connection, 1)
                moves.begin_at(next_step)
                with moves:
                    await SignalTrader(connection, context, "run").trade(signal_id)

    with new_database(databases.server, databases.migrated) as dsn:
        try:
            asyncio.run(main(dsn))
        except Gone:
            return
    raise AssertionError("no order left through the gateway")


_PEM = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _credentials() -> KalshiCredentials:
    return KalshiCredentials("key-1", SecretStr(_PEM))


def dashboard_figure(moves: Moves, databases: Databases) -> None:
    """Realised PnL: from the page asking for it through SQL to its tile on the page; the pool is already open."""
    with tempfile.TemporaryDirectory() as home:
        before = dict(os.environ)
        for name in [name for name in before if name.startswith("CROSSBOOK_")]:
            del os.environ[name]
        os.environ |= {"DATABASE_URL": databases.seeded, "CROSSBOOK_HOME": home}
        try:
            _draw_figure(moves)
        finally:
            os.environ.clear()
            os.environ.update(before)


def _draw_figure(moves: Moves) -> None:
    import streamlit as st

    from app.dashboard import theme
    from app.dashboard.data import read, show_html
    from app.queries.portfolio import load_balances, load_pnl_summary

    st.get_option("logger.level")  # reads the configuration, which would set the level once more
    set_log_level(logging.CRITICAL)  # it warns that it draws for nobody
    st.cache_data.clear()
    read(load_balances)
    with moves:
        summary = read(load_pnl_summary)
        show_html(theme.tiles([("Realised PnL", theme.pnl(summary.realised_usd), f"{summary.settled} trades done")]))
    st.cache_resource.clear()
