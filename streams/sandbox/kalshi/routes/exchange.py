"""Routes about Kalshi itself and an account's standing: status, schedule, lag of reads, rate limits, tier, keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import nested
from streams.sandbox.kalshi.formats import moment, second_of
from streams.sandbox.kalshi.limits import endpoint_costs, limits_object
from streams.sandbox.kalshi.venue import KalshiVenue

SHARD_NAMES = ("Default", "Combos", "Crypto & Commodities", "Tennis, Baseball, Basketball")
_NEW_YORK = ZoneInfo("America/New_York")
_PAUSE_FROM_HOUR, _PAUSE_HOURS = 3, 2
"""Of the weekly maintenance, on Thursdays in New York."""
_ALL_DAY = [{"open_time": "00:00", "close_time": "00:00"}]
_THURSDAY = [{"open_time": "00:00", "close_time": "03:00"}, {"open_time": "05:00", "close_time": "00:00"}]
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def get_status(venue: KalshiVenue, request: Request) -> Response:
    """Whether the exchange and trading run; the top level mirrors shard 0, and all shards pause together here."""
    mode = venue.exchange.state.mode
    flags = {
        "exchange_active": mode not in ("closed", "restarting"),
        "trading_active": mode in ("open", "post_only"),
        "intra_exchange_transfers_active": mode not in ("closed", "restarting"),
    }
    body: dict[str, Any] = {**flags}
    until = venue.exchange.state.mode_until_ms
    if mode != "open" and until is not None:
        body["exchange_estimated_resume_time"] = second_of(until)
    body["exchange_index_statuses"] = [
        {"exchange_index": index, "description": name, **flags} for index, name in enumerate(SHARD_NAMES)
    ]
    return Response(200, body)


def get_schedule(venue: KalshiVenue, request: Request) -> Response:
    """Open all day but for Thursday's maintenance, in New York time; a setting decides whether trading pauses in it."""
    days = {day: _THURSDAY if day == "thursday" else _ALL_DAY for day in _DAYS}
    hours = {"start_time": "2026-01-01T05:00:00Z", "end_time": "2027-01-01T05:00:00Z", **days}
    return Response(200, {"schedule": {"standard_hours": [hours], "maintenance_windows": []}})


def get_user_data_timestamp(venue: KalshiVenue, request: Request) -> Response:
    """Portfolio reads lie this far behind."""
    lag = venue.exchange.state.profile.read_lag_ms
    dated = format_datetime(datetime.fromtimestamp(venue.now_ms() / 1000, UTC), usegmt=True)
    return Response(200, {"as_of_time": moment(venue.now_ms() - lag)}, headers={"date": dated})


def get_limits(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """The tier's buckets."""
    return Response(200, limits_object(venue.exchange.state.profile.kalshi_tier))


def get_endpoint_costs(venue: KalshiVenue, request: Request) -> Response:
    """Every call that does not cost the usual."""
    return Response(200, endpoint_costs())


def list_keys(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """The keys of the account; nobody has said from which place it trades, so none of them ends."""
    keys = [
        {"api_key_id": known.key_id, "name": known.key_id, "scopes": sorted(known.scopes)}
        for known in venue.keys.values()
        if known.account_id == key.account_id
    ]
    return Response(200, {"api_keys": keys})


def get_volume_progress(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Progress towards the tiers by volume; the sandbox counts none."""
    return Response(200, {"volume_progress": []})


def upgrade(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """The self-served step to the advanced tier, for accounts that have placed an order by this API.

    Here the tier is the profile's, so nothing changes.
    """
    records = venue.exchange.state.orders.values()
    has_order = any(record.request.account_id == key.account_id for record in records)
    return Response(201) if has_order else nested(403, "forbidden")


def pause_end_ms(now_ms: int) -> int | None:
    """When the weekly maintenance ends in which a moment lies, None outside of it."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(_NEW_YORK)
    start = now.replace(hour=_PAUSE_FROM_HOUR, minute=0, second=0, microsecond=0)
    end = start + timedelta(hours=_PAUSE_HOURS)
    is_paused = _DAYS[now.weekday()] == "thursday" and start <= now < end
    return int(end.timestamp() * 1000) if is_paused else None


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/exchange/status", get_status, cache_ms=1_000),
    Route("GET", "/exchange/schedule", get_schedule),
    Route("GET", "/exchange/user_data_timestamp", get_user_data_timestamp),
    Route("GET", "/account/limits", get_limits, Access.SIGNED),
    Route("GET", "/api_keys", list_keys, Access.SIGNED),
    Route("GET", "/account/endpoint_costs", get_endpoint_costs),
    Route("GET", "/account/api_usage_level/volume_progress", get_volume_progress, Access.SIGNED),
    Route("POST", "/account/api_usage_level/upgrade", upgrade, Access.SIGNED),
]
