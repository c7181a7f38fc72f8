"""Orders on their way: intent in Postgres, then one sending, then reads until the venue has said its last word.

An order is built and signed once. Its row exists before it leaves; `sent` is noted before the call, so that a row still
`prepared` was never sent. Identical bytes are sent again only within the decision's life; later there are only reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.execution.decide.hedge import OrderFact, Place, PlanLeg
from orchestration.execution.decide.ledger import Entry, FillFact, fill_entries, netting_target_e6, reversal_entries
from orchestration.execution.decide.risk_checks import Reason, Refusal, may_send
from orchestration.execution.late_fills import reopen_failed, reopen_late
from orchestration.execution.venues.gateway import Gateway, OrderKey, OrderReading, OrderSpec, PreparedOrder, Target
from streams.logs import get_logger
from streams.market.errors import (
    InvalidAmount,
    OutcomeUnknown,
    RateLimited,
    StreamsError,
    TransientError,
    Unavailable,
)
from streams.market.fees import fee_bound_e6, spend_fee_bound_e6
from streams.market.identity import Outcome, Venue
from streams.market.units import PRICE_SCALE, cash_e6_of
from streams.settings import Settings
from streams.storage.database import Connection, Row
from streams.storage.store import executions as trading
from streams.storage.store.leases import Lease
from streams.storage.store.risk import current_limits, current_switch, lock_acting, tied_up

_CENT_E6 = 10_000
_MOST_FILLS = 50


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who acts for whom: the accounts, the mode and the environment of a desk."""

    settings: Settings
    mode: str
    gateways: Mapping[Venue, Gateway]

    @property
    def environment(self) -> str:
        """Which exchanges these are."""
        return self.settings.venues


class Dispatcher:
    """Places and follows orders of executions on one connection."""

    def __init__(self, connection: Connection, accounts: Accounts, leases: Sequence[Lease]) -> None:
        self._connection = connection
        self._accounts = accounts
        self._leases = leases
        self._absent: dict[int, int] = {}
        self._log = get_logger()

    async def place(
        self, execution: Row, leg: PlanLeg, target: Target, step: Place, decided_at: datetime
    ) -> Refusal | None:
        """Write the intent of a step and send its order.

        Returns:
            None when it was sent: whatever the venue answered is in the order's row then. Else why nothing happened:
            the gate's refusal, or that the venue takes no order now.
        """
        gateway = self._accounts.gateways[leg.venue]
        spec = _spec(gateway, target, leg, step)
        try:
            prepared = gateway.prepare(spec)
        except InvalidAmount as error:
            return Refusal(Reason.BELOW_MINIMUM, str(error))
        expires_at = decided_at + timedelta(milliseconds=self._accounts.settings.decision_ttl_ms)
        new = trading.NewIntent(
            execution_id=execution["execution_id"],
            leg_no=leg.leg_no,
            purpose=step.purpose,
            venue=leg.venue.value,
            market_id=leg.market_id,
            outcome=leg.outcome,
            action=step.action,
            limit_price_e4=step.limit_price_e4,
            size_e6=step.size_e6,
            spend_e6=spec.spend_e6,
            reserved_e6=reserved_e6(spec),
            epoch=self._leases[0].epoch if self._leases else 0,
            environment=self._accounts.environment,
            decided_at=decided_at,
            expires_at=expires_at,
            client_order_id=prepared.client_order_id,
            request=prepared.request,
        )
        written = self._write(new, is_first=not trading.load_orders(self._connection, new.execution_id))
        if isinstance(written, Refusal):
            return written
        return await self._send(gateway, prepared, written, expires_at)

    def _write(self, new: trading.NewIntent, *, is_first: bool) -> Refusal | int:
        """Write intent and order under the lock a kill takes too; the last check is made inside."""
        with self._connection.transaction():
            lock_acting(self._connection)
            refusal = may_send(
                switch=current_switch(self._connection),
                purpose="open" if is_first else "complete",
                has_leases=self._holds_leases(),
                is_within_life=datetime.now(UTC) < new.expires_at,
                is_within_limits=not is_first or self._is_within_limits(new),
            )
            return refusal if refusal is not None else trading.write_intent(self._connection, new)

    def _holds_leases(self) -> bool:
        names = [lease.name for lease in self._leases]
        rows = self._connection.execute(
            """SELECT name, epoch FROM trading.leases
               WHERE name = ANY(%s) AND released_at IS NULL AND expires_at > clock_timestamp()""",
            (names,),
        ).fetchall()
        return bool(names) and {(row["name"], row["epoch"]) for row in rows} == {
            (lease.name, lease.epoch) for lease in self._leases
        }

    def _is_within_limits(self, new: trading.NewIntent) -> bool:
        limits = current_limits(self._connection, self._accounts.settings)
        used = tied_up(self._connection, self._accounts.mode)
        market = used.by_market_e6.get((new.venue, new.market_id), 0)
        return (
            new.size_e6 <= limits.order_contracts_e6
            and market + new.reserved_e6 <= limits.market_e6 + _CENT_E6
            and used.total_e6 + new.reserved_e6 <= limits.total_e6 + _CENT_E6
        )

    async def _send(
        self, gateway: Gateway, prepared: PreparedOrder, order_id: int, expires_at: datetime
    ) -> Refusal | None:
        if not trading.mark_sent(self._connection, order_id):
            trading.update_order(self._connection, order_id, "expired", reason="it was never sent")
            return Refusal(Reason.STALE_BOOK, "the decision outlived its books before its order left")
        first = True
        while True:
            try:
                venue_order_id = await gateway.send(prepared)
            except OutcomeUnknown as error:
                self._log.warning("outcome of an order is unknown", order_id=order_id, error=str(error))
                if first and datetime.now(UTC) < expires_at:
                    first = False
                    continue
                trading.update_order(self._connection, order_id, "unknown", reason=str(error))
                return None
            except StreamsError as error:
                # After a first sending of unknown outcome a refusal says nothing about that one: only reads do.
                state = "rejected" if first else "unknown"
                trading.update_order(self._connection, order_id, state, reason=str(error))
                return _unavailable(error) if first else None
            trading.update_order(self._connection, order_id, "sent", venue_order_id=venue_order_id)
            return None

    # -- following -------------------------------------------------------------------------------------------------

    async def resolve(self, rows: Sequence[Row], targets: Mapping[str, Target]) -> None:
        """Read each of these orders once and write what is new; one that was never sent has expired."""
        for row in rows:
            if row["state"] == "prepared":
                trading.update_order(self._connection, row["order_id"], "expired", reason="it was never sent")
                continue
            reading = await self._read(row, targets)
            if reading is not None:
                self.record(row, reading)

    async def recheck(self, rows: Sequence[Row], targets: Mapping[str, Target]) -> None:
        """Read orders that were given up as never seen once more; one that has filled opens its execution again."""
        for row in rows:
            reading = await self._read(row, targets)
            if reading is not None and (reading.is_found or reading.fills):
                self.record(row, reading)
                self._log.warning("an order that was given up is there", order_id=row["order_id"])

    async def _read(self, row: Row, targets: Mapping[str, Target]) -> OrderReading | None:
        """Ask the venue for an order, cancelled first if it rests; None when it cannot be asked."""
        gateway = self._accounts.gateways[Venue(row["venue"])]
        key = order_key(row, targets[f"{row['venue']}:{row['market_id']}"])
        try:
            reading = await gateway.read(key)
            if reading.status == "resting":
                await gateway.cancel(key)
                reading = await gateway.read(key)
        except StreamsError as error:
            self._log.warning("an order could not be read", order_id=row["order_id"], error=str(error))
            return None
        return reading

    def record(self, row: Row, reading: OrderReading) -> None:
        """Write what a venue says about an order: fills, their ledger entries, the order's state."""
        order_id = row["order_id"]
        if not reading.is_found and not reading.fills:
            self._record_absence(row)
            return
        with self._connection.transaction():
            self._lock_market(row)
            for fill in reading.fills:
                self._record_fill(row, fill)
            seen = sum(fill.contracts_e6 for fill in reading.fills)
            is_final = reading.is_final and (reading.filled_e6 is None or seen >= reading.filled_e6)
            trading.update_order(
                self._connection,
                order_id,
                _state(row, reading) if is_final else ("resting" if reading.status == "resting" else "unknown"),
                venue_order_id=reading.venue_order_id,
                reason=reading.status if is_final and not seen else "",
            )
            was_given_up = row["state"] == "expired" and row["reason"] == trading.ABSENT
            if was_given_up and trading.order_state(self._connection, order_id) != "canceled":
                reopen_late(self._connection, row["execution_id"])

    def _record_absence(self, row: Row) -> None:
        """An order that the venue does not know, long after it was sent and asked for twice, never arrived."""
        order_id = row["order_id"]
        self._absent[order_id] = self._absent.get(order_id, 0) + 1
        age = datetime.now(UTC) - row["sent_at"]
        is_proven = (
            age > timedelta(seconds=self._accounts.settings.unknown_absent_after_s) and self._absent[order_id] > 1
        )
        if is_proven:
            trading.update_order(self._connection, order_id, "expired", reason=trading.ABSENT)
        elif row["state"] != "unknown":
            trading.update_order(self._connection, order_id, "unknown", reason="the venue does not show it yet")

    def _lock_market(self, row: Row) -> None:
        self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{row['venue']}:{row['market_id']}",)
        )

    def _record_fill(self, row: Row, fill: trading.NewFill) -> None:
        _, before = trading.upsert_fill(self._connection, row, fill)
        fact = fill_fact(row, fill)
        entries: list[Entry] = []
        if before is None and fill.state != "failed":
            entries = fill_entries(fact)
        elif before == "provisional" and fill.state == "failed":
            entries = reversal_entries(fact)
            reopen_failed(self._connection, row["execution_id"])
        if entries:
            self.write_entries(entries, fill.filled_at)
            self._net(fact, fill.filled_at)

    def write_entries(self, entries: Sequence[Entry], at: datetime) -> None:
        """Write ledger entries of this desk's mode and environment."""
        rows = [
            trading.NewEntry(
                entry.key,
                entry.kind,
                entry.venue.value,
                entry.market_id,
                entry.outcome,
                entry.cash_e6,
                entry.contracts_e6,
                entry.execution_id,
                entry.order_id,
                at,
            )
            for entry in entries
        ]
        trading.write_entries(self._connection, rows, self._accounts.mode, self._accounts.environment)

    def _net(self, fact: FillFact, at: datetime) -> None:
        """Book what the venue pays early, or takes back, because YES and NO of one market match."""
        held = {
            row["outcome"]: row
            for row in self._connection.execute(
                """SELECT outcome, sum(contracts_e6)::bigint AS contracts_e6, sum(cash_e6)::bigint AS cash_e6
                   FROM trading.ledger WHERE mode = %s AND venue = %s AND market_id = %s GROUP BY outcome""",
                (self._accounts.mode, fact.venue.value, fact.market_id),
            )
        }
        yes, no, advance = (held.get(name, {}) for name in ("yes", "no", None))
        target = netting_target_e6(fact.venue, int(yes.get("contracts_e6", 0)), int(no.get("contracts_e6", 0)))
        change = target - int(advance.get("cash_e6", 0))
        if change:
            key = f"netting:{fact.venue}:{fact.fill_key}:{fact.order_id}:{target}"
            self.write_entries([Entry(key, "adjustment", fact.venue, fact.market_id, None, change)], at)


def _unavailable(error: StreamsError) -> Refusal | None:
    """Return that a venue takes no order now; None for an error that says something about this order."""
    if not isinstance(error, TransientError):
        return None
    wait_s = error.retry_after_s if isinstance(error, RateLimited | Unavailable) else 0.0
    return Refusal(Reason.VENUE_UNAVAILABLE, str(error), wait_s)


def order_facts(rows: Sequence[Row]) -> list[OrderFact]:
    """Return the saga's view of an execution's orders."""
    facts: list[OrderFact] = []
    for row in rows:
        is_buy = row["action"] == "buy"
        spent = row["cash_e6"] + row["fee_e6"] if is_buy else row["fee_e6"] - row["cash_e6"]
        is_resolved = row["state"] not in trading.UNRESOLVED
        rest = 0 if is_resolved else max(0, row["size_e6"] - row["filled_e6"])
        rest_spent = 0
        if rest:
            rest_spent = max(0, row["reserved_e6"] - spent) if is_buy else -_least_proceeds(row, rest)
        facts.append(
            OrderFact(
                leg_no=row["leg_no"],
                purpose=row["purpose"],
                action=row["action"],
                filled_e6=row["filled_e6"],
                spent_e6=spent,
                is_resolved=is_resolved,
                rest_e6=rest,
                rest_spent_e6=rest_spent,
            )
        )
    return facts


def _least_proceeds(row: Row, rest: int) -> int:
    return max(0, cash_e6_of(row["limit_price_e4"], rest, paying=False) - int(row["reserved_e6"]))


def reserved_e6(spec: OrderSpec) -> int:
    """Return the most cash an order can take: price and fees of a buy, the fees of a sale."""
    if spec.spend_e6 is not None:
        return spec.spend_e6 + spend_fee_bound_e6(spec.spend_e6, spec.target.schedule)
    fee = fee_bound_e6(_dearest_price(spec), spec.size_e6, spec.target.schedule, fills=_MOST_FILLS)
    return fee + (cash_e6_of(spec.limit_price_e4, spec.size_e6, paying=True) if spec.action == "buy" else 0)


def _dearest_price(spec: OrderSpec) -> int:
    """Return the price with the highest fee that the order may be filled at (fees peak at one half)."""
    half = PRICE_SCALE // 2
    return min(spec.limit_price_e4, half) if spec.action == "buy" else max(spec.limit_price_e4, half)


def order_key(row: Row, target: Target) -> OrderKey:
    """Return how the venue knows an order row."""
    outcome: Outcome = row["outcome"]
    return OrderKey(
        row["client_order_id"],
        row["venue_order_id"],
        target,
        outcome,
        row["action"],
        row["sent_at"] or row["prepared_at"],
    )


def fill_fact(row: Row, fill: trading.NewFill) -> FillFact:
    """Return the ledger's view of a fill of an order row."""
    return FillFact(
        fill_key=fill.venue_fill_id,
        venue=Venue(row["venue"]),
        market_id=row["market_id"],
        outcome=row["outcome"],
        action=row["action"],
        contracts_e6=fill.contracts_e6,
        cash_e6=fill.cash_e6,
        fee_e6=fill.fee_e6,
        execution_id=row["execution_id"],
        order_id=row["order_id"],
    )


def _state(row: Row, reading: OrderReading) -> str:
    kept = [fill for fill in reading.fills if fill.state != "failed"]
    filled = sum(fill.contracts_e6 for fill in kept)
    if not filled:
        return "canceled"
    if row["spend_e6"] is None:
        return "filled" if filled >= row["size_e6"] else "partial"
    spent = sum(fill.cash_e6 for fill in kept)
    return "filled" if spent + 2 * _CENT_E6 >= row["spend_e6"] else "partial"


def _spec(gateway: Gateway, target: Target, leg: PlanLeg, step: Place) -> OrderSpec:
    spend = None
    if gateway.buys_spend_dollars and step.action == "buy":
        # The walked cost floored to a cent, never size times limit; the next step levels what that leaves unmatched.
        spend = max(step.cost_e6 // _CENT_E6, 1) * _CENT_E6
    return OrderSpec(target, leg.outcome, step.action, step.limit_price_e4, step.size_e6, spend)
