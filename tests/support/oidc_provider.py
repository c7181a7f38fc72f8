"""An OpenID Connect provider on loopback, which can be made to lie in every way that matters."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey


class OidcProvider:
    """A provider with one client; `who` is signed in there.

    Attributes:
        claims: What the ID token says otherwise than it should; None takes a claim away.
        algorithm: Of the ID token: RS256 | none | HS256 (signed with the public key, as a classic forgery).
        slow_s: Seconds each answer takes.
        garbage: What it answers instead, by path.
        asked: The paths that were asked for, and at the token endpoint the forms.
    """

    def __init__(self, client_id: str = "crossbook", secret: str | None = "a secret: with/signs") -> None:
        self.client_id, self.secret = client_id, secret
        self.who: dict[str, Any] = {"sub": "u-1", "email": "ada@example.com", "email_verified": True}
        self.claims: dict[str, Any] = {}
        self.discovery: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.slow_s = 0.0
        self.garbage: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.change_key()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                provider._answer(self, {name: value[0] for name, value in parse_qs(body.decode()).items()})

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def publish_another_key(self) -> None:
        """Publish a key under the name of the one it signs with, which is not that one."""
        other = RSAKey.generate_key(2048, {"kid": self._key.kid}, private=True)
        self.garbage["/keys"] = (200, json.dumps(KeySet([other]).as_dict(private=False)).encode())

    def change_key(self) -> None:
        """Sign with a new key from now on; the old one is published no more."""
        self._key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)}, private=True)

    def authorize(self, address: str) -> str:
        """Sign `who` in as a browser does that follows `address`; return where the browser is sent back to."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}" == self.issuer
        asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked
        query = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(query)}"

    def _answer(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        path = urlsplit(handler.path).path
        self.asked.append(path)
        time.sleep(self.slow_s)
        if path in self.garbage:
            status, body = self.garbage[path]
        else:
            status, document = self._document(path, form, handler.headers.get("authorization", ""))
            body = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        if status == 302:
            handler.send_header("Location", "http://127.0.0.1:9/")
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(body)

    def _document(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                **self.discovery,
            }
        if path == "/keys":
            return 200, KeySet([self._key]).as_dict(private=False)  # type: ignore[return-value]
        if path == "/token":
            self.forms.append(form)
            return self._exchange(form, authorization)
        return 404, {}

    def _exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = _base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != asked["redirect_uri"] or not self._is_client(form, authorization):
            return 401, {"error": "invalid_client"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            **({"auth_time": now} if asked.get("prompt") == "login" else {}),
            **self.who,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": self._signed(claims)}

    def _is_client(self, form: dict[str, str], authorization: str) -> bool:
        if self.secret is None:
            return form.get("client_id") == self.client_id and not authorization
        if form.get("client_secret") == self.secret:
            return True
        wanted = urlencode({"": self.client_id})[1:] + ":" + urlencode({"": self.secret})[1:].replace("+", "%20")
        return authorization == "Basic " + base64.b64encode(wanted.encode()).decode()

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.algorithm == "RS256":
            return jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key)
        header = {"alg": self.algorithm, "kid": self._key.kid}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        if self.algorithm == "none":
            return f"{signed}."
        forged = hmac.digest(self._key.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{_base64url(forged)}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
