"""What the venues paid, booked: ledger entries of settlements, executions realised, balances compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from orchestration.execution.booking import book_facts, book_missing, book_owed, load_market_account
from orchestration.execution.decide.ledger import CashMove, split_by_shard
from orchestration.execution.decide.market_account import Result
from orchestration.execution.decide.postings import Entry
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import AwaitedMarket, Gateway, Payout
from streams.logs import get_logger
from streams.market.errors import OutcomeUnknown, Refused, StreamsError
from streams.market.identity import Venue, market_key
from streams.market.trading import ExecutionState, MarketInfo
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection
from streams.storage.discovered.sweeps import keep_unreadable
from streams.storage.kill_files import switch_in_force
from streams.storage.store import executions
from streams.storage.store.ledger import has_entry, ledger_cash_e6, lock_market
from streams.storage.store.market_groups import load_market_infos
from streams.storage.store.settlement import (
    NewBalance,
    NewRedemption,
    StoredSettlement,
    begin_redemption,
    count_in_flight,
    end_redemption,
    load_settlement,
    markets_to_settle,
    save_settlement,
    write_balance,
)

_CENT_E6 = 10_000
_OVER = ("closed", "determined", "settled")
_BUSY = ("wallet_busy", "nonce_mismatch")
_REDEEM_AGAIN = timedelta(minutes=15)
"""What was signed for the relayer can be carried out for ten minutes; whatever became of it, it is over by then."""


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
                cash, shards = await gateway.cash_e6(), await gateway.cash_by_shard()
                move = CashMove(_deposit_key(venue), "deposit", venue, split_by_shard(cash, shards))
                book_facts(connection, context, [move], datetime.now(UTC))
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
    """Book what markets have paid, have redeemed what does not come by itself, and realise what holds nothing any more.

    Looked at is what is held, from the oldest on, and what has paid and is to be read again; nothing else.
    """
    result = Settled()
    for gateway in context.gateways.values():
        await _Settling(connection, context, gateway, result).run()
    result.executions += _realise(connection, context.mode)
    return result


class _Settling:
    """Settles the markets of one venue and counts what it did."""

    def __init__(self, connection: Connection, context: TradingContext, gateway: Gateway, result: Settled) -> None:
        self._connection = connection
        self._context = context
        self._gateway = gateway
        self._result = result
        self._venue = gateway.venue
        self._awaits_redemption = TRAITS[gateway.venue].pays_on_redemption and not gateway.is_simulated
        self._is_wallet_busy = False

    async def run(self) -> None:
        """Read what has paid and book it, market by market; one that fails costs itself."""
        names = markets_to_settle(self._connection, self._context.mode, self._venue)
        if not names:
            return
        keys = {name: market_key(self._venue, name) for name in names}
        known = load_market_infos(self._connection, list(keys.values()))
        infos = {name: known.get(key) for name, key in keys.items()}
        now = datetime.now(UTC)
        answer = await self._gateway.payouts([_awaited(name, info, now) for name, info in infos.items()])
        for name, error in answer.failed.items():
            self._note("payouts could not be read", name, error)
            keep_unreadable(self._connection, self._venue, error)
        found = {payout.market_id: payout for payout in answer.found}
        for name, info in infos.items():
            payout, final_e4 = found.get(name), None if info is None else info.final_e4
            try:
                if payout is not None:
                    self._book(payout, now)
                elif final_e4 is not None and name not in answer.failed:
                    # What a venue has netted away entirely it does not list as settled.
                    self._book(Payout(name, final_e4, None, None), now, only_if_nothing_is_due=True)
                if info is not None and final_e4 is not None and self._awaits_redemption:
                    await self._redeem(info, final_e4)
            except StreamsError as error:
                self._note("a market could not be settled", name, error)

    def _note(self, what: str, market_id: str, error: StreamsError) -> None:
        self._result.errors += 1
        get_logger().warning(what, venue=self._venue.value, market_id=market_id, error=str(error))

    def _book(self, payout: Payout, read_at: datetime, *, only_if_nothing_is_due: bool = False) -> None:
        """Book what a market's payout changes. One of unknown amount is booked as computed, once it has arrived."""
        connection, mode, market_id = self._connection, self._context.mode, payout.market_id
        with connection.transaction():
            lock_market(connection, self._venue, market_id)
            before = load_settlement(connection, mode, self._venue, market_id)
            payout = _newer(self._venue, before, payout, read_at)
            account = load_market_account(connection, self._context, self._venue, market_id)
            due = account.due_e6(payout.settlement_e4)
            if due and only_if_nothing_is_due:
                return
            if self._awaits_redemption and payout.paid_e6 is None:
                if abs(due) >= _CENT_E6 and before is None:
                    owed = Result(payout.settlement_e4)
                    self._result.entries += len(book_owed(connection, self._context, account, owed, read_at))
                    return
                payout = replace(payout, paid_e6=0)
            result = Result(payout.settlement_e4, payout.paid_e6)
            at = payout.settled_at or read_at
            entries = book_missing(connection, self._context, account, result, at)
            booked = StoredSettlement(
                market_id,
                payout.settlement_e4,
                payout.paid_e6,
                payout.settled_at,
                read_at if before is None else max(read_at, before.read_at),
                is_due=self._awaits_redemption and due - (payout.paid_e6 or 0) >= _CENT_E6,
            )
            save_settlement(connection, mode, self._venue, booked)
            if before is not None and before.settlement_e4 != payout.settlement_e4:
                self._note_correction(before.settlement_e4, payout, entries)
        self._result.markets += bool(entries)
        self._result.entries += len(entries)
        self._result.paid_e6 += sum(entry.cash_e6 for entry in entries)

    def _note_correction(self, was_e4: int, payout: Payout, entries: Sequence[Entry]) -> None:
        get_logger().warning("a result was corrected", market_id=payout.market_id, was_e4=was_e4)
        what = f"the result of {payout.market_id} was corrected"
        detail = {"was_e4": was_e4, "settlement_e4": payout.settlement_e4}
        for execution_id in sorted({entry.execution_id for entry in entries if entry.execution_id is not None}):
            executions.note_event(self._connection, execution_id, what, detail)

    async def _redeem(self, info: MarketInfo, final_e4: int) -> None:
        """Ask for what a resolved market owes and has not paid; at most once within the life of a transaction."""
        connection, mode = self._connection, self._context.mode
        if self._is_wallet_busy or switch_in_force(connection, self._context.settings.home_dir) == "kill":
            return
        with connection.transaction():
            lock_market(connection, self._venue, info.market_id)
            paid = load_settlement(connection, mode, self._venue, info.market_id)
            account = load_market_account(connection, self._context, self._venue, info.market_id)
            due = account.due_e6(final_e4) - (0 if paid is None else paid.paid_e6 or 0)
            if due < _CENT_E6:
                return
            wanted = NewRedemption(mode, self._venue, info.market_id, due, self._context.environment)
            asked = begin_redemption(connection, wanted, not_within=_REDEEM_AGAIN)
        if asked is None:
            return
        try:
            end_redemption(connection, asked, "taken", transaction_id=await self._gateway.redeem(info.target))
        except OutcomeUnknown as error:
            end_redemption(connection, asked, "unknown", reason=str(error))
        except StreamsError as error:
            # A wallet carries out one transaction after the other; the next cycle asks again.
            self._is_wallet_busy = isinstance(error, Refused) and error.code in _BUSY
            end_redemption(connection, asked, "busy" if self._is_wallet_busy else "refused", reason=str(error))


def _awaited(market_id: str, info: MarketInfo | None, now: datetime) -> AwaitedMarket:
    """Return what a venue is asked for; a market that nothing is known of may be over."""
    if info is None:
        return AwaitedMarket(market_id, None, is_over=True)
    is_over = info.status in _OVER or (info.close_time is not None and info.close_time <= now)
    return AwaitedMarket(market_id, info.final_e4, is_over)


def _newer(venue: Venue, before: StoredSettlement | None, payout: Payout, read_at: datetime) -> Payout:
    """Return what is to be booked: a reading, or what is booked already where the reading is older.

    Answers come late and from caches. What was read before the booked reading began, or settled before what is booked
    did, changes nothing; and what redemptions have paid never becomes less.
    """
    if before is None:
        return payout
    booked = Payout(before.market_id, before.settlement_e4, before.paid_e6, before.settled_at)
    if read_at < before.read_at:
        return booked
    if TRAITS[venue].pays_on_redemption:
        paid = [amount for amount in (before.paid_e6, payout.paid_e6) if amount is not None]
        return replace(payout, paid_e6=max(paid, default=None), settled_at=payout.settled_at or before.settled_at)
    is_older = before.settled_at is not None and (payout.settled_at is None or payout.settled_at < before.settled_at)
    return booked if is_older else payout


def _realise(connection: Connection, mode: str) -> int:
    """Give every ended execution that holds nothing its realised PnL; what venues paid out becomes SETTLED."""
    closed = 0
    for ended in executions.load_ended(connection, mode):
        with connection.transaction():
            if not executions.close_if_empty(connection, ended.fence):
                continue
            closed += 1
            if ended.settlements and ended.state is not ExecutionState.FLAT:
                executions.change_state(connection, ended.fence, ExecutionState.SETTLED, "all legs are paid")
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
