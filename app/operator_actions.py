"""What people decide, written as rows: decisions on market groups, the trading switch, limits, the watch list, flatten.

Nothing here talks to a venue; those who trade read these rows when they write an intent and before an order leaves. No
act waits for them, and no reader keeps an act waiting. An act takes what the person saw of its object; where the object
is another one by now the act is refused. An act that is asked for twice in the same way, by a double click or from a
second tab, is done once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NoReturn, TypeVar

import psycopg

from app.act_rules import (
    ActRefused,
    ItChanged,
    TextsChanged,
    UnknownSubject,
    person_of,
    reason_of,
)
from app.queries.flatten import FlattenLeg, FlattenOffer, load_flatten_offer
from streams.market.identity import Venue, market_key
from streams.market.limits import BadLimit, checked_limit
from streams.market.trading import SwitchState
from streams.storage.database import Connection
from streams.storage.kill_files import is_kill_on_disk, kill_folder, record_kills
from streams.storage.reader.watchdog import insist
from streams.storage.store import risk, wanted
from streams.storage.store.commands import pending_flatten, write_command
from streams.storage.store.decisions import group_decisions as groups
from streams.storage.store.executions import load_execution
from streams.storage.store.gate.breakers import is_held_by_breaker
from streams.storage.store.orders import OrderUnderWay, load_under_way

T = TypeVar("T")

_TRIES = 5
"""Of a transaction that met another one on the same rows."""
_ID_MAX = 2**63 - 1
_LOOK_S = 0.05
_ASK_AFTER_TRIP = "A circuit breaker has stopped trading; say why it may go on."


def decide_group(  # noqa: PLR0913 - what was seen of a group is its texts and everything else
    connection: Connection,
    group_id: str,
    decision: groups.GroupDecision,
    *,
    who: str,
    reason: str = "",
    seen_hashes: Mapping[str, str] | None = None,
    seen: str | None = None,
) -> int:
    """Write a person's decision on a market group, bound to all its texts, dates and terms as they are; return its id.

    Args:
        connection: To the warehouse.
        group_id: The group; of a pair "pair:" and its id.
        decision: approve | reject | pause.
        who: The person's name.
        reason: Why, in their words.
        seen_hashes: Of the texts the person read, by "venue:market_id" of every market; None: as they are.
        seen: `GroupStateRow.seen` of what they saw; None: as it is. The same decision of theirs is then written once.

    Raises:
        UnknownSubject: If there is no such group.
        ItChanged: If the group is no longer what `seen` names; TextsChanged where its texts are others.
        ActRefused: If `who` is unusable, or a market of what is to be approved is not listed.
    """
    new = groups.NewDecision(group_id, decision, person_of(who), reason_of(reason), datetime.now(UTC), seen_hashes)
    said = group_id.replace("pair:", "pair ") if group_id.startswith("pair:") else f"group {group_id}"

    def write() -> int:
        group = groups.find_group_state(connection, group_id)
        if group is None:
            raise UnknownSubject(f"There is no {said}.")
        if seen_hashes is not None and dict(seen_hashes) != group.text_hashes:
            raise TextsChanged(f"The texts of {said} changed since you read them; reload and read them again.")
        if seen not in (None, group.seen):
            if group.decision_id is not None and group.is_decided(decision, new.decided_by):
                return group.decision_id
            raise ItChanged(f"It changed: {group.words}; look again.")
        if decision == "approve" and None in group.text_hashes.values():
            raise ActRefused(f"A market of {said} is not listed; its texts must be read before it is approved.")
        written = groups.write_decision(connection, new)
        assert written is not None  # nobody else acts meanwhile
        return written

    return _alone(connection, write)


def set_switch(
    connection: Connection,
    state: SwitchState,
    *,
    who: str,
    reason: str = "",
    seen: str | None = None,
    home: Path | None = None,
) -> int:
    """Write the trading switch; return its id. It is in force for every order that has not left when this returns.

    Args:
        connection: To the warehouse.
        state: run | pause | reduce | kill.
        who: The person's name.
        reason: Why, in their words.
        seen: `SwitchRow.seen` of the switch the person saw; None: whatever it is. A kill is never refused for it.
        home: Where a kill may lie on disk; it is recorded first, and not lifted unseen. None: nobody looks.

    Raises:
        ItChanged: If somebody switched since; a kill that another person gave is not lifted unseen.
        ActRefused: If `who` is empty or too long, or there is no reason to go on after a circuit breaker.
    """
    ask = _ASK_AFTER_TRIP if state == "run" and is_held_by_breaker(connection) else ""
    person, why = person_of(who), reason_of(reason, is_kill=state == "kill", ask=ask)
    if state != "kill" and home is not None and is_kill_on_disk(home):
        _record_kills(connection, home)
    if state == "kill":
        return _kill(connection, person, why)
    if seen is None:
        return insist(connection, lambda c: risk.set_switch(c, state, person, why))

    def write() -> tuple[int, int]:
        now = risk.last_switch(connection)
        if now is not None and now.seen != seen:
            if now.state == state and now.set_by == person:
                return now.switch_id, now.switch_id
            raise ItChanged(f"It changed: the switch is {now.state}, set by {now.set_by}; look again.")
        return 0 if now is None else now.switch_id, risk.set_switch(connection, state, person, why)

    seen_id, switch_id = _alone(connection, write)
    missed = risk.renew_missed_kill(connection, seen_id, switch_id)
    if missed is not None:
        raise ItChanged(f"It changed: the switch is kill, set by {missed.set_by}; look again.")
    return switch_id


def _kill(connection: Connection, person: str, why: str) -> int:
    """Write a kill, and once more where somebody who could not see it wrote another switch at the same moment."""

    def write(connection: Connection) -> int:
        return risk.set_switch(connection, "kill", person, why)

    switch_id = insist(connection, write)
    with suppress(psycopg.Error):  # it is written, whatever becomes of this look
        if risk.current_switch(connection) != "kill":
            switch_id = insist(connection, write)
    return switch_id


def _record_kills(connection: Connection, home: Path) -> NoReturn:
    """Record the kills on disk, and have the person look again."""
    with suppress(OSError):
        record_kills(connection, home)
    if is_kill_on_disk(home):
        raise ItChanged(f"It changed: a kill lies in {kill_folder(home)} that is not recorded yet; try again.")
    raise ItChanged("It changed: a kill lay on disk and is recorded now; look again.")


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What a switch has found under way.

    Attributes:
        orders: Those that have no last word yet.
        is_intent_open: Somebody is writing an intent, which will not be sent.
        is_known: False where the warehouse did not answer any more after the switch was set.
    """

    orders: list[OrderUnderWay]
    is_intent_open: bool
    is_known: bool = True

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is under way."""
        return self.is_known and not self.orders and not self.is_intent_open

    @property
    def sentence(self) -> str:
        """What people read of it; empty when nothing is under way."""
        if not self.is_known:
            return "What is under way is not known: the warehouse does not answer any more."
        said = [
            f"order {order.order_id} of trade {order.execution_id} on {market_key(order.venue, order.market_id)}"
            f" ({order.state})"
            for order in self.orders
        ]
        if self.is_intent_open:
            said.append("an order that is being written and will not be sent")
        return f"Still under way: {'; '.join(said)}." if said else ""


def await_orders(
    connection: Connection,
    limit_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> UnderWay:
    """Wait until nothing is under way, at most `limit_s` (seconds); return what still is.

    Args:
        connection: To the warehouse.
        limit_s: 0 looks once.
        clock: Monotonic seconds.
        sleep: Waits for some seconds.
    """
    deadline = clock() + limit_s
    while True:
        found = UnderWay(load_under_way(connection), risk.is_intent_being_written(connection))
        left = deadline - clock()
        if found.is_nothing or left <= 0:
            return found
        sleep(min(_LOOK_S, left))


def switch_trading(  # noqa: PLR0913 - as set_switch, and how long to wait
    connection: Connection,
    state: SwitchState,
    *,
    who: str,
    reason: str = "",
    seen: str | None = None,
    home: Path | None = None,
    wait_s: float = 0.0,
) -> tuple[int, UnderWay]:
    """Write the trading switch; after a kill, wait for what is under way, and return the id with what still is.

    The row is committed first, whatever happens to the wait. Other states wait for nothing: under them orders that are
    under way may go on.

    Args:
        connection: To the warehouse, outside of a transaction.
        state: run | pause | reduce | kill.
        who: The person's name.
        reason: Why, in their words.
        seen: `SwitchRow.seen` of what the person saw; see `set_switch`.
        home: Where a kill may lie on disk; see `set_switch`.
        wait_s: Longest wait after a kill (seconds).

    Raises:
        ItChanged: If the switch is no longer what `seen` names.
        ActRefused: If `who` is empty or too long.
    """
    switch_id = set_switch(connection, state, who=who, reason=reason, seen=seen, home=home)
    if state != "kill":
        return switch_id, UnderWay([], is_intent_open=False)
    try:
        return switch_id, await_orders(connection, wait_s)
    except psycopg.Error:
        return switch_id, UnderWay([], is_intent_open=False, is_known=False)


def set_limit(
    connection: Connection, name: str, value: Decimal, *, who: str, reason: str = "", seen: Decimal | None = None
) -> int:
    """Write a limit (dollars, or contracts for `order_contracts`); return its id.

    Args:
        connection: To the warehouse.
        name: One of `streams.market.limits.LIMIT_NAMES`.
        value: The new value.
        who: The person's name.
        reason: Why, in their words.
        seen: The value in force that the person saw; None: whatever it is. Not compared with a limit nobody has set.

    Raises:
        ItChanged: If the value in force is another one by now.
        ActRefused: If the name is not a limit, the value cannot be one, or `who` is unusable.
    """
    try:
        checked_limit(name, value)
    except BadLimit as error:
        raise ActRefused(str(error)) from None
    person, why = person_of(who), reason_of(reason)
    if seen is None:
        return insist(connection, lambda c: risk.set_limit(c, name, value, person, why))

    def write() -> int:
        now = risk.load_limits(connection).get(name)
        if now is not None and now.value != seen:
            if now.value == value and now.set_by == person:
                return now.limit_id
            raise ItChanged(f"It changed: {name} is {now.value:f}, set by {now.set_by}, not {seen:f}; look again.")
        return risk.set_limit(connection, name, value, person, why)

    return _alone(connection, write)


def set_limits(
    connection: Connection, changes: Sequence[tuple[str, Decimal, Decimal]], *, who: str, reason: str = ""
) -> list[int]:
    """Write several limits, all or none; each change is (name, the value that was seen, the new value).

    Raises:
        ItChanged: If one of them is another value by now.
        ActRefused: As `set_limit` says.
    """
    return _alone(
        connection,
        lambda: [set_limit(connection, name, new, who=who, reason=reason, seen=old) for name, old, new in changes],
    )


def watch_market(connection: Connection, venue: Venue, market_id: str, *, who: str) -> None:
    """Put a market on the list of what is recorded besides pairs and groups.

    Raises:
        UnknownSubject: If there is no such market.
        ActRefused: If `who` is unusable.
    """
    person = person_of(who)
    if not insist(connection, lambda c: wanted.watch(c, venue, market_id, person)):
        raise UnknownSubject(f"There is no market {market_key(venue, market_id)}.")


def unwatch_market(connection: Connection, venue: Venue, market_id: str) -> None:
    """Take a market off the watch list; nothing happens if it is not on it."""
    insist(connection, lambda c: wanted.unwatch(c, venue, market_id))


def offer_flatten(connection: Connection, execution_id: int, slippage_usd: Decimal) -> FlattenOffer:
    """Return what a flatten of a trade would sell now and at worst for how much: to be seen before it is asked for.

    Args:
        connection: To the warehouse.
        execution_id: The trade.
        slippage_usd: `settings.flatten_slippage_usd`.

    Raises:
        UnknownSubject: If there is no such trade.
        ActRefused: If it has settled.
    """
    offer = None if execution_id > _ID_MAX else load_flatten_offer(connection, execution_id, slippage_usd)
    if offer is None:
        raise UnknownSubject(f"There is no trade {execution_id}.")
    if offer.is_settled:
        raise ActRefused(f"Trade {execution_id} has settled; there is nothing to flatten.")
    return offer


def ask_flatten(
    connection: Connection, execution_id: int, *, who: str, reason: str = "", seen: FlattenOffer | None = None
) -> int:
    """Ask for what a trade holds to be sold through the reduce path; return the command's id.

    The settlement cycle takes it up and writes what became of it in the command's `result`. Nothing is sold below the
    worst prices of `seen`. While a flatten of the trade waits for its result, asking again returns that one's id.

    Args:
        connection: To the warehouse.
        execution_id: The trade.
        who: The person's name.
        reason: Why, in their words.
        seen: What the person saw of it; None: the worst prices follow from the bids that are found.

    Raises:
        UnknownSubject: If there is no such trade.
        UnusableName: If `who` is empty or too long.
        ItChanged: If its state or what it holds is not what was seen.
        ActRefused: If it has settled.
    """
    person, why = person_of(who), reason_of(reason)

    def write() -> int:
        try:
            if execution_id > _ID_MAX:
                raise LookupError
            execution = load_execution(connection, execution_id)
        except LookupError:
            raise UnknownSubject(f"There is no trade {execution_id}.") from None
        if execution.settled_at is not None:
            raise ActRefused(f"Trade {execution_id} has settled; there is nothing to flatten.")
        waiting = pending_flatten(connection, execution_id)
        if waiting is not None:
            return waiting
        subject: dict[str, object] = {"execution_id": execution_id, "reason": why}
        if seen is not None:
            _check_unchanged(connection, execution_id, seen)
            subject["worst_prices"] = _worst_prices(seen.legs)
        return write_command(connection, "flatten", subject, person)

    return _alone(connection, write)


def _check_unchanged(connection: Connection, execution_id: int, seen: FlattenOffer) -> None:
    now = load_flatten_offer(connection, execution_id, seen.slippage_usd)
    if seen.execution_id != execution_id or now is None:
        raise ItChanged(f"It changed: trade {execution_id} is not the one you saw; look again.")
    if now.seen != seen.seen:
        held = "; ".join(now.sentences)
        raise ItChanged(f"It changed: trade {execution_id} is {now.state} and would sell {held}; look again.")


def _worst_prices(legs: Sequence[FlattenLeg]) -> list[dict[str, str]]:
    return [
        {"venue": leg.venue, "market_id": leg.market_id, "outcome": leg.outcome, "price": f"{leg.worst_price:f}"}
        for leg in legs
        if leg.worst_price is not None
    ]


def _alone(connection: Connection, act: Callable[[], T]) -> T:
    """Carry out an act as if nobody else acted at that moment: what it read still holds when it has written."""
    if connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
        return act()  # part of the caller's transaction
    for attempt in range(_TRIES):
        before = connection.isolation_level
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        try:
            return insist(connection, lambda _: act())
        except psycopg.errors.SerializationFailure:
            if attempt + 1 == _TRIES:
                raise
        finally:
            connection.isolation_level = before
    raise AssertionError("unreachable")
