"""From facts to balanced ledger entries. PURE arithmetic on signed integers; the ledger is the only PnL.

`entries_of` is the one place that says which accounts a fact moves. The ledger keeps what each execution bought and
sold as if it were alone. Kalshi nets YES and NO of one market and pays the dollar of each matched couple at once,
whoever bought them: that advance is an entry of its own (`netting_target_e6`) that is taken back as the couples settle,
so that the sum of all cash entries is the venue's cash at every moment.

Amounts are those that the venue reports. Where our own computation says another one, the difference stands on
`suspense` (or on `rounding`, where it is less than the venue rounds by), beside the amount that was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestration.execution.decide.postings import (
    Account,
    Entry,
    Kind,
    Posting,
    Subject,
    handed,
    moved,
)
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_ONE_E4, PRICE_SCALE
from streams.market.venue_traits import TRAITS


@dataclass(frozen=True, slots=True)
class FillFact:
    """One executed piece of an order. `cash_e6` and `fee_e6` are at least 0; a negative fee is a rebate.

    Attributes:
        execution_id / order_id: Of our order; None where somebody else sent it.
        is_provisional: The match may still fail.
        shard: The exchange shard whose cash pays, None where there is one pot or it is not known.
        computed_fee_e6: What our own arithmetic says the fee is, None where nothing is compared.
        revision: How often the venue has restated it.
    """

    fill_key: str
    venue: Venue
    market_id: str
    outcome: Outcome
    action: Literal["buy", "sell"]
    contracts_e6: int
    cash_e6: int
    fee_e6: int
    execution_id: int | None
    order_id: int | None
    is_provisional: bool = False
    shard: int | None = None
    computed_fee_e6: int | None = None
    revision: int = 0

    @property
    def subject(self) -> Subject:
        """What its entries are about."""
        return Subject(self.venue, self.market_id, self.outcome, self.execution_id, self.order_id, self.shard)

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else than we sent its order."""
        return self.order_id is None

    @property
    def name(self) -> str:
        """What its entries' keys are made of."""
        name = f"{self.venue}:{self.fill_key}:{'foreign' if self.order_id is None else self.order_id}"
        return f"{name}#{self.revision}" if self.revision else name


@dataclass(frozen=True, slots=True)
class FailedFill:
    """A fill that will never settle: what it moved comes back. `was_confirmed`: it counted as final before."""

    fill: FillFact
    was_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmedFill:
    """A provisional fill that is final now."""

    fill: FillFact


@dataclass(frozen=True, slots=True)
class CorrectedFill:
    """A fill that its venue restates: the former one is taken back, the present one is booked."""

    before: FillFact
    after: FillFact


@dataclass(frozen=True, slots=True)
class CashMove:
    """Dollars that came to an account from outside (`deposit`) or left it (`withdrawal`), by exchange shard.

    Attributes:
        key: Names it, so that it is booked once.
        by_shard_e6: What moved, at least 0 for a withdrawal; under None where there is one pot. A deposit below zero is
            one that is taken back.
        gas_e6: What the chain kept of it.
    """

    key: str
    kind: Literal["deposit", "withdrawal"]
    venue: Venue
    by_shard_e6: Mapping[int | None, int]
    gas_e6: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """Dollars that have left one exchange shard of an account for another; they are in transit until `TransferEnd`."""

    key: str
    venue: Venue
    source: int
    target: int
    amount_e6: int


@dataclass(frozen=True, slots=True)
class TransferEnd:
    """A transfer that was under way and has arrived at `target`, or came back to `source` (`is_back`)."""

    transfer: Transfer
    is_back: bool = False


@dataclass(frozen=True, slots=True)
class Payment:
    """What a market's result pays for contracts of one outcome that a trade holds; they are taken off."""

    key: str
    subject: Subject
    cash_e6: int
    contracts_e6: int


@dataclass(frozen=True, slots=True)
class SharedPayment:
    """What a market has paid beyond or below what its trades were given; `account` says as what it counts."""

    key: str
    subject: Subject
    cash_e6: int
    account: Account


@dataclass(frozen=True, slots=True)
class Accrual:
    """Dollars that change their account while nothing of ours moves at the venue.

    What a resolved market owes goes from `trading` to `receivable`; what it has paid and does not owe to `suspense`.
    """

    key: str
    subject: Subject
    source: Account
    target: Account
    amount_e6: int


@dataclass(frozen=True, slots=True)
class ForeignCash:
    """Cash that moved on our account, which no fact of ours explains and a person has acknowledged."""

    key: str
    venue: Venue
    cash_e6: int
    market_id: str | None = None
    outcome: Outcome | None = None
    contracts_e6: int = 0


Fact = (
    FillFact
    | FailedFill
    | ConfirmedFill
    | CorrectedFill
    | CashMove
    | Transfer
    | TransferEnd
    | Payment
    | SharedPayment
    | Accrual
    | ForeignCash
)


def entries_of(fact: Fact) -> list[Entry]:
    """Return the balanced entries of a fact; each key stands for one change and is the same whoever books it."""
    return list(_ENTRIES[type(fact)](fact))


def _failed(failed: FailedFill) -> Iterator[Entry]:
    settled = replace(failed.fill, is_provisional=not failed.was_confirmed and failed.fill.is_provisional)
    return (_reversed(entry) for entry in _fill(settled))


def _corrected(corrected: CorrectedFill) -> Iterator[Entry]:
    yield from (_reversed(entry) for entry in _fill(corrected.before))
    yield from _fill(corrected.after)


def _fill(fill: FillFact) -> Iterator[Entry]:
    """Give cash against contracts, and the fee."""
    subject, sign = fill.subject, 1 if fill.action == "buy" else -1
    cash: Account = "provisional" if fill.is_provisional else "cash"
    held: Account = "provisional" if fill.is_provisional else "positions"
    contra: Account = "foreign" if fill.is_foreign else "trading"
    yield subject.entry(
        f"fill:{fill.name}",
        "foreign" if fill.is_foreign else "fill",
        [
            *moved(subject, cash, contra, sign * fill.cash_e6),
            *handed(subject, contra, held, sign * fill.contracts_e6),
        ],
    )
    if fill.fee_e6:
        yield _fee(fill, cash)


def _fee(fill: FillFact, cash: Account) -> Entry:
    subject = fill.subject
    if fill.is_foreign:
        return subject.entry(f"fee:{fill.name}", "foreign", moved(subject, cash, "foreign", fill.fee_e6))
    computed = fill.fee_e6 if fill.computed_fee_e6 is None else fill.computed_fee_e6
    difference = fill.fee_e6 - computed
    account: Account = "fees" if fill.fee_e6 > 0 else "rebates"
    return subject.entry(
        f"fee:{fill.name}",
        "fee" if fill.fee_e6 > 0 else "rebate",
        [
            subject.dollars(cash, -fill.fee_e6),
            subject.dollars(account, computed),
            subject.dollars(difference_account(difference), difference),
        ],
    )


ROUNDED_E6 = 10_000
"""Venues round a fill's fee by at most a cent; what differs by more is no rounding."""


def difference_account(difference_e6: int) -> Account:
    """Return where a difference between a venue's amount and ours stands: explained by rounding, or not clear."""
    return "rounding" if abs(difference_e6) <= ROUNDED_E6 else "suspense"


def _reversed(entry: Entry) -> Entry:
    """Return the entry that undoes one: what it moved comes back."""
    back = tuple(replace(posting, amount_e6=-posting.amount_e6) for posting in entry.postings)
    kind: Kind = "foreign" if entry.kind == "foreign" else "reversal"
    return replace(entry, key=f"reversal:{entry.key}", kind=kind, postings=back)


def _confirmation(confirmed: ConfirmedFill) -> Iterator[Entry]:
    """Move what was provisional to what is ours, or has left us, for good."""
    fill = confirmed.fill
    subject, sign = fill.subject, 1 if fill.action == "buy" else -1
    cash = -sign * fill.cash_e6 - fill.fee_e6
    yield subject.entry(
        f"confirmation:{fill.name}",
        "confirmation",
        [
            *moved(subject, "provisional", "cash", cash),
            *handed(subject, "provisional", "positions", sign * fill.contracts_e6),
        ],
    )


def _cash_move(move: CashMove) -> Iterator[Entry]:
    sign = 1 if move.kind == "deposit" else -1
    subject = Subject(move.venue)
    own = [
        Posting("cash", move.venue, sign * amount, shard=shard) for shard, amount in sorted_shards(move.by_shard_e6)
    ] or [Posting("cash", move.venue, 0)]
    outside = -sign * sum(move.by_shard_e6.values()) - move.gas_e6
    yield subject.entry(
        move.key,
        move.kind,
        [*own, Posting("deposits", move.venue, outside), Posting("gas", move.venue, move.gas_e6)],
    )


def split_by_shard(cash_e6: int, by_shard_e6: Mapping[int | None, int]) -> dict[int | None, int]:
    """Return an account's cash by exchange shard; what the shards do not add up to stands under None."""
    split: dict[int | None, int] = {shard: amount for shard, amount in by_shard_e6.items() if shard is not None}
    rest = cash_e6 - sum(split.values())
    return {**split, None: rest} if rest or not split else split


def sorted_shards(by_shard_e6: Mapping[int | None, int]) -> list[tuple[int | None, int]]:
    """Return shards with their amounts, in a fixed order."""
    return sorted(by_shard_e6.items(), key=lambda item: -1 if item[0] is None else item[0])


def _transfer(transfer: Transfer) -> Iterator[Entry]:
    venue, amount = transfer.venue, transfer.amount_e6
    arrives = Posting("in_transit", venue, amount, shard=transfer.target)
    left = Posting("cash", venue, -amount, shard=transfer.source)
    yield Subject(venue).entry(f"transfer:{venue}:{transfer.key}", "transfer", [left, arrives])


def _transfer_end(end: TransferEnd) -> Iterator[Entry]:
    transfer = end.transfer
    venue, amount = transfer.venue, transfer.amount_e6
    shard = transfer.source if end.is_back else transfer.target
    yield Subject(venue).entry(
        f"transfer-end:{venue}:{transfer.key}",
        "transfer",
        [
            Posting("in_transit", venue, -amount, shard=transfer.target),
            Posting("cash", venue, amount, shard=shard),
        ],
    )


def _payment(payment: Payment) -> Iterator[Entry]:
    """Give cash for contracts. Where a result is paid by a redemption, the market owed it before (`Accrual`)."""
    subject = payment.subject
    contra: Account = "foreign" if subject.execution_id is None else "trading"
    payer: Account = "receivable" if TRAITS[subject.venue].pays_on_redemption else contra
    yield subject.entry(
        payment.key,
        "settlement",
        [
            *moved(subject, payer, "cash", payment.cash_e6),
            *handed(subject, contra, "positions", payment.contracts_e6),
        ],
    )


def _shared_payment(payment: SharedPayment) -> Iterator[Entry]:
    subject = payment.subject
    yield subject.entry(payment.key, "adjustment", moved(subject, payment.account, "cash", payment.cash_e6))


def _foreign_cash(fact: ForeignCash) -> Iterator[Entry]:
    subject = Subject(fact.venue, fact.market_id, fact.outcome)
    postings = [*moved(subject, "foreign", "cash", fact.cash_e6)]
    if fact.outcome is not None:
        postings += handed(subject, "foreign", "positions", fact.contracts_e6)
    yield subject.entry(fact.key, "foreign", postings)


def _accrual(accrual: Accrual) -> Iterator[Entry]:
    subject = accrual.subject
    yield subject.entry(accrual.key, "accrual", moved(subject, accrual.source, accrual.target, accrual.amount_e6))


_ENTRIES: Mapping[type, Callable[[Any], Iterable[Entry]]] = {
    FillFact: _fill,
    FailedFill: _failed,
    ConfirmedFill: _confirmation,
    CorrectedFill: _corrected,
    CashMove: _cash_move,
    Transfer: _transfer,
    TransferEnd: _transfer_end,
    Payment: _payment,
    SharedPayment: _shared_payment,
    Accrual: _accrual,
    ForeignCash: _foreign_cash,
}


def netting_target_e6(venue: Venue, yes_e6: int, no_e6: int) -> int:
    """Return the cash a venue has paid early for matched YES and NO of one market: a dollar each where it does so."""
    return max(0, min(yes_e6, no_e6)) if TRAITS[venue].pays_matched_early else 0


def payout_e6(outcome: Outcome, contracts_e6: int, settlement_e4: int) -> int:
    """Return what contracts pay when one YES pays `settlement_e4`, rounded down."""
    pays = settlement_e4 if outcome == "yes" else PRICE_ONE_E4 - settlement_e4
    return pays * contracts_e6 // PRICE_SCALE
