"""Kalshi's account calls: rate limits, token costs, tier."""

from __future__ import annotations

from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.kalshi.auth import KalshiKey
from streams.sandbox.kalshi.errors import nested
from streams.sandbox.kalshi.limits import endpoint_costs, limits_object
from streams.sandbox.kalshi.venue import KalshiVenue


def get_limits(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """The tier's buckets."""
    return Response(200, limits_object(venue.exchange.behaviour.kalshi_tier))


def get_endpoint_costs(venue: KalshiVenue, request: Request) -> Response:
    """Every call that does not cost the usual."""
    return Response(200, endpoint_costs())


def get_volume_progress(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """Progress towards the tiers by volume; the sandbox counts none."""
    return Response(200, {"volume_progress": []})


def upgrade(venue: KalshiVenue, request: Request, key: KalshiKey) -> Response:
    """The self-served step to the advanced tier, for accounts that have placed an order by this API.

    Here the tier is the profile's, so nothing changes.
    """
    tickets = venue.exchange.tickets.values()
    has_order = any(ticket.request.account_id == key.account_id for ticket in tickets)
    return Response(201) if has_order else nested(403, "forbidden")


ROUTES: list[Route[KalshiVenue]] = [
    Route("GET", "/account/limits", get_limits, Access.SIGNED),
    Route("GET", "/account/endpoint_costs", get_endpoint_costs),
    Route("GET", "/account/api_usage_level/volume_progress", get_volume_progress, Access.SIGNED),
    Route("POST", "/account/api_usage_level/upgrade", upgrade, Access.SIGNED),
]
