"""The desk: takes a signal through gate, plan and orders to HEDGED, FLAT or ESCALATED. The I/O around the saga.

Everything it decides on is read fresh: switch, limits and approvals from Postgres, books from the venues' REST. It
remembers nothing that Postgres does not hold, so `reconcile` continues with the same code what a killed run began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestration.execution.decide.hedge import Finish, Plan, State
from orchestration.execution.decide.plan import Decision, Room, Wanted, decide, plan_to_json, wanted_of
from orchestration.execution.decide.risk_checks import OpeningFacts, Reason, Refusal, may_open
from orchestration.execution.run_execution import Drive, fetch_books
from orchestration.execution.send_orders import Accounts
from orchestration.execution.venues.gateway import Target
from streams.market.errors import StreamsError
from streams.market.units import CASH_SCALE
from streams.storage.database import Connection, Row
from streams.storage.store import executions as trading
from streams.storage.store import signals
from streams.storage.store.leases import Lease, acquire, process_holder, release
from streams.storage.store.risk import current_limits, current_switch, tied_up


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one signal."""

    signal_id: int
    execution_id: int | None = None
    state: State | None = None
    refusal: Refusal | None = None


class Desk:
    """Trades signals on one connection, one after the other."""

    def __init__(self, connection: Connection, accounts: Accounts, run_id: str) -> None:
        self._connection = connection
        self._accounts = accounts
        self._settings = accounts.settings
        self._run_id = run_id

    async def trade(self, signal_id: int) -> Outcome:
        """Take one signal to its end. Refusals are written with their reason; errors deny.

        Raises:
            LookupError: If there is no such signal.
        """
        signal = signals.load_signal(self._connection, signal_id)
        if signal is None:
            raise LookupError(f"there is no signal {signal_id}")
        keys = sorted({f"{leg['venue']}:{leg['market_id']}" for leg in signal["legs"]})
        leases = self._acquire(keys)
        try:
            return await self._trade(signal, leases)
        except StreamsError as error:
            return self._refuse(signal_id, Refusal(Reason.VENUE_UNAVAILABLE, str(error)))
        finally:
            for lease in leases or []:
                release(self._connection, lease)

    async def _trade(self, signal: Row, leases: list[Lease] | None) -> Outcome:
        signal_id = signal["signal_id"]
        group = signals.load_group(self._connection, signal["group_id"])
        if group is None:
            return self._refuse(signal_id, Refusal(Reason.NOT_TRADABLE, "its group is gone"))
        keys = [f"{item['venue']}:{item['market_id']}" for item in group["markets"]]
        markets = signals.load_markets(self._connection, keys)
        wanted = wanted_of(signal, group, markets)
        if isinstance(wanted, Refusal):
            return self._refuse(signal_id, wanted)
        refusal = may_open(self._opening_facts(signal, group, wanted, markets, leases))
        if refusal is not None:
            return self._refuse(signal_id, refusal)
        decided_at = datetime.now(UTC)
        decision = await self._decide(wanted)
        if isinstance(decision, Refusal):
            return self._refuse(signal_id, decision)
        return await self._execute(signal, wanted, decision, leases or [], decided_at)

    async def _execute(
        self, signal: Row, wanted: Wanted, decision: Decision, leases: list[Lease], decided_at: datetime
    ) -> Outcome:
        new = trading.NewExecution(
            signal_id=signal["signal_id"],
            attempt=signal["attempts"] + 1,
            group_id=wanted.group_id,
            environment=self._settings.venues,
            mode=self._accounts.mode,
            state=State.PLANNED,
            run_id=self._run_id,
            epoch=leases[0].epoch,
            edge_usd=decision.edge.best_edge_usd,
            contracts_e6=decision.plan.size_e6,
            detail={
                "plan": plan_to_json(decision.plan),
                "binding": decision.binding,
                "planned_profit_e6": decision.edge.profit_e6,
            },
        )
        execution_id = trading.create_execution(self._connection, new)
        if execution_id is None:
            return self._refuse(signal["signal_id"], Refusal(Reason.ALREADY_EXECUTED, "this attempt exists"))
        execution = trading.load_execution(self._connection, execution_id)
        finish = await self.drive(execution, wanted.targets, leases, decided_at)
        refusal = finish if isinstance(finish, Refusal) else None
        if refusal is not None:
            self._refuse(signal["signal_id"], refusal, execution_id)
        state = State(trading.load_execution(self._connection, execution_id)["state"])
        return Outcome(signal["signal_id"], execution_id, state, refusal)

    async def drive(
        self,
        execution: Row,
        targets: Mapping[str, Target],
        leases: Sequence[Lease],
        decided_at: datetime | None = None,
        *,
        flatten: int | None = None,
    ) -> Finish | Refusal:
        """Work on an execution until the saga ends it, from whatever its rows say.

        Args:
            execution: Row of trading.executions.
            targets: Its markets by "venue:market_id".
            leases: Held on all its markets.
            decided_at: When the books of the plan were read, for the first order; None when it is taken over.
            flatten: The command by which a person asked for all of it to be sold; None to hedge it.

        Raises:
            LeaseLost: If someone else works on it now.
        """
        run = Drive(self._connection, self._accounts, execution, targets, leases, flatten=flatten)
        return await run.until_finished(decided_at)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _acquire(self, keys: Sequence[str]) -> list[Lease] | None:
        """Take the leases of all markets in sorted order, or none."""
        held: list[Lease] = []
        for key in keys:
            ttl = self._settings.lease_ttl_s
            lease = acquire(self._connection, f"market:{key}", process_holder(), self._run_id, ttl)
            if lease is None:
                for taken in held:
                    release(self._connection, taken)
                return None
            held.append(lease)
        return held

    def acquire(self, plan: Plan) -> list[Lease] | None:
        """Take the leases of a plan's markets, or none."""
        return self._acquire(sorted({f"{leg.venue}:{leg.market_id}" for leg in plan.legs}))

    def _opening_facts(
        self, signal: Row, group: Row, wanted: Wanted, markets: Mapping[str, signals.MarketInfo], leases: object
    ) -> OpeningFacts:
        mode = self._accounts.mode
        refs = [(wanted.targets[key].venue.value, wanted.targets[key].market_id) for key, _ in wanted.legs]
        last = self._connection.execute(
            "SELECT max(started_at) AS at FROM trading.executions WHERE group_id = %s AND mode = %s",
            (wanted.group_id, mode),
        ).fetchone()
        used = tied_up(self._connection, mode)
        return OpeningFacts(
            switch=current_switch(self._connection),
            is_trading_on=self._settings.trading_mode != "off",
            is_tradable=bool(group["is_tradable"]) and all(markets[key].status == "open" for key, _ in wanted.legs),
            is_pair=group["kind"] == "pair",
            pair_state=group["pair_state"],
            is_signal_open=self._is_watched(signal) and group["ended_at"] is None,
            has_leases=leases is not None,
            unknown_orders=len(trading.load_unresolved_on(self._connection, refs, mode)),
            last_execution_at=last["at"] if last else None,
            cooldown_s=Decimal(str(self._settings.execution_cooldown_s)),
            realised_today_e6=used.realised_today_e6,
            daily_loss_limit_e6=current_limits(self._connection, self._settings).daily_loss_e6,
            provisional_e6=used.provisional_e6,
            provisional_cap_e6=int(self._settings.provisional_cap_usd * CASH_SCALE),
            closes_at=[markets[key].close_time for key, _ in wanted.legs],
            closing_margin_s=self._settings.closing_margin_s,
            now=datetime.now(UTC),
        )

    def _is_watched(self, signal: Row) -> bool:
        """Whether the episode is open, and its monitor has looked at it lately: one that died closes nothing."""
        age = datetime.now(UTC) - signal["updated_at"]
        return signal["closed_at"] is None and age < timedelta(seconds=self._settings.lease_ttl_s)

    async def _decide(self, wanted: Wanted) -> Decision | Refusal:
        targets = [wanted.targets[key] for key, _ in wanted.legs]
        venues = {target.venue for target in targets}
        if any(venue not in self._accounts.gateways for venue in venues):
            return Refusal(Reason.VENUE_UNAVAILABLE, "no account on one of the venues")
        cash = {venue: await self._accounts.gateways[venue].cash_by_shard() for venue in sorted(venues)}
        books = await fetch_books(self._accounts, targets)
        limits = current_limits(self._connection, self._settings)
        used = tied_up(self._connection, self._accounts.mode)
        return decide(wanted, books, Room(limits, used, cash, self._settings))

    def _refuse(self, signal_id: int, refusal: Refusal, execution_id: int | None = None) -> Outcome:
        trading.write_refusal(
            self._connection, signal_id, refusal.reason, refusal.detail, self._settings.venues, execution_id
        )
        return Outcome(signal_id, execution_id, None, refusal)
