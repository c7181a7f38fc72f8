"""Polymarket's relayer: it sends a smart wallet's transactions and pays for them. Plain accounts cannot use it.

POST /submit answers before anything is done; the transaction's state is polled until it is final. What is signed is
bound to the wallet's nonce, so a submission whose answer was lost can only ever be carried out once.

Source: paths, bodies and headers as `polymarket-client` 0.14.0 forms them; the poll as the documents have it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from streams.market.errors import InvalidAmount, NotFound, OutcomeUnknown, Refused, TransientError
from streams.venues.common.decimals import wire_whole
from streams.venues.common.endpoints import Endpoints
from streams.venues.common.listed_fields import id_of
from streams.venues.common.responses import document_of, json_of, read, read_write
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.chain import envelopes
from streams.venues.polymarket.chain.calldata import ContractCall
from streams.venues.polymarket.limits import PolymarketLimits
from streams.venues.polymarket.signing import l2_signature
from streams.venues.polymarket.transport import PolymarketRequest, PolymarketTransport

PROXY_GAS_LIMIT = 200_000
"""What the SDK states where it cannot estimate. Not confirmed for conversions: state more for those."""
POLL_EVERY_S = 2.0
POLL_FOR_S = 200.0


@dataclass(frozen=True, slots=True)
class RelayerKey:
    """A key for the relayer: a builder's (with secret and passphrase, signs each request), or a relayer's own.

    Attributes:
        key: Its id; of a relayer's own key that is all there is to it, so it never shows.
        address: Of whom a relayer's own key is; unused by a builder's.
    """

    key: str = field(repr=False)
    address: str = ""
    secret: SecretStr | None = None
    passphrase: SecretStr | None = None

    def headers(self, method: str, path: str, timestamp_s: int, body: bytes) -> dict[str, str]:
        """Return what proves the key on one request."""
        if self.secret is None or self.passphrase is None:
            return {"RELAYER_API_KEY": self.key, "RELAYER_API_KEY_ADDRESS": self.address}
        return {
            "POLY_BUILDER_API_KEY": self.key,
            "POLY_BUILDER_PASSPHRASE": self.passphrase.get_secret_value(),
            "POLY_BUILDER_SIGNATURE": l2_signature(self.secret.get_secret_value(), method, path, timestamp_s, body),
            "POLY_BUILDER_TIMESTAMP": str(timestamp_s),
        }


@dataclass(frozen=True, slots=True)
class RelayedTransaction:
    """A transaction the relayer has taken.

    Attributes:
        state: NEW, EXECUTED, MINED or a word that is not known; final: CONFIRMED, FAILED, INVALID.
        transaction_hash: On the chain, "" before it is sent.
        message: Why it failed, where it says so.
    """

    transaction_id: str
    state: str
    transaction_hash: str
    message: str
    payload: dict[str, Any]

    @property
    def is_final(self) -> bool:
        """Whether the state cannot change any more."""
        return self.state in ("CONFIRMED", "FAILED", "INVALID")


class Relayer(PolymarketTransport):
    """Transactions of one smart wallet.

    Args:
        endpoints: Where the services are.
        credentials: The wallet.
        key: What the relayer is asked with.
        http / clock / limits: As for the transport.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: PolymarketCredentials,
        key: RelayerKey,
        *,
        http: httpx.AsyncClient,
        clock: Callable[[], int] = time.time_ns,
        limits: PolymarketLimits | None = None,
    ) -> None:
        super().__init__(endpoints, credentials, http=http, clock=clock, limits=limits)
        self._key = key

    async def submit(self, calls: Sequence[ContractCall], *, metadata: str = "") -> RelayedTransaction:
        """Have the wallet carry out calls, all or none of them; nothing is done yet when this returns.

        Raises:
            Refused: `wallet_busy` while another transaction of the wallet runs, `nonce_mismatch` when one was just
                carried out: both may be tried again in a while.
            OutcomeUnknown: It may have been taken; it is carried out once at most.
        """
        body = orjson.dumps(await self._envelope(calls, metadata))
        return read_write(await self._relay("POST", "/submit", body=body), parse_transaction)

    async def transaction(self, transaction_id: str) -> RelayedTransaction:
        """Return a transaction as it is now.

        Raises:
            NotFound: The relayer does not show it (yet).
        """
        raw = await self._relay("GET", "/transaction", parameters={"id": transaction_id})
        return read(json_of(raw), lambda answer: _only_transaction(answer, transaction_id))

    async def settled(
        self,
        transaction: RelayedTransaction,
        *,
        every_s: float = POLL_EVERY_S,
        for_s: float = POLL_FOR_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> RelayedTransaction:
        """Poll a transaction until it is confirmed.

        Raises:
            Refused: It failed (`transaction_failed`): nothing happened on the chain.
            OutcomeUnknown: It is not final after `for_s` seconds.
        """
        for _ in range(max(1, round(for_s / every_s))):
            with suppress(TransientError, NotFound):
                transaction = await self.transaction(transaction.transaction_id)
            if transaction.is_final:
                break
            await sleep(every_s)
        if transaction.state == "CONFIRMED":
            return transaction
        if transaction.is_final:
            raise Refused("transaction_failed", transaction.message or transaction.state)
        raise OutcomeUnknown(f"transaction {transaction.transaction_id} is {transaction.state} after {for_s:.0f} s")

    async def _envelope(self, calls: Sequence[ContractCall], metadata: str) -> dict[str, Any]:
        wallet = self._wallet()
        kind = envelopes.wallet_kind(wallet)
        nonce, relay = await self._nonce(kind)
        if kind == "PROXY":
            return envelopes.proxy_envelope(
                wallet, calls, nonce=nonce, relay=relay, gas_limit=PROXY_GAS_LIMIT, metadata=metadata
            )
        if kind == "SAFE":
            return envelopes.safe_envelope(wallet, calls, nonce=nonce, metadata=metadata)
        deadline = self._now_s() + envelopes.DEADLINE_S
        return envelopes.deposit_wallet_envelope(wallet, calls, nonce=nonce, deadline_s=deadline, metadata=metadata)

    async def _nonce(self, kind: str) -> tuple[int, str]:
        """Return the wallet's next nonce and the address that relays (a proxy signs that too)."""
        path = "/relay-payload" if kind == "PROXY" else "/v1/account/transactions/params"
        raw = await self._relay("GET", path, parameters={"address": self._wallet().address, "type": kind})
        return read(document_of(raw), lambda answer: (wire_whole(answer["nonce"]), str(answer.get("address") or "")))

    async def _relay(
        self, method: str, path: str, *, body: bytes | None = None, parameters: dict[str, Any] | None = None
    ) -> bytes:
        def sign() -> dict[str, str]:
            return self._key.headers(method, path, self._now_s(), body or b"")

        is_write = method != "GET"
        return await self._send(
            PolymarketRequest("relayer", method, path, body, parameters or {}, is_write=is_write), sign
        )


def parse_transaction(row: dict[str, Any]) -> RelayedTransaction:
    """Return a transaction of an answer; /submit writes camelCase, the poll has been seen in both spellings."""
    state = str(row["state"]).upper().removeprefix("STATE_")
    return RelayedTransaction(
        transaction_id=id_of(row, "transactionID" if "transactionID" in row else "transaction_id"),
        state=state,
        transaction_hash=str(row.get("transactionHash", row.get("transaction_hash")) or ""),
        message=str(row.get("error_msg", row.get("errorMsg")) or ""),
        payload=row,
    )


def _only_transaction(answer: Any, transaction_id: str) -> RelayedTransaction:
    if answer == []:
        raise NotFound("the relayer shows no such transaction")
    found = parse_transaction(answer[0] if isinstance(answer, list) else answer)
    if found.transaction_id != transaction_id:
        raise InvalidAmount(f"asked for {transaction_id[:80]!r} and got {found.transaction_id[:80]!r}")
    return found
