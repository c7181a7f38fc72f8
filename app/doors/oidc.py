"""Signing in with OpenID Connect: the provider, and what it says of a person.

The code flow with PKCE. Whom the provider vouches for is not yet who may come in: the account must exist here.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec
import orjson
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from app.doors.subjects import subject_of, subject_of_email
from streams.logs import get_logger
from streams.settings import Settings

_ALGORITHMS = ("RS256", "PS256", "ES256")
"""Signatures only: neither `none` nor a shared secret."""
_LEEWAY_S = 60
_CACHED_FOR_S = 3_600.0
_ANSWER_MAX = 1_000_000
_PATIENCE_S = 8.0
_SCOPE = "openid profile email"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

log = get_logger(room="doors")


class OidcRefused(Exception):
    """The provider did not prove who somebody is; the message is one sentence for that person."""


class ProviderAway(OidcRefused):
    """The provider does not answer, or not as a provider does."""


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-in that waits for the provider.

    Attributes:
        address: Where the browser goes.
        state: Comes back with it.
        nonce: Stands in the ID token.
        verifier: Proves that the code was asked for here.
        at: When it began (Unix seconds).
        asks_again: Whether the person must be asked again, although they are signed in there.
    """

    address: str
    state: str
    nonce: str
    verifier: str
    at: float
    asks_again: bool


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a provider says of a person.

    Attributes:
        subject: As an account keeps it.
        email: As an account keeps it; None where the provider has not verified one.
        name: What they may be called here.
        asked_at: When the provider asked them who they are (Unix seconds); None: it does not say.
    """

    subject: str
    email: str | None
    name: str
    asked_at: float | None


class _Discovery(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    nonce: str = ""
    azp: str | None = None
    auth_time: float | None = None
    email: str = ""
    email_verified: bool = False
    preferred_username: str = ""


class Provider:
    """The provider of the settings.

    Args:
        settings: With an issuer and a client id.
        clock: Unix seconds.
        monotonic: Seconds.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret
        self._clock = clock
        self._monotonic = monotonic
        self._discovery: tuple[float, _Discovery] | None = None
        self._keys: tuple[float, KeySet] | None = None

    @property
    def name(self) -> str:
        """What people read of it: the host."""
        return urlsplit(self._issuer).hostname or self._issuer

    async def start(self, redirect_uri: str, *, asks_again: bool = False) -> Started:
        """Begin a sign-in.

        Args:
            redirect_uri: Where the browser comes back to, as it is registered at the provider.
            asks_again: Whether the provider must ask the person again.

        Raises:
            ProviderAway: If it does not answer.
        """
        found = await self._discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        more = {"prompt": "login", "max_age": "0"} if asks_again else {}
        address: str = prepare_grant_uri(
            found.authorization_endpoint,
            client_id=self._client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=_SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **more,
        )
        return Started(address, state, nonce, verifier, self._clock(), asks_again)

    async def finish(self, started: Started, code: str, redirect_uri: str, issuer: str = "") -> Vouched:
        """Return who came back.

        Args:
            started: The sign-in.
            code: That came with the browser.
            redirect_uri: As at the start.
            issuer: Who the browser says it comes from (RFC 9207); empty: it does not say.

        Raises:
            ProviderAway: If the provider does not answer.
            OidcRefused: If the code or the ID token proves nothing, or the person was not asked again.
        """
        if issuer and issuer != self._issuer:
            raise OidcRefused("The answer comes from another provider.")
        found = await self._discover()
        token = await self._exchange(found, started, code, redirect_uri)
        claims = self._check(await self._decode(found, token), started)
        email = subject_of_email(self._issuer, claims.email) if claims.email and claims.email_verified else None
        name = claims.email if email else claims.preferred_username or claims.sub
        return Vouched(subject_of(self._issuer, claims.sub), email, name, claims.auth_time)

    async def _exchange(self, found: _Discovery, started: Started, code: str, redirect_uri: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": started.verifier,
        }
        auth = None
        if self._secret is not None:
            secret = self._secret.get_secret_value()
            if "client_secret_basic" in found.token_endpoint_auth_methods_supported:
                auth = httpx.BasicAuth(quote(self._client_id, safe=""), quote(secret, safe=""))  # RFC 6749, 2.3.1
            else:
                form["client_secret"] = secret
        answer = await self._ask("POST", found.token_endpoint, form, auth)
        token = answer.get("id_token")
        if not isinstance(token, str):
            log.warning("oidc_code_refused", error=str(answer.get("error", "no ID token"))[:100])
            raise OidcRefused("The provider did not take the code back; sign in again.")
        return token

    async def _decode(self, found: _Discovery, token: str) -> _Claims:
        """Return the claims of an ID token whose signature holds; a key that is not known is asked for once."""
        now = self._monotonic()
        is_fresh = self._keys is None or now - self._keys[0] > _CACHED_FOR_S
        try:
            try:
                decoded = jwt.decode(token, await self._key_set(found, refresh=is_fresh), algorithms=_ALGORITHMS)
            except (InvalidKeyIdError, BadSignatureError):
                if is_fresh:
                    raise
                decoded = jwt.decode(token, await self._key_set(found, refresh=True), algorithms=_ALGORITHMS)
            return msgspec.convert(decoded.claims, _Claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("oidc_token_refused", error=type(error).__name__)
            raise OidcRefused("The provider's ID token cannot be trusted; sign in again.") from None

    def _check(self, claims: _Claims, started: Started) -> _Claims:
        now = self._clock()
        audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        wrong = [
            name
            for name, is_right in (
                ("issuer", claims.iss == self._issuer),
                ("audience", self._client_id in audience),
                ("party", claims.azp in (None, self._client_id) and (len(audience) == 1 or claims.azp is not None)),
                ("end", now < claims.exp + _LEEWAY_S),
                ("beginning", claims.iat < now + _LEEWAY_S),
                ("nonce", hmac.compare_digest(claims.nonce.encode(), started.nonce.encode())),
                ("subject", 0 < len(claims.sub) <= 255 and claims.sub.isprintable()),
            )
            if not is_right
        ]
        if wrong:
            log.warning("oidc_token_refused", error=", ".join(wrong))
            raise OidcRefused(f"The provider's ID token is not for this sign-in (its {wrong[0]}); sign in again.")
        if started.asks_again and (claims.auth_time is None or claims.auth_time < started.at - _LEEWAY_S):
            raise OidcRefused("The provider did not ask you again; sign out there, and confirm once more.")
        return claims

    async def _discover(self) -> _Discovery:
        now = self._monotonic()
        if self._discovery is None or now - self._discovery[0] > _CACHED_FOR_S:
            document = await self._ask("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            try:
                found = msgspec.convert(document, _Discovery)
            except msgspec.ValidationError:
                raise ProviderAway(self._is_away("it does not describe itself")) from None
            if found.issuer != self._issuer:
                raise ProviderAway(self._is_away("it names itself otherwise than CROSSBOOK_OIDC_ISSUER"))
            for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                self._check_address(address)
            self._discovery = (now, found)
        return self._discovery[1]

    def _check_address(self, address: str) -> None:
        """Refuse an address to which a secret or a code would go in the clear."""
        try:
            parts = urlsplit(address)
        except ValueError:
            raise ProviderAway(self._is_away("an address of it cannot be used")) from None
        is_local = urlsplit(self._issuer).scheme == "http" and parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
            raise ProviderAway(self._is_away("an address of it is not https"))

    async def _key_set(self, found: _Discovery, *, refresh: bool) -> KeySet:
        if refresh or self._keys is None:
            document = await self._ask("GET", found.jwks_uri)
            try:
                keys = KeySet.import_key_set(document)  # type: ignore[arg-type]
            except (JoseError, ValueError, TypeError, KeyError, AttributeError):
                raise ProviderAway(self._is_away("its keys cannot be read")) from None
            self._keys = (self._monotonic(), keys)
        return self._keys[1]

    async def _ask(
        self, method: str, address: str, form: Mapping[str, str] | None = None, auth: httpx.Auth | None = None
    ) -> dict[str, Any]:
        """Return the JSON object a provider answers with; its refusals (4xx) too."""
        body = bytearray()
        try:
            async with asyncio.timeout(_PATIENCE_S), httpx.AsyncClient(timeout=_PATIENCE_S) as client:
                headers = {"Accept": "application/json"}
                async with client.stream(
                    method, address, data=form, headers=headers, auth=auth, follow_redirects=False
                ) as answer:
                    async for chunk in answer.aiter_bytes():
                        body += chunk
                        if len(body) > _ANSWER_MAX:
                            raise ProviderAway(self._is_away("its answer has no end"))
                    is_error = answer.status_code >= 500 or answer.is_redirect
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            log.warning("oidc_provider_away", error=type(error).__name__)
            raise ProviderAway(self._is_away("it does not answer")) from None
        try:
            document = None if is_error else orjson.loads(body)  # which refuses what nests too deep for the stack
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise ProviderAway(self._is_away("it does not answer as a provider does"))
        return document

    def _is_away(self, why: str) -> str:
        return f"{self.name} cannot be used now: {why}. Signing in with a name and password, or by a link, works on."
