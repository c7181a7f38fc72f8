"""Kalshi's order groups as a brake that the venue itself pulls: every order that buys stands in one.

A group belongs to one exchange shard. Once more contracts of its orders fill within 15 seconds than its limit says,
the venue takes no more of them until it is reset. Orders that sell stand in none: they must pass when the brake is on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.venues.gateway import HeldBack
from streams.logs import get_logger
from streams.market.errors import Refused
from streams.market.identity import Venue
from streams.market.trading import RefusalReason, Target
from streams.market.units import SIZE_SCALE
from streams.storage.database import Connection
from streams.storage.store.accounting.order_groups import note_tripped
from streams.storage.store.accounting.switches import set_account
from streams.storage.store.alerts import raise_alert
from streams.venues.kalshi.rest.client import KalshiClient

PROGRAM = "order group"
"""Who sets the account to `reduce` when its order group has tripped."""
OnTripped = Callable[[str, str], object]
"""Is told the id of an order group that has tripped, and how that was seen."""


@dataclass(slots=True)
class OrderGroups:
    """The order groups of an account in force.

    Attributes:
        client: Makes, limits and resets them.
        on_tripped: Is told when one has tripped.
        ids: The group's id by exchange shard.
    """

    client: KalshiClient
    on_tripped: OnTripped
    ids: dict[int, str] = field(default_factory=dict)

    def group_of(self, target: Target) -> str:
        """Return the id of the group in which an order on a market stands.

        Raises:
            HeldBack: If the market's shard is not known, or has no group: the order would have no brake.
        """
        shard = target.terms.exchange_index
        if shard is None or shard not in self.ids:
            detail = f"there is no order group on the exchange shard {shard} of {target.market_id}"
            raise HeldBack(Refusal(RefusalReason.VENUE_UNAVAILABLE, detail))
        return self.ids[shard]


def says_tripped(refused: Refused) -> bool:
    """Whether a refusal is that of an order group; how the venue words it is not confirmed."""
    return "order group" in str(refused).lower().replace("_", " ")


def alert_key(shard: int) -> str:
    """Return the key of the alert on a shard's order group."""
    return f"order_group:kalshi:{shard}"


def trip_of(connection: Connection, mode: str, clock: Callable[[], datetime]) -> Callable[[str, str], None]:
    """Return what writes that an order group has tripped: the account only reduces from then on, and that alarms."""

    def on_tripped(group_id: str, why: str) -> None:
        now = clock()
        with connection.transaction():
            row = note_tripped(connection, group_id, why, now)
            if row is None:
                return
            most = row.limit_e6 // SIZE_SCALE
            reason = f"the order group of the exchange shard {row.shard} has tripped ({most} contracts in 15 s): {why}"
            set_account(connection, mode, Venue.KALSHI, "reduce", PROGRAM, reason[:500], now)
        message = f"Kalshi takes no order that opens: {reason}. See docs/runbooks/order-group.md."
        raise_alert(connection, "order_group", "critical", alert_key(row.shard), message, {"group_id": group_id})
        get_logger().error("an order group has tripped", group_id=group_id, why=why)

    return on_tripped
