"""API keys over HTTP: made and derived by a wallet's signature, listed and deleted with the key itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.http.server import Request, Response, Router
from streams.sandbox.polymarket.auth import PolymarketKey, WalletProof, l1_proof
from streams.sandbox.polymarket.formats import parsed

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace


class KeyRest:
    """Handlers of keys and of what an account may do."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("POST", "/clob/auth/api-key", self.create)
        router.add("GET", "/clob/auth/derive-api-key", self.derive)
        router.add("GET", "/clob/auth/api-keys", signed(self.listed))
        router.add("DELETE", "/clob/auth/api-key", signed(self.delete))
        router.add("POST", "/clob/auth/builder-api-key", signed(self.create_builder))
        router.add("GET", "/clob/auth/builder-api-key", signed(self.list_builders))
        router.add("DELETE", "/clob/auth/builder-api-key", self.delete_builder)
        router.add("POST", "/clob/auth/readonly-api-key", signed(self.create_reader))
        router.add("GET", "/clob/auth/readonly-api-keys", signed(self.list_readers))
        router.add("DELETE", "/clob/auth/readonly-api-key", signed(self.delete_reader))
        router.add("GET", "/clob/auth/ban-status/closed-only", signed(self.closed_only))

    def create(self, request: Request) -> Response:
        """Make the key of (address, nonce); 400 when it exists, which clients answer by deriving it."""
        proof = self._proof(request)
        if proof is None:
            return Response(401, {"error": "Invalid L1 Request headers"})
        key = self._face.ring.create(proof)
        if key is None:
            return Response(400, {"error": "Could not create api key"})
        self._face.commit()
        return _credentials(key)

    def derive(self, request: Request) -> Response:
        """The credentials of (address, nonce)."""
        proof = self._proof(request)
        if proof is None:
            return Response(401, {"error": "Invalid L1 Request headers"})
        key = self._face.ring.find(proof)
        # A key that was never made: status and text are unconfirmed.
        return Response(400, {"error": "Could not derive api key!"}) if key is None else _credentials(key)

    def listed(self, request: Request, key: PolymarketKey) -> Response:
        """Every key of the signer."""
        return Response(200, {"apiKeys": [known.api_key for known in self._face.ring.of(key.address)]})

    def delete(self, request: Request, key: PolymarketKey) -> Response:
        """Revoke the key that signs; its resting orders stay."""
        self._face.ring.delete(key)
        self._face.commit()
        return Response(200, "OK")

    def create_builder(self, request: Request, key: PolymarketKey) -> Response:
        """Make a builder key, with which the relayer can be asked."""
        made = self._face.ring.create_builder(key)
        self._face.commit()
        return Response(200, made)

    def list_builders(self, request: Request, key: PolymarketKey) -> Response:
        """The signer's builder keys."""
        return Response(200, [{"key": name} for name in self._face.ring.builders(key)])

    def delete_builder(self, request: Request) -> Response:
        """Revoke the builder key that signs."""
        if not self._face.ring.is_builder(request, "/auth/builder-api-key", self._face.now_ms()):
            return Response(401, {"error": "Unauthorized/Invalid api key"})
        self._face.ring.delete_builder(request.headers["poly_builder_api_key"])
        self._face.commit()
        return Response(200, "OK")

    def create_reader(self, request: Request, key: PolymarketKey) -> Response:
        """Make a read-only key. What it opens at the venue is not documented; here it opens nothing."""
        made = self._face.ring.create_reader(key)
        self._face.commit()
        return Response(200, {"apiKey": made})

    def list_readers(self, request: Request, key: PolymarketKey) -> Response:
        """The signer's read-only keys."""
        return Response(200, self._face.ring.readers(key))

    def delete_reader(self, request: Request, key: PolymarketKey) -> Response:
        """Revoke a read-only key of the signer."""
        body = parsed(request.body)
        name = body.get("key") if isinstance(body, dict) else None
        if name not in self._face.ring.readers(key):
            return Response(400, {"error": "Invalid payload"})
        self._face.ring.delete_reader(str(name))
        self._face.commit()
        return Response(200, "OK")

    def closed_only(self, request: Request, key: PolymarketKey) -> Response:
        """Whether the account may only close positions."""
        return Response(200, {"closed_only": self._face.settings.geoblocked})

    def _proof(self, request: Request) -> WalletProof | None:
        return l1_proof(request, self._face.now_ms(), self._face.settings.clock_window_s)


def _credentials(key: PolymarketKey) -> Response:
    return Response(200, {"apiKey": key.api_key, "secret": key.secret, "passphrase": key.passphrase})
