"""What the gate knows when it decides, all of it read in the transaction that writes the first intent. PURE.

None means that something could not be read, which refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from orchestration.execution.decide.gate.plan_facts import PlanQuotes
from orchestration.execution.decide.gate.reservation import HedgeReservation
from orchestration.execution.decide.gate.venue_states import VenueFacts
from orchestration.execution.decide.hedge_plan import Plan
from streams.market.identity import Venue
from streams.market.limits import LimitValues
from streams.market.trading import MarketInfo, PairState, SwitchState, TiedUp


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """The settings of single checks, in the units of their names; see `streams.setting_groups.gate`."""

    book_age_ms: int
    book_skew_ms: int
    collar_usd: Decimal
    partial_fill_usd: Decimal
    exit_depth_share: Decimal
    settlement_gap_days: Decimal
    reconciled_age_s: Decimal
    disk_mb: int
    stress_loss_e6: int
    venue_state_age_s: Decimal
    fee_schedule_age_s: Decimal
    execution_max_s: Decimal
    game_start_margin_s: int
    taker_delay_ms: int
    clock_skew_ms: int
    key_margin_s: int
    needs_durable_commits: bool


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """The settings that checks compare with.

    Attributes:
        provisional_cap_e6: Most cash in fills that are not confirmed.
        cash_max_age_s: Oldest reading of an account's cash that is believed.
        long_capital_e6: Most that may be tied up for long.
    """

    is_trading_on: bool
    cooldown_s: Decimal
    provisional_cap_e6: int
    closing_margin_s: int
    cash_max_age_s: Decimal
    long_capital_e6: int
    checks: CheckPolicy


@dataclass(frozen=True, slots=True)
class CashPot:
    """What one pot of an account holds.

    Attributes:
        shard: None where the venue has one pot.
        read_e6: As the venue said.
        read_at: When it was asked.
        taken_e6: What was spent since, or is held back by other hedges.
    """

    venue: Venue
    shard: int | None
    read_e6: int
    read_at: datetime
    taken_e6: int

    @property
    def free_e6(self) -> int:
        """What a new hedge may use."""
        return self.read_e6 - self.taken_e6


@dataclass(frozen=True, slots=True)
class HouseFacts:
    """What holds on our side.

    Attributes:
        opposing_orders: Orders of ours without a last word that a leg of the hedge could trade with.
        reconciled_at: When each account of the hedge was last found to agree with our books, None: never. Simulated
            accounts are left out.
        free_disk_mb: Of the disk we write to.
        stress_e6: What is tied up by source of resolution.
        sources: Of the hedge's markets.
        lossy_settings: Those of our database by which a commit may be lost ("fsync=off"); none: a commit lasts.
    """

    opposing_orders: int | None
    reconciled_at: Mapping[Venue, datetime | None]
    free_disk_mb: int | None
    stress_e6: Mapping[str, int] | None
    sources: Sequence[str]
    lossy_settings: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class GateFacts:
    """Everything the checks read.

    Attributes:
        needs_approval: False on paper outside of the sandbox, where what the judge proposes is traded.
        decision_state: That the last decision on the group leaves it in; None where nothing is known of it.
        has_text_changed: A text of a market is another one than the decision on it was made on.
        is_tradable: The group may be traded and all its markets are open.
        is_within_life: The decision is young enough for its orders to leave.
        day_result_e6: What trading brought today as the daily limit counts it, this hedge left out.
        orders_last_minute: Orders written within a minute, and `hedges_last_minute` hedges held back.
        edge_usd: The hedge's net edge per contract at its best level.
        released_edge_usd: Up to which edge a person lets this signal be taken; None if nobody has looked.
        long_e6: What is tied up for long, and `is_long` whether this hedge's capital would be.
        events: The event of each market by "venue:market_id".
        hedge: What is to be held back; None while nothing is decided yet, before books are read.
        pots: By venue.
        plan: What the hedge is to do, and `quotes` the books it was decided on.
        markets: Its markets as they are now, by "venue:market_id".
    """

    now: datetime
    policy: GatePolicy
    limits: LimitValues | None
    used: TiedUp | None
    switch: SwitchState | None
    is_tradable: bool | None
    is_pair: bool
    needs_approval: bool
    decision_state: PairState | None
    has_text_changed: bool | None
    is_signal_open: bool | None
    has_leases: bool
    is_within_life: bool
    unknown_orders: int | None
    last_execution_at: datetime | None
    closes_at: Sequence[datetime | None]
    day_result_e6: int | None
    all_unknown_orders: int | None
    orders_last_minute: int | None
    hedges_last_minute: int | None
    edge_usd: Decimal | None = None
    released_edge_usd: Decimal | None = None
    long_e6: int | None = None
    is_long: bool | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    group_id: str = ""
    hedge: HedgeReservation | None = None
    pots: Mapping[Venue, Sequence[CashPot]] | None = None
    plan: Plan | None = None
    quotes: PlanQuotes | None = None
    markets: Mapping[str, MarketInfo] = field(default_factory=dict)
    house: HouseFacts | None = None
    venues: VenueFacts | None = None


def pot_of(pots: Sequence[CashPot], shard: int | None) -> CashPot | None:
    """Return the pot that pays for a market's orders; where its shard is not known, the one with the least in it."""
    if not pots:
        return None
    for pot in pots:
        if pot.shard is None or pot.shard == shard:
            return pot
    return min(pots, key=lambda pot: pot.free_e6) if shard is None else None
