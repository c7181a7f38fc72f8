"""The wallet itself: API keys, balances, whether it may trade from here, and its dead man's switch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from pydantic import SecretStr

from streams.market.errors import InvalidAmount, OutcomeUnknown, Refused
from streams.venues.common.decimals import wire_whole
from streams.venues.common.listed_fields import shown, stated_flag
from streams.venues.common.responses import document_of, read, read_done, read_write
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.signing import is_position_id, l1_headers
from streams.venues.polymarket.transport import Filter, PolymarketRequest, PolymarketTransport

_LONGEST_UINT256 = 78
AssetType = Literal["COLLATERAL", "CONDITIONAL", "CONDITIONAL-V2"]


@dataclass(frozen=True, slots=True)
class BalanceState:
    """What the venue believes a wallet has of one asset; what open orders reserve is in it.

    Attributes:
        balance_e6: Dollars or contracts, 1/1,000,000.
        allowances_e6: What each exchange may take, by its address.
    """

    balance_e6: int
    allowances_e6: dict[str, int]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Geoblock:
    """Whether this machine's address may trade; `country` and `region` are what the venue takes it for."""

    is_blocked: bool
    country: str
    region: str
    payload: dict[str, Any]


class AccountCalls(PolymarketTransport):
    """Keys are made with the wallet's signature (L1), everything else is read under the API key (L2)."""

    async def obtain_credentials(self, nonce: int = 0) -> PolymarketCredentials:
        """Return the wallet with its API key: a new one, or the one that exists for this nonce.

        The venue keeps one key per address and nonce and answers the wish for a second one by 400; it is derived then.
        The client's credentials need the private key and the address only.

        Raises:
            AuthenticationFailed: The venue does not accept the wallet's signature.
            OutcomeUnknown: No answer came; calling again is safe.
        """
        try:
            raw = await self._prove("POST", "/auth/api-key", nonce)
        except Refused as refused:
            if refused.status != 400:
                raise
            raw = await self._prove("GET", "/auth/derive-api-key", nonce)
        wallet = self._wallet()

        def with_key(answer: dict[str, Any]) -> PolymarketCredentials:
            return replace(
                wallet,
                api_key=_text(answer, "apiKey"),
                secret=SecretStr(_text(answer, "secret")),
                passphrase=SecretStr(_text(answer, "passphrase")),
            )

        try:
            return read_write(raw, with_key)
        except OutcomeUnknown as error:
            # Its cause holds the answer, and that may hold secrets.
            raise OutcomeUnknown(str(error)) from None

    async def api_keys(self) -> list[str]:
        """Return the ids of the wallet's API keys."""
        document = document_of(await self._private("GET", "/auth/api-keys"))
        return read(document, lambda answer: [str(key) for key in answer["apiKeys"]])

    async def delete_api_key(self) -> None:
        """Delete the API key in use; its resting orders are the venue's to cancel."""
        read_done(await self._private("DELETE", "/auth/api-key"))

    async def closed_only(self) -> bool:
        """Whether the account may only close positions."""
        document = document_of(await self._private("GET", "/auth/ban-status/closed-only"))
        return read(document, lambda answer: stated_flag(answer, "closed_only"))

    async def geoblock(self) -> Geoblock:
        """Return whether the venue's website would let this machine's address trade."""
        return read(document_of(await self._get("site", "/api/geoblock")), _geoblock_of)

    async def balance(self) -> int:
        """Return the wallet's cash as `cash_e6`; what open orders reserve is in it."""
        return (await self.balance_allowance("COLLATERAL")).balance_e6

    async def token_balance(self, token_id: str) -> int:
        """Return how much of a token the wallet holds, as `size_e6`."""
        return (await self.balance_allowance(asset_of(token_id), token_id)).balance_e6

    async def balance_allowance(self, asset: AssetType, token_id: str | None = None) -> BalanceState:
        """Return the balance the venue's checks go by, from its cache."""
        raw = await self._private("GET", "/balance-allowance", parameters=self._asset(asset, token_id))
        return read(document_of(raw), balance_of)

    async def update_balance_allowance(self, asset: AssetType, token_id: str | None = None) -> None:
        """Make the venue read a balance from the chain again; worth a call after a settlement or a conversion."""
        await self._private("GET", "/balance-allowance/update", parameters=self._asset(asset, token_id))

    async def post_heartbeat(self, heartbeat_id: str) -> str:
        """Send one beat of the dead man's switch and return the id of the next; `Heartbeat` keeps the count.

        Raises:
            HeartbeatMismatch: The venue expects another id, which the error names.
        """
        raw = await self._private("POST", "/v1/heartbeats", body=orjson.dumps({"heartbeat_id": heartbeat_id}))
        return read_write(raw, lambda answer: str(answer["heartbeat_id"]))

    def _asset(self, asset: AssetType, token_id: str | None) -> dict[str, Filter]:
        return {"asset_type": asset, "token_id": token_id, "signature_type": self._wallet().signature_type}

    async def _prove(self, method: str, path: str, nonce: int) -> bytes:
        request = PolymarketRequest("clob", method, path, is_write=method != "GET")
        return await self._send(request, lambda: l1_headers(self._wallet(), self._now_s(), nonce))


def asset_of(token_id: str) -> AssetType:
    """Return as what the venue counts a token: a position id of protocol v2 is named otherwise."""
    return "CONDITIONAL-V2" if is_position_id(int(token_id)) else "CONDITIONAL"


def _geoblock_of(document: dict[str, Any]) -> Geoblock:
    country, region = str(document.get("country") or ""), str(document.get("region") or "")
    return Geoblock(stated_flag(document, "blocked"), country, region, document)


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidAmount(f"{name} is missing")
    return value


def balance_of(document: dict[str, Any]) -> BalanceState:
    """Return the answer of GET /balance-allowance; rows of 2024 state one `allowance`.

    An allowance that cannot be read is left out: only the balance decides what may be bought.
    """
    stated = document.get("allowances") or {"": document.get("allowance") or 0}
    amounts = stated.items() if isinstance(stated, dict) else ()
    read_amounts = {str(spender): shown(amount, _uint256) for spender, amount in amounts}
    allowances = {spender: amount for spender, amount in read_amounts.items() if amount is not None}
    return BalanceState(wire_whole(document["balance"]), allowances, document)


def _uint256(value: Any) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_UINT256:
        raise InvalidAmount(f"not an amount of a chain: {str(value)[:40]!r}")
    return int(text)
