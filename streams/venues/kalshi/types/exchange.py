"""Kalshi's state as an exchange: status with its shards, trading hours, how far account reads have come. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.market.errors import InvalidAmount
from streams.venues.common.decimals import wire_whole
from streams.venues.common.listed_fields import flag, stated_flag
from streams.venues.common.responses import items_of, json_of, read_items
from streams.venues.common.times import parse_time

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TRANSFERRING = "intra_exchange_transfers_active"
# Statuses that carry a status document like 200 does.
_STATUS_CODES = frozenset({500, 503, 504})


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """One shard of the exchange. Fields as in `ExchangeStatus`."""

    exchange_index: int
    description: str
    is_active: bool
    is_trading: bool
    is_transferring: bool


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """Whether the exchange answers and trades; the top level speaks of shard 0.

    Attributes:
        is_active: Changes of any kind are taken, cancels too.
        is_trading: Orders may be placed and amended.
        is_transferring: Cash may be moved between shards; None where the answer does not say.
        resumes_at: When a maintenance is expected to end; it may be extended.
        shards: By exchange_index; empty where the answer has no breakdown.
        has_unreadable_shards: Whether the breakdown has entries that cannot be read; they are not among `shards`.
    """

    is_active: bool
    is_trading: bool
    is_transferring: bool | None
    resumes_at: datetime | None
    shards: tuple[ShardStatus, ...]
    payload: dict[str, Any]
    has_unreadable_shards: bool = False

    def trades(self, exchange_index: int) -> bool:
        """Return whether a shard trades; one the answer does not name follows the top level, if all could be read."""
        known = {shard.exchange_index: shard.is_trading for shard in self.shards}
        return known.get(exchange_index, self.is_trading and not self.has_unreadable_shards)


@dataclass(frozen=True, slots=True)
class TradingHours:
    """The weekly hours of one span of time.

    Attributes:
        starts_at / ends_at: When these hours are in force.
        days: Monday first; per day its sessions as ("HH:MM", "HH:MM") in US Eastern time, "00:00" to "00:00" all day.
    """

    starts_at: datetime | None
    ends_at: datetime | None
    days: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class ExchangeSchedule:
    """Trading hours and announced maintenance windows (start, end)."""

    hours: tuple[TradingHours, ...]
    maintenance: tuple[tuple[datetime, datetime], ...]
    payload: dict[str, Any]


def is_status(status: int, body: bytes) -> bool:
    """Return whether a failed answer is the exchange's status all the same: 500, 503 and 504 may carry it."""
    return status in _STATUS_CODES and b'"exchange_active"' in body and isinstance(json_of(body), dict)


def parse_status(document: dict[str, Any]) -> ExchangeStatus:
    """Return the status; raises KeyError or InvalidAmount where it is not one."""
    transferring = document.get(_TRANSFERRING)
    shards = read_items(
        items_of({"exchange_index_statuses": None, **document}, "exchange_index_statuses"), _shard_status
    )
    return ExchangeStatus(
        is_active=stated_flag(document, "exchange_active"),
        is_trading=stated_flag(document, "trading_active"),
        is_transferring=None if transferring is None else stated_flag(document, _TRANSFERRING),
        resumes_at=parse_time(document.get("exchange_estimated_resume_time")),
        shards=tuple(shards),
        payload=document,
        has_unreadable_shards=bool(shards.unreadable),
    )


def _shard_status(entry: dict[str, Any]) -> ShardStatus:
    return ShardStatus(
        exchange_index=wire_whole(entry["exchange_index"]),
        description=str(entry.get("description") or ""),
        is_active=stated_flag(entry, "exchange_active"),
        is_trading=stated_flag(entry, "trading_active"),
        is_transferring=flag(entry, _TRANSFERRING, default=False),
    )


def parse_schedule(document: dict[str, Any]) -> ExchangeSchedule:
    """Return the schedule; raises KeyError or InvalidAmount where it is not one."""
    schedule = document["schedule"]
    return ExchangeSchedule(
        hours=tuple(_hours(entry) for entry in schedule.get("standard_hours") or []),
        maintenance=tuple(
            (_instant(window["start_datetime"]), _instant(window["end_datetime"]))
            for window in schedule.get("maintenance_windows") or []
        ),
        payload=document,
    )


def _hours(entry: dict[str, Any]) -> TradingHours:
    return TradingHours(
        starts_at=parse_time(entry.get("start_time")),
        ends_at=parse_time(entry.get("end_time")),
        days=tuple(
            tuple((str(session["open_time"]), str(session["close_time"])) for session in entry.get(day) or [])
            for day in _DAYS
        ),
    )


def parse_as_of(document: dict[str, Any]) -> datetime:
    """Return how far account reads have caught up; raises KeyError or InvalidAmount where it is no time."""
    return _instant(document["as_of_time"])


def _instant(value: Any) -> datetime:
    instant = parse_time(value)
    if instant is None:
        raise InvalidAmount(f"not a time: {str(value)[:40]!r}")
    return instant
