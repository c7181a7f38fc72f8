"""One process with both sandbox exchanges: clock, flow, journal, two ports."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import uvloop

from streams.documents import BadDocument, load_document
from streams.logs import get_logger
from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue
from streams.market.units import cash_e6
from streams.sandbox.catalogue.truth import Truth, contract_key
from streams.sandbox.core.candles import PastKey
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import MarketAction, ParticipantFill
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.core.scenario import CALM, Scenario
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence.journal import Recovered, understood
from streams.sandbox.exchange.persistence.saved_state import SavedState
from streams.sandbox.exchange.persistence.snapshot import apply_state, reopen_books, restore_listing
from streams.sandbox.http.server import App, Server
from streams.sandbox.kalshi.app import KalshiApp
from streams.sandbox.kalshi.auth import KalshiKey, load_key
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.polymarket.app import PolymarketApp
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.process.admin import AdminApp, Controls
from streams.sandbox.process.load_mode import LoadApp

STEP_S = 0.1
SNAPSHOT_S = 15.0
_ACTIONS_AT_ONCE = 2_000
_OPENING_MS = 10_000
log = get_logger(room="sandbox")


class FlowSource(Protocol):
    """What moves the markets: the seeded flow or a replay."""

    def step(self, now_ms: int, fills: Sequence[ParticipantFill]) -> list[MarketAction]:
        """Return what happens up to now."""

    def snapshot(self) -> dict[str, Any]:
        """The whole state as JSON values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""

    def drop_orders(self) -> None:
        """Take all simulated orders for gone."""

    def follow(self, profile: Profile, scenario: Scenario | None = None) -> None:
        """Let makers and rival takers act by another profile, and in another scenario if one is given."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What `crossbook sandbox` can be told.

    Attributes:
        home: Folder of journal and accounts (`accounts.json`).
        make_flow: Builds the flow and its truth for the anchor moment; it is asked again at every start.
        source: What the flow is made from, in words; a journal is only resumed with the same.
        profile: Times and chances of the exchanges, those of the scenario in it.
        scenario: How makers and rival takers act.
        load_frames_per_s: Frames a second for every market-data subscriber in load mode, None for the ordinary mode.
        admin_port: Port of the admin interface, 0 for any free one, None for none.
        admin_socket: Unix socket of the admin interface, in place of the port.
    """

    kalshi_port: int
    polymarket_port: int
    home: Path
    make_flow: Callable[[datetime], tuple[FlowSource, Truth | None]]
    faults: FaultPlan
    seed: int = 0
    source: str = ""
    profile: Profile = ZERO
    scenario: Scenario = CALM
    admin_port: int | None = None
    admin_socket: Path | None = None
    load_frames_per_s: int | None = None
    kalshi: KalshiVenueSettings = field(default_factory=KalshiVenueSettings)
    polymarket: PolymarketVenueSettings = field(default_factory=PolymarketVenueSettings)


class Sandbox:
    """Both exchanges with everything around them."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.exchanges = {venue: Exchange(venue, options.faults, options.seed, options.profile) for venue in Venue}
        accounts = load_accounts(options.home / "accounts.json")
        self._kalshi = KalshiApp(
            self.exchanges[Venue.KALSHI],
            accounts.kalshi,
            lambda: self.venue_ms(Venue.KALSHI),
            self.commit,
            options.kalshi,
        )
        self._polymarket = PolymarketApp(
            self.exchanges[Venue.POLYMARKET],
            accounts.polymarket,
            lambda: self.venue_ms(Venue.POLYMARKET),
            self.commit,
            options.polymarket,
        )
        self.controls = Controls(
            self.exchanges,
            {Venue.KALSHI: self._kalshi, Venue.POLYMARKET: self._polymarket},
            options.faults,
            self.venue_ms,
            self.commit,
            lambda: self._flow.drop_orders(),
            self.set_profile,
            self.copy_state,
            self.set_scenario,
            options.scenario,
        )
        self._accounts = accounts
        self._journal = SavedState(options.home / "journal", self.exchanges)
        self._flow: FlowSource
        self._anchor_ms = 0
        self._stop = asyncio.Event()

    async def run(self, announce: Callable[[dict[str, Any]], None]) -> None:
        """Serve until `stop`; `announce` gets the ready document once both ports listen.

        Raises:
            ConfigurationError: If a port is taken, or a file cannot be used.
        """
        kalshi = Server(self._served(self._kalshi), self.options.kalshi_port)
        polymarket = Server(self._served(self._polymarket), self.options.polymarket_port)
        servers = {"CROSSBOOK_KALSHI_SANDBOX_PORT": kalshi, "CROSSBOOK_POLYMARKET_SANDBOX_PORT": polymarket}
        admin = self._admin_server()
        if admin is not None:
            servers["CROSSBOOK_SANDBOX_ADMIN_PORT"] = admin
        is_new = self.resume()
        if self.options.load_frames_per_s:
            self._open_books()
        await self._step()
        self._write_snapshot()
        for name, server in servers.items():
            try:
                await server.start()
            except OSError as error:
                raise ConfigurationError(f"{name}: the port cannot be opened ({error.strerror}).") from None
        admin_port = None if admin is None or self.options.admin_socket is not None else admin.port
        announce(self._ready(is_new, kalshi.port, polymarket.port, admin_port))
        try:
            await self._loop()
        finally:
            for server in servers.values():
                await server.stop()
            self._write_snapshot()
            self._journal.close()

    def _admin_server(self) -> Server | None:
        if self.options.admin_socket is not None:
            return Server(AdminApp(self.controls), path=self.options.admin_socket)
        return None if self.options.admin_port is None else Server(AdminApp(self.controls), self.options.admin_port)

    def _served(self, face: KalshiApp | PolymarketApp) -> App:
        wanted = self.options.load_frames_per_s
        return LoadApp(face, wanted, lambda: self.venue_ms(face.venue)) if wanted else face

    def _open_books(self) -> None:
        """Let the flow fill the books at once and stop it: in load mode they stand still."""
        start = now_ms()
        for passed in range(0, _OPENING_MS, int(STEP_S * 1000)):
            for action in self._flow.step(start + passed, ()):
                self.exchanges[_ref(action).venue].apply(action, start)
        self.controls.is_flow_running = False

    def venue_ms(self, venue: Venue) -> int:
        """The time on a venue's clock, which may be off."""
        return now_ms() + self.options.faults.clock_ms.get(venue, 0)

    def set_profile(self, profile: Profile) -> None:
        """Make exchanges and flow act by another profile from now on."""
        for exchange in self.exchanges.values():
            exchange.state.profile = profile
        self._flow.follow(profile)

    def set_scenario(self, scenario: Scenario) -> None:
        """Let makers and rival takers act in another scenario from now on."""
        for exchange in self.exchanges.values():
            exchange.state.profile = profile = scenario.applied(exchange.state.profile)
        self._flow.follow(profile, scenario)

    def stop(self) -> None:
        """Ask `run` to finish."""
        self._stop.set()

    def resume(self) -> bool:
        """Bring everything back from the journal; True at a first start."""
        found = self._journal.read()
        if found is not None and found.source != self.options.source:
            raise ConfigurationError(
                f"The sandbox in {self.options.home} was started with {found.source!r}, not "
                f"{self.options.source!r}; go on with that, use another CROSSBOOK_HOME, or `crossbook reset`."
            )
        self._anchor_ms = now_ms() if found is None else found.anchor_ms
        self._flow, truth = self.options.make_flow(datetime.fromtimestamp(self._anchor_ms / 1000, UTC))
        if truth is not None:
            self._tie_pasts(truth)
        for name, cash in self._accounts.cash_e6.items():
            venue = Venue(name.partition(":")[0])
            self.exchanges[venue].state.accounts.open_account(name, cash)
        if found is not None:
            with understood(self.options.home / "journal"):
                self._restore(found)
        try:
            self._journal.begin(self.options.source, self._anchor_ms, {} if found is None else found.flow, now_ms())
        except OSError as error:
            raise ConfigurationError(
                f"The sandbox in {self.options.home} cannot be written: {error.strerror}."
            ) from None
        return found is None

    def commit(self) -> None:
        """Put what changed since the last commit on disk; what does not fit there is tried again the next time.

        Raises:
            OSError: If it cannot be written.
        """
        self._journal.commit()

    def copy_state(self) -> bytes:
        """Put everything on disk as it is now, and return a copy of the database."""
        self._write_snapshot()
        return self._journal.copy()

    def _restore(self, found: Recovered) -> None:
        for listing in found.listings:
            restore_listing(self.exchanges[Venue(listing["market"]["venue"])], listing)
        for venue, state in found.states:
            apply_state(self.exchanges[venue], state)
        left_out = 0
        for venue, exchange in self.exchanges.items():
            left_out += reopen_books(exchange, found.house[venue], now_ms())
        self._flow.restore(found.flow)
        log.info(
            "resumed", markets=sum(len(e.state.markets) for e in self.exchanges.values()), quotes_left_out=left_out
        )

    def _tie_pasts(self, truth: Truth) -> None:
        for ref, condition in truth.conditions.items():
            fact, names, is_complement = contract_key(truth.facts[condition.fact_id], condition)
            self.exchanges[ref.venue].state.past_keys[ref.market_id] = PastKey(f"{fact}:{names}", is_complement)

    async def _loop(self) -> None:
        next_snapshot = time.monotonic() + SNAPSHOT_S
        while not self._stop.is_set():
            started = time.monotonic()
            await self._step()
            if started >= next_snapshot and self._journal.gather():
                written = time.monotonic()
                self._write_snapshot()
                finished = time.monotonic()
                # A large catalogue takes longer to write: then less often, so that it stays a small share of the time.
                next_snapshot = finished + max(SNAPSHOT_S, 60 * (finished - written))
            pause = max(0.005, STEP_S - (time.monotonic() - started))
            try:
                await asyncio.wait_for(self._stop.wait(), pause)
            except TimeoutError:
                continue

    async def _step(self) -> None:
        for venue, exchange in self.exchanges.items():
            exchange.tick(self.venue_ms(venue))
        self._kalshi.tick(self.venue_ms(Venue.KALSHI))
        self._polymarket.tick(self.venue_ms(Venue.POLYMARKET))
        if not self.controls.is_flow_running:
            self.commit()
            return
        fills = [fill for exchange in self.exchanges.values() for fill in exchange.state.drain_participant_fills()]
        actions = self._flow.step(now_ms(), fills)
        for index, action in enumerate(actions):
            venue = _ref(action).venue
            self.exchanges[venue].apply(action, self.venue_ms(venue))
            if index % _ACTIONS_AT_ONCE == _ACTIONS_AT_ONCE - 1:
                # A start brings tens of thousands of actions; requests are answered in between.
                await asyncio.sleep(0)
        self.commit()

    def _write_snapshot(self) -> None:
        self._journal.write_snapshot(self._flow.snapshot(), now_ms())

    def _ready(self, is_new: bool, kalshi: int, polymarket: int, admin: int | None = None) -> dict[str, Any]:
        return {
            "state": "ready",
            "kalshi": f"http://127.0.0.1:{kalshi}/trade-api/v2",
            "polymarket": f"http://127.0.0.1:{polymarket}",
            **({} if admin is None else {"admin": f"http://127.0.0.1:{admin}"}),
            "profile": self.options.profile.name,
            "scenario": self.options.scenario.name,
            "markets": {venue.value: len(exchange.state.markets) for venue, exchange in self.exchanges.items()},
            "anchor": datetime.fromtimestamp(self._anchor_ms / 1000, UTC).isoformat(),
            "is_new": is_new,
        }


@dataclass(frozen=True, slots=True)
class LoadedAccounts:
    """The venue-side half of the accounts: keys by key id, starting cash by account id."""

    kalshi: dict[str, KalshiKey]
    polymarket: dict[str, PolymarketKey]
    cash_e6: dict[str, int]


def load_accounts(path: Path) -> LoadedAccounts:
    """Read accounts.json; without the file nobody can trade, and market data is served all the same.

    Raises:
        ConfigurationError: If the file is there and cannot be used.
    """
    if not path.exists():
        return LoadedAccounts({}, {}, {})
    try:
        document = load_document(path)
        kalshi = {
            row["key_id"]: load_key(row["key_id"], row["public_key_pem"], row.get("scopes", ("read", "write")))
            for row in document.get("kalshi", [])
        }
        polymarket = {
            row["api_key"]: PolymarketKey(
                row["address"], row["api_key"], row["secret"], row["passphrase"], relayer_key=row.get("relayer_key", "")
            )
            for row in document.get("polymarket", [])
        }
        cash = {kalshi[row["key_id"]].account_id: cash_e6(row["cash_usd"]) for row in document.get("kalshi", [])}
        for row in document.get("polymarket", []):
            cash[polymarket[row["api_key"]].account_id] = cash_e6(row["cash_usd"])
    except BadDocument as error:
        raise ConfigurationError(f"The accounts file {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"The accounts file {path} cannot be used: {type(error).__name__} {error}.") from None
    return LoadedAccounts(kalshi, polymarket, cash)


def now_ms() -> int:
    """The wall clock in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _ref(action: MarketAction) -> MarketRef:
    return action.market if isinstance(action.market, MarketRef) else action.market.ref


def run(options: SandboxOptions, announce: Callable[[dict[str, Any]], None]) -> None:
    """Run a sandbox in this process until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: If it cannot start; one sentence.
    """

    async def main() -> None:
        sandbox = Sandbox(options)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, sandbox.stop)
        await sandbox.run(announce)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
