"""Trading one signal: pre-trade risk checks, plan and orders, to HEDGED, FLAT or ESCALATED. The I/O around deciding.

Everything it decides on is read fresh: switch, limits and approvals from Postgres, books from the venues' REST. It
remembers nothing that Postgres does not hold, so `reconcile` continues with the same code what a killed run began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from orchestration.execution.decide.gate.plan_facts import quotes_of, quotes_to_json
from orchestration.execution.decide.gate.registry import judge
from orchestration.execution.decide.hedge import Finish
from orchestration.execution.decide.hedge_plan import Plan
from orchestration.execution.decide.plan import (
    Decision,
    Headroom,
    TradeRequest,
    plan_to_json,
    trade_request,
)
from orchestration.execution.decide.plan_record import PlanInputs, inputs_to_json, result_to_json
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.gate.admission import Asked, load_pots, read_facts, write_judgement
from orchestration.execution.gate.breaker_watch import watch_breakers
from orchestration.execution.gate.leg_odds import read_leg_odds
from orchestration.execution.gate.readings import refresh_cash, refresh_states
from orchestration.execution.run_execution import ExecutionRun, fetch_books
from orchestration.execution.trading_context import TradingContext
from orchestration.opportunities.worth import worth_to_json
from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.market.errors import StreamsError
from streams.market.trading import (
    ExecutionRow,
    ExecutionState,
    MarketInfo,
    RefusalReason,
    Signal,
    Target,
)
from streams.market.units import PRICE_SCALE
from streams.storage.database import ROW_REFUSED, Connection
from streams.storage.store import executions
from streams.storage.store.gate.plan_decisions import NewPlanDecision, write_plan_decision
from streams.storage.store.hedges.held import held_by_hedges
from streams.storage.store.leases import Lease, acquire, market_lease, process_holder, release
from streams.storage.store.market_groups import load_group, load_market_infos
from streams.storage.store.risk import current_limits, tied_up, tied_up_beyond
from streams.storage.store.signals import NewRefusal, load_signal, write_refusal


@dataclass(frozen=True, slots=True)
class TradeResult:
    """What became of one signal."""

    signal_id: int
    execution_id: int | None = None
    state: ExecutionState | None = None
    refusal: Refusal | None = None


class SignalTrader:
    """Trades signals on one connection, one after the other.

    Args:
        connection: Where rows are read and written; of this trader alone.
        context: Gateways, mode and settings.
        run_id: Of the run it works in.
        holder: Under which name it holds leases; that of this process if it is not said.
    """

    def __init__(self, connection: Connection, context: TradingContext, run_id: str, holder: str | None = None) -> None:
        self._connection = connection
        self._context = context
        self._settings = context.settings
        self._run_id = run_id
        self._holder = holder or process_holder()

    async def trade(self, signal_id: int) -> TradeResult:
        """Take one signal to its end. Refusals are written with their reason; errors of any kind deny.

        Raises:
            LookupError: If there is no such signal.
        """
        signal = load_signal(self._connection, signal_id)
        if signal is None:
            raise LookupError(f"there is no signal {signal_id}")
        leases = self._acquire(sorted({leg.market_key for leg in signal.legs}))
        try:
            return await self._trade(signal, leases)
        except StreamsError as error:
            return self._refuse(signal_id, Refusal(RefusalReason.VENUE_UNAVAILABLE, str(error)))
        except Exception as error:  # a signal that is not refused would be the next one again, before all others
            if isinstance(error, psycopg.Error) and not isinstance(error, ROW_REFUSED):
                raise
            get_logger().error("a signal cannot be traded", signal_id=signal_id, error=repr(error), exc_info=error)
            return self._refuse(signal_id, Refusal(RefusalReason.ERROR, f"{type(error).__name__}: {error}"))
        finally:
            for lease in leases or []:
                release(self._connection, lease)

    async def run_execution(
        self,
        execution: ExecutionRow,
        targets: Mapping[str, Target],
        leases: Sequence[Lease],
        decided_at: datetime | None = None,
        *,
        flatten: int | None = None,
    ) -> Finish | Refusal:
        """Work on an execution until its hedge ends, from whatever its rows say.

        Args:
            execution: Its row.
            targets: Its markets by "venue:market_id".
            leases: Held on all its markets.
            decided_at: When the books of the plan were read, for the first order; None when it is taken over.
            flatten: The command by which a person asked for all of it to be sold; None to hedge it.

        Raises:
            LeaseLost: If someone else works on it now.
        """
        run = ExecutionRun(self._connection, self._context, execution, targets, leases, flatten=flatten)
        return await run.until_finished(decided_at)

    def acquire(self, plan: Plan) -> list[Lease] | None:
        """Take the leases of a plan's markets, or none."""
        return self._acquire(plan.market_keys)

    async def _trade(self, signal: Signal, leases: list[Lease] | None) -> TradeResult:
        group = load_group(self._connection, signal.group_id)
        if group is None:
            return self._refuse(signal.signal_id, Refusal(RefusalReason.NOT_TRADABLE, "its group is gone"))
        markets = load_market_infos(self._connection, group.market_keys)
        request = trade_request(signal, group, markets)
        if isinstance(request, Refusal):
            return self._refuse(signal.signal_id, request)
        # What is refused anyway asks no venue; whoever passes is judged once more, under locks, with its first intent.
        asked = Asked(signal, group, {key: markets[key] for key, _ in request.legs}, leases is not None)
        now = datetime.now(UTC)
        judgement = judge(read_facts(self._connection, self._context, asked, now))
        if judgement.refusal is not None:
            write_judgement(self._connection, self._context, asked, judgement, now)
            return self._refuse(signal.signal_id, judgement.refusal)
        inputs = await self._read_inputs(request, asked.markets.values())
        if isinstance(inputs, Refusal):
            return self._refuse(signal.signal_id, inputs)
        decision = inputs.decide()
        if isinstance(decision, Refusal):
            self._keep_decision(signal, inputs, decision)
            return self._refuse(signal.signal_id, decision)
        return await self._execute(signal, inputs, decision, leases or [])

    async def _execute(
        self, signal: Signal, inputs: PlanInputs, decision: Decision, leases: list[Lease]
    ) -> TradeResult:
        request = inputs.request
        new = executions.NewExecution(
            signal_id=signal.signal_id,
            attempt=signal.attempts + 1,
            group_id=request.group_id,
            environment=self._settings.venues,
            mode=self._context.mode,
            state=ExecutionState.PLANNED,
            run_id=self._run_id,
            epoch=leases[0].epoch,
            edge_usd=decision.edge.best_edge_usd,
            contracts_e6=decision.plan.size_e6,
            detail={
                "plan": plan_to_json(decision.plan),
                "binding": decision.binding,
                "planned_profit_e6": decision.edge.profit_e6,
                "worth": worth_to_json(decision.worth),
                "quotes": self._quotes(inputs, decision),
            },
        )
        execution_id = executions.create_execution(self._connection, new)
        if execution_id is None:
            return self._refuse(signal.signal_id, Refusal(RefusalReason.ALREADY_EXECUTED, "this attempt exists"))
        self._keep_decision(signal, inputs, decision, execution_id)
        execution = executions.load_execution(self._connection, execution_id)
        finish = await self.run_execution(execution, request.targets, leases, inputs.asked_at)
        watch_breakers(self._connection, self._context, datetime.now(UTC))
        refusal = finish if isinstance(finish, Refusal) else None
        if refusal is not None:
            self._refuse(signal.signal_id, refusal, execution_id)
        state = executions.load_execution(self._connection, execution_id).state
        return TradeResult(signal.signal_id, execution_id, state, refusal)

    def _quotes(self, inputs: PlanInputs, decision: Decision) -> JsonDocument:
        """Return what the gate must know of the books that were decided on."""
        within_e4 = int(self._settings.flatten_slippage_usd * PRICE_SCALE)
        return quotes_to_json(quotes_of(decision.plan, inputs.books, inputs.asked_at, inputs.read_at, within_e4))

    # -- reading -----------------------------------------------------------------------------------------------------

    def _acquire(self, keys: Sequence[str]) -> list[Lease] | None:
        """Take the leases of all markets in sorted order, or none."""
        held: list[Lease] = []
        for key in keys:
            ttl = self._settings.trading_lease_ttl_s
            lease = acquire(self._connection, market_lease(key), self._holder, self._run_id, ttl)
            if lease is None:
                for taken in held:
                    release(self._connection, taken)
                return None
            held.append(lease)
        return held

    async def _read_inputs(self, request: TradeRequest, markets: Collection[MarketInfo]) -> PlanInputs | Refusal:
        targets = [request.targets[key] for key, _ in request.legs]
        venues = {target.venue for target in targets}
        if any(venue not in self._context.gateways for venue in venues):
            return Refusal(RefusalReason.VENUE_UNAVAILABLE, "no account on one of the venues")
        await asyncio.gather(
            refresh_cash(self._connection, self._context, sorted(venues), _now),
            refresh_states(self._connection, self._context, markets, _now),
        )
        asked_at = _now()  # the books come last: the decision lives from here on
        books = await fetch_books(self._context, targets)
        read_at = datetime.now(UTC)
        limits = current_limits(self._connection, self._settings)
        used = tied_up(self._connection, self._context.mode)
        pots = load_pots(self._connection, self._context.mode)
        cash = {venue: {pot.shard: pot.free_e6 for pot in pots.get(venue, ())} for venue in sorted(venues)}
        long_from = read_at + timedelta(days=float(self._settings.long_days))
        long_e6 = tied_up_beyond(self._connection, used, long_from)
        odds = read_leg_odds(self._connection, self._context, targets, read_at)
        held = held_by_hedges(self._connection, self._context.mode, request.group_id)
        headroom = Headroom(limits, used, cash, self._context.policy, read_at, long_e6, odds, held)
        return PlanInputs(request, books, headroom, asked_at, read_at)

    def _keep_decision(
        self, signal: Signal, inputs: PlanInputs, result: Decision | Refusal, execution_id: int | None = None
    ) -> None:
        """Keep what was decided and on what, so that it can be decided again."""
        new = NewPlanDecision(
            signal_id=signal.signal_id,
            execution_id=execution_id,
            mode=self._context.mode,
            environment=self._settings.venues,
            reason=result.reason.value if isinstance(result, Refusal) else "",
            inputs=inputs_to_json(inputs),
            result=result_to_json(result),
        )
        write_plan_decision(self._connection, new, inputs.read_at)

    def _refuse(self, signal_id: int, refusal: Refusal, execution_id: int | None = None) -> TradeResult:
        new = NewRefusal(signal_id, refusal.reason, refusal.detail, self._settings.venues, execution_id)
        write_refusal(self._connection, new)
        return TradeResult(signal_id, execution_id, None, refusal)


def _now() -> datetime:
    return datetime.now(UTC)
