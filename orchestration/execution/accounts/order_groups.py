"""Keeps the order groups of an account: made, limited, and reset once a person has let the account open again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.order_groups import OrderGroups, alert_key
from streams.market.errors import OutcomeUnknown
from streams.market.identity import Venue
from streams.market.limits import LimitValues
from streams.market.units import SIZE_SCALE
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection
from streams.storage.store.accounting import order_groups as rows
from streams.storage.store.accounting.order_groups import OrderGroupRow
from streams.storage.store.accounting.switches import account_switches
from streams.storage.store.alerts import clear_alert
from streams.storage.store.risk import current_limits
from streams.venues.kalshi.types.order_changes import OrderGroup

_MOST_CONTRACTS = 1_000_000
"""The highest limit that the venue takes."""


def group_limit_e6(limits: LimitValues) -> int:
    """Return the contracts that may fill within 15 s: an order's most times the hedges that may begin meanwhile.

    The gate counts hedges by the minute, so that a minute's may all begin within one window.
    """
    most = limits.order_contracts_e6 * limits.hedges_per_minute
    in_steps = -(-most // 10_000) * 10_000
    return min(max(in_steps, SIZE_SCALE), _MOST_CONTRACTS * SIZE_SCALE)


async def keep_order_groups(connection: Connection, context: TradingContext, now: datetime) -> None:
    """See that each exchange shard has its order group with the limit of now; reset those that a person has let go on.

    A group that tripped is reset only by the account being let open again after that. What orders stand in is known
    to `context` afterwards.

    Raises:
        StreamsError: If the venue does not answer, or refuses.
    """
    groups = context.order_groups
    if groups is None:
        return
    keeper = _Keeper(connection, context, groups, now)
    await keeper.keep()


class _Keeper:
    def __init__(self, connection: Connection, context: TradingContext, groups: OrderGroups, now: datetime) -> None:
        self._connection = connection
        self._context = context
        self._groups = groups
        self._now = now
        self._mode = context.mode

    async def keep(self) -> None:
        limit_e6 = group_limit_e6(current_limits(self._connection, self._context.settings))
        stored = {row.shard: row for row in self._stored()}
        listed = await self._groups.client.order_groups()
        ids = {group.group_id for group in listed}
        for shard in TRAITS[Venue.KALSHI].exchange_shards:
            row = stored.get(shard)
            if row is not None and row.group_id in ids:
                await self._hold(row, limit_e6)
                continue
            if row is not None:
                rows.end_order_group(self._connection, row.group_id, self._now)
            await self._take(shard, limit_e6, self._spare(listed, shard))
        self._groups.ids = {row.shard: row.group_id for row in self._stored()}

    def _stored(self) -> list[OrderGroupRow]:
        return rows.load_order_groups(self._connection, self._mode, Venue.KALSHI)

    def _spare(self, listed: Sequence[OrderGroup], shard: int) -> str | None:
        """Return the id of a group that is there and stored nowhere: one whose making was not answered."""
        stored = {row.group_id for row in self._stored()}
        found = (group.group_id for group in listed if group.exchange_index == shard and group.group_id not in stored)
        return next(found, None)

    async def _take(self, shard: int, limit_e6: int, spare: str | None) -> None:
        """Store the spare group as the shard's, or a new one."""
        client = self._groups.client
        if spare is None:
            try:
                group_id = await client.create_order_group(limit_e6, exchange_index=shard)
            except OutcomeUnknown:
                spare = self._spare(await client.order_groups(), shard)
                if spare is None:
                    raise
        if spare is not None:
            group_id = spare
            await client.limit_order_group(group_id, limit_e6, exchange_index=shard)
        environment = self._context.environment
        is_taken = rows.add_order_group(
            self._connection, self._mode, Venue.KALSHI, shard, group_id, limit_e6, environment, self._now
        )
        if not is_taken and group_id not in {row.group_id for row in self._stored()}:
            await client.delete_order_group(group_id, exchange_index=shard)  # another run has made one meanwhile

    async def _hold(self, row: OrderGroupRow, limit_e6: int) -> None:
        if row.limit_e6 != limit_e6:
            await self._groups.client.limit_order_group(row.group_id, limit_e6, exchange_index=row.shard)
            rows.note_limit(self._connection, row.group_id, limit_e6)
        if row.tripped_at is None:
            clear_alert(self._connection, alert_key(row.shard))
            return
        switch = account_switches(self._connection, self._mode).get(Venue.KALSHI)
        if switch is not None and switch.state == "run" and switch.set_at > row.tripped_at:
            await self._groups.client.reset_order_group(row.group_id, exchange_index=row.shard)
            rows.note_reset(self._connection, row.group_id)
            clear_alert(self._connection, alert_key(row.shard))
