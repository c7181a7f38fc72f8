"""Both emulators and their admin port in this process, with a clock that is set by hand; no socket is opened.

Of the golden runs only this file, `markets.py`, `signing.py` and `refusals.py` know the code's own names: when those
move, they move with them, and the stored runs stay as they are. Requests and frames travel as bytes through the
protocol that serves real connections.
"""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.load import Catalogue, load_catalogue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import PlaceOrder
from streams.sandbox.core.profile import named_profile
from streams.sandbox.core.scenario import HARSH
from streams.sandbox.exchange.persistence import old_journal
from streams.sandbox.exchange.persistence.journal import Journal
from streams.sandbox.exchange.persistence.snapshot import exchange_state
from streams.sandbox.http.server import Connection
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.polymarket.objects import neg_risk_id
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.process.admin import AdminApp
from streams.sandbox.process.process import Sandbox, SandboxOptions
from streams.sandbox.replay.replay import ReplayFlow
from streams.sandbox.simulation.flow import Flow
from streams.sandbox.simulation.parameters import REALISTIC_FLOW, FlowParameters
from tests.golden.clock import START_MS, Answer, HandLoop, Pipe, Subscriber, answer_of, ended
from tests.golden.markets import NullLog, StillFlow, condition, late_listing, start, token
from tests.golden.signing import ADMIN, KALSHI, KALSHI_PREFIX, POLYMARKET, SECRET, Signer, accounts, smart_wallet

__all__ = (
    "ADMIN", "KALSHI", "KALSHI_PREFIX", "POLYMARKET", "SECRET", "START_MS", "Answer", "Stage", "Subscriber",
    "condition", "smart_wallet", "stage", "token",
)  # fmt: skip
_STEP_MS = 100
_LONGEST_WAIT_MS = 120_000
_PERSISTENCE = "streams.sandbox.exchange.persistence"


@dataclass
class Stage:
    """The emulators, what they were told, and the clock.

    Attributes:
        home: The sandbox's folder.
        flow: What moves the markets.
    """

    home: Path
    loop: HandLoop
    sandbox: Sandbox
    flow: Any
    disk: _Disk
    _faces: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        markets = self.sandbox.exchanges[Venue.POLYMARKET].state.markets
        self.signer = Signer(lambda: self.now_ms, lambda market_id: neg_risk_id(markets[market_id]))

    @property
    def now_ms(self) -> int:
        """The time, milliseconds."""
        return int(self.loop.now_ms)

    # -- time --

    def advance(self, ms: int) -> None:
        """Let time pass: timers at their moments, the sandbox's own step every tenth of a second."""
        end = self.loop.now_ms + ms
        while self.loop.now_ms < end:
            now = min(end, (self.loop.now_ms // _STEP_MS + 1) * _STEP_MS)
            self.loop.run_until(now)
            if now % _STEP_MS == 0:
                self.step()

    def step(self) -> None:
        """One step of the sandbox."""
        ended(self.sandbox._step())

    def list_late(self) -> None:
        """List further markets, with quotes, at the next step."""
        for listing in late_listing():
            ref: MarketRef = listing.market.ref
            self.flow.next_acts.append(listing)
            self.flow.next_acts.append(PlaceOrder(ref, "maker", f"{ref.market_id[:20]}late", "bid", 4_000, 10**7))

    # -- requests --

    def ask(self, port: str, method: str, target: str, body: Any = None, by: str = "", **headers: str) -> Answer:
        """Send a request and wait for its answer.

        Args:
            port: `kalshi` (targets without the prefix of its API), `polymarket` or `admin`.
            body: JSON, or text as it is.
            by: Who signs: an API key's name, `l1` for a wallet, `builder` or `relayer`.
            headers: Instead of what the signature would say, `_` for `-`.
        """
        content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if port == KALSHI and target.startswith("/"):
            target = KALSHI_PREFIX + target
        target = target.removeprefix("!")
        said = self.signer.headers(port, method, target, content, by) | {
            (name.replace("_", "-") if port == KALSHI else name): value for name, value in headers.items()
        }
        lines = [f"{method} {target} HTTP/1.1", "host: golden", f"content-length: {len(content)}"]
        raw = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in said.items())]) + "\r\n\r\n"
        return self.exchange(port, raw.encode() + content)

    def exchange(self, port: str, raw: bytes) -> Answer:
        """Send bytes as a request and wait for the answer."""
        connection, pipe = self._connect(port)
        connection.data_received(raw)
        self.loop.run_until(self.loop.now_ms)
        waited = 0
        while not pipe.written and not pipe.is_closed and waited < _LONGEST_WAIT_MS:
            self.advance(10)
            waited += 10
        return answer_of(pipe)

    def _connect(self, port: str) -> tuple[Connection, Pipe]:
        pipe = Pipe()
        connection = Connection(self._faces[port], set())
        connection.connection_made(pipe)  # type: ignore[arg-type]
        return connection, pipe

    def listen(self, port: str, path: str, by: str = "") -> Subscriber | Answer:
        """Open a websocket; the answer where it is refused."""
        said = self.signer.headers(port, "GET", path, b"", by)
        lines = [
            f"GET {path} HTTP/1.1", "host: golden", "connection: Upgrade", "upgrade: websocket",
            "sec-websocket-version: 13", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
            *(f"{name}: {value}" for name, value in said.items()),
        ]  # fmt: skip
        connection, pipe = self._connect(port)
        connection.data_received(("\r\n".join(lines) + "\r\n\r\n").encode())
        head, _, rest = bytes(pipe.written).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            return answer_of(pipe)
        pipe.written[:] = rest
        return Subscriber(connection, pipe)

    # -- what is kept, what is known --

    def write_snapshot(self) -> None:
        """Write quotes and flow into the journal."""
        self.sandbox._write_snapshot()

    def kept(self) -> tuple[dict[str, Any], list[Any]]:
        """What the journal notes of the whole, and its rows, sorted."""
        meta, rows = self.sandbox._journal._database.read()
        return meta, sorted(rows)

    def reopened(self) -> dict[str, Any]:
        """The whole state of both exchanges and the flow after the journal is read again, as format 2 wrote it."""
        self.sandbox._journal.close()
        fresh = Sandbox(self.sandbox.options)
        fresh.resume()
        fresh._journal.close()
        self.sandbox._journal = _NoJournal()  # type: ignore[assignment]
        state = {
            "format": old_journal.FORMAT, "anchor_ms": fresh._anchor_ms, "source": fresh.options.source,
            "written_ms": self.now_ms, "flow": fresh._flow.snapshot(),
            "exchanges": {venue.value: exchange_state(exchange) for venue, exchange in fresh.exchanges.items()},
        }  # fmt: skip
        return dict(json.loads(orjson.dumps(state)))

    def routes(self) -> set[tuple[str, str, str]]:
        """(port, method, path) of every route; `{name}` stands for an argument."""
        found = set()
        for port, face in (
            (KALSHI, self.sandbox._kalshi), (POLYMARKET, self.sandbox._polymarket), (ADMIN, self._faces[ADMIN]),
        ):  # fmt: skip
            router = face._router
            prefix = KALSHI_PREFIX if port == KALSHI else ""
            found |= {(port, method, path.removeprefix(prefix)) for method, path in router._exact}
            for method, pattern, _ in router._patterns:
                path = re.sub(r"\(\?P<(\w+)>\[\^/\]\+\)", r"{\1}", pattern.pattern)
                found.add((port, method, path.removeprefix(prefix)))
        return found


class _NoJournal:
    """Stands where a closed journal stood."""

    def close(self) -> None:
        """It is closed."""


@dataclass
class _Disk:
    """Whether what is written reaches the disk."""

    is_full: bool = False

    def commit(self, journal: Journal, *rows: Any, **meta: Any) -> None:
        """Write as the journal does; a full disk refuses."""
        if self.is_full:
            raise OSError(28, "No space left on device")
        _commit(journal, *rows, **meta)


_commit = Journal.commit
_CATALOGUES: list[Catalogue] = []


def _bundled() -> Catalogue:
    if not _CATALOGUES:
        _CATALOGUES.append(load_catalogue(None, start()))
    return _CATALOGUES[0]


@contextmanager
def stage(
    home: Path, *, kalshi: dict[str, Any] | None = None, polymarket: dict[str, Any] | None = None,
    profile: str = "zero", seed: int | None = None, recording: Path | None = None,
) -> Iterator[Stage]:  # fmt: skip
    """Both emulators over still markets, over the simulated market of a seed, or over a recording.

    Args:
        home: An empty folder.
        kalshi / polymarket: Settings of a venue by name, instead of the usual.
        profile: `zero` (everything at once) or `realistic`, in the scenario `harsh`.
        seed: Of the simulated market; None for still markets.
        recording: A file of recorded books that is played.
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "accounts.json").write_text(json.dumps(accounts()))
    loop, ids, disk = HandLoop(), random.Random(f"ids {seed}"), _Disk()
    behaviour = named_profile(profile)
    if profile == "realistic":
        behaviour = HARSH.applied(behaviour)
    flow: Any
    if recording is not None:
        flow = ReplayFlow(recording)
    elif seed is not None:
        parameters = FlowParameters()
        if profile == "realistic":
            parameters = replace(parameters, **REALISTIC_FLOW)
        flow = Flow(_bundled(), seed, parameters.in_scenario(HARSH).under(behaviour))
    else:
        flow = StillFlow()
    truth = _bundled().truth if seed is not None else None
    options = SandboxOptions(
        0, 0, home, lambda anchor: (flow, truth), FaultPlan(seed=seed or 0), seed or 0, "golden", behaviour,
        kalshi=KalshiVenueSettings(**kalshi or {}), polymarket=PolymarketVenueSettings(**polymarket or {}),
    )  # fmt: skip
    with ExitStack() as patches:
        for target, put in (
            ("time.time_ns", lambda: int(loop.now_ms * 1_000_000)),
            ("uuid.uuid4", lambda: uuid.UUID(int=ids.getrandbits(128), version=4)),
            ("asyncio.get_running_loop", lambda: loop),
            (
                "streams.sandbox.exchange.persistence.journal.Journal.commit",
                lambda *of, **with_: disk.commit(*of, **with_),
            ),
            ("streams.sandbox.http.server.log", NullLog()),
            ("streams.sandbox.process.process.log", NullLog()),
        ):
            patches.enter_context(patch(target, put))
        assert time.time_ns() // 1_000_000 == START_MS
        sandbox = Sandbox(options)
        made = Stage(home, loop, sandbox, flow, disk)
        made._faces = {KALSHI: sandbox._kalshi, POLYMARKET: sandbox._polymarket, ADMIN: AdminApp(sandbox.controls)}
        sandbox._journal._database._connection.execute("PRAGMA synchronous = OFF")
        sandbox.resume()
        try:
            made.step()
            yield made
        finally:
            sandbox._journal.close()
