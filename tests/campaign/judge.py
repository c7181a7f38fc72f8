"""What must hold in a seed: at the instant an intent is written and an order leaves, and when all is over.

What is compared with is read from the rows and the exchanges themselves. Functions of the product that are used for it
are held here by their own names: a mistake that is planted where they are called does not reach the judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from orchestration.execution.decide.execution_detail import execution_detail
from orchestration.execution.decide.hedge_plan import Plan, locked_e6, order_facts
from orchestration.execution.settlement import compare_balances
from orchestration.execution.trading_context import TradingContext
from streams.market.identity import Venue
from streams.market.trading import ABSENT
from streams.storage.database import Connection
from streams.storage.store.executions import load_execution
from streams.storage.store.gate.daily_result import daily_result_e6
from streams.storage.store.market_groups import load_group
from streams.storage.store.orders import NewIntent, load_orders, write_intent
from streams.storage.store.risk import current_limits, last_switch, tied_up
from tests.campaign.clock import Clocks
from tests.campaign.exchanges import CONTRACT, Exchanges
from tests.campaign.world import World

_LIFE_S = 1.0
_COPY_LIFE = timedelta(milliseconds=100)
"""So long what the first order of a hedge has seen covers the others that leave with it."""
_CENT_E6 = 10_000
_MOST_BOUGHT = 1.6
"""A leg may get so much more than was planned: dollars buy more contracts where prices are better."""


@dataclass
class Report:
    """What became of one seed.

    Attributes:
        trace: Everything that was written, one line each, times in milliseconds of the seed.
        broken: The promises that were broken, in words; empty where all held.
        ended: Executions by the state they ended in.
        refused: Signals that were not taken, by reason.
        orders: How many orders there are.
        kills: How many runs were killed, and `stops` how many were stopped and woken.
        virtual_s: How long it took (virtual seconds).
    """

    seed: int
    trace: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    kills: int = 0
    stops: int = 0
    virtual_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Leaving:
    execution_id: int
    is_first: bool
    epoch: int
    market_keys: tuple[str, ...]
    written_s: float


class Witness:
    """Sees each intent in the transaction that writes it, and each order as its bytes leave."""

    def __init__(self, base: Connection, context: TradingContext, clocks: Clocks, report: Report) -> None:
        self._base, self._context, self._clocks, self._report = base, context, clocks, report
        self._written: dict[str, _Leaving] = {}

    @contextmanager
    def looking(self) -> Iterator[None]:
        """See every intent while the block runs."""

        def seen(connection: Connection, new: NewIntent) -> int:
            order_id = write_intent(connection, new)
            self._see_intent(connection, new)
            return order_id

        with patch("streams.storage.store.orders.write_intent", seen):
            yield

    def see_order(self, body: str) -> None:
        """Look at an order whose bytes leave now."""
        row, order = last_switch(self._base), self._written.get(body)
        switch = "kill" if row is None else row.state
        is_new = row is not None and self._clocks.venue_now() - row.set_at < _COPY_LIFE
        if switch == "kill" and not (is_new and order is not None and not order.is_first):
            self._say("an order leaves though trading is killed")
        if order is None:
            self._say("an order leaves that has no intent")
            return
        if order.is_first and switch != "run":
            self._say(f"a hedge opens under {switch}")
        late_s = self._clocks.monotonic() - order.written_s
        if late_s > _LIFE_S:
            self._say(f"an order leaves {late_s:.3f} s after its intent")
        self._check_leases(self._base, order, "leaves")

    def _see_intent(self, connection: Connection, new: NewIntent) -> None:
        rows = load_orders(connection, new.execution_id)
        execution = load_execution(connection, new.execution_id)
        plan = execution_detail(execution.detail).plan
        order = _Leaving(new.execution_id, len(rows) == 1, new.epoch, tuple(plan.market_keys), self._clocks.monotonic())
        self._written[str(new.request["body"])] = order
        self._check_leases(connection, order, "is written")
        if order.is_first:
            self._see_opening(connection, execution.group_id, execution.signal_id, new.execution_id, plan)

    def _see_opening(
        self, connection: Connection, group_id: str, signal_id: int, execution_id: int, plan: Plan
    ) -> None:
        settings, mode = self._context.settings, self._context.mode
        limits, used = current_limits(connection, settings), tied_up(connection, mode)
        if used.total_e6 > limits.total_e6:
            self._say(f"a hedge opens with {used.total_e6} tied up, the limit is {limits.total_e6}")
        group = load_group(connection, group_id)
        if group is None or group.decision_state != "approved":
            self._say("a hedge opens on a pair that is not approved")
        day = daily_result_e6(connection, mode, self._clocks.now(), besides=execution_id)
        if plan.loss_bound_e6 - day > limits.daily_loss_e6:
            self._say(f"a hedge opens with {day} today, it may lose {plan.loss_bound_e6} of {limits.daily_loss_e6}")
        row = connection.execute(
            """SELECT FROM trading.executions AS e JOIN trading.intents AS i USING (execution_id)
               JOIN trading.orders AS o USING (intent_id) JOIN trading.fills AS f USING (order_id)
               WHERE e.signal_id = %s AND e.execution_id <> %s LIMIT 1""",
            (signal_id, execution_id),
        ).fetchone()
        if row is not None:
            self._say(f"signal {signal_id} is taken again after it has bought")

    def _check_leases(self, connection: Connection, order: _Leaving, what: str) -> None:
        """The order's writer holds the lease of the first market, under whose epoch it writes."""
        row = connection.execute(
            "SELECT epoch FROM trading.leases WHERE name = %s", (f"market:{order.market_keys[0]}",)
        ).fetchone()
        if row is None or row["epoch"] != order.epoch:
            self._say(f"an order of execution {order.execution_id} {what} without the lease")

    def _say(self, what: str) -> None:
        self._report.broken.append(what)


class Judge:
    """Judges what is left when all is over."""

    def __init__(
        self,
        base: Connection,
        exchanges: Exchanges,
        context: Callable[[], TradingContext],
        world: World,
        report: Report,
    ) -> None:
        self._base, self._exchanges, self._context = base, exchanges, context
        self._world, self._report = world, report

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return self._base.execute(query, values or None).fetchall()

    async def judge(self) -> None:
        """Compare executions with their fills, orders and holdings with the venues', and look for breaks."""
        self._judge_escalated()
        self._judge_orders()
        self._judge_executions()
        await self._judge_accounts()
        states = self.rows("SELECT state, count(*) AS n FROM trading.executions GROUP BY 1 ORDER BY 1")
        self._report.ended = {row["state"]: row["n"] for row in states}
        reasons = self.rows("SELECT reason, count(*) AS n FROM trading.refusals GROUP BY 1 ORDER BY 1")
        self._report.refused = {row["reason"]: row["n"] for row in reasons}

    async def judge_payout(self) -> None:
        """After all markets have paid: the ledger is the venues', and the change of cash was realised."""
        for balance in await compare_balances(self._base, self._context()):
            if balance.difference_e6:
                self._say(f"{balance.venue}: after the payout {balance.difference_e6} differ")
        [sums] = self.rows(
            """SELECT (SELECT coalesce(sum(realised_pnl_e6), 0)::bigint FROM trading.executions) AS realised,
                   (SELECT coalesce(sum(cash_e6), 0)::bigint FROM trading.ledger WHERE kind <> 'deposit') AS moved"""
        )
        if sums["realised"] != sums["moved"]:
            self._say(f"{sums['realised']} are realised and {sums['moved']} came in")

    def _say(self, what: str) -> None:
        self._report.broken.append(what)

    def _judge_escalated(self) -> None:
        for row in self.rows(
            """SELECT e.execution_id, e.detail ->> 'why' AS why, EXISTS (SELECT FROM trading.alerts
                   WHERE dedup_key = 'execution:' || e.execution_id) AS is_told
               FROM trading.executions AS e WHERE state = 'ESCALATED'"""
        ):
            if not row["is_told"]:
                self._say(f"execution {row['execution_id']} is escalated and nobody was told")
            if str(row["why"]).endswith(("refused: paused", "refused: reducing")):
                self._say(f"execution {row['execution_id']} could not lower its exposure: {row['why']}")

    def _judge_orders(self) -> None:
        """Every order at a venue is one of ours, once."""
        ours = {row["key"]: row for row in self.rows("SELECT client_order_id AS key FROM trading.orders")}
        self._report.orders = len(ours)
        seen: Counter[str] = Counter()
        for exchange in self._exchanges.sandbox.exchanges.values():
            for record in exchange.state.orders.values():
                names = (record.request.client_order_id, record.request.order_id)
                key = next((name for name in names if name in ours), None)
                if key is None:
                    self._say(f"order {record.request.order_id} is at a venue and not in our rows")
                else:
                    seen[key] += 1
        for key, count in seen.items():
            if count > 1:
                self._say(f"order {key} is there {count} times")
        for row in self.rows(
            """SELECT o.order_id FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
               WHERE i.spend_e6 IS NULL AND o.filled_e6 > i.size_e6 AND NOT EXISTS (
                   SELECT FROM trading.alerts WHERE dedup_key = 'over_fill:' || o.order_id)"""
        ):
            self._say(f"order {row['order_id']} has filled for more than was ordered and nobody was told")

    def _judge_executions(self) -> None:
        fills: dict[int, list[dict[str, Any]]] = {}
        for row in self.rows(
            """SELECT i.execution_id, i.leg_no, i.purpose, i.action, f.contracts_e6, f.cash_e6 + f.fee_e6 AS cost_e6,
                   f.state FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
               JOIN trading.intents AS i USING (intent_id)"""
        ):
            fills.setdefault(row["execution_id"], []).append(row)
        for row in self.rows("SELECT execution_id FROM trading.executions ORDER BY 1"):
            self._judge_execution(row["execution_id"], fills.get(row["execution_id"], []))

    def _judge_execution(self, execution_id: int, fills: list[dict[str, Any]]) -> None:
        execution = load_execution(self._base, execution_id)
        plan, good = execution_detail(execution.detail).plan, [row for row in fills if row["state"] != "failed"]
        name = f"execution {execution_id}, {execution.state},"
        left = _unmatched_e6(plan, good)
        if execution.state in ("HEDGED", "FLAT") and left > plan.dust_e6 + _CENT_E6:
            self._say(f"{name} holds for {left} what nothing matches")
        orders = load_orders(self._base, execution_id)
        is_as_decided = len(good) == len(fills) and not execution_detail(execution.detail).has_late_fill
        if self._world.is_altered or not is_as_decided or any(order.reason == ABSENT for order in orders):
            return
        for leg in plan.legs:
            bought = sum(
                row["contracts_e6"]
                for row in good
                if row["leg_no"] == leg.leg_no and row["purpose"] in ("open", "complete")
            )
            if bought > _MOST_BOUGHT * plan.size_e6 + CONTRACT:
                self._say(f"{name} has bought {bought} of leg {leg.leg_no}, planned were {plan.size_e6}")
        [spare] = self.rows(
            "SELECT coalesce(max(spare_e6), 0) AS e6 FROM trading.reservations WHERE execution_id = %s", execution_id
        )
        locked = locked_e6(plan, order_facts(orders))
        if execution.state in ("HEDGED", "FLAT") and locked < -(spare["e6"] + plan.dust_e6 + _CENT_E6):
            self._say(f"{name} has lost {-locked}, its bound was {plan.loss_bound_e6}, with fees {spare['e6']}")

    async def _judge_accounts(self) -> None:
        for balance in await compare_balances(self._base, self._context()):
            if balance.difference_e6 or balance.in_flight:
                self._say(f"{balance.venue}: ledger and cash differ by {balance.difference_e6}")
        for venue, gateway in self._exchanges.gateways().items():
            theirs = {key: size for key, size in (await gateway.positions()).items() if size}
            ours = {
                (row["market_id"], row["outcome"]): row["n"]
                for row in self.rows(
                    """SELECT market_id, outcome, sum(contracts_e6)::bigint AS n FROM trading.position_totals
                       WHERE venue = %s GROUP BY 1, 2 HAVING sum(contracts_e6) <> 0""",
                    venue.value,
                )
            }
            if _net(ours, venue) != _net(theirs, venue):
                self._say(f"{venue}: the ledger holds {ours}, the venue {theirs}")
        for row in self.rows("SELECT venue, reason FROM trading.account_switches WHERE set_by = 'reconciliation'"):
            self._say(f"the account at {row['venue']} only reduces: {row['reason']}")


def _unmatched_e6(plan: Plan, fills: list[dict[str, Any]]) -> int:
    """Return what the contracts beyond the least held leg have cost, by the fills alone."""
    held = dict.fromkeys((leg.leg_no for leg in plan.legs), 0)
    bought, cost = dict(held), dict(held)
    for row in fills:
        is_buy = row["action"] == "buy" and row["purpose"] != "complement"
        held[row["leg_no"]] += row["contracts_e6"] if is_buy else -row["contracts_e6"]
        if is_buy:
            bought[row["leg_no"]] += row["contracts_e6"]
            cost[row["leg_no"]] += row["cost_e6"]
    least = min(held.values())
    return sum((held[leg] - least) * cost[leg] // bought[leg] for leg in held if bought[leg])


def _net(held: dict[Any, int], venue: Venue) -> dict[str, int]:
    """Return contracts by market, YES less NO where a venue nets them, else by market and outcome."""
    found: dict[str, int] = {}
    for (market, outcome), size in held.items():
        key, sign = (market, 1 if outcome == "yes" else -1) if venue is Venue.KALSHI else (f"{market} {outcome}", 1)
        found[key] = found.get(key, 0) + sign * size
    return {key: size for key, size in found.items() if size}
