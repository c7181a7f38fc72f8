"""Over every order of events each followed market has exactly one open interval, and a market not followed has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.market.identity import Venue
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.recorder.subscriptions import Subscriptions
from streams.storage.coverage import STARTING, CoverageChange
from streams.storage.segments import Record, RecordKind
from streams.storage.store.wanted import WantedMarket
from streams.venues.kalshi.types.market_frames import stale_frame
from tests.support.kalshi_frames import KalshiFrames

START_NS = 1_700_000_000_000_000_000
MARKETS = ("A", "B", "C")
KINDS = ("activated", "deactivated", "determined", "settled", "created", "close_date_updated")
TOKENS = {"A": ("1", "2"), "B": ("3", "4"), "C": ("", "")}


def wanted(venue: Venue, name: str, tokens: tuple[str, str] = ("", "")) -> WantedMarket:
    return WantedMarket(venue, name, "E", *tokens, name)


class Intervals:
    """The open intervals, kept as `raw.coverage` keeps them."""

    def __init__(self) -> None:
        self.open: dict[str, list[tuple[str, str]]] = {}

    def apply(self, changes: list[CoverageChange]) -> None:
        for change in changes:
            found = self.open.setdefault(change.market_id, [])
            if change.cause != STARTING:
                found.clear()
            if change.state != "ended" and not found:
                found.append((change.state, change.cause))


class Life:
    """A session's pure parts: its subscriptions, its pipeline and the coverage that comes of both."""

    def __init__(self, parser: str, venue: Venue) -> None:
        self.parser = parser
        self.venue = venue
        self.pipeline = Pipeline(PARSERS)
        self.pipeline.begin(1, 8)
        self.markets = Subscriptions(needs_tokens=PARSERS[parser].needs_tokens)
        self.intervals = Intervals()
        self.number = 0
        self.is_connected = False
        self.offset = 8
        self.frames = KalshiFrames()

    def feed(self, kind: int, body: bytes) -> None:
        at_ns = START_NS + self.offset * 1_000_000
        self.pipeline.consume(Record(self.offset, self.offset + 1, kind, self.venue, self.number, at_ns, body))
        self.offset += 1
        self.intervals.apply(self.pipeline.take().coverage)

    def want(self, markets: list[WantedMarket]) -> None:
        self.markets.want(markets)
        self.reconcile()

    def reconcile(self) -> None:
        if self.is_connected:
            change = self.markets.change()
            added = [[m.market_id, m.yes_token, m.no_token] for m in change.added]
            assert all("" not in row[1:] for row in added) or not PARSERS[self.parser].needs_tokens
            document = {"add": added, "remove": [m.market_id for m in change.removed]}
        else:
            document = {"add": [], "remove": [m.market_id for m in self.markets.leave()]}
        self.feed(RecordKind.MARKETS, orjson.dumps(document))

    def connect(self) -> None:
        self.number += 1
        self.frames = KalshiFrames()
        self.feed(RecordKind.OPENED, orjson.dumps({"parser": self.parser}))
        self.is_connected = True
        self.reconcile()

    def lose(self, cause: str = "disconnect") -> None:
        self.is_connected = False
        self.markets.lose_connection()
        self.feed(RecordKind.CLOSED, orjson.dumps({"cause": cause, "since_ns": None}))
        self.reconcile()

    def frame(self, raw: bytes | dict[str, Any]) -> None:
        self.feed(RecordKind.FRAME, raw if isinstance(raw, bytes) else orjson.dumps(raw))

    def state(self, market: str) -> str:
        """The state of a market's open interval; empty where it has none."""
        found = self.intervals.open.get(market, [])
        assert len(found) <= 1
        return " ".join(found[0]).strip() if found else ""


class KalshiLife(Life):
    def __init__(self) -> None:
        super().__init__("kalshi", Venue.KALSHI)

    def book(self, market: str) -> None:
        self.frame(self.frames.snapshot(market, [("0.4000", "1.00")], []))

    def event(self, market: str, kind: str) -> None:
        message = {"market_ticker": market, "event_type": kind}
        self.frame({"type": "market_lifecycle_v2", "msg": message})


class PolymarketLife(Life):
    def __init__(self) -> None:
        super().__init__("polymarket", Venue.POLYMARKET)

    def book(self, market: str, *, is_empty: bool = False) -> None:
        bids = [] if is_empty else [{"price": "0.4", "size": "1"}]
        self.frame({"event_type": "book", "market": market, "asset_id": TOKENS[market][0], "bids": bids, "asks": []})

    def event(self, market: str, _kind: str) -> None:
        self.frame({"event_type": "market_resolved", "market": market, "winning_asset_id": TOKENS[market][0]})


def test_a_halted_market_that_is_active_again_is_followed_again() -> None:
    life = KalshiLife()
    life.want([wanted(Venue.KALSHI, "A")])
    life.connect()
    life.book("A")
    assert life.state("A") == "covered"
    for kind in ("deactivated", "determined", "settled"):
        life.event("A", kind)
        assert life.state("A") == f"gap {kind}"
        life.book("A")
        assert life.state("A") == f"gap {kind}", "a book of a halted market does not make it live"
        life.pipeline.requests.clear()
        life.event("A", "activated")
        assert life.state("A") == "gap activated"
        assert life.pipeline.requests == [(1, "A")]
        life.book("A")
        assert life.state("A") == "covered"


def test_a_determined_market_with_a_book_again_is_followed_again_where_nothing_else_says_so() -> None:
    life = PolymarketLife()
    life.want([wanted(Venue.POLYMARKET, "A", ("1", "2"))])
    life.connect()
    life.book("A")
    life.event("A", "")
    life.book("A", is_empty=True)
    assert life.state("A") == "gap determined"
    assert life.pipeline.requests == [(1, "A")]
    life.book("A")
    assert life.state("A") == "covered"


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_market_that_leaves_and_comes_back_has_no_interval_between(is_connected: bool) -> None:
    life = KalshiLife()
    life.want([wanted(Venue.KALSHI, "A")])
    life.connect()
    life.book("A")
    if not is_connected:
        life.lose()
    life.want([])
    assert life.state("A") == ""
    life.want([wanted(Venue.KALSHI, "A")])
    if not is_connected:
        assert life.state("A") == ""
        life.connect()
    assert life.state("A") == "gap starting"


def test_a_market_that_leaves_while_the_connection_is_made_has_no_interval() -> None:
    life = KalshiLife()
    life.want([wanted(Venue.KALSHI, "A"), wanted(Venue.KALSHI, "B")])
    life.connect()
    life.lose()
    life.markets.want([wanted(Venue.KALSHI, "B")])  # nobody looks before the next connection stands
    life.connect()
    assert (life.state("A"), life.state("B")) == ("", "gap starting")


@pytest.mark.parametrize(
    "lost",
    [
        {"type": "market_lifecycle_v2", "sid": 7, "seq": 4, "msg": {"market_ticker": "Z", "event_type": "created"}},
        {"type": "market_lifecycle_v2", "msg": {"market_ticker": "A", "event_type": "activated", "close_ts": "soon"}},
    ],
)
def test_a_halted_market_whose_activation_may_be_lost_is_followed_again(lost: dict[str, Any]) -> None:
    life = KalshiLife()
    life.want([wanted(Venue.KALSHI, "A")])
    life.connect()
    life.book("A")
    life.event("A", "deactivated")
    life.pipeline.requests.clear()
    life.frame(lost)
    assert life.state("A").startswith("gap")
    assert life.pipeline.requests == [(1, "A")]
    life.book("A")
    assert life.state("A") == "covered"


def test_a_market_whose_tokens_changed_is_asked_for_by_the_new_ones() -> None:
    life = PolymarketLife()
    life.want([wanted(Venue.POLYMARKET, "A", ("8", "9"))])
    life.connect()
    life.want([wanted(Venue.POLYMARKET, "A", ("1", "2"))])
    assert life.state("A") == "gap starting"
    life.book("A")
    assert life.state("A") == "covered"


def test_a_market_without_two_tokens_is_never_followed() -> None:
    markets = Subscriptions(needs_tokens=True)
    pairs = [("", ""), ("1", ""), ("", "2"), ("3", "3")]
    markets.want([wanted(Venue.POLYMARKET, f"M{number}", pair) for number, pair in enumerate(pairs)])
    assert markets.is_empty
    assert not markets.change()


class Lives(RuleBasedStateMachine):
    """All orders of what a venue reports, what is wanted, and what happens to the connection."""

    @initialize(make=st.sampled_from([KalshiLife, PolymarketLife]))
    def begin(self, make: Callable[[], KalshiLife | PolymarketLife]) -> None:
        self.life = make()

    @rule(names=st.sets(st.sampled_from(MARKETS)), swapped=st.booleans())
    def want(self, names: set[str], swapped: bool) -> None:
        tokens = {name: pair[::-1] if swapped else pair for name, pair in TOKENS.items()}
        self.life.want([wanted(self.life.venue, name, tokens[name]) for name in sorted(names)])

    @precondition(lambda self: not self.life.is_connected)
    @rule()
    def connect(self) -> None:
        self.life.connect()

    @precondition(lambda self: self.life.is_connected)
    @rule(cause=st.sampled_from(["disconnect", "silence", "resync_failed"]))
    def lose(self, cause: str) -> None:
        self.life.lose(cause)

    @precondition(lambda self: self.life.is_connected)
    @rule(name=st.sampled_from("AB"))
    def book(self, name: str) -> None:
        self.life.book(name)

    @precondition(lambda self: self.life.is_connected)
    @rule(name=st.sampled_from(MARKETS), kind=st.sampled_from(KINDS))
    def event(self, name: str, kind: str) -> None:
        self.life.event(name, kind)

    @precondition(lambda self: self.life.is_connected)
    @rule(
        raw=st.sampled_from(
            [b"INVALID OPERATION", b"", stale_frame(["A", "B"], "not_carried"), b'{"type":"x","sid":1,"seq":9}']
        )
    )
    def nonsense(self, raw: bytes) -> None:
        self.life.frame(raw)

    @rule()
    def segment_ends(self) -> None:
        state = self.life.pipeline.dump()
        self.life.pipeline = Pipeline(PARSERS)
        self.life.pipeline.begin(2, 8)
        self.life.pipeline.consume(Record(8, 9, RecordKind.STATE, None, 0, START_NS, state))

    @invariant()
    def each_followed_market_has_one_open_interval(self) -> None:
        if not hasattr(self, "life"):
            return
        life = self.life
        followed = set(life.markets.followed) if life.is_connected else set(life.markets._left)
        for name in MARKETS:
            assert len(life.intervals.open.get(name, [])) == (name in followed), (name, followed)
        connection = life.pipeline.connections.get(life.number)
        for name, state in (connection.books if connection else {}).items():
            assert (life.state(name) == "covered") == state.is_live


Lives.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLives = Lives.TestCase
