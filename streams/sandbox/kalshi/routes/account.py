"""Kalshi's account calls: rate limits, token costs, tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.kalshi.errors import nested
from streams.sandbox.kalshi.limits import endpoint_costs, limits_object

if TYPE_CHECKING:
    from streams.sandbox.kalshi.app import KalshiFace
    from streams.sandbox.kalshi.auth import KalshiKey


class AccountRest:
    """Handlers about the account's own standing."""

    def __init__(self, face: KalshiFace) -> None:
        self._face = face

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("GET", "/account/limits", signed(self.limits))
        router.add("GET", "/account/endpoint_costs", self._face.public(self.costs))
        router.add("GET", "/account/api_usage_level/volume_progress", signed(self.volume_progress))
        router.add("POST", "/account/api_usage_level/upgrade", signed(self.upgrade))

    def limits(self, request: Request, key: KalshiKey) -> Response:
        """The tier's buckets."""
        return Response(200, limits_object(self._face.exchange.behaviour.kalshi_tier))

    def costs(self, request: Request) -> Response:
        """Every call that does not cost the usual."""
        return Response(200, endpoint_costs())

    def volume_progress(self, request: Request, key: KalshiKey) -> Response:
        """Progress towards the tiers by volume; the sandbox counts none."""
        return Response(200, {"volume_progress": []})

    def upgrade(self, request: Request, key: KalshiKey) -> Response:
        """The self-served step to the advanced tier, for accounts that have placed an order by this API.

        Here the tier is the profile's, so nothing changes.
        """
        tickets = self._face.exchange.tickets.values()
        has_order = any(ticket.request.account_id == key.account_id for ticket in tickets)
        return Response(201) if has_order else nested(403, "forbidden")
