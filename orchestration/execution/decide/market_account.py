"""What should stand in the ledger for one market of an account, what does, and the entries of the difference. PURE.

Settlement has no order and no once-only key: a fill, a failed fill, a payout or a corrected result may come late, twice
or in any order, and after each of them the same function gives what is missing. Booked once, it gives nothing any more.

    of each trade and outcome   contracts traded are taken off at what they pay (kind `settlement`)
    of the market as a whole    what the venue has paid less what the trades were given (kind `adjustment`): before the
                                result the dollars of matched contracts that were paid early, after it the rounding:
                                what the venue keeps because it pays the account's net position in whole steps
    beside the venue's cash     (kind `accrual`) what the market owes at its result, where a redemption pays it, and
                                what the venue has paid that our computation does not explain, on `suspense`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from orchestration.execution.decide.ledger import (
    ROUNDED_E6,
    Accrual,
    Payment,
    SharedPayment,
    entries_of,
    netting_target_e6,
    payout_e6,
)
from orchestration.execution.decide.postings import Account, Entry, Subject, balance_of
from streams.market.identity import Outcome, Venue
from streams.market.venue_traits import TRAITS


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
        owed_e6: What was booked as owed at the result, paid or not; only where a redemption pays.
        suspense_e6: What the venue has paid, and is booked as not explained.
        accruals: Entries of the two so far.
        shard: The exchange shard whose cash the market moves, None where there is one pot or it is not known.
    """

    venue: Venue
    market_id: str
    lots: tuple[Lot, ...] = field(default_factory=tuple)
    shared_e6: int = 0
    shared_entries: int = 0
    is_ended: bool = False
    payout_step_e6: int = 1
    owed_e6: int = 0
    suspense_e6: int = 0
    accruals: int = 0
    shard: int | None = None

    @property
    def subject(self) -> Subject:
        """What the entries of the market as a whole are about."""
        return Subject(self.venue, self.market_id, shard=self.shard)

    @property
    def pays_on_redemption(self) -> bool:
        """Whether its result moves no cash by itself."""
        return TRAITS[self.venue].pays_on_redemption

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
    return [
        *_payout_entries(account, result.settlement_e4),
        *_shared_entries(account, result),
        *accrual_entries(account, result),
    ]


def accrual_entries(account: MarketAccount, result: Result) -> list[Entry]:
    """Return what is missing of what the market owes at a result, and of what it has paid and does not owe."""
    due, entries = account.due_e6(result.settlement_e4), list[Entry]()
    more = 0 if result.paid_e6 is None else result.paid_e6 - due
    if abs(more) <= ROUNDED_E6 or (more < 0 and account.pays_on_redemption):
        more = 0  # a rounding; or not all of it is redeemed yet
    paid_as: Account = "receivable" if account.pays_on_redemption else "rounding"
    moves: list[tuple[Account, Account, int]] = [
        ("trading", "receivable", due - account.owed_e6 if account.pays_on_redemption else 0),
        # What a venue has paid too much stands below zero there: it is not ours until somebody says why.
        ("suspense", paid_as, more + account.suspense_e6),
    ]
    for source, target, amount in moves:
        if amount:
            key = _numbered(f"accrual:{account.venue}:{account.market_id}", account.accruals + len(entries))
            entries += entries_of(Accrual(key, account.subject, source, target, amount))
    return entries


def _early_entries(account: MarketAccount, cause: str) -> Iterator[Entry]:
    target = account.early_e6
    if target != account.shared_e6:
        key = f"netting:{account.venue}:{cause}:{target}"
        yield from _shared(account, key, target - account.shared_e6, "advances")


def _payout_entries(account: MarketAccount, settlement_e4: int) -> Iterator[Entry]:
    for lot in account.lots:
        contracts = -lot.traded_e6 - lot.settled_e6
        cash = payout_e6(lot.outcome, lot.traded_e6, settlement_e4) - lot.paid_e6
        if contracts or cash:
            name = f"settlement:{account.venue}:{account.market_id}:{lot.outcome}:{lot.execution_id}"
            subject = Subject(account.venue, account.market_id, lot.outcome, lot.execution_id, shard=account.shard)
            yield from entries_of(Payment(_numbered(name, lot.payouts), subject, cash, contracts))


def _shared_entries(account: MarketAccount, result: Result) -> Iterator[Entry]:
    """Take back what was paid early, by an entry of its own, and book what rounding leaves, or has left meanwhile."""
    due = account.due_e6(result.settlement_e4)
    given = sum(payout_e6(lot.outcome, lot.traded_e6, result.settlement_e4) for lot in account.lots)
    should = account.early_e6 + (due if result.paid_e6 is None else result.paid_e6) - given
    stands, entries = account.shared_e6, account.shared_entries
    where = f"{account.venue}:{account.market_id}"
    if not account.is_ended:
        if stands:
            yield from _shared(account, f"netting-end:{where}", -stands, "advances")
        stands = entries = 0
    if should != stands:
        paid_as: Account = "receivable" if account.pays_on_redemption else "rounding"
        yield from _shared(account, _numbered(f"rounding:{where}", entries), should - stands, paid_as)


def _shared(account: MarketAccount, key: str, cash_e6: int, paid_as: Account) -> list[Entry]:
    return entries_of(SharedPayment(key, account.subject, cash_e6, paid_as))


def _numbered(key: str, entries: int) -> str:
    """Return the key of the next entry of a name: the first has none, so that what was booked by one stays its."""
    return f"{key}#{entries}" if entries else key


def after(account: MarketAccount, entries: Iterable[Entry]) -> MarketAccount:
    """Return what stands in the ledger once entries of payouts and adjustments are booked."""
    lots = {(lot.execution_id, lot.outcome): lot for lot in account.lots}
    shared, number, is_ended = account.shared_e6, account.shared_entries, account.is_ended
    owed, suspense, accruals = account.owed_e6, account.suspense_e6, account.accruals
    for entry in entries:
        if entry.kind == "accrual":
            owed -= balance_of(entry.postings, "trading")
            suspense += balance_of(entry.postings, "suspense")
            accruals += 1
            continue
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
    return replace(
        account,
        lots=tuple(lots.values()),
        shared_e6=shared,
        shared_entries=number,
        is_ended=is_ended,
        owed_e6=owed,
        suspense_e6=suspense,
        accruals=accruals,
    )
