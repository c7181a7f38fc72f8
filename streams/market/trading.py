"""What storage and the deciding rooms say of trading in one language: states, rows and values. PURE.

A row type has one field per column that is read; JSON documents stay JSON. Amounts are integers: prices in 1/10,000
dollar (`_e4`), contracts and cash in 1/1,000,000 (`_e6`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from streams.market.documents import JsonDocument
from streams.market.fees import FeeSchedule, from_json
from streams.market.identity import MarketRef, Outcome, Side, Venue, market_key
from streams.market.listing import MarketTerms
from streams.market.units import cash_e6_of

Action = Literal["buy", "sell"]
Purpose = Literal["open", "complete", "unwind", "complement", "flatten"]
SwitchState = Literal["run", "pause", "reduce", "kill"]
AccountState = Literal["run", "reduce"]
PairState = Literal["approved", "proposed", "rejected", "paused", "lapsed"]
OrderState = Literal["prepared", "sent", "unknown", "resting", "filled", "partial", "canceled", "rejected", "expired"]
FillState = Literal["provisional", "confirmed", "failed"]
RedemptionState = Literal["asked", "taken", "unknown", "busy", "refused"]

UNRESOLVED: tuple[OrderState, ...] = ("prepared", "sent", "unknown", "resting")
"""States of an order on which its venue has not said its last word."""
ABSENT = "the venue never saw it"
"""Reason of an order that was abandoned because its venue did not know it."""


class ExecutionState(StrEnum):
    """Where an execution is."""

    PLANNED = "PLANNED"
    OPENING = "OPENING"
    COMPLETING = "COMPLETING"
    UNWINDING = "UNWINDING"
    HEDGED = "HEDGED"
    FLAT = "FLAT"
    ESCALATED = "ESCALATED"
    SETTLED = "SETTLED"


OPEN_STATES = (
    ExecutionState.PLANNED,
    ExecutionState.OPENING,
    ExecutionState.COMPLETING,
    ExecutionState.UNWINDING,
)
"""States of an execution that somebody must work on."""
ENDED_STATES = (ExecutionState.HEDGED, ExecutionState.FLAT, ExecutionState.ESCALATED)
"""States of an execution that nobody works on and that may still hold something."""


class RefusalReason(StrEnum):
    """Why an opportunity was not taken. Stored in `trading.refusals.reason`."""

    PAUSED = "paused"
    REDUCING = "reducing"
    KILLED = "killed"
    TRADING_OFF = "trading_off"
    NOT_TRADABLE = "not_tradable"
    PAIR_NOT_APPROVED = "pair_not_approved"
    LAPSED = "lapsed"
    ALREADY_EXECUTED = "already_executed"
    SIGNAL_CLOSED = "signal_closed"
    NO_LEASE = "no_lease"
    UNKNOWN_ORDER_ON_MARKET = "unknown_order_on_market"
    STALE_BOOK = "stale_book"
    EDGE_GONE = "edge_gone"
    BELOW_MINIMUM = "below_minimum"
    LIMIT_ORDER = "limit_order"
    LIMIT_MARKET = "limit_market"
    LIMIT_PAIR = "limit_pair"
    LIMIT_EVENT = "limit_event"
    LIMIT_VENUE = "limit_venue"
    LIMIT_TOTAL = "limit_total"
    UNKNOWN_ORDERS = "unknown_orders"
    ORDER_RATE = "order_rate"
    EDGE_TOO_GOOD = "edge_too_good"
    LIMIT_LONG = "limit_long"
    NOT_WORTH = "not_worth"
    RETURN_TOO_LOW = "return_too_low"
    TIED_TOO_LONG = "tied_too_long"
    DAILY_LOSS = "daily_loss"
    PROVISIONAL_CAP = "provisional_cap"
    COOLDOWN = "cooldown"
    BALANCE = "balance"
    CLOSING_SOON = "closing_soon"
    PRICE_COLLAR = "price_collar"
    OFF_GRID = "off_grid"
    PARTIAL_FILL = "partial_fill"
    EXIT_DEPTH = "exit_depth"
    SETTLEMENT_DATES = "settlement_dates"
    SELF_CROSS = "self_cross"
    NOT_RECONCILED = "not_reconciled"
    DISK = "disk"
    NOT_DURABLE = "not_durable"
    KEY = "key"
    LIMIT_STRESS = "limit_stress"
    FEES = "fees"
    VENUE_UNAVAILABLE = "venue_unavailable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class TiedUp:
    """Cash (1e-6 dollar) in open executions, with what they and unresolved orders hold back.

    What a hedge holds back besides its legs counts in each of its markets, and once in the sums.
    """

    by_market_e6: Mapping[tuple[str, str], int]
    by_group_e6: Mapping[str, int]
    by_event_e6: Mapping[tuple[str, str], int]
    by_venue_e6: Mapping[str, int]
    total_e6: int
    provisional_e6: int


# -- markets, market groups and signals --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A market as an order needs to know it."""

    venue: Venue
    market_id: str
    terms: MarketTerms
    schedule: FeeSchedule

    @property
    def key(self) -> str:
        """The market's name "venue:market_id"."""
        return market_key(self.venue, self.market_id)


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """What must be known of a market to trade it. `settlement_e4` is what one YES pays, None until known.

    `text_hash` is over its texts as they are now; `category` is the venue's word.
    """

    venue: Venue
    market_id: str
    terms: MarketTerms
    status: str
    close_time: datetime | None
    expected_settle_time: datetime | None
    settlement_e4: int | None
    event_id: str = ""
    text_hash: str = ""
    category: str = ""

    @property
    def key(self) -> str:
        """The market's name "venue:market_id"."""
        return market_key(self.venue, self.market_id)

    @property
    def final_e4(self) -> int | None:
        """What one YES pays finally: what is only determined may still be disputed."""
        return None if self.status in ("determined", "unknown") else self.settlement_e4

    @property
    def target(self) -> Target:
        """The market as orders need it."""
        return Target(self.venue, self.market_id, self.terms, from_json(self.venue, self.terms.fee_schedule))


@dataclass(frozen=True, slots=True)
class MarketGroup:
    """A row of `trading.groups` with the state that the last decision on it leaves it in.

    Attributes:
        outcomes: Allowed outcomes as `crossbook edges` takes them; ids are "venue:market_id".
        decision_state: None where nothing is known of its pair, or it has ended.
    """

    group_id: str
    kind: str
    markets: tuple[MarketRef, ...]
    outcomes: list[Any]
    is_tradable: bool
    ended_at: datetime | None
    decision_state: PairState | None

    def is_allowed(self, *, needs_approval: bool) -> bool:
        """Whether the last decision on it lets it be traded; where none is needed, any but an approval forbids it."""
        return self.decision_state == "approved" or (not needs_approval and self.decision_state == "proposed")

    @property
    def market_keys(self) -> list[str]:
        """Its markets as "venue:market_id", in their order."""
        return [market.key for market in self.markets]


@dataclass(frozen=True, slots=True)
class SignalLeg:
    """A leg of a signal, at the peak."""

    venue: Venue
    market_id: str
    outcome: Outcome
    limit_price_e4: int
    size_e6: int

    @property
    def market_key(self) -> str:
        """Its market's name "venue:market_id"."""
        return market_key(self.venue, self.market_id)


@dataclass(frozen=True, slots=True)
class Signal:
    """A row of `trading.signals` with its legs in order and the number of executions on it so far (`attempts`)."""

    signal_id: int
    group_id: str
    closed_at: datetime | None
    updated_at: datetime
    attempts: int
    legs: tuple[SignalLeg, ...]


# -- looking for orders ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BootTime:
    """A moment on the clock that nobody sets: milliseconds since a boot of a machine, whose name stands beside it."""

    boot: str
    ms: int

    def since_ms(self, earlier: BootTime | None) -> int | None:
        """Return the milliseconds since an earlier moment; None where it is of another boot, or no earlier one."""
        if earlier is None or earlier.boot != self.boot or earlier.ms > self.ms:
            return None
        return self.ms - earlier.ms


@dataclass(frozen=True, slots=True)
class OrderWatch:
    """How far the looking for an order has come. All its times are of one boot, that of `since`.

    Attributes:
        since: When it was sent, or, after a reboot, when it was first looked for again; None: nobody has looked yet.
        looked: When it was last looked for.
        absent_reads: Complete lists of the venue, read past the waiting time, that did not show it.
        is_seen: The venue has shown it, or said that it has it: it can never be absent again.
        cancelled: When its cancel was last asked for.
    """

    order_id: int
    venue: Venue
    since: BootTime | None = None
    looked: BootTime | None = None
    absent_reads: int = 0
    is_seen: bool = False
    cancelled: BootTime | None = None


@dataclass(frozen=True, slots=True)
class Siblings:
    """Our other orders on a market by their venue's ids, to judge a list by that does not show the one looked for.

    Attributes:
        known: All of them: whatever else is listed there may be the one looked for.
        must_show: Those of the same days that have filled: a list without one of them is not whole.
    """

    known: frozenset[str] = frozenset()
    must_show: frozenset[str] = frozenset()


# -- executions, orders and fills --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """A row of `trading.executions`. `detail` is read through `decide.execution_detail.ExecutionDetail`."""

    execution_id: int
    signal_id: int
    attempt: int
    group_id: str
    environment: str
    mode: str
    state: ExecutionState
    run_id: str
    epoch: int
    edge_usd: Decimal
    contracts_e6: int
    started_at: datetime
    flat_at: datetime | None
    settled_at: datetime | None
    expected_pnl_e6: int | None
    realised_pnl_e6: int | None
    detail: JsonDocument
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether somebody must work on it."""
        return self.state in OPEN_STATES


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of `trading.orders` with what its intent says.

    Attributes:
        spend_e6: Dollars of a buy that is given in dollars, None elsewhere.
        reserved_e6: Most cash it can take, fees included; of a sale only the fees.
        filled_e6: Contracts of its fills that were read and have not failed; `cash_e6`, `fee_e6`: their amounts.
        cash_e6: Paid (buy) or received (sell) for what filled, without fees, at least 0.
        answered_e6: Contracts that have filled at least by the venue's answer, with their cash and our own figure of
            their fee; `is_answered_final`: the answer is proof that no more of it can fill.
        seen_e6: Contracts of all its fills that were read, of those that failed too.
    """

    order_id: int
    execution_id: int
    leg_no: int
    purpose: Purpose
    venue: Venue
    market_id: str
    outcome: Outcome
    action: Action
    limit_price_e4: int
    size_e6: int
    spend_e6: int | None
    reserved_e6: int
    client_order_id: str
    venue_order_id: str | None
    state: OrderState
    reason: str
    filled_e6: int
    cash_e6: int
    fee_e6: int
    answered_e6: int
    answered_cash_e6: int
    answered_fee_e6: int
    is_answered_final: bool
    seen_e6: int
    prepared_at: datetime
    sent_at: datetime | None
    environment: str

    @property
    def market_key(self) -> str:
        """Its market's name "venue:market_id"."""
        return market_key(self.venue, self.market_id)

    @property
    def is_buy(self) -> bool:
        """Whether it buys contracts."""
        return self.action == "buy"

    @property
    def is_resolved(self) -> bool:
        """Whether the venue has said its last word on it."""
        return self.state not in UNRESOLVED

    @property
    def has_ended(self) -> bool:
        """Whether no more of it can fill: the venue's answer or a reading is proof."""
        return self.is_resolved or self.is_answered_final

    @property
    def unread_e6(self) -> int:
        """Contracts that have filled by the venue's answer and whose fills were not read yet."""
        return max(0, self.answered_e6 - self.seen_e6)

    @property
    def known_e6(self) -> int:
        """Contracts that have filled, by the fills that were read and by the answer for the rest."""
        return self.filled_e6 + self.unread_e6

    @property
    def was_abandoned(self) -> bool:
        """Whether it counts as never seen by its venue."""
        return self.state == "expired" and self.reason == ABSENT

    @property
    def left_at(self) -> datetime:
        """When it was sent; when it was prepared if it was not."""
        return self.sent_at or self.prepared_at

    @property
    def spent_e6(self) -> int:
        """Cash that left for `known_e6`, fees included; negative for a sale. What was not read counts by its part."""
        spent = self.cash_e6 + self.fee_e6 if self.is_buy else self.fee_e6 - self.cash_e6
        if not self.unread_e6:
            return spent
        answered = self.answered_fee_e6 + (self.answered_cash_e6 if self.is_buy else -self.answered_cash_e6)
        return spent - (-answered * self.unread_e6 // self.answered_e6)

    @property
    def rest_e6(self) -> int:
        """Contracts that may still fill."""
        return 0 if self.has_ended else max(0, self.size_e6 - self.known_e6)

    @property
    def rest_spent_e6(self) -> int:
        """The worst cash that what may still fill takes: the rest of the reservation, or minus the least proceeds."""
        if not self.rest_e6:
            return 0
        if self.is_buy:
            return max(0, self.reserved_e6 - self.spent_e6)
        return -max(0, cash_e6_of(self.limit_price_e4, self.rest_e6, paying=False) - self.reserved_e6)


@dataclass(frozen=True, slots=True)
class NewFill:
    """One executed piece as the venue states it; amounts in 1e-6, at least 0 except a rebated fee.

    Attributes:
        computed_fee_e6: What our own arithmetic says the fee is, None where nothing is compared: the venue does not
            state a fee, or it was not computed.
        is_fee_stated: The venue states the fee; else it is computed by the schedule of the day it was read.
    """

    venue_fill_id: str
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    state: FillState
    filled_at: datetime
    payload: dict[str, Any]
    computed_fee_e6: int | None = None
    is_fee_stated: bool = True


@dataclass(frozen=True, slots=True)
class LevelTaken:
    """What a paper fill took of a level of a real book, YES terms, and the size which that level showed."""

    side: Side
    price_e4: int
    shown_e6: int
    taken_e6: int
