"""Measures the profile `realistic` in a running sandbox's parts and writes what came out into the documentation.

`python -m tests.calibration.calibrate_profile [--seconds 45] [--hours 0.5] [--docs docs]` rewrites the tables between
the marks `profile`, `scenarios` and `behaviour` in `docs/sandbox.md` and the plots beside it. Answers and frames are
timed on loopback connections to the real emulators; settlements are those of the real exchange on a clock of their own;
gaps those of the real flow in the scenario `mild`.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.core.accounts import buying
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CancelOrder, CatalogueEvent, CatalogueMarket, ListMarket, PlaceOrder
from streams.sandbox.core.profile import REALISTIC, ZERO, Profile
from streams.sandbox.core.records import OrderRequest
from streams.sandbox.core.scenario import MILD, SCENARIOS, Scenario
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.http.server import Server
from streams.sandbox.kalshi.app import KalshiApp
from streams.sandbox.polymarket.app import PolymarketApp
from streams.sandbox.simulation.flow import Flow
from streams.sandbox.simulation.parameters import REALISTIC_FLOW, FlowParameters
from tests.calibration.calibrate import between, table
from tests.calibration.charts import Marker, histogram
from tests.calibration.measure import quantile
from tests.calibration.offline import OfflineExchange

_START = datetime(2026, 3, 24, 12, 0, 7, tzinfo=UTC)
_ANSWERS, _SOCKETS, _CHANGE_S, _TRADES = 600, 60, 0.05, 20_000
_FLOW_STEP_MS = 50
_MARKET = "0x" + "ab" * 32
_TOKENS = (str(10**40), str(10**40 + 1))
_CONTRACT = 1_000_000


@dataclass(slots=True)
class Measured:
    """What was measured: milliseconds, seconds for settlements and gaps, contracts at the best price of brief gaps."""

    kalshi_ack: list[float] = field(default_factory=list)
    polymarket_ack: list[float] = field(default_factory=list)
    feed: list[float] = field(default_factory=list)
    settlements: list[float] = field(default_factory=list)
    failed: int = 0
    brief: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    contracts: list[float] = field(default_factory=list)
    opened: dict[str, int] = field(default_factory=dict)
    flow_hours: float = 0.0


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def _exchange(venue: Venue) -> Exchange:
    return Exchange(venue, FaultPlan(), 1, replace(REALISTIC, kalshi_tier=None, polymarket_tier=None))


def _list(exchange: Exchange, at_ms: int) -> None:
    market = CatalogueMarket(
        venue=exchange.state.venue, market_id=_MARKET, event_id="1", series_id="S", title="Rain?", rules="Rain.",
        close_time=datetime.now(UTC) + timedelta(days=9), open_time=_START, yes_token=_TOKENS[0], no_token=_TOKENS[1],
        fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"} if exchange.state.venue is Venue.KALSHI else {},
    )  # fmt: skip
    exchange.apply(ListMarket(CatalogueEvent(exchange.state.venue, "1", "S", "Rain"), market), at_ms)


async def _answer_times(port: int, path: str) -> list[float]:
    """Times from a request that places an order to its answer (unsigned ones take as long)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    for _ in range(_ANSWERS // 4):
        started = time.perf_counter()
        writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None
        await reader.readexactly(int(found.group(1)))
        taken.append((time.perf_counter() - started) * 1000)
    writer.close()
    return taken


async def _listen(connection: ClientConnection, lags: list[float]) -> None:
    async for text in connection:
        lags.extend(now_ms() - int(stamp) for stamp in re.findall(r'"timestamp":"(\d+)"', str(text)))


async def measure_wire(measured: Measured, seconds: float) -> None:
    """Time answers of both venues and frames of many sockets."""
    kalshi, polymarket = _exchange(Venue.KALSHI), _exchange(Venue.POLYMARKET)
    faces = KalshiApp(kalshi, {}, now_ms, lambda: None), PolymarketApp(polymarket, {}, now_ms, lambda: None)
    servers = [Server(face, 0) for face in faces]
    for server in servers:
        await server.start()
    _list(polymarket, now_ms())
    paths = ("/trade-api/v2/portfolio/events/orders", "/clob/order")
    targets = (measured.kalshi_ack, measured.polymarket_ack)
    for server, path, target in zip(servers, paths, targets, strict=True):
        for taken in await asyncio.gather(*(_answer_times(server.port, path) for _ in range(4))):
            target.extend(taken)
    sockets = [await connect(f"ws://127.0.0.1:{servers[1].port}/ws/market") for _ in range(_SOCKETS)]
    for socket in sockets:
        await socket.send(orjson.dumps({"assets_ids": [_TOKENS[0]], "type": "market"}).decode())
    await asyncio.sleep(1)
    listeners = [asyncio.create_task(_listen(socket, measured.feed)) for socket in sockets]
    ref, deadline, number = MarketRef(Venue.POLYMARKET, _MARKET), time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        number += 1
        if number % 2:
            polymarket.apply(PlaceOrder(ref, "maker", str(number), "bid", 4_000, 9 * _CONTRACT), now_ms())
        else:
            polymarket.apply(CancelOrder(ref, "maker", str(number - 1)), now_ms())
        await asyncio.sleep(_CHANGE_S)
    await asyncio.sleep(1.5)
    for listener in listeners:
        listener.cancel()
    for server in servers:
        await server.stop()


def measure_settlements(measured: Measured) -> None:
    """Let many trades settle on a clock of their own, the price standing still."""
    exchange, at = _exchange(Venue.POLYMARKET), int(_START.timestamp() * 1000)
    _list(exchange, at)
    exchange.state.accounts.open_account("me", 10**15)
    ref = MarketRef(Venue.POLYMARKET, _MARKET)
    for side, price in (("bid", 4_900), ("ask", 5_000)):
        exchange.apply(PlaceOrder(ref, "maker", side, side, price, 10**14), at)  # type: ignore[arg-type]
    for number in range(_TRADES):
        order = OrderRequest("me", _MARKET, str(number), buying("bid"), "bid", 5_000, 5 * _CONTRACT, "ioc")
        exchange.order_entry.place(order, at)
    for passed in range(0, 400_000, 250):
        exchange.tick(at + passed)
    for trade in exchange.state.trades.values():
        if trade.status == "FAILED":
            measured.failed += 1
        elif trade.status == "CONFIRMED":
            measured.settlements.append((trade.status_ms - at) / 1000)


def measure_gaps(measured: Measured, hours: float, seed: int) -> None:
    """Run the flow of the profile in the scenario `mild` and watch every displaced book."""
    parameters = replace(FlowParameters(), **REALISTIC_FLOW, coins=()).in_scenario(MILD).under(MILD.applied(REALISTIC))
    flow, books = Flow(load_catalogue(None, _START), seed, parameters), OfflineExchange()
    start, fills = int(_START.timestamp() * 1000), books.apply([])
    since: dict[MarketRef, tuple[int, bool, int]] = {}
    for number in range(int(hours * 3_600_000) // _FLOW_STEP_MS):
        passed = number * _FLOW_STEP_MS
        fills = books.apply(flow.step(start + passed, fills))
        seen: set[MarketRef] = set()
        for ref, is_brief, contracts in flow.displaced():
            seen.add(ref)
            begun, _, size = since.get(ref, (passed, is_brief, 0))
            since[ref] = begun, is_brief, contracts or size
        for ref in [ref for ref in since if ref not in seen]:
            begun, is_brief, size = since.pop(ref)
            (measured.brief if is_brief else measured.long).append(max((passed - begun) / 1000, 0.05))
            if is_brief and size:
                measured.contracts.append(size)
    measured.opened, measured.flow_hours = dict(flow.gaps), hours


def rows(measured: Measured) -> list[tuple[str, str, str]]:
    """(what, measured, setting) rows."""
    found = measured
    at = quantile
    settled = len(found.settlements) + found.failed
    opened = found.opened.get("brief", 0) + found.opened.get("long", 0)
    lasting = [seconds for seconds in found.long if seconds > 1]
    brief = [seconds for seconds in found.brief if seconds > 1]
    quick = [seconds for seconds in found.long + found.brief if seconds <= 0.5]
    low, high = REALISTIC.kalshi_ack_ms, REALISTIC.polymarket_ack_ms
    return [
        ("Kalshi, acknowledgement, median", f"{at(found.kalshi_ack, 0.5):.0f} ms", f"{low[0]} to {low[1]} ms, even"),
        ("Kalshi, acknowledgement, 1 to 99 %", _span(found.kalshi_ack, "ms"), "the same"),
        (
            "Polymarket, acknowledgement, median",
            f"{at(found.polymarket_ack, 0.5):.0f} ms",
            f"{high[0]} to {high[1]} ms, even, without the market's own delay",
        ),
        ("Polymarket, acknowledgement, 1 to 99 %", _span(found.polymarket_ack, "ms"), "the same"),
        ("feed lag, median", f"{at(found.feed, 0.5):.0f} ms", f"{REALISTIC.feed_lag_ms[0]} ms"),
        ("feed lag, 99 % below", f"{at(found.feed, 0.99):.0f} ms", f"{REALISTIC.feed_lag_ms[1]} ms"),
        ("settlement, median", f"{at(found.settlements, 0.5):.1f} s", f"{REALISTIC.settlement_ms[0] / 1000:g} s"),
        ("settlement, 99 % below", f"{at(found.settlements, 0.99):.0f} s", f"{REALISTIC.settlement_ms[1] / 1000:g} s"),
        (
            "FAILED, price standing still",
            f"{100 * found.failed / settled:.2f} % of {settled:,}",
            f"{100 * REALISTIC.failed_share:.1f} %",
        ),
        (
            "gaps opened an hour, brief and long",
            f"{found.opened.get('brief', 0) / found.flow_hours:.0f} and "
            f"{found.opened.get('long', 0) / found.flow_hours:.0f}",
            f"{REALISTIC_FLOW['brief_gaps_per_h']:g} brief ones a pair and hour",
        ),
        (
            "gaps taken by rivals",
            f"{100 * found.opened.get('taken', 0) / max(opened, 1):.0f} %",
            f"{100 * MILD.rival_share:.0f} %",
        ),
        (
            "life of a gap that a rival takes, median",
            f"{1000 * at(quick, 0.5):.0f} ms",
            f"{REALISTIC.rival_reaction_ms} ms, in steps of {_FLOW_STEP_MS} ms",
        ),
        ("brief gaps left alone, length, median", f"{at(brief, 0.5):.1f} s", "2 to 9 s"),
        ("brief gaps, contracts, median", f"{at(found.contracts, 0.5):.0f}", "15"),
        ("long gaps left alone, length, median", f"{at(lasting, 0.5) / 60:.1f} min", "5.6 min as drawn"),
    ]


def behaviour_rows() -> list[tuple[str, str, str, str]]:
    """(name, value in `zero`, value in `realistic`, meaning) of every field, the meaning taken from its class."""
    lines = inspect.cleandoc(Profile.__doc__ or "").partition("Attributes:\n")[2].splitlines()
    meanings: dict[str, str] = {}
    name = ""
    for line in lines:
        head, colon, rest = line.strip().partition(": ")
        if colon and line.startswith("    ") and not line.startswith("     "):
            name, meanings[head] = head, rest
        elif name:
            meanings[name] += f" {line.strip()}"
    return [
        (f"`{item.name}`", _shown(getattr(ZERO, item.name)), _shown(getattr(REALISTIC, item.name)), meanings[item.name])
        for item in fields(Profile)
        if item.name != "name"
    ]


def scenario_rows() -> list[tuple[str, ...]]:
    """(field, value in each scenario) of every figure of the scenarios."""
    return [
        (f"`{item.name}`", *(_shown(getattr(scenario, item.name)) for scenario in SCENARIOS))
        for item in fields(Scenario)
        if item.name != "name"
    ]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}, {value[1]}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _span(values: Sequence[float], unit: str) -> str:
    return f"{quantile(values, 0.01):.0f} to {quantile(values, 0.99):.0f} {unit}"


def write_documents(measured: Measured, folder: Path) -> None:
    """Rewrite the table of the profile and its plots."""
    plots = {
        "ack-kalshi": ("Kalshi: time to the acknowledgement", "ms (log scale)", measured.kalshi_ack,
                       (10, 20, 50, 80, 150), ()),
        "ack-polymarket": ("Polymarket: time to the acknowledgement", "ms (log scale)", measured.polymarket_ack,
                           (40, 60, 100, 250, 400), ()),
        "feed-lag": ("Feed: time from change to frame", "ms (log scale)", measured.feed,
                     (10, 30, 100, 300, 600, 2000), (100.0, 600.0)),
        "settlement": ("Polymarket: match to confirmation", "seconds (log scale)", measured.settlements,
                       (0.3, 1, 4, 15, 50, 200), (4.0, 50.0)),
        "gap-kinds": ("Gaps of the profile: rivals, brief, long", "seconds (log scale)",
                      measured.brief + measured.long, (0.05, 0.15, 1, 5, 30, 300, 1800), ()),
        "gap-contracts": ("Brief gaps: contracts offered", "contracts (log scale)", measured.contracts,
                          (4, 8, 15, 30, 60), (15.0,)),
    }  # fmt: skip
    (folder / "sandbox").mkdir(parents=True, exist_ok=True)
    for name, (title, axis, values, ticks, targets) in plots.items():
        middle = quantile(values, 0.5)
        markers = [Marker(middle, f"median {middle:.3g}"), *(Marker(one, f"set {one:g}", True) for one in targets)]
        if len(targets) == 2:
            markers.append(Marker(quantile(values, 0.99), f"99 % below {quantile(values, 0.99):.3g}"))
        path = folder / "sandbox" / f"{name}.svg"
        path.write_text(histogram(title, axis, values, ticks, markers), encoding="utf-8")
    page = folder / "sandbox.md"
    text = page.read_text(encoding="utf-8")
    shown = table(("figure", "measured", "setting"), rows(measured))
    text = between(text, "profile", shown)
    text = between(text, "scenarios", table(("field", *(scenario.name for scenario in SCENARIOS)), scenario_rows()))
    text = between(text, "behaviour", table(("field", "zero", "realistic", "meaning"), behaviour_rows()))
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="Measure the profile `realistic` and document what it produces.")
    parser.add_argument("--seconds", type=float, default=45.0, help="how long frames are timed")
    parser.add_argument("--hours", type=float, default=0.5, help="how long the flow is simulated")
    parser.add_argument("--seed", type=int, default=20260324)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    options = parser.parse_args()
    measured = Measured()
    asyncio.run(measure_wire(measured, options.seconds))
    measure_settlements(measured)
    measure_gaps(measured, options.hours, options.seed)
    for what, found, setting in rows(measured):
        print(f"{what}: {found} (setting {setting})")
    write_documents(measured, options.docs)


if __name__ == "__main__":
    main()
