"""Puts the accounts of the trading mode in force together: keys, clients, gateways. Production is wired here only."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from orchestration.execution.account_news import AccountNews, NoNews, OrderNews
from orchestration.execution.decide.exposure import Moment
from orchestration.execution.decide.gate.selection import WorthPolicy
from orchestration.execution.decide.plan import PlanPolicy
from orchestration.execution.edge_monitor.priors import stress_priors
from orchestration.execution.paper_account import PaperLedger
from orchestration.execution.venues.gateway import Gateway
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.order_groups import OnTripped, OrderGroups, trip_of
from orchestration.execution.venues.paper import PaperGateway, PaperSources, books_read_at
from orchestration.execution.venues.paper_matching import DRAW_SCALE, paper_profile
from orchestration.execution.venues.polymarket import PolymarketGateway
from orchestration.execution.venues.round_trips import sampled_round_trips_ms
from streams.market.errors import ConfigurationError
from streams.market.identity import Venue
from streams.market.trading import BootTime, Target
from streams.market.units import CASH_SCALE, PRICE_SCALE
from streams.market.venue_traits import TRAITS
from streams.processes.boot_clock import boot_now
from streams.settings import Settings, check_intent
from streams.storage.database import Connection
from streams.storage.store.accounting.order_groups import load_order_groups
from streams.storage.store.leases import Lease
from streams.venues.common.http import http_client
from streams.venues.credentials.keystore import Keystore
from streams.venues.factory import kalshi_client, polymarket_client, polymarket_relayer, user_feeds
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.clob.heartbeat import Beats


def _nobody() -> Lease | None:
    return None


def moment_now() -> Moment:
    """Return the present moment."""
    return Moment(boot_now(), datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class TradingContext:
    """Who trades for whom: the settings, the trading mode, a gateway per venue, and who tells news of our orders.

    `order_groups` and `beats`: the brakes that the venues pull themselves, None where no order is sent to them.
    `boot_clock`: the clock that nobody sets, by which orders of unknown fate are waited for. `moment`: the present, by
    which exposure is counted. `account`: the lease of the armed run that trades, None where none does.
    """

    settings: Settings
    mode: str
    gateways: Mapping[Venue, Gateway]
    news: OrderNews = field(default_factory=NoNews)
    boot_clock: Callable[[], BootTime] = boot_now
    moment: Callable[[], Moment] = moment_now
    account: Callable[[], Lease | None] = _nobody
    order_groups: OrderGroups | None = None
    beats: Beats | None = None

    @property
    def environment(self) -> str:
        """Which exchanges these are."""
        return self.settings.venues

    def payout_step_e6(self, venue: Venue) -> int:
        """Return the step to which a venue rounds down what it pays for a market; 1 where it pays exactly."""
        return int(self.settings.kalshi_payout_step * CASH_SCALE) if TRAITS[venue].rounds_payouts else 1

    def absent_after_s(self, venue: Venue) -> float:
        """Return how long after its sending an order that a venue does not show may first count as absent."""
        settings = self.settings
        return settings.unknown_absent_after_s if venue is Venue.KALSHI else settings.polymarket_absent_after_s

    @property
    def policy(self) -> PlanPolicy:
        """The numbers that plans keep to."""
        settings = self.settings
        return PlanPolicy(
            exit_edge_usd=max(settings.signal_exit_edge_usd, settings.last_contract_edge_usd),
            min_profit_e6=int(settings.signal_min_profit_usd * CASH_SCALE),
            slippage_e4=int(settings.slippage_max_usd * PRICE_SCALE),
            exposure_budget_e6=int(settings.exposure_budget_usd * CASH_SCALE),
            exposure_budget_e6_s=int(settings.exposure_budget_usd_s * CASH_SCALE),
            dust_e6=int(settings.dust_exposure_usd * CASH_SCALE),
            provisional_cap_e6=int(settings.provisional_cap_usd * CASH_SCALE),
            loss_cap_e6=int(settings.trade_loss_cap_usd * CASH_SCALE),
            exposure_alarm_e6_s=int(settings.exposure_alarm_usd_s * CASH_SCALE),
            legs_at_once=settings.legs_at_once,
            longest_hold_ms=settings.decision_ttl_ms // 2,
            worth=worth_policy(settings),
        )


def worth_policy(settings: Settings) -> WorthPolicy:
    """Return what a plan must be expected to bring for its capital."""
    return WorthPolicy(
        priors=stress_priors(settings),
        min_annualised=settings.min_annualised_return,
        max_days=settings.capital_days_max,
        long_days=settings.long_days,
        long_e6=int(settings.long_capital_usd * CASH_SCALE),
    )


@asynccontextmanager
async def open_trading_context(
    settings: Settings, connection: Connection, *, is_listening: bool = False
) -> AsyncIterator[TradingContext]:
    """Open the gateways of the trading mode in force and close their connections afterwards.

    Whoever stays is listening: it hears of its orders from the user streams of the venues that orders are sent to.

    Polymarket has no demo exchange: beside Kalshi's demo its books are the real ones, and its fills always simulated.

    Raises:
        ConfigurationError: If orders are to be sent and a key is missing or nobody said so, or trading is off.
    """
    mode = settings.trading_mode
    if mode == "off":
        raise ConfigurationError("CROSSBOOK_TRADING is off; nothing is traded.")
    check_intent(settings)
    simulated = set(Venue) if mode == "paper" else {Venue.POLYMARKET} if settings.venues == "demo" else set()
    keystore = Keystore(settings)
    kalshi, polymarket = keystore.kalshi(settings.venues), keystore.polymarket(settings.venues)
    for venue, key in ((Venue.KALSHI, kalshi), (Venue.POLYMARKET, polymarket)):
        if key is None and venue not in simulated:
            raise ConfigurationError(
                f"There is no {venue} key for {settings.venues}; store one with `crossbook keys set`."
            )
    async with http_client(settings) as http:
        clients = kalshi_client(settings, http), polymarket_client(settings, http)
        on_tripped = trip_of(connection, mode, _now)
        groups = None if Venue.KALSHI in simulated else _order_groups(connection, clients[0], mode, on_tripped)
        gateways: dict[Venue, Gateway] = {
            Venue.KALSHI: KalshiGateway(clients[0], groups, is_fee_inside=settings.kalshi_move_fees == "inside"),
            Venue.POLYMARKET: PolymarketGateway(clients[1], polymarket, polymarket_relayer(settings, http)),
        }
        feeds = [feed for feed in user_feeds(settings) if feed.venue not in simulated] if is_listening else []
        news = AccountNews(feeds, on_tripped=on_tripped)
        is_beating = settings.polymarket_heartbeat and Venue.POLYMARKET not in simulated
        context = TradingContext(
            settings,
            mode,
            gateways,
            news if feeds else NoNews(),
            order_groups=groups,
            beats=clients[1] if is_beating else None,
        )
        for venue in simulated:
            gateways[venue] = _on_paper(gateways[venue], connection, context)
        listening = asyncio.create_task(news.listen())
        try:
            yield context
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


def _order_groups(connection: Connection, client: KalshiClient, mode: str, on_tripped: OnTripped) -> OrderGroups:
    """Return the order groups as they are stored; `keep_order_groups` makes those that are missing."""
    stored = load_order_groups(connection, mode, Venue.KALSHI)
    return OrderGroups(client, on_tripped, {row.shard: row.group_id for row in stored})


def _on_paper(gateway: Gateway, connection: Connection, context: TradingContext) -> PaperGateway:
    """Return a gateway whose orders are simulated on the books of another."""
    settings = context.settings
    profile = paper_profile(
        settings.paper_fidelity,
        fade_probability_e6=int(settings.paper_fade_probability * DRAW_SCALE),
        fade_e4=int(settings.paper_fade_usd * PRICE_SCALE),
    )
    account = PaperLedger(
        connection,
        gateway.venue,
        context,
        start_cash_e6=int(settings.paper_cash_usd * CASH_SCALE),
        clock=_now,
    )

    async def delay_ms(target: Target) -> int:
        if isinstance(gateway, PolymarketGateway):
            return await gateway.taker_delay_ms(target, profile.taker_delay_ms)
        return 0

    book_at = books_read_at(gateway, _now, asyncio.sleep)
    sampled_ms = partial(sampled_round_trips_ms, connection, gateway.venue)
    sources = PaperSources(book_at, delay_ms, sampled_ms, random.Random(), _now)
    return PaperGateway(gateway, account, profile, sources)


def _now() -> datetime:
    return datetime.now(UTC)
