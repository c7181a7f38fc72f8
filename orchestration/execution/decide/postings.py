"""Double entry: every change of our books is an entry whose postings cancel out. PURE arithmetic on signed integers.

An entry is one row of `trading.ledger` with its postings. Dollars and the contracts of each outcome are units of their
own: an entry moves each of them from some accounts to others, so that its postings of each unit add up to zero. What an
entry changes of our account at a venue (`cash_e6`, `contracts_e6`) is read off its postings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from streams.market.errors import InvalidAmount
from streams.market.identity import Outcome, Venue

Kind = Literal[
    "deposit",
    "withdrawal",
    "transfer",
    "fill",
    "confirmation",
    "fee",
    "rebate",
    "settlement",
    "accrual",
    "reversal",
    "adjustment",
    "foreign",
]
Account = Literal[
    "cash",
    "in_transit",
    "provisional",
    "positions",
    "receivable",
    "fees",
    "rebates",
    "gas",
    "rounding",
    "suspense",
    "foreign",
    "advances",
    "trading",
    "deposits",
]
OWN_CASH: frozenset[Account] = frozenset({"cash", "in_transit", "provisional"})
"""Accounts whose dollars are ours at the venue, or will be or leave once a match is confirmed."""
OWN_CONTRACTS: frozenset[Account] = frozenset({"positions", "provisional"})
"""Accounts whose contracts are ours at the venue, or will be once a match is confirmed."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: dollars (1e-6) on an account, or contracts (1e-6) where it has an outcome.

    Attributes:
        amount_e6: What comes to the account; negative for what leaves it.
        market_id: The market that dollars or contracts belong to, None for none.
        outcome: Whose contracts move; None: dollars move.
        shard: The exchange shard whose cash moves, None where there is one pot or it is not known.
    """

    account: Account
    venue: Venue
    amount_e6: int
    market_id: str | None = None
    outcome: Outcome | None = None
    shard: int | None = None

    @property
    def is_contracts(self) -> bool:
        """Whether contracts move, and not dollars."""
        return self.outcome is not None

    @property
    def unit(self) -> tuple[str, ...]:
        """What moves: dollars, or the contracts of one outcome of a market."""
        if self.outcome is None:
            return ("usd",)
        return (self.venue, self.market_id or "", self.outcome)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger to be, with its postings.

    Attributes:
        key: Says what it is for, so that it is written once.
    """

    key: str
    kind: Kind
    venue: Venue
    market_id: str | None
    outcome: Outcome | None
    postings: tuple[Posting, ...]
    execution_id: int | None = None
    order_id: int | None = None

    @property
    def cash_e6(self) -> int:
        """The change of our cash at the venue (1e-6 dollar)."""
        return sum(p.amount_e6 for p in self.postings if p.account in OWN_CASH and not p.is_contracts)

    @property
    def contracts_e6(self) -> int:
        """The change of the contracts that we hold (1e-6)."""
        return sum(p.amount_e6 for p in self.postings if p.account in OWN_CONTRACTS and p.is_contracts)


def check_balance(entry: Entry) -> None:
    """Return if an entry is balanced in dollars and in the contracts of each outcome.

    Raises:
        InvalidAmount: If it is not, or has no postings.
    """
    if not entry.postings:
        raise InvalidAmount(f"the entry {entry.key} has no postings")
    for unit, total in totals(entry.postings).items():
        if total:
            raise InvalidAmount(f"the entry {entry.key} does not balance: {total} of {':'.join(unit)} are left")


def totals(postings: Iterable[Posting]) -> dict[tuple[str, ...], int]:
    """Return the sum of each unit over postings; of a balanced entry all are zero."""
    sums: dict[tuple[str, ...], int] = {}
    for posting in postings:
        sums[posting.unit] = sums.get(posting.unit, 0) + posting.amount_e6
    return sums


def balance_of(postings: Iterable[Posting], account: Account, unit: Sequence[str] = ("usd",)) -> int:
    """Return what stands on an account, in dollars or in the contracts of one outcome (`Posting.unit`)."""
    return sum(p.amount_e6 for p in postings if p.account == account and p.unit == tuple(unit))


def cash_of(entries: Iterable[Entry]) -> int:
    """Return the sum of the entries' cash."""
    return sum(entry.cash_e6 for entry in entries)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about: a market's outcome, traded by an execution through an order."""

    venue: Venue
    market_id: str | None = None
    outcome: Outcome | None = None
    execution_id: int | None = None
    order_id: int | None = None
    shard: int | None = None

    def dollars(self, account: Account, amount_e6: int) -> Posting:
        """Return a posting of dollars that belong to the market."""
        shard = self.shard if account in ("cash", "in_transit") else None
        return Posting(account, self.venue, amount_e6, self.market_id, None, shard)

    def contracts(self, account: Account, amount_e6: int) -> Posting:
        """Return a posting of contracts of the outcome."""
        return Posting(account, self.venue, amount_e6, self.market_id, self.outcome)

    def entry(self, key: str, kind: Kind, postings: Iterable[Posting]) -> Entry:
        """Return an entry about this subject; of postings without an amount the first two stay, if all are so.

        Raises:
            InvalidAmount: If the postings do not balance.
        """
        given = tuple(postings)
        moved = tuple(posting for posting in given if posting.amount_e6)
        entry = Entry(
            key,
            kind,
            self.venue,
            self.market_id,
            self.outcome,
            moved or given[:2],
            self.execution_id,
            self.order_id,
        )
        check_balance(entry)
        return entry


def moved(subject: Subject, source: Account, target: Account, amount_e6: int) -> tuple[Posting, Posting]:
    """Return the postings that move dollars from an account to another; a negative amount moves them back."""
    return subject.dollars(target, amount_e6), subject.dollars(source, -amount_e6)


def handed(subject: Subject, source: Account, target: Account, amount_e6: int) -> tuple[Posting, Posting]:
    """Return the postings that move contracts from an account to another; a negative amount moves them back."""
    return subject.contracts(target, amount_e6), subject.contracts(source, -amount_e6)
