"""One market that cannot be priced costs its own bundles; nothing ends the thread that writes signals."""

from __future__ import annotations

import threading
import tracemalloc
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest

from orchestration.execution.decide.plan import TradeRequest, trade_request
from orchestration.execution.edge_monitor import monitor as monitor_module
from orchestration.execution.edge_monitor import watchlist as watchlist_module
from orchestration.execution.edge_monitor.monitor import EdgeMonitor
from orchestration.execution.edge_monitor.watchlist import Watchlist, WatchlistLoader
from streams.market.identity import MarketRef, Venue
from streams.market.listing import MarketTerms
from streams.market.trading import MarketGroup, MarketInfo, Signal, SignalLeg
from streams.settings import Settings
from tests.support.waiting import eventually


def market(name: str, **fees: Any) -> MarketInfo:
    terms = MarketTerms(fee_schedule={"fee_type": "quadratic", **fees})
    return MarketInfo(Venue.KALSHI, name, terms, "open", None, None, None)


def ladder(group_id: str, *names: str) -> MarketGroup:
    keys = [f"kalshi:{name}" for name in names]
    outcomes: list[Any] = [keys[:count] for count in range(len(keys) + 1)]
    return MarketGroup(group_id, "ladder", tuple(MarketRef(Venue.KALSHI, n) for n in names), outcomes, True, None, None)


@pytest.mark.parametrize(
    "fees",
    [
        {"fee_type": "cubic"},
        {"fee_type": ["quadratic"]},
        {"fee_multiplier": "-1"},
        {"fee_multiplier": "1e60"},
        {"fee_multiplier": "0.00000001"},
        {"account": "broker"},
    ],
)
def test_a_market_whose_fees_are_unknown_costs_its_own_bundles(
    monkeypatch: pytest.MonkeyPatch, fees: dict[str, Any]
) -> None:
    groups = [ladder("good", "A", "B"), ladder("odd", "C", "D", "E")]
    markets = {m.key: m for m in (market("A"), market("B"), market("C", **fees), market("D"), market("E"))}
    monkeypatch.setattr(watchlist_module, "load_groups", lambda _connection: groups)
    monkeypatch.setattr(watchlist_module, "load_market_infos", lambda _connection, _keys: markets)
    loader = WatchlistLoader(needs_approval=True, max_legs=2)
    for _ in range(2):
        watched = loader.load(None).watched  # type: ignore[arg-type]
        assert sorted(watched) == [("good", "kalshi:A:yes+kalshi:B:no"), ("odd", "kalshi:D:yes+kalshi:E:no")]


def test_the_same_legs_are_watched_once_in_the_smallest_group_and_sets_are_traded_up_to_so_many_legs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("A", "B", "C")
    refs = tuple(MarketRef(Venue.KALSHI, name) for name in names)
    event = MarketGroup("e", "event", refs, [*([ref.key] for ref in refs), []], True, None, "approved")
    pair = MarketGroup("z", "event", refs[:2], [[refs[0].key], [refs[1].key], []], True, None, None)
    monkeypatch.setattr(watchlist_module, "load_groups", lambda _connection: [event, pair])
    markets = {m.key: m for m in map(market, names)}
    monkeypatch.setattr(watchlist_module, "load_market_infos", lambda _connection, _keys: markets)
    for max_legs in (2, 3):
        loader = WatchlistLoader(needs_approval=True, max_legs=max_legs)
        watched = loader.load(None).watched  # type: ignore[arg-type]
        assert {key: bundle.is_tradable for key, bundle in watched.items()} == {
            ("z", "kalshi:A:no+kalshi:B:no"): False,
            ("e", "kalshi:A:no+kalshi:C:no"): True,
            ("e", "kalshi:B:no+kalshi:C:no"): True,
            ("e", "kalshi:A:no+kalshi:B:no+kalshi:C:no"): max_legs == 3,
        }


def test_groups_that_have_ended_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A market each minute for a day: what was kept of a ladder goes when it ends."""
    loader = WatchlistLoader(needs_approval=True, max_legs=2)
    names: list[str] = []
    monkeypatch.setattr(watchlist_module, "load_groups", lambda _connection: [ladder(f"g{names[0]}", *names)])
    monkeypatch.setattr(
        watchlist_module, "load_market_infos", lambda _connection, _keys: {m.key: m for m in map(market, names)}
    )

    def load(number: int) -> None:
        names[:] = [f"M{number}-{strike}" for strike in range(6)]
        loader.load(None)  # type: ignore[arg-type]

    load(0)
    tracemalloc.start()
    try:
        load(1)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2, 200):
            load(number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500_000  # the free lists of tuples; 2.2 MB where it is kept


def test_a_market_that_is_not_in_a_trade_does_not_keep_it_from_being_made() -> None:
    group = ladder("g", "A", "B", "C")
    markets = {m.key: m for m in (market("A"), market("B"), market("C", fee_type="cubic"))}
    legs = (SignalLeg(Venue.KALSHI, "A", "yes", 4_000, 1), SignalLeg(Venue.KALSHI, "B", "no", 5_000, 1))
    request = trade_request(Signal(1, "g", None, None, 0, legs), group, markets)  # type: ignore[arg-type]
    assert isinstance(request, TradeRequest)
    assert sorted(request.targets) == ["kalshi:A", "kalshi:B"]


@pytest.mark.parametrize("error", [ValueError("nobody thought of this"), psycopg.errors.UndefinedColumn("gone")])
def test_nothing_ends_the_writing_of_signals(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    attempts: list[int] = []
    loaded = threading.Event()

    def load(_loader: WatchlistLoader, _connection: object) -> Watchlist:
        attempts.append(1)
        if len(attempts) < 3:
            raise error
        loaded.set()
        return Watchlist()

    monkeypatch.setattr(monitor_module, "connect", lambda *_args, **_named: nullcontext(object()))
    monkeypatch.setattr(monitor_module.signals, "close_orphans", lambda *_args: 0)
    monkeypatch.setattr(monitor_module, "_PAUSE_S", 0.01)
    monkeypatch.setattr(WatchlistLoader, "load", load)
    monitor = EdgeMonitor(Settings(venues="sandbox"), "", 0)
    try:
        assert loaded.wait(30)
    finally:
        monitor.close()


def test_a_signal_that_cannot_be_written_costs_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def refuse_first(_connection: object, signal_id: int, *_rest: object) -> None:
        written.append(signal_id)
        if signal_id == 1:
            raise psycopg.errors.NumericValueOutOfRange("bigint out of range")

    connections: list[object] = []
    loaded = threading.Event()

    def load(*_args: object) -> Watchlist:
        loaded.set()
        return Watchlist()

    def connect(*_args: object, **_named: object) -> Any:
        connections.append(object())
        return nullcontext(connections[-1])

    monkeypatch.setattr(monitor_module, "connect", connect)
    monkeypatch.setattr(monitor_module.signals, "close_orphans", lambda *_args: 0)
    monkeypatch.setattr(monitor_module.signals, "close_signal", refuse_first)
    monkeypatch.setattr(WatchlistLoader, "load", load)
    monitor = EdgeMonitor(Settings(venues="sandbox"), "", 0)
    writer = monitor._writer
    try:
        assert loaded.wait(30)
        writer._ids |= {("g", "a"): 1, ("g", "b"): 2}
        for legs in ("a", "b"):
            writer.queue.put(monitor_module._Write("close", ("g", legs), monitor_module._time(0)))
        eventually(lambda: written == [1, 2])
        assert len(connections) == 1
    finally:
        monitor.close()
