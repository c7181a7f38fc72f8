"""Where the exchanges of an environment are reached.

The sandbox serves Kalshi on one port and everything of Polymarket on another, under prefixes. Paths are signed as the
real hosts see them, so a Polymarket prefix is never part of what is signed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from streams.market.errors import ConfigurationError
from streams.market.identity import Environment
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses without a trailing slash.

    Attributes:
        kalshi_rest: Up to and with `/trade-api/v2`.
        kalshi_ws: The socket itself.
        gamma / clob / polymarket_data: Bases of Polymarket's catalogue, exchange and public data.
        polymarket_relayer: Base of the service that sends a smart wallet's transactions.
        polymarket_site: Base of the website, asked only whether this machine's address may trade.
        polymarket_ws: Base of the sockets; `/market` and `/user` follow.
    """

    kalshi_rest: str
    kalshi_ws: str
    gamma: str
    clob: str
    polymarket_ws: str
    polymarket_data: str
    polymarket_relayer: str
    polymarket_site: str


_LIVE_POLYMARKET = {
    "gamma": "https://gamma-api.polymarket.com",
    "clob": "https://clob.polymarket.com",
    "polymarket_ws": "wss://ws-subscriptions-clob.polymarket.com/ws",
    "polymarket_data": "https://data-api.polymarket.com",
    "polymarket_relayer": "https://relayer-v2.polymarket.com",
    "polymarket_site": "https://polymarket.com",
}
_LIVE = Endpoints(
    kalshi_rest="https://external-api.kalshi.com/trade-api/v2",
    kalshi_ws="wss://external-api-ws.kalshi.com/trade-api/ws/v2",
    **_LIVE_POLYMARKET,
)
# Polymarket has no demo exchange; its public market data stands beside Kalshi's demo.
_DEMO = Endpoints(
    kalshi_rest="https://external-api.demo.kalshi.co/trade-api/v2",
    kalshi_ws="wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
    **_LIVE_POLYMARKET,
)
_DOMAINS: dict[str, Environment] = {"kalshi.co": "demo", "kalshi.com": "live", "polymarket.com": "live"}
_OVERRIDES = {
    "kalshi_rest": "kalshi_rest_url",
    "kalshi_ws": "kalshi_ws_url",
    "gamma": "polymarket_gamma_url",
    "clob": "polymarket_clob_url",
    "polymarket_ws": "polymarket_ws_url",
    "polymarket_data": "polymarket_data_url",
    "polymarket_relayer": "polymarket_relayer_url",
    "polymarket_site": "polymarket_site_url",
}


def endpoints(settings: Settings) -> Endpoints:
    """Return the addresses of the environment that `settings.venues` names, with its overrides applied.

    Raises:
        ConfigurationError: If an override is not an http(s) or ws(s) address.
    """
    base = {"live": _LIVE, "demo": _DEMO, "sandbox": _sandbox(settings)}[settings.venues]
    values = {field.name: getattr(base, field.name) for field in fields(base)}
    for name, setting in _OVERRIDES.items():
        given = str(getattr(settings, setting)).strip().rstrip("/")
        if not given:
            continue
        schemes = ("ws://", "wss://") if name.endswith("_ws") else ("http://", "https://")
        if not given.startswith(schemes):
            raise ConfigurationError(f"CROSSBOOK_{setting.upper()} must start with {' or '.join(schemes)}.")
        _check_owner(settings.venues, setting, given)
        values[name] = given
    return Endpoints(**values)


def _check_owner(venues: Environment, setting: str, given: str) -> None:
    """Refuse a venue's own host in another environment than its own: the mode of trading follows from that one."""
    host = f".{(urlsplit(given).hostname or '').rstrip('.')}"
    owner = next((place for domain, place in _DOMAINS.items() if host.endswith(f".{domain}")), None)
    if owner is None:
        return
    is_shared = venues == "demo" and host.endswith(".polymarket.com")
    if owner != venues and not is_shared:
        raise ConfigurationError(
            f"CROSSBOOK_{setting.upper()} is an address of {owner}, but CROSSBOOK_VENUES is {venues}."
        )
    if not given.startswith(("https://", "wss://")):
        raise ConfigurationError(f"CROSSBOOK_{setting.upper()} must be encrypted: https:// or wss://.")


def _sandbox(settings: Settings) -> Endpoints:
    kalshi = f"127.0.0.1:{settings.kalshi_sandbox_port}"
    polymarket = f"127.0.0.1:{settings.polymarket_sandbox_port}"
    return Endpoints(
        kalshi_rest=f"http://{kalshi}/trade-api/v2",
        kalshi_ws=f"ws://{kalshi}/trade-api/ws/v2",
        gamma=f"http://{polymarket}/gamma",
        clob=f"http://{polymarket}/clob",
        polymarket_ws=f"ws://{polymarket}/ws",
        polymarket_data=f"http://{polymarket}/data",
        polymarket_relayer=f"http://{polymarket}/relayer",
        polymarket_site=f"http://{polymarket}",
    )
