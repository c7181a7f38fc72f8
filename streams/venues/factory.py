"""Clients and feeds of the environment in force, put together from the settings and the keystore."""

from __future__ import annotations

import hashlib

import httpx

from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.feed import UserFeed
from streams.venues.common.token_buckets import FileLedger
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.credentials.keystore import Keystore
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.stream.feed import KalshiFeed
from streams.venues.kalshi.stream.polling import KalshiPollingFeed
from streams.venues.kalshi.stream.user_feed import KalshiUserFeed
from streams.venues.polymarket.chain.envelopes import WALLET_KINDS
from streams.venues.polymarket.chain.relayer import Relayer, RelayerKey
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.limits import PolymarketLimits
from streams.venues.polymarket.stream.feed import PolymarketFeed
from streams.venues.polymarket.stream.isolation import Isolation
from streams.venues.polymarket.stream.probe import rest_probe
from streams.venues.polymarket.stream.user_feed import PolymarketUserFeed


def kalshi_client(settings: Settings, http: httpx.AsyncClient) -> KalshiClient:
    """Return Kalshi's REST client with the environment's key, or without one where none is stored.

    Its token buckets are those of the key (or of the address without one), shared with every process of this home.
    """
    credentials = Keystore(settings).kalshi(settings.venues)
    who = "unsigned" if credentials is None else hashlib.sha256(credentials.key_id.encode()).hexdigest()[:16]
    limits = KalshiLimits(
        is_signed=credentials is not None,
        ledger=FileLedger(settings.home_dir / "limits" / f"kalshi-{settings.venues}-{who}.json"),
        unsigned_reads_per_s=settings.kalshi_unsigned_reads_per_s,
    )
    where = endpoints(settings)
    return KalshiClient(where, credentials, http=http, limits=limits, subaccount=settings.kalshi_subaccount)


def polymarket_client(settings: Settings, http: httpx.AsyncClient) -> PolymarketClient:
    """Return Polymarket's REST client with the environment's key, or without one where none is stored."""
    credentials = Keystore(settings).polymarket(settings.venues)
    return PolymarketClient(
        endpoints(settings), credentials, http=http, limits=_polymarket_limits(settings, credentials)
    )


def polymarket_relayer(settings: Settings, http: httpx.AsyncClient) -> Relayer | None:
    """Return the relayer of the environment's smart wallet; None for a plain account, and where it has no relayer key.

    A plain account sends its own transactions, which nothing here does.
    """
    credentials = Keystore(settings).polymarket(settings.venues)
    if credentials is None or credentials.signature_type not in WALLET_KINDS or credentials.relayer_key is None:
        return None
    key = RelayerKey(
        credentials.relayer_key.get_secret_value(),
        credentials.address,
        credentials.relayer_secret,
        credentials.relayer_passphrase,
    )
    limits = _polymarket_limits(settings, credentials)
    return Relayer(endpoints(settings), credentials, key, http=http, limits=limits)


def _polymarket_limits(settings: Settings, credentials: PolymarketCredentials | None) -> PolymarketLimits:
    """Return the request budgets of this machine's address and of the signing account, shared with every process of
    this home.
    """
    who = "unsigned" if credentials is None else credentials.address.lower()
    folder = settings.home_dir / "limits"
    return PolymarketLimits(
        address_ledger=FileLedger(folder / f"polymarket-{settings.venues}.json"),
        signer_ledger=FileLedger(folder / f"polymarket-{settings.venues}-{who}.json"),
    )


def kalshi_feed(settings: Settings, http: httpx.AsyncClient) -> KalshiFeed | KalshiPollingFeed:
    """Return an unconnected feed: the socket where there is a key, polled books where there is none.

    The key is `kalshi-read-<environment>`, which may do nothing but read, where that is stored.
    """
    credentials = Keystore(settings).kalshi_reader(settings.venues)
    if credentials is None:
        return KalshiPollingFeed(kalshi_client(settings, http), interval_s=settings.polling_interval_s)
    return KalshiFeed(endpoints(settings), credentials, silence_timeout_s=settings.silence_timeout_s)


def polymarket_feed(settings: Settings, http: httpx.AsyncClient, isolation: Isolation | None = None) -> PolymarketFeed:
    """Return an unconnected feed that compares silent tokens with their books over REST.

    Feeds that follow one another share their `isolation`: which markets the venue closes connections for.
    """
    feed = PolymarketFeed(
        endpoints(settings),
        silence_timeout_s=settings.silence_timeout_s,
        tokens_per_connection=settings.polymarket_tokens_per_connection,
        probe=rest_probe(polymarket_client(settings, http)),
        token_silence_s=settings.token_silence_s,
    )
    feed.isolation = isolation or feed.isolation
    return feed


def user_feeds(settings: Settings) -> list[UserFeed]:
    """Return one unconnected user stream per venue whose key is stored."""
    keystore, where = Keystore(settings), endpoints(settings)
    feeds: list[UserFeed] = []
    kalshi, polymarket = keystore.kalshi(settings.venues), keystore.polymarket(settings.venues)
    if kalshi is not None:
        feeds.append(KalshiUserFeed(where, kalshi, silence_timeout_s=settings.silence_timeout_s))
    if polymarket is not None:
        feeds.append(PolymarketUserFeed(where, polymarket, silence_timeout_s=settings.silence_timeout_s))
    return feeds
