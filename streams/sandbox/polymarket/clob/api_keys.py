"""API keys over HTTP: made and derived by a wallet's signature, listed and deleted with the key itself."""

from __future__ import annotations

from streams.sandbox.http.routes import Access, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.auth import PolymarketKey, WalletProof
from streams.sandbox.polymarket.formats import parsed
from streams.sandbox.polymarket.venue import PolymarketVenue


def create_key(venue: PolymarketVenue, request: Request, proof: WalletProof) -> Response:
    """Make the key of (address, nonce); 400 when it exists, which clients answer by deriving it."""
    key = venue.keyring.create(proof)
    if key is None:
        return Response(400, {"error": "Could not create api key"})
    venue.commit()
    return _credentials(key)


def derive_key(venue: PolymarketVenue, request: Request, proof: WalletProof) -> Response:
    """The credentials of (address, nonce)."""
    key = venue.keyring.find(proof)
    # A key that was never made: status and text are unconfirmed.
    return Response(400, {"error": "Could not derive api key!"}) if key is None else _credentials(key)


def list_keys(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Every key of the signer."""
    return Response(200, {"apiKeys": [known.api_key for known in venue.keyring.of(key.address)]})


def delete_key(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Revoke the key that signs; its resting orders stay."""
    venue.keyring.delete(key)
    venue.commit()
    return Response(200, "OK")


def create_builder_key(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Make a builder key, with which the relayer can be asked."""
    made = venue.keyring.create_builder(key)
    venue.commit()
    return Response(200, made)


def list_builder_keys(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """The signer's builder keys."""
    return Response(200, [{"key": name} for name in venue.keyring.builders(key)])


def delete_builder_key(venue: PolymarketVenue, request: Request) -> Response:
    """Revoke the builder key that signs."""
    venue.keyring.delete_builder(request.headers["poly_builder_api_key"])
    venue.commit()
    return Response(200, "OK")


def create_readonly_key(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Make a read-only key. What it opens at the venue is not documented; here it opens nothing."""
    made = venue.keyring.create_reader(key)
    venue.commit()
    return Response(200, {"apiKey": made})


def list_readonly_keys(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """The signer's read-only keys."""
    return Response(200, venue.keyring.readers(key))


def delete_readonly_key(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Revoke a read-only key of the signer."""
    body = parsed(request.body)
    name = body.get("key") if isinstance(body, dict) else None
    if name not in venue.keyring.readers(key):
        return Response(400, {"error": "Invalid payload"})
    venue.keyring.delete_reader(str(name))
    venue.commit()
    return Response(200, "OK")


def get_closed_only(venue: PolymarketVenue, request: Request, key: PolymarketKey) -> Response:
    """Whether the account may only close positions."""
    return Response(200, {"closed_only": venue.settings.geoblocked})


def _credentials(key: PolymarketKey) -> Response:
    return Response(200, {"apiKey": key.api_key, "secret": key.secret, "passphrase": key.passphrase})


ROUTES: list[Route[PolymarketVenue]] = [
    Route("POST", "/auth/api-key", create_key, Access.WALLET),
    Route("GET", "/auth/derive-api-key", derive_key, Access.WALLET),
    Route("GET", "/auth/api-keys", list_keys, Access.SIGNED),
    Route("DELETE", "/auth/api-key", delete_key, Access.SIGNED),
    Route("POST", "/auth/builder-api-key", create_builder_key, Access.SIGNED),
    Route("GET", "/auth/builder-api-key", list_builder_keys, Access.SIGNED),
    Route("DELETE", "/auth/builder-api-key", delete_builder_key, Access.KEYED),
    Route("POST", "/auth/readonly-api-key", create_readonly_key, Access.SIGNED),
    Route("GET", "/auth/readonly-api-keys", list_readonly_keys, Access.SIGNED),
    Route("DELETE", "/auth/readonly-api-key", delete_readonly_key, Access.SIGNED),
    Route("GET", "/auth/ban-status/closed-only", get_closed_only, Access.SIGNED),
]
