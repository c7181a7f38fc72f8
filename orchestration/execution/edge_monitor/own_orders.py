"""Our own orders on the open signals of a monitor, as their rows are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from orchestration.opportunities.episodes import OwnOrder
from streams.market.identity import Venue, market_key
from streams.market.trading import UNRESOLVED, ExecutionState
from streams.storage.database import Connection
from streams.storage.store.signals import SignalOrder, load_signal_orders

SignalKey = tuple[str, str]


def load_own_orders(connection: Connection, ids: Mapping[SignalKey, int]) -> dict[SignalKey, Sequence[OwnOrder]]:
    """Return the orders of all executions of signals, by the key of the signal; signals without one are left out."""
    if not ids:
        return {}
    keys = {signal_id: key for key, signal_id in ids.items()}
    found: dict[SignalKey, list[OwnOrder]] = defaultdict(list)
    for row in load_signal_orders(connection, sorted(keys)):
        found[keys[row.signal_id]].append(_own_order(row))
    return dict(found)


def _own_order(row: SignalOrder) -> OwnOrder:
    is_under_way = row.state is None or row.state in UNRESOLVED
    return OwnOrder(
        signal_id=row.signal_id,
        state=ExecutionState(row.execution_state),
        market="" if row.venue is None else market_key(Venue(row.venue), row.market_id or ""),
        outcome=row.outcome or "",
        is_buy=row.action == "buy",
        in_flight_e6=max(row.size_e6 - row.filled_e6, 0) if is_under_way else 0,
        filled_e6=row.filled_e6,
        last_fill_ns=0 if row.last_fill_at is None else int(row.last_fill_at.timestamp() * 1_000_000) * 1_000,
    )
