"""What stands in for signatures in most seeds: the arithmetic of curves takes long and nothing in it is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from streams.sandbox.kalshi import auth
from streams.sandbox.polymarket.clob import order_form
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.kalshi import signing as kalshi_signing
from streams.venues.polymarket import signing
from streams.venues.polymarket.ecdsa import keccak256

REAL_ONE_IN = 20
"""So many seeds sign with real keys as one."""


@contextmanager
def stand_ins() -> Iterator[None]:
    """Sign with names in place of keys; what is signed, and every id that follows from it, stays what it is."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(kalshi_signing, "_signer", lambda _pem: lambda _text: b"named"))
        patches.enter_context(patch.object(auth, "_is_valid", lambda *_: True))
        patches.enter_context(patch.object(signing, "_sign", _named))
        patches.enter_context(patch.object(order_form, "order_digest_and_signer", _digest_and_named))
        yield


def _named(credentials: PolymarketCredentials, _digest: bytes) -> bytes:
    return bytes.fromhex(credentials.address.removeprefix("0x")).ljust(65, b"\x00")


def _digest_and_named(order: Mapping[str, Any], *, is_neg_risk: bool) -> tuple[str, str | None]:
    domain = signing.exchange_domain(int(order["tokenId"]), is_neg_risk=is_neg_risk)
    digest = keccak256(b"\x19\x01" + domain + signing._struct_hash(order))
    return f"0x{digest.hex()}", f"0x{str(order['signature']).removeprefix('0x')[:40]}"
