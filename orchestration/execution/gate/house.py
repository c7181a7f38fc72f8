"""What the gate reads of our own side: orders that rest, comparisons of accounts, disk and database, sources."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

from orchestration.execution.decide.gate.facts import CheckPolicy, HouseFacts
from orchestration.execution.trading_context import TradingContext
from streams.disk import free_mb
from streams.market.identity import Venue
from streams.market.trading import Signal, TiedUp
from streams.market.units import CASH_SCALE
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.gate.house import (
    count_opposing_orders,
    last_comparisons,
    lossy_settings,
    sources_of,
    sources_of_open_hedges,
)


def house_facts(
    connection: Connection, context: TradingContext, signal: Signal, market_keys: Collection[str], used: TiedUp
) -> HouseFacts:
    """Return what holds on our side of a signal whose legs trade on these markets."""
    venues = [venue for venue in dict.fromkeys(leg.venue for leg in signal.legs) if _is_compared(context, venue)]
    compared = last_comparisons(connection, context.mode, venues)
    return HouseFacts(
        opposing_orders=count_opposing_orders(
            connection, context.mode, [(leg.market_key, leg.outcome) for leg in signal.legs]
        ),
        reconciled_at={venue: compared.get(venue) for venue in venues},
        free_disk_mb=_free_mb(context.settings.home_dir),
        stress_e6=_stress_e6(connection, context.mode, used),
        sources=sources_of(connection, market_keys),
        lossy_settings=lossy_settings(connection),
    )


def check_policy(settings: Settings) -> CheckPolicy:
    """Return the settings that single checks compare with."""
    return CheckPolicy(
        book_age_ms=settings.decision_ttl_ms,
        book_skew_ms=settings.book_skew_max_ms,
        collar_usd=settings.collar_usd,
        partial_fill_usd=settings.partial_fill_usd,
        exit_depth_share=settings.exit_depth_share,
        settlement_gap_days=settings.settlement_gap_days,
        reconciled_age_s=Decimal(str(settings.reconciled_max_age_s)),
        disk_mb=settings.disk_no_new_trades_mb,
        stress_loss_e6=int(settings.stress_loss_usd * CASH_SCALE),
        venue_state_age_s=Decimal(str(settings.venue_state_max_age_s)),
        fee_schedule_age_s=Decimal(str(settings.fee_schedule_max_age_s)),
        execution_max_s=Decimal(str(settings.execution_max_s)),
        game_start_margin_s=settings.game_start_margin_s,
        taker_delay_ms=settings.taker_delay_max_ms,
        clock_skew_ms=settings.clock_skew_max_ms,
        key_margin_s=settings.key_margin_s,
        needs_durable_commits=settings.is_live,
    )


def _is_compared(context: TradingContext, venue: Venue) -> bool:
    """Whether an account is compared with our books; one that is simulated stands in them itself."""
    gateway = context.gateways.get(venue)
    return gateway is None or not gateway.is_simulated


def _free_mb(folder: Path) -> int | None:
    """Return the free space of the disk a folder lies on, or will when it is made; None where it cannot be asked."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    found = free_mb([there])
    return int(found) if math.isfinite(found) else None


def _stress_e6(connection: Connection, mode: str, used: TiedUp) -> dict[str, int]:
    """Return what is tied up by source of resolution; a group counts under each source of its markets."""
    found: Counter[str] = Counter()
    for row in sources_of_open_hedges(connection, mode):
        found[row.source] += used.by_group_e6.get(row.group_id, 0)
    return dict(found)
