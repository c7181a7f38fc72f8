"""What the venues paid, booked: ledger entries of settlements, executions realised, balances compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.execution.booking import book_entries
from orchestration.execution.decide.ledger import Entry, Lot, netting_target_e6, payout_e6, settlement_entries
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import Gateway, Payout
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.identity import Venue, market_key
from streams.market.trading import ExecutionState
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection
from streams.storage.discovered.sweeps import keep_unreadable, save_dead_letters_once
from streams.storage.store import executions
from streams.storage.store.ledger import (
    Holding,
    has_entry,
    held_markets,
    ledger_cash_e6,
    lock_market,
    market_holdings,
)
from streams.storage.store.market_groups import load_market_infos
from streams.storage.store.settlement import NewBalance, count_in_flight, write_balance

_LOOK_BACK = timedelta(days=7)


@dataclass(slots=True)
class Settled:
    """What one settlement cycle booked."""

    markets: int = 0
    entries: int = 0
    executions: int = 0
    paid_e6: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """A venue's cash and what our ledger says. `in_flight`: orders or fills that may explain a difference."""

    venue: Venue
    cash_e6: int
    ledger_cash_e6: int
    in_flight: int

    @property
    def difference_e6(self) -> int:
        """Venue less ledger."""
        return self.cash_e6 - self.ledger_cash_e6


async def ensure_deposits(connection: Connection, context: TradingContext) -> None:
    """Book what an account held before we first used it, once per venue and mode.

    Raises:
        StreamsError: If an account's cash could not be read; the others are booked.
    """
    failures = _Failures(connection)
    for venue, gateway in context.gateways.items():
        if not _has_deposit(connection, context, venue):
            with failures.noted(venue):
                entry = Entry(_deposit_key(venue), "deposit", venue, None, None, await gateway.cash_e6())
                book_entries(connection, context, [entry], datetime.now(UTC))
    failures.raise_first()


def _deposit_key(venue: Venue) -> str:
    return f"deposit:{venue}:first"


def _has_deposit(connection: Connection, context: TradingContext, venue: Venue) -> bool:
    return has_entry(connection, _deposit_key(venue), context.mode)


class _Failures:
    """What single venues failed with, while the others were worked on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._errors: list[StreamsError] = []

    @contextmanager
    def noted(self, venue: Venue) -> Iterator[None]:
        """Note what a venue fails with, and keep what could not be read."""
        try:
            yield
        except StreamsError as error:
            self._errors.append(error)
            get_logger().warning("an account could not be read", venue=venue.value, error=str(error))
            keep_unreadable(self._connection, venue, error)

    def raise_first(self) -> None:
        """Raise the first failure, if there was one."""
        if self._errors:
            raise self._errors[0]


async def settle(connection: Connection, context: TradingContext) -> Settled:
    """Book every payout of markets we hold, and realise the executions that hold nothing any more."""
    result = Settled()
    for venue, gateway in context.gateways.items():
        held = held_markets(connection, context.mode, venue)
        if not held:
            continue
        keys = {market_id: market_key(venue, market_id) for market_id in held}
        known = load_market_infos(connection, list(keys.values()))
        settlements = {market_id: known[key].final_e4 if key in known else None for market_id, key in keys.items()}
        try:
            payouts = await gateway.payouts(settlements, datetime.now(UTC) - _LOOK_BACK)
        except StreamsError as error:
            result.errors += 1
            get_logger().warning("payouts could not be read", venue=venue.value, error=str(error))
            keep_unreadable(connection, venue, error)
            continue
        result.errors += len(payouts.unreadable)
        if payouts.unreadable:
            save_dead_letters_once(connection, venue, payouts.unreadable, datetime.now(UTC))
        booker = _Booker(connection, context, gateway, result)
        for payout in payouts:
            if payout.market_id in settlements:
                booker.book(payout)
        for market_id in set(settlements) - {payout.market_id for payout in payouts}:
            value = settlements[market_id]
            if value is not None:  # what a venue has netted away entirely it does not list as settled
                booker.book(Payout(market_id, value, 0, datetime.now(UTC)), only_if_flat=True)
    result.executions += _realise(connection, context.mode)
    return result


@dataclass(frozen=True, slots=True)
class _Booker:
    """Books the payouts of one venue and counts them."""

    connection: Connection
    context: TradingContext
    gateway: Gateway
    result: Settled

    def book(self, payout: Payout, *, only_if_flat: bool = False) -> None:
        """Write a market's entries. A payout of unknown amount is booked as computed, but not before it has arrived."""
        venue, market_id = self.gateway.venue, payout.market_id
        with self.connection.transaction():
            lock_market(self.connection, venue, market_id)
            held = market_holdings(self.connection, self.context.mode, venue, market_id)
            due = _due_e6(venue, held, payout.settlement_e4)
            is_awaited = payout.paid_e6 is None and TRAITS[venue].pays_on_redemption and not self.gateway.is_simulated
            if due and (only_if_flat or is_awaited):
                return
            entries = settlement_entries(
                venue,
                market_id,
                payout.settlement_e4,
                _lots(held),
                advance_e6=sum(holding.cash_e6 for holding in held if holding.outcome is None),
                paid_e6=due if payout.paid_e6 is None else payout.paid_e6,
            )
            book_entries(self.connection, self.context, entries, payout.settled_at)
        self.result.markets += 1
        self.result.entries += len(entries)
        self.result.paid_e6 += sum(entry.cash_e6 for entry in entries)


def _due_e6(venue: Venue, holdings: Sequence[Holding], settlement_e4: int) -> int:
    """Return what the venue owes: on Kalshi for the net position, on Polymarket for each token; rounded once each."""
    yes, no = (
        sum(holding.contracts_e6 for holding in holdings if holding.outcome == outcome) for outcome in ("yes", "no")
    )
    matched = netting_target_e6(venue, yes, no)
    return payout_e6("yes", yes - matched, settlement_e4) + payout_e6("no", no - matched, settlement_e4)


def _lots(holdings: Sequence[Holding]) -> list[Lot]:
    return [
        Lot(holding.execution_id, holding.outcome, holding.contracts_e6)
        for holding in holdings
        if holding.outcome is not None
    ]


def _realise(connection: Connection, mode: str) -> int:
    """Give every ended execution that holds nothing its realised PnL; what venues paid out becomes SETTLED."""
    closed = 0
    for ended in executions.load_ended(connection, mode):
        with connection.transaction():
            if not executions.close_if_empty(connection, ended.execution_id):
                continue
            closed += 1
            if ended.settlements and ended.state is not ExecutionState.FLAT:
                executions.change_state(connection, ended.execution_id, ExecutionState.SETTLED, "all legs are paid")
    executions.add_late_payments(connection, mode)
    return closed


async def compare_balances(connection: Connection, context: TradingContext) -> list[Balance]:
    """Read every account's cash, write it beside what the ledger says at the same moment, and return both.

    Raises:
        StreamsError: If an account's cash could not be read; the others are written.
    """
    result: list[Balance] = []
    failures = _Failures(connection)
    for venue, gateway in context.gateways.items():
        if not _has_deposit(connection, context, venue):
            continue  # its ledger does not say yet what it began with
        with failures.noted(venue):
            balance = await _compared(connection, context, gateway)
            result += [balance] if balance is not None else []
    failures.raise_first()
    return result


async def _compared(connection: Connection, context: TradingContext, gateway: Gateway) -> Balance | None:
    """Write one account's balance and return it; None if something moved while we looked."""
    venue = gateway.venue
    flying = count_in_flight(connection, context.mode, venue)
    ledger = ledger_cash_e6(connection, venue.value, context.mode)
    cash = await gateway.cash_e6()
    if (
        count_in_flight(connection, context.mode, venue) != flying
        or ledger_cash_e6(connection, venue.value, context.mode) != ledger
    ):
        return None  # the next cycle compares
    detail = {"mode": context.mode, "in_flight": flying}
    write_balance(connection, NewBalance(venue, cash, ledger, context.environment, detail))
    return Balance(venue, cash, ledger, flying)
