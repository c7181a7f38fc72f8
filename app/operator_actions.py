"""What people decide, written as rows: pair decisions, the trading switch, limits, the watch list, flatten.

Nothing here talks to a venue; those who trade read these rows under the lock that guards every intent.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, get_args

from streams.market.identity import Venue, market_key
from streams.market.trading import SwitchState
from streams.storage.database import Connection
from streams.storage.store import pairs, risk, wanted
from streams.storage.store.commands import write_command
from streams.storage.store.executions import load_execution
from streams.storage.store.pairs import PairDecision

LimitName = Literal["order_contracts", "market_usd", "pair_usd", "total_usd", "daily_loss_usd"]

LIMIT_NAMES: tuple[LimitName, ...] = get_args(LimitName)
NAME_MAX = 80
REASON_MAX = 1000
_SYSTEM_NAMES = frozenset({"sandbox", "migration", "supervisor"})
"""Who writes the rows nobody decided: automatic approvals, the first switch, the switch of a stop."""


class ActRefused(ValueError):
    """A decision that cannot be written; the message says what to do."""


class UnusableName(ActRefused):
    """The name cannot stand under a decision."""


class TextsChanged(ActRefused):
    """The market texts changed after the person read them; read them again."""


class UnknownSubject(ActRefused):
    """There is no pair, market or trade of that id."""


def decide_pair(
    connection: Connection,
    pair_id: str,
    decision: PairDecision,
    *,
    who: str,
    reason: str = "",
    seen_hashes: tuple[str, str] | None = None,
) -> int:
    """Write a person's decision on a pair, bound to its current texts and environment; return its id.

    Args:
        connection: To the warehouse.
        pair_id: The pair.
        decision: approve | reject | pause.
        who: The person's name.
        reason: Why, in their words.
        seen_hashes: Text hashes (Kalshi, Polymarket) of what the person read; None binds to the texts as they are.

    Raises:
        UnknownSubject: If there is no such pair.
        TextsChanged: If the texts are no longer the ones of `seen_hashes`.
        ActRefused: If `who` is empty or too long.
    """
    new = pairs.NewDecision(pair_id, decision, _person(who), _reason(reason), seen_hashes)
    decision_id = pairs.write_decision(connection, new)
    if decision_id is not None:
        return decision_id
    if not pairs.has_pair(connection, pair_id):
        raise UnknownSubject(f"There is no pair {pair_id}.")
    raise TextsChanged("The texts of this pair changed since you read them; reload and read them again.")


def set_switch(connection: Connection, state: SwitchState, *, who: str, reason: str = "") -> int:
    """Write the trading switch; return its id. It is in force for every intent written after this returns.

    Raises:
        ActRefused: If `who` is empty or too long.
    """
    return risk.set_switch(connection, state, _person(who), _reason(reason))


def set_limit(connection: Connection, name: str, value: Decimal, *, who: str, reason: str = "") -> int:
    """Write a limit (dollars, or contracts for `order_contracts`); return its id.

    Raises:
        ActRefused: If the name is not a limit, the value is not a finite number of at least 0, or `who` is unusable.
    """
    if name not in LIMIT_NAMES:
        raise ActRefused(f"{name} is not a limit; there are {', '.join(LIMIT_NAMES)}.")
    if not value.is_finite() or value < 0:
        raise ActRefused(f"{name} must be a number of at least 0.")
    return risk.set_limit(connection, name, value, _person(who), _reason(reason))


def watch_market(connection: Connection, venue: Venue, market_id: str, *, who: str) -> None:
    """Put a market on the list of what is recorded besides pairs and groups.

    Raises:
        UnknownSubject: If there is no such market.
        ActRefused: If `who` is unusable.
    """
    if not wanted.watch(connection, venue, market_id, _person(who)):
        raise UnknownSubject(f"There is no market {market_key(venue, market_id)}.")


def unwatch_market(connection: Connection, venue: Venue, market_id: str) -> None:
    """Take a market off the watch list; nothing happens if it is not on it."""
    wanted.unwatch(connection, venue, market_id)


def ask_flatten(connection: Connection, execution_id: int, *, who: str, reason: str = "") -> int:
    """Ask for what a trade holds to be sold through the reduce path; return the command's id.

    The settlement cycle takes it up and writes what became of it in the command's `result`.

    Raises:
        UnknownSubject: If there is no such trade.
        UnusableName: If `who` is empty or too long.
        ActRefused: If it has settled.
    """
    person = _person(who)
    try:
        execution = load_execution(connection, execution_id)
    except LookupError:
        raise UnknownSubject(f"There is no trade {execution_id}.") from None
    if execution.settled_at is not None:
        raise ActRefused(f"Trade {execution_id} has settled; there is nothing to flatten.")
    return write_command(connection, "flatten", {"execution_id": execution_id, "reason": _reason(reason)}, person)


def _person(who: str) -> str:
    name = " ".join(who.split())
    if not name:
        raise UnusableName("Say who you are: a decision carries a person's name.")
    if len(name) > NAME_MAX or not name.isprintable():
        raise UnusableName(f"The name must be at most {NAME_MAX} printable characters.")
    if name.casefold() in _SYSTEM_NAMES:
        raise UnusableName(f"The name {name} is the system's own; use yours.")
    return name


def _reason(reason: str) -> str:
    return reason.replace("\x00", "").strip()[:REASON_MAX]
