"""What trading needs from a venue, whichever it is: the seam between deciding and sending.

Implemented by `kalshi` and `polymarket` (their REST clients), `paper` (simulated fills against real books) and the
fakes of tests.
Errors are those of `streams.market.errors`: Refused (nothing happened), TransientError (nothing happened, try again),
OutcomeUnknown (only reads may follow); and HeldBack, when our own last check kept an order from leaving.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from orchestration.execution.decide.gate.venue_states import AccountState, MarketState, SendingState
from orchestration.execution.decide.risk_checks import Refusal
from streams.market.documents import JsonDocument
from streams.market.errors import OutcomeUnknown, StreamsError, TransientError
from streams.market.events import BookSnapshot
from streams.market.identity import Outcome, Venue
from streams.market.trading import Action, MarketInfo, NewFill, Siblings, Target

MoveKind = Literal["deposit", "withdrawal", "transfer"]
MoveState = Literal["under_way", "done", "failed"]
_ASKED_BY_LOT = 20
_UNANSWERED_MAX = 3


class HeldBack(StreamsError):
    """The last check kept an order from leaving: nothing was sent.

    Attributes:
        refusal: Why.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.reason}: {refusal.detail}" if refusal.detail else str(refusal.reason))
        self.refusal = refusal


class OrderExists(OutcomeUnknown):
    """The venue says that it has an order of this id already: only reads tell what became of it."""


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """One order that takes what is there: contracts at a limit, or dollars (`spend_e6`) where buys spend dollars.

    `is_reduce_only`: the venue is to fill no more than what brings our position towards zero, where it can be told so.
    """

    target: Target
    outcome: Outcome
    action: Action
    limit_price_e4: int
    size_e6: int
    spend_e6: int | None = None
    is_reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class PreparedOrder:
    """An order ready to be sent: the id that makes a second sending recognisable, and the exact request (JSON).

    `last_check` raises `HeldBack` when the order must not leave; it is called as the last act before bytes do.
    `deadline`: when its decision's life ends (monotonic seconds): no turn in a request budget after that is waited for.
    `spec` is what the venue's answer is read against; without it the answer's amounts are not read.
    """

    client_order_id: str
    request: JsonDocument
    last_check: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    deadline: float | None = field(default=None, compare=False)
    spec: OrderSpec | None = field(default=None, repr=False, compare=False)

    def check(self) -> None:
        """Make the last check, if there is one.

        Raises:
            HeldBack: If the order must not leave.
        """
        if self.last_check is not None:
            self.last_check()


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What a venue answered to an order, as far as it can be meant.

    Attributes:
        venue_order_id: The venue's id, None where the answer has none.
        is_final: The answer is proof of the end: no more of the order can fill, and the amounts are all that did.
        filled_e6: Contracts that have filled at least.
        cash_e6: What they cost (buy) or brought (sell) without fees; a rounded price counts against us.
        fee_e6: Their fee by the market's schedule; what the venue really took stands in the fills, read later.
    """

    venue_order_id: str | None
    is_final: bool = False
    filled_e6: int = 0
    cash_e6: int = 0
    fee_e6: int = 0


@dataclass(frozen=True, slots=True)
class OrderKey:
    """How to find an order again."""

    client_order_id: str
    venue_order_id: str | None
    target: Target
    outcome: Outcome
    action: Action
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class OrderReading:
    """What a venue says about an order now.

    Attributes:
        is_found: The venue knows it. Not found proves nothing by itself: reads lag behind writes.
        is_final: No more of it can fill.
        filled_e6: Contracts filled as the order says, None where only its fills say it.
        fills: All its fills that can be seen; may still lag behind `filled_e6`.
        behind_s: Of a search that did not find it: how far the lists, which were read to their end, may lie behind the
            venue's present (seconds). None: they were not whole, or how old they are is not known.
    """

    is_found: bool
    is_final: bool = False
    venue_order_id: str | None = None
    filled_e6: int | None = None
    fills: tuple[NewFill, ...] = ()
    status: str = ""
    behind_s: float | None = None


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order of the account that may still fill, whoever sent it. `client_order_id` is empty where it has none."""

    venue_order_id: str
    client_order_id: str
    market_id: str
    remaining_e6: int
    payload: JsonDocument = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountFill:
    """A fill of the account, whoever sent its order.

    Attributes:
        outcome: What was traded; None where only its token says so.
        token_id: Of the outcome, empty where it is not named by one.
    """

    venue: Venue
    venue_order_id: str
    market_id: str
    outcome: Outcome | None
    token_id: str
    action: Action
    is_taker: bool
    fill: NewFill


@dataclass(frozen=True, slots=True)
class AccountMove:
    """Cash that a venue says has come to the account, has left it, or was moved between its exchange shards.

    Attributes:
        move_id: The venue's name of it.
        kind: deposit, withdrawal or transfer.
        amount_e6: By how much cash changed, or what was moved; at least 0.
        state: done, or under_way; failed: it was taken back where it had been done.
        at: When it was so last.
        source / target: Exchange shards; of a deposit or a withdrawal that of the cash, None where it is not said.
    """

    move_id: str
    kind: MoveKind
    amount_e6: int
    state: MoveState
    at: datetime
    source: int | None = None
    target: int | None = None


@dataclass(frozen=True, slots=True)
class AwaitedMarket:
    """A market whose payout is looked for.

    Attributes:
        known_e4: What one YES pays finally as the catalogue has it, None where it does not say.
        is_over: It may have paid as far as the catalogue knows; one that is not may have closed early.
    """

    market_id: str
    known_e4: int | None
    is_over: bool


def budget_left(orders_left: Callable[[], int]) -> int | None:
    """Return how many orders a request budget lets leave at once; None where it cannot be read."""
    try:
        return orders_left()
    except TransientError:
        return None


def to_ask_by_name(markets: Sequence[AwaitedMarket], seen: Collection[str]) -> list[AwaitedMarket]:
    """Return the markets beyond those seen that a venue is asked for one by one.

    All whose final value is known; of those that are over and wait for one, which may be many for long, some by lot.
    None stands always before the others: a venue that stops answering is asked for no more.
    """
    rest = [market for market in markets if market.market_id not in seen]
    known = [market for market in rest if market.known_e4 is not None]
    waiting = [market for market in rest if market.known_e4 is None and market.is_over]
    return [*random.sample(known, len(known)), *random.sample(waiting, min(len(waiting), _ASKED_BY_LOT))]


@dataclass(frozen=True, slots=True)
class Payout:
    """A market that paid.

    Attributes:
        settlement_e4: What one YES was worth.
        paid_e6: What the venue says it has paid us for all we held at the result; None: it does not say.
        settled_at: When it paid, None where the venue does not say.
    """

    market_id: str
    settlement_e4: int
    paid_e6: int | None
    settled_at: datetime | None
    payload: JsonDocument = field(default_factory=dict)


@dataclass(slots=True)
class Payouts:
    """What a venue says about payouts; a market whose answer could not be had or read stands under `failed`."""

    found: list[Payout] = field(default_factory=list)
    failed: dict[str, StreamsError] = field(default_factory=dict)

    @property
    def is_away(self) -> bool:
        """Whether so many calls went unanswered that the rest waits for the next cycle."""
        return sum(isinstance(error, TransientError) for error in self.failed.values()) >= _UNANSWERED_MAX


class Gateway(Protocol):
    """One venue account."""

    venue: Venue
    buys_spend_dollars: bool
    """Buys are given in dollars (whole cents) and fill contracts; hedges must be sized from the fills."""
    is_simulated: bool
    """Nothing is sent: fills are computed from real books, and what a market pays is taken as paid at once."""

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        """Return books by market id, fresh from the venue. Markets without one are left out."""

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        """Build (and sign) an order. Called once per intent, before anything is written or sent."""

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        """Send it once; returns what the answer says of it.

        Its check is made when everything but the sending is done: after waits for budget, signature and connection.

        Raises:
            HeldBack: If the check says so; nothing has left then.
            Refused: It was refused, or killed because there was nothing to take: the end, and nothing filled.
            OrderExists: If the venue says that it has such an order already.
            OutcomeUnknown: It may have filled.
        """

    async def read(self, key: OrderKey) -> OrderReading:
        """Ask the venue what became of an order."""

    async def search(self, key: OrderKey, siblings: Siblings) -> OrderReading:
        """Look for an order that `read` does not find in everything the venue lists, to the end of its lists.

        Raises:
            StreamsError: If a list could not be read, or not all of it: nothing is known then.
        """

    async def cancel(self, key: OrderKey) -> None:
        """Ask for a cancel of what may rest; no error when there is nothing to cancel."""

    async def cancel_all(self) -> None:
        """Ask for a cancel of everything that rests on the account; `open_orders` tells what became of it."""

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Return what may still fill on the account, also what others than us have sent. Reads lag behind writes."""

    async def fills_since(self, since: datetime) -> Sequence[AccountFill]:
        """Return the account's fills since a time, also of orders that others than us have sent.

        Raises:
            IncompleteList: If one cannot be read.
        """

    async def moves_since(self, since: datetime) -> Sequence[AccountMove]:
        """Return what has moved the account's cash without an order since a time.

        Raises:
            IncompleteList: If one cannot be read.
        """

    async def client_order_id(self, venue_order_id: str) -> str:
        """Return the id that whoever sent an order gave it, empty where there is none or the order is not known."""

    async def positions(self) -> Mapping[tuple[str, Outcome], int]:
        """Return the contracts that the account holds, by market and outcome.

        Where the venue nets YES and NO of a market, YES less NO stands under `yes`. What has settled worthless is left
        out.
        """

    async def cash_e6(self) -> int:
        """Return the account's cash."""

    async def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return the cash that orders can use, by exchange shard; under None where the venue has one pot."""

    async def account_state(self) -> AccountState:
        """Return what the venue says of itself and of the account now; what it does not state is None."""

    def sending_state(self) -> SendingState:
        """Return what is known here of sending orders now; asks nobody."""

    async def market_state(self, market: MarketInfo) -> MarketState:
        """Return what the venue says of a market now: status, fees, step of prices, times, delay."""

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        """Return which of these markets have paid, however long ago. What a venue does not list is left out."""

    async def redeem(self, target: Target) -> str:
        """Ask for what a resolved market owes the account, where that does not come by itself.

        All that is held of the market is paid; asked again, nothing happens. Returns the name of the transaction.

        Raises:
            Refused: Nobody who could be asked is known, or the answer is no.
            OutcomeUnknown: It may happen.
        """
