"""What waits for a person: one list of every kind, each with the act that ends it.

A kind is a function of `SOURCES`; whoever adds a state that only a person ends adds its function here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from streams.storage.database import Connection, fetch_all
from streams.storage.store.accounting.switches import account_switches
from streams.storage.store.gate.breakers import BREAKER, last_trips


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """One thing that waits.

    Attributes:
        kind: edge_too_good | lapsed | escalated | unknown_order | account | breaker.
        subject: What the act is about: a number or an id.
        since: When it began to wait.
        what: What a person is to look at, in one sentence.
        act: The command that ends it.
    """

    kind: str
    subject: str
    since: datetime
    what: str
    act: str


Source = Callable[[Connection, str], list[WaitingItem]]


def _edges(connection: Connection, mode: str) -> list[WaitingItem]:
    return fetch_all(
        connection,
        WaitingItem,
        """SELECT 'edge_too_good' AS kind, d.signal_id::text AS subject, d.decided_at AS since,
               format('Opportunity %%s on %%s would earn %%s USD a contract, above the limit of %%s.', d.signal_id,
                   g.title, trim_scale((c ->> 'reading')::numeric), trim_scale((c ->> 'limit')::numeric)) AS what,
               format('crossbook release %%s --up-to %%s', d.signal_id, trim_scale((c ->> 'reading')::numeric)) AS act
           FROM trading.gate_decisions AS d
           JOIN trading.signals AS s ON s.signal_id = d.signal_id
           JOIN trading.groups AS g ON g.group_id = s.group_id
           CROSS JOIN LATERAL jsonb_array_elements(d.checks) AS c
           WHERE d.reason = 'edge_too_good' AND NOT d.is_allowed AND s.closed_at IS NULL AND d.mode = %s
             AND c ->> 'check' = 'edge' AND c ->> 'reading' ~ '^[0-9.]+$' AND c ->> 'limit' ~ '^[0-9.]+$'
             AND NOT EXISTS (SELECT FROM trading.edge_releases AS r
                 WHERE r.signal_id = d.signal_id AND r.most_usd >= (c ->> 'reading')::numeric)""",
        (mode,),
    )


def _lapsed(connection: Connection, _: str) -> list[WaitingItem]:
    return fetch_all(
        connection,
        WaitingItem,
        """SELECT 'lapsed' AS kind, pair_id AS subject, updated_at AS since,
               format('The approval of pair %s has lapsed: a text or the environment is another one.', pair_id) AS what,
               format('crossbook pairs approve %s', pair_id) AS act
           FROM trading.pair_states WHERE state = 'lapsed'""",
    )


def _escalated(connection: Connection, mode: str) -> list[WaitingItem]:
    return fetch_all(
        connection,
        WaitingItem,
        """SELECT 'escalated' AS kind, execution_id::text AS subject, coalesce(flat_at, updated_at) AS since,
               format('Trade %%s is escalated: %%s.', execution_id, coalesce(detail ->> 'why', 'exposed')) AS what,
               format('crossbook trade flatten %%s', execution_id) AS act
           FROM trading.executions WHERE state = 'ESCALATED' AND settled_at IS NULL AND mode = %s""",
        (mode,),
    )


def _unknown_orders(connection: Connection, mode: str) -> list[WaitingItem]:
    return fetch_all(
        connection,
        WaitingItem,
        """SELECT 'unknown_order' AS kind, o.order_id::text AS subject, coalesce(o.sent_at, o.prepared_at) AS since,
               format('What became of order %%s at %%s, of trade %%s, is not known.', o.order_id, o.venue,
                   e.execution_id) AS what,
               format('crossbook trade resolve %%s --absent (or --filled N)', o.order_id) AS act
           FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
           JOIN trading.executions AS e USING (execution_id)
           WHERE o.state = 'unknown' AND e.mode = %s""",
        (mode,),
    )


def _accounts(connection: Connection, mode: str) -> list[WaitingItem]:
    """Return the accounts that only reduce: of a break, or of what others have traded on them; breakers have a kind."""
    return [
        WaitingItem(
            "account",
            venue.value,
            switch.set_at,
            f"The account at {venue} only reduces: {switch.reason}",
            f"crossbook trade reopen {venue} --reason WHY",
        )
        for venue, switch in account_switches(connection, mode).items()
        if switch.state != "run" and switch.set_by != BREAKER
    ]


def _breakers(connection: Connection, mode: str) -> list[WaitingItem]:
    return [
        WaitingItem(
            "breaker",
            trip.breaker if trip.venue is None else f"{trip.breaker}:{trip.venue}",
            trip.tripped_at,
            f"{'All trading' if trip.venue is None else f'The account at {trip.venue}'} only reduces: {trip.why}.",
            f"crossbook trade {'resume' if trip.venue is None else f'reopen {trip.venue}'} --reason WHY",
        )
        for trip in last_trips(connection, mode)
        if trip.resumed_at is None
    ]


SOURCES: tuple[Source, ...] = (_edges, _lapsed, _escalated, _unknown_orders, _accounts, _breakers)


def list_waiting(connection: Connection, mode: str) -> list[WaitingItem]:
    """Return what waits for a person in a mode, the longest first."""
    items = [item for source in SOURCES for item in source(connection, mode)]
    return sorted(items, key=lambda item: (item.since, item.kind, item.subject))
