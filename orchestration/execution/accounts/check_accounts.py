"""Accounts compared with our books, in each settlement cycle: cash, positions, open orders and fills.

First what the venue lists and we lack is found: a fill of an order of ours is booked as every fill is, one of somebody
else is booked to `foreign`. Then the venue's figures are compared with the interval that our books allow. A break, and
what others did, keep the account from opening anything until a person lets it, with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestration.execution.accounts.foreign import find_strangers
from orchestration.execution.accounts.moves import book_moves
from orchestration.execution.booking import book_facts
from orchestration.execution.decide.account_check import (
    CASH,
    AccountBooks,
    EndedMarket,
    Finding,
    Interval,
    Position,
    ProvisionalFill,
    Verdict,
    Watch,
    findings,
    follow,
)
from orchestration.execution.decide.ledger import ForeignCash
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import Gateway
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.identity import Outcome, Venue
from streams.market.units import CASH_SCALE
from streams.storage.database import Connection
from streams.storage.discovered.sweeps import keep_unreadable
from streams.storage.store import orders
from streams.storage.store.accounting import breaks
from streams.storage.store.accounting.breaks import Difference, NewDifference, NewReading, ReadingVerdict
from streams.storage.store.accounting.switches import account_switches, set_account
from streams.storage.store.alerts import clear_alert, clear_alerts_under, raise_alert
from streams.storage.store.ledger import account_totals, lock_market

Clock = Callable[[], datetime]
CHECK_EVERY = timedelta(seconds=20)
"""Shortest time between two comparisons of an account."""
PROGRAM = "reconciliation"
"""Who sets an account to `reduce`."""


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a comparison of an account found."""

    venue: Venue
    verdict: ReadingVerdict
    breaks: int


async def check_accounts(connection: Connection, context: TradingContext, clock: Clock = utc_now) -> list[Checked]:
    """Compare every account that is not simulated; one that cannot be read costs itself.

    Raises:
        StreamsError: If an account could not be read; the others are compared.
    """
    found: list[Checked] = []
    failure: StreamsError | None = None
    for venue, gateway in context.gateways.items():
        if gateway.is_simulated:
            continue
        try:
            checked = await AccountCheck(connection, context, gateway, clock).run()
        except StreamsError as error:
            failure = failure or error
            get_logger().warning("an account could not be compared", venue=venue.value, error=str(error))
            keep_unreadable(connection, venue, error)
            continue
        found += [checked] if checked is not None else []
    if failure is not None:
        raise failure
    return found


class AccountCheck:
    """Compares one account with our books, once."""

    def __init__(self, connection: Connection, context: TradingContext, gateway: Gateway, clock: Clock) -> None:
        self._connection = connection
        self._context = context
        self._gateway = gateway
        self._clock = clock
        self._venue, self._mode = gateway.venue, context.mode

    async def run(self) -> Checked | None:
        """Do everything; None where our books changed while we looked, or there is nothing to compare with yet."""
        since = breaks.lists_since(self._connection, self._mode, self._venue)
        if since is None:
            return None  # its ledger does not say yet what it began with
        self._take_acknowledgement()
        if since.last_began_at is not None and self._clock() - since.last_began_at < CHECK_EVERY:
            return None
        strangers = await find_strangers(self._connection, self._context, self._gateway, since, self._clock())
        if strangers:
            what = f"others traded on the account: {strangers[0]}" + (", ..." if len(strangers) > 1 else "")
            self._reduce(what)
        self._alarm_strangers()
        return await self._compare(since.opened_at)

    async def _compare(self, opened_at: datetime) -> Checked | None:
        began_at = self._clock()
        books = load_books(self._connection, self._mode, self._venue, began_at)
        last_write = breaks.last_write_at(self._connection, self._mode, self._venue)
        cash, shards = await self._gateway.cash_e6(), await self._gateway.cash_by_shard()
        held = await self._gateway.positions()
        ended_at = self._clock()
        if books != load_books(self._connection, self._mode, self._venue, began_at):
            return None  # the next cycle compares
        settled = breaks.settled_among(self._connection, self._mode, self._venue, [market for market, _ in held])
        found = findings(books, cash, held, settled - {market for market, _ in books.held})
        may_have_moved = not found[0].agrees or shards != self._booked_shards(shards)
        if may_have_moved and await book_moves(self._connection, self._context, self._gateway, opened_at, ended_at):
            return None  # the next cycle compares
        with self._connection.transaction():
            verdicts = self._follow(found, began_at, last_write, ended_at)
            verdict = _worst(verdicts.values())
            ours = found[0].ours
            breaks.write_reading(
                self._connection,
                NewReading(
                    self._mode,
                    self._venue,
                    began_at,
                    ended_at,
                    last_write,
                    verdict,
                    cash,
                    ours.low_e6,
                    ours.booked_e6,
                    ours.high_e6,
                    self._context.environment,
                ),
            )
        self._alarm(found, verdicts)
        return Checked(self._venue, verdict, sum(said == "break" for said in verdicts.values()))

    def _booked_shards(self, shown: Mapping[int | None, int]) -> Mapping[int | None, int]:
        """Return the cash that our books hold on each exchange shard that the venue shows."""
        totals = account_totals(self._connection, self._venue.value, self._mode)
        booked = {total.shard: total.amount_e6 for total in totals if total.account == "cash"}
        return {shard: booked.get(shard, 0) for shard in shown}

    def _follow(
        self, found: Sequence[Finding], began_at: datetime, last_write: datetime | None, now: datetime
    ) -> dict[str, Verdict]:
        """Write what is known of each figure; a new break reduces the account in the same transaction."""
        stored = {row.what: row for row in breaks.load_differences(self._connection, self._mode, self._venue)}
        figures = {finding.what: finding for finding in found}
        # What neither our books nor the venue show any more agrees.
        gone = [_agreed(row) for what, row in stored.items() if what not in figures]
        verdicts: dict[str, Verdict] = {}
        for finding in [*found, *gone]:
            row = stored.get(finding.what)
            watch, verdict = follow(
                None if row is None else Watch(row.since, row.outside_reads, row.state == "open"),
                finding,
                began_at=began_at,
                last_write_at=last_write,
                unexplained_after=timedelta(seconds=self._context.settings.unexplained_after_s),
            )
            verdicts[finding.what] = verdict
            if watch is not None and not finding.agrees:
                self._keep(finding, watch, verdict, now)
            elif row is not None:
                breaks.end_watched(self._connection, row.break_id, now)
        return verdicts

    def _keep(self, finding: Finding, watch: Watch, verdict: Verdict, now: datetime) -> None:
        ours = finding.ours
        new = NewDifference(
            finding.what,
            ours.low_e6,
            ours.booked_e6,
            ours.high_e6,
            finding.venue_e6,
            watch.since,
            watch.outside_reads,
        )
        number = breaks.watch_difference(self._connection, self._mode, self._venue, new, self._context.environment)
        if verdict == "break" and breaks.open_break(self._connection, number, now):
            self._reduce(_sentence(finding))

    def _reduce(self, why: str) -> None:
        """Keep the account from opening anything; each cause has a row of its own, so that nobody lifts it unseen."""
        set_account(self._connection, self._mode, self._venue, "reduce", PROGRAM, why[:500], self._clock())
        get_logger().error("an account only reduces now", venue=self._venue.value, why=why)

    # -- what a person did --------------------------------------------------------------------------------------------

    def _take_acknowledgement(self) -> None:
        """Book what a person has let be by opening the account again, as it was when they did."""
        switch = account_switches(self._connection, self._mode).get(self._venue)
        if switch is None or switch.state != "run":
            return
        for row in breaks.load_differences(self._connection, self._mode, self._venue):
            if row.state == "open" and row.opened_at is not None and row.opened_at <= switch.set_at:
                self._accept(row, switch.switch_id)
        breaks.acknowledge_foreign(self._connection, self._mode, self._venue, switch.switch_id, switch.set_at)

    def _accept(self, row: Difference, switch_id: int) -> None:
        """Book the difference that was shown as a break; what came on top of it since stays one."""
        now = self._clock()
        finding = _finding(row)
        beyond = finding.ours.beyond_e6(finding.venue_e6)
        key = f"acknowledged:{self._venue}:{row.break_id}"
        market, outcome = position_of(row.what)
        fact = (
            ForeignCash(key, self._venue, beyond)
            if market is None or outcome is None
            else ForeignCash(key, self._venue, 0, market, outcome, beyond)
        )
        with self._connection.transaction():
            if market is not None:
                lock_market(self._connection, self._venue.value, market)
            if beyond:
                book_facts(self._connection, self._context, [fact], now)
            breaks.end_acknowledged(self._connection, row.break_id, switch_id, now)

    # -- alarms --------------------------------------------------------------------------------------------------------

    def _alarm(self, found: Sequence[Finding], verdicts: Mapping[str, Verdict]) -> None:
        broken = [
            row for row in breaks.load_differences(self._connection, self._mode, self._venue) if row.state == "open"
        ]
        key = f"account_break:{self._venue}"
        if broken:
            sentences = " ".join(_sentence(_finding(row)) for row in broken[:3])
            message = (
                f"The account at {self._venue} does not agree with our books and only reduces: {sentences}"
                " See docs/runbooks/reconciliation.md."
            )
            raise_alert(self._connection, "account_break", "critical", key, message, {"venue": self._venue})
        else:
            clear_alert(self._connection, key)
        keys = []
        for finding in found:
            if verdicts[finding.what] == "unexplained":
                keys.append(f"unexplained:{self._venue}:{finding.what}")
                message = (
                    f"For more than {self._context.settings.unexplained_after_s:.0f} s now: {_sentence(finding)}"
                    f" What is open at {self._venue} allows it. See docs/runbooks/reconciliation.md."
                )
                raise_alert(self._connection, "unexplained", "warning", keys[-1], message, {"venue": self._venue})
        clear_alerts_under(self._connection, f"unexplained:{self._venue}:", keys)

    def _alarm_strangers(self) -> None:
        key, waiting = f"foreign:{self._venue}", breaks.foreign_waiting(self._connection, self._mode, self._venue)
        if not waiting:
            clear_alert(self._connection, key)
            return
        message = (
            f"Others have traded on the account at {self._venue}: {len(waiting)} orders and fills wait for a person."
            " It only reduces until then. See docs/runbooks/reconciliation.md."
        )
        raise_alert(self._connection, "foreign", "critical", key, message, {"venue": self._venue})


def load_books(connection: Connection, mode: str, venue: Venue, now: datetime) -> AccountBooks:
    """Return what our books say of an account."""
    totals = account_totals(connection, venue.value, mode)

    def stands(*accounts: str) -> int:
        return sum(total.amount_e6 for total in totals if total.account in accounts)

    rows = breaks.held_contracts(connection, mode, venue, now)
    held: dict[Position, int] = {}
    over: dict[str, dict[str, int]] = {}
    for row in rows:
        held[row.market_id, _outcome(row.outcome)] = row.contracts_e6
        if row.is_over:
            over.setdefault(row.market_id, {})[row.outcome] = row.contracts_e6
    return AccountBooks(
        venue,
        stands("cash", "in_transit", "provisional"),
        held,
        in_transit_e6=stands("in_transit"),
        receivable_e6=stands("receivable"),
        provisional=[
            ProvisionalFill(row.market_id, _outcome(row.outcome), row.cash_e6, row.contracts_e6)
            for row in breaks.provisional_fills(connection, mode, venue)
        ],
        unresolved=orders.load_unresolved(connection, mode, venue),
        ended=[EndedMarket(name, found.get("yes", 0), found.get("no", 0)) for name, found in sorted(over.items())],
    )


def _outcome(text: str) -> Outcome:
    return "yes" if text == "yes" else "no"


def position_of(what: str) -> tuple[str | None, Outcome | None]:
    """Return the market and outcome that a finding is about; None for cash."""
    if what == CASH:
        return None, None
    market, _, outcome = what.removeprefix("position:").rpartition(":")
    return market, _outcome(outcome)


def _finding(row: Difference) -> Finding:
    return Finding(row.what, Interval(row.low_e6, row.booked_e6, row.high_e6), row.venue_e6)


def _agreed(row: Difference) -> Finding:
    """Return a figure that neither our books nor the venue show any more."""
    return Finding(row.what, Interval(0, 0, 0), 0)


def _worst(verdicts: Iterable[Verdict]) -> ReadingVerdict:
    said = set(verdicts)
    if said & {"outside", "break"}:
        return "outside"
    return "explained" if said & {"explained", "unexplained"} else "agrees"


def _sentence(finding: Finding) -> str:
    market, outcome = position_of(finding.what)
    unit = "USD" if market is None else f"contracts of {outcome} of {market}"
    low, high, venue = (
        Decimal(value) / CASH_SCALE for value in (finding.ours.low_e6, finding.ours.high_e6, finding.venue_e6)
    )
    ours = f"{low:f}" if low == high else f"{low:f} to {high:f}"
    return f"the venue shows {venue:f} {unit}, our books allow {ours}."
