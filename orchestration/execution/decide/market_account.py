"""What should stand in the ledger for one market of an account, what does, and the entries of the difference. PURE.

Settlement has no order and no once-only key: a fill, a failed fill, a payout or a corrected result may come late, twice
or in any order, and after each of them the same function gives what is missing. Booked once, it gives nothing any more.

    of each trade and outcome   contracts traded are taken off at what they pay (kind `settlement`)
    of the market as a whole    what the venue has paid less what the trades were given (kind `adjustment`): before the
                                result the dollars of matched contracts that were paid early, after it the rounding:
                                what the venue keeps because it pays the account's net position in whole steps
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from orchestration.execution.decide.ledger import Entry, netting_target_e6, payout_e6
from streams.market.identity import Outcome, Venue


@dataclass(frozen=True, slots=True)
class Lot:
    """What stands in the ledger for one outcome of a market and one trade.

    Attributes:
        execution_id: The trade, None for what belongs to none.
        traded_e6: Contracts that its fills have moved, those that failed taken off.
        settled_e6: Contracts that payouts have moved.
        paid_e6: Cash that payouts have moved.
        payouts: Entries of payouts so far; the next one's key tells them apart.
    """

    execution_id: int | None
    outcome: Outcome
    traded_e6: int
    settled_e6: int = 0
    paid_e6: int = 0
    payouts: int = 0

    @property
    def held_e6(self) -> int:
        """Contracts that stand in the ledger now."""
        return self.traded_e6 + self.settled_e6


@dataclass(frozen=True, slots=True)
class MarketAccount:
    """What stands in the ledger for one market.

    Attributes:
        shared_e6: Cash of the entries that belong to no trade.
        shared_entries: How many of them there are.
        is_ended: Entries of a result stand there.
        payout_step_e6: The venue pays the account for the market in whole steps of this and keeps the rest.
    """

    venue: Venue
    market_id: str
    lots: tuple[Lot, ...] = field(default_factory=tuple)
    shared_e6: int = 0
    shared_entries: int = 0
    is_ended: bool = False
    payout_step_e6: int = 1

    @property
    def traded_e6(self) -> tuple[int, int]:
        """YES and NO that the fills of all trades have moved together."""
        yes, no = (sum(lot.traded_e6 for lot in self.lots if lot.outcome == outcome) for outcome in ("yes", "no"))
        return yes, no

    @property
    def early_e6(self) -> int:
        """What the venue pays before the result, because YES and NO of the market match."""
        return netting_target_e6(self.venue, *self.traded_e6)

    def due_e6(self, settlement_e4: int) -> int:
        """Return what the venue pays at the result where one YES pays that much.

        It is rounded down once for each outcome, and their sum to a whole step; so is a debt, which becomes larger.
        """
        (yes, no), early = self.traded_e6, self.early_e6
        due = payout_e6("yes", yes - early, settlement_e4) + payout_e6("no", no - early, settlement_e4)
        return due - due % self.payout_step_e6


@dataclass(frozen=True, slots=True)
class Result:
    """How a market ended: what one YES pays, and what the venue says it paid us; None: as computed."""

    settlement_e4: int
    paid_e6: int | None = None


def missing_entries(account: MarketAccount, result: Result | None, cause: str = "") -> list[Entry]:
    """Return what should stand in the ledger less what does.

    Args:
        account: What stands there.
        result: How the market ended, None before it has paid; what was booked by one is not taken back without another.
        cause: What has moved (a fill of an order); it names the entry of what is paid early.
    """
    if result is None:
        return [] if account.is_ended else list(_early_entries(account, cause))
    return [*_payout_entries(account, result.settlement_e4), *_shared_entries(account, result)]


def _early_entries(account: MarketAccount, cause: str) -> Iterator[Entry]:
    target = account.early_e6
    if target != account.shared_e6:
        yield _shared(account, f"netting:{account.venue}:{cause}:{target}", target - account.shared_e6)


def _payout_entries(account: MarketAccount, settlement_e4: int) -> Iterator[Entry]:
    for lot in account.lots:
        contracts = -lot.traded_e6 - lot.settled_e6
        cash = payout_e6(lot.outcome, lot.traded_e6, settlement_e4) - lot.paid_e6
        if contracts or cash:
            name = f"settlement:{account.venue}:{account.market_id}:{lot.outcome}:{lot.execution_id}"
            key = _numbered(name, lot.payouts)
            yield Entry(
                key, "settlement", account.venue, account.market_id, lot.outcome, cash, contracts, lot.execution_id
            )


def _shared_entries(account: MarketAccount, result: Result) -> Iterator[Entry]:
    """Take back what was paid early, by an entry of its own, and book what rounding leaves, or has left meanwhile."""
    due = account.due_e6(result.settlement_e4)
    given = sum(payout_e6(lot.outcome, lot.traded_e6, result.settlement_e4) for lot in account.lots)
    should = account.early_e6 + (due if result.paid_e6 is None else result.paid_e6) - given
    stands, entries = account.shared_e6, account.shared_entries
    where = f"{account.venue}:{account.market_id}"
    if not account.is_ended:
        if stands:
            yield _shared(account, f"netting-end:{where}", -stands)
        stands = entries = 0
    if should != stands:
        yield _shared(account, _numbered(f"rounding:{where}", entries), should - stands)


def _shared(account: MarketAccount, key: str, cash_e6: int) -> Entry:
    return Entry(key, "adjustment", account.venue, account.market_id, None, cash_e6)


def _numbered(key: str, entries: int) -> str:
    """Return the key of the next entry of a name: the first has none, so that what was booked by one stays its."""
    return f"{key}#{entries}" if entries else key


def after(account: MarketAccount, entries: Iterable[Entry]) -> MarketAccount:
    """Return what stands in the ledger once entries of payouts and adjustments are booked."""
    lots = {(lot.execution_id, lot.outcome): lot for lot in account.lots}
    shared, number, is_ended = account.shared_e6, account.shared_entries, account.is_ended
    for entry in entries:
        is_ended = is_ended or not entry.key.startswith("netting:")
        if entry.outcome is None:
            shared, number = shared + entry.cash_e6, number + 1
            continue
        lot = lots[entry.execution_id, entry.outcome]
        lots[entry.execution_id, entry.outcome] = Lot(
            lot.execution_id,
            lot.outcome,
            lot.traded_e6,
            lot.settled_e6 + entry.contracts_e6,
            lot.paid_e6 + entry.cash_e6,
            lot.payouts + 1,
        )
    return replace(account, lots=tuple(lots.values()), shared_e6=shared, shared_entries=number, is_ended=is_ended)
