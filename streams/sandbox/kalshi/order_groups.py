"""Kalshi's order groups: orders that end together once their fills of a rolling window reach a limit."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from streams.market.errors import Refused
from streams.sandbox.core.records import OrderRecord
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.kalshi.formats import count
from streams.sandbox.kalshi.settings import KalshiVenueSettings

_STATE = "order_groups"


class OrderGroups:
    """All groups of all accounts, stored in the exchange's face state.

    A group is {"limit_e6", "is_triggered", "exchange_index", "fills": [[at_ms, size_e6]]}.
    """

    def __init__(
        self,
        exchange: Exchange,
        publish: Callable[[str, dict[str, Any]], None],
        settings: KalshiVenueSettings,
        clock: Callable[[], int],
    ) -> None:
        """`publish` gets the account and the JSON values of every message about its groups."""
        self._exchange = exchange
        self._publish = publish
        self._settings = settings
        self._now_ms = clock
        self._pending: dict[tuple[str, str], None] = {}

    def of(self, account_id: str) -> dict[str, dict[str, Any]]:
        """An account's groups by id, oldest first."""
        groups: dict[str, dict[str, dict[str, Any]]] = self._exchange.state.saved.setdefault(_STATE, {})
        return groups.setdefault(account_id, {})

    def find(self, account_id: str, group_id: str) -> dict[str, Any] | None:
        """One group."""
        return self.of(account_id).get(group_id)

    def create(self, account_id: str, limit_e6: int, shard: int) -> str:
        """Make a group and return its id."""
        group_id = str(uuid.uuid4())
        self.of(account_id)[group_id] = {
            "limit_e6": limit_e6, "is_triggered": False, "exchange_index": shard, "fills": [],
        }  # fmt: skip
        self._changed(account_id, group_id, "created", limit_e6)
        return group_id

    def reset(self, account_id: str, group_id: str) -> None:
        """Count from zero and take orders again."""
        group = self.of(account_id)[group_id]
        group["fills"], group["is_triggered"] = [], False
        self._changed(account_id, group_id, "reset")

    def set_limit(self, account_id: str, group_id: str, limit_e6: int) -> None:
        """Change the limit; one that is already reached ends the group's orders."""
        group = self.of(account_id)[group_id]
        group["limit_e6"] = limit_e6
        self._changed(account_id, group_id, "limit_updated", limit_e6)
        if not group["is_triggered"] and self._is_over(group):
            self.trigger(account_id, group_id)

    def trigger(self, account_id: str, group_id: str) -> None:
        """End the group's orders and take no more until it is reset."""
        self.of(account_id)[group_id]["is_triggered"] = True
        self._cancel(account_id, group_id)
        self._changed(account_id, group_id, "triggered")

    def delete(self, account_id: str, group_id: str) -> None:
        """End the group's orders and the group."""
        self._cancel(account_id, group_id)
        del self.of(account_id)[group_id]
        self._changed(account_id, group_id, "deleted")

    def orders(self, account_id: str, group_id: str) -> list[OrderRecord]:
        """The group's resting orders, oldest first."""
        return [
            record
            for record in self._exchange.state.resting_orders(account_id)
            if record.request.extra.get("order_group_id") == group_id
        ]

    def note_fill(self, record: OrderRecord, size_e6: int, now_ms: int) -> None:
        """Count a fill. A group that trips ends once the exchange is done with what it is doing."""
        account_id, group_id = record.request.account_id, record.request.extra.get("order_group_id")
        group = self.find(account_id, group_id) if group_id else None
        if group is None or group_id is None:
            return
        group["fills"].append([now_ms, size_e6])
        self._exchange.state.changes.saved = True
        if group["is_triggered"] or not self._is_over(group):
            return
        group["is_triggered"] = True
        self._pending[account_id, group_id] = None
        try:
            asyncio.get_running_loop().call_soon(self.trip_pending)
        except RuntimeError:
            return

    def trip_pending(self) -> bool:
        """End the orders of groups that have tripped; whether there were any."""
        pending, self._pending = self._pending, {}
        for account_id, group_id in pending:
            if self.find(account_id, group_id) is not None:
                self.trigger(account_id, group_id)
        return bool(pending)

    def _is_over(self, group: dict[str, Any]) -> bool:
        since = self._now_ms() - self._settings.group_window_ms
        group["fills"] = [fill for fill in group["fills"] if fill[0] > since]
        total, limit = sum(fill[1] for fill in group["fills"]), group["limit_e6"]
        return bool(total >= limit if self._settings.group_trips_when == "reached" else total > limit)

    def _cancel(self, account_id: str, group_id: str) -> None:
        for record in self.orders(account_id, group_id):
            try:
                self._exchange.order_entry.cancel(account_id, record.order_id, self._now_ms())
            except Refused:
                return  # the exchange is closed: its orders stay as they are

    def _changed(self, account_id: str, group_id: str, event: str, limit_e6: int | None = None) -> None:
        self._exchange.state.changes.saved = True
        body: dict[str, Any] = {"event_type": event, "order_group_id": group_id, "ts_ms": self._now_ms()}
        if limit_e6 is not None:
            body["contracts_limit_fp"] = count(limit_e6)
        self._publish(account_id, body)
