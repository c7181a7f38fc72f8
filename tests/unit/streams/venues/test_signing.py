"""Signatures of both venues: against the venues' SDK vectors, and two of those typed again so that they always run."""

from __future__ import annotations

import asyncio
import base64
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.backends import CoinCurveECCBackend, NativeECCBackend
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from streams.market.errors import ConfigurationError, InvalidAmount, Refused
from streams.market.units import cash_e6, price_e4
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import KalshiCredentials, PolymarketCredentials
from streams.venues.kalshi.signing import KalshiSigner
from streams.venues.polymarket.amounts import SDK_SHARE_DECIMALS, Amounts, limit_amounts, spend_amounts
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.ecdsa import sign_digest
from streams.venues.polymarket.signing import (
    SignedOrder,
    build_order,
    exchange_domain,
    l1_headers,
    l2_headers,
    l2_signature,
)

# Public test key of a well-known development chain; never funded.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
ORDER_OF_CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
API_KEY = "00000000-0000-0000-0000-000000000001"


def wallet(key: str = KEY, address: str = ADDRESS, signature_type: int = 0, funder: str = "") -> PolymarketCredentials:
    return PolymarketCredentials(
        SecretStr(key), address, API_KEY, SecretStr(SECRET), SecretStr("passphrase-for-tests"), signature_type, funder
    )


def signed(**changes: Any) -> SignedOrder:
    arguments: dict[str, Any] = {
        "token_id": TOKEN,
        "side": "BUY",
        "amounts": limit_amounts("BUY", 5_200, 10_000_000, 100),
        "order_type": "GTC",
        "is_neg_risk": False,
        "salt": 479249096354,
        "timestamp_ms": 1773890758000,
    }
    return build_order(wallet(), **(arguments | changes))


def test_a_plain_order_has_the_known_id_and_signature() -> None:
    order = signed()
    assert order.order_id == "0xcdd382e9475bfae40185afd9bfec7fea0ec8b4010af7ed616040f016e19dcb3f"
    assert order.body["order"]["signature"] == (
        "0x5aed6f9573fa9d0314e7ca44f6f8aa6b78f4b1a9982e7a3999411177c35104560d67c59850443bca603cd9fcec4a7d710fac85e34709"
        "dc22f188b2c4eef2cf231b"
    )
    assert json.loads(order.content())["order"]["salt"] == 479249096354
    assert order.content() == signed().content()


def test_a_request_has_the_known_hmac_and_headers() -> None:
    assert l2_signature(SECRET, "GET", "/data/orders", 1773890758) == "zDdaRBsnqLiAADrvBUd0sRO-5Thsn1Tk2Z85_hfBGU8="
    headers = l2_headers(wallet(), "delete", "/cancel-all", 1773890758)
    assert headers["POLY_SIGNATURE"] == "Zpc23p5nTfLA6U4X4ZX7CzEmo33WFwKBkqwiSsoOLto="
    assert headers["POLY_ADDRESS"] == ADDRESS


@pytest.mark.parametrize(
    "changes",
    [
        {"salt": 1 << 53},
        {"salt": -1},
        {"token_id": "0x12"},
        {"token_id": str(1 << 256)},
        {"expiration_s": 1900000000},
        {"order_type": "GTD"},
        {"builder": "0x12"},
    ],
)
def test_an_order_that_cannot_be_meant_is_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAmount):
        signed(**changes)


def test_a_key_that_is_none_is_named_and_never_quoted() -> None:
    with pytest.raises(ConfigurationError) as raised:
        build_order(
            wallet(key="0xnot-a-key"),
            token_id=TOKEN,
            side="BUY",
            amounts=Amounts(10_000, 10_000),
            order_type="FAK",
            is_neg_risk=False,
            salt=1,
            timestamp_ms=1,
        )
    assert "not-a-key" not in str(raised.value)


def test_every_order_vector_is_met_byte_for_byte(shared_dir: Path) -> None:
    document = json.loads((shared_dir / "venues/polymarket-order-vectors.json").read_text())
    for vector in document["orders"]:
        given_ = vector["inputs"]
        tick, price = price_e4(given_["tick_size"]), price_e4(given_["price"])
        if given_["kind"] == "market" and given_["side"] == "BUY":
            amounts = spend_amounts(cash_e6(given_["amount_usd"]), price, tick, share_decimals=SDK_SHARE_DECIMALS[tick])
        else:
            amounts = limit_amounts(given_["side"], price, int(Decimal(given_["size_shares"]) * 10**6), tick)
        order = build_order(
            wallet(given_["private_key"], given_["signer_address"], given_["signature_type"], given_["funder"]),
            token_id=given_["asset_id"],
            side=given_["side"],
            amounts=amounts,
            order_type=given_["order_type"],
            is_neg_risk=given_["neg_risk"],
            salt=int(given_["salt"]),
            timestamp_ms=int(given_["timestamp_ms"]),
            expiration_s=int(given_["expiration"]),
            builder=given_["builder"],
            metadata=given_["metadata"],
            chain_id=given_["chain_id"],
        )
        assert order.order_id == vector["order_id"], vector["id"]
        assert order.body == vector["post_order_body"], vector["id"]
        assert order.content() == json.dumps(vector["post_order_body"], separators=(",", ":")).encode(), vector["id"]


def test_every_order_of_the_third_struct_is_signed_as_ethers_does(shared_dir: Path) -> None:
    document = json.loads((shared_dir / "venues/polymarket-order-vectors.json").read_text())
    for vector in document["v3_cross_check"]:
        message = vector["message"]
        order = build_order(
            wallet(vector["private_key"], message["signer"], vector["signature_type"], message["maker"]),
            token_id=message["tokenId"],
            side="BUY" if message["side"] == 0 else "SELL",
            amounts=Amounts(int(message["makerAmount"]), int(message["takerAmount"])),
            order_type="GTC",
            is_neg_risk=False,
            salt=int(message["salt"]),
            timestamp_ms=int(message["timestamp"]),
            builder=message["builder"],
            metadata=message["metadata"],
            protocol="3",
        )
        assert order.body["order"]["signature"] == vector["signature"], vector["id"]
        assert (order.body["order"]["maker"], order.body["order"]["signer"]) == (message["maker"], message["signer"])


def test_domains_are_the_known_ones(shared_dir: Path) -> None:
    document = json.loads((shared_dir / "venues/polymarket-order-vectors.json").read_text())
    separators = document["domain_separators"]
    plain, position = int(TOKEN), 1 << 248
    assert "0x" + exchange_domain(plain, is_neg_risk=False).hex() == separators["v2 standard (137)"]
    assert "0x" + exchange_domain(plain, is_neg_risk=True).hex() == separators["v2 neg-risk (137)"]
    assert "0x" + exchange_domain(position, is_neg_risk=True).hex() == separators["v3 (137)"]


def test_every_order_of_the_first_struct_is_refused_unsent(shared_dir: Path) -> None:
    document = json.loads((shared_dir / "venues/polymarket-order-vectors.json").read_text())

    async def main(content: bytes) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as http:
            await PolymarketClient(endpoints(Settings(_env_file=None)), wallet(), http=http).send_order(content)

    for vector in document["legacy_v1_orders"]:
        for separators in ((",", ":"), (", ", ": ")):
            content = json.dumps(vector["post_order_body"], separators=separators).encode()
            with pytest.raises(Refused) as refused:
                asyncio.run(main(content))
            assert refused.value.code == "order_version_mismatch"


def test_every_authentication_vector_is_met(shared_dir: Path) -> None:
    document = json.loads((shared_dir / "venues/polymarket-order-vectors.json").read_text())
    for vector in document["l2_hmac"]["vectors"]:
        body = (vector["body"] or "").encode()
        assert (
            l2_signature(SECRET, vector["method"], vector["path"], int(vector["timestamp"]), body)
            == vector["signature"]
        )
    for vector in document["l1_clob_auth"]["vectors"]:
        credentials = wallet(vector["private_key"], vector["address"])
        headers = l1_headers(credentials, int(vector["timestamp"]), vector["nonce"], vector["chain_id"])
        assert headers == vector["headers"]


def test_amounts_are_exact_where_binary_fractions_would_lose_a_share(shared_dir: Path) -> None:
    document = json.loads((shared_dir / "venues/polymarket-order-vectors.json").read_text())
    for example in document["known_sdk_rounding_faults"]["examples"]:
        tick, price = price_e4(example["tick"]), price_e4(example["price"])
        size = int(Decimal(example["size"]) * 10**6)
        is_market = "market" in example["call"]
        sdk = SDK_SHARE_DECIMALS[tick]
        amounts = (
            spend_amounts(size, price, tick, share_decimals=sdk)
            if is_market
            else limit_amounts("BUY", price, size, tick)
        )
        assert [str(amounts.maker_e6), str(amounts.taker_e6)] == example["exact_amounts"]


@given(st.integers(1, 2**256 - 1), st.binary(min_size=32, max_size=32))
def test_signatures_are_those_of_the_curve_worked_out_in_python(key: int, digest: bytes) -> None:
    raw = (key % (ORDER_OF_CURVE - 1) + 1).to_bytes(32, "big")
    signature = PrivateKey(raw, backend=NativeECCBackend()).sign_msg_hash(digest)
    expected = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes([27 + signature.v])
    assert sign_digest("0x" + raw.hex(), digest) == expected


def test_signing_uses_the_compiled_curve() -> None:
    assert isinstance(PrivateKey(bytes([1] * 32)).backend, CoinCurveECCBackend)


@pytest.mark.parametrize("key", ["", "0x12", "0x" + "00" * 32, "0x" + "ff" * 32, "zz" * 32])
def test_what_is_no_key_signs_nothing(key: str) -> None:
    with pytest.raises(ConfigurationError):
        sign_digest(key, bytes(32))


def test_a_gtd_order_states_when_it_expires() -> None:
    now = 1773890758
    assert signed(order_type="GTD", expiration_s=now + 180).body["order"]["expiration"] == str(now + 180)


@pytest.mark.parametrize(
    "changes",
    [
        {"order_type": "GTD", "expiration_s": 1773890758 + 179},
        {"order_type": "FAK", "post_only": True},
        {"order_type": "FOK", "amounts": Amounts(5_201_000, 10_000_000)},
    ],
)
def test_what_the_venue_would_refuse_is_not_signed_unless_asked(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidAmount):
        signed(**changes)
    assert signed(is_checked=False, **changes).body["orderType"] == changes["order_type"]


def test_post_only_rests() -> None:
    assert signed(post_only=True).body["postOnly"] is True


@pytest.mark.parametrize(
    ("cash", "limit", "tick", "shares"),
    [
        (100_000_000, 5_600, 100, 178_571_400),
        (25_379_999, 6_730, 10, 37_696_800),
        (5_000_000, 125, 25, 400_000_000),
        (1_000_000, 3_000, 1_000, 3_333_300),
        (1_000_000, 9_999, 1, 1_000_100),
    ],
)
def test_the_house_states_four_decimals_of_shares_at_every_tick(cash: int, limit: int, tick: int, shares: int) -> None:
    amounts = spend_amounts(cash, limit, tick)
    assert (amounts.maker_e6, amounts.taker_e6) == (cash // 10_000 * 10_000, shares)


def test_dollars_that_would_state_the_next_tick_are_refused() -> None:
    with pytest.raises(InvalidAmount):
        spend_amounts(10_000, 9_999, 1)


@given(st.sampled_from([1000, 100, 50, 25, 10, 1]), st.data())
def test_one_division_is_what_the_sdks_round_twice(tick: int, data: st.DataObject) -> None:
    """They round the quotient up at four decimals more, then floor it."""
    limit = data.draw(st.integers(1, 10_000 // tick - 1)) * tick
    cents = data.draw(st.integers(100, 10_000_000))
    decimals = SDK_SHARE_DECIMALS[tick]
    quotient = Fraction(cents, 100) / Fraction(limit, 10_000)
    up = -(-quotient * 10 ** (decimals + 4) // 1)
    twice = Fraction(up, 10 ** (decimals + 4)) * 10**decimals // 1
    ours = spend_amounts(cents * 10_000, limit, tick, share_decimals=decimals)
    assert ours.taker_e6 == twice * 10 ** (6 - decimals)


@given(st.sampled_from([1000, 100, 50, 25, 10, 1]), st.data())
def test_a_spending_order_states_its_limit_and_whole_cents(tick: int, data: st.DataObject) -> None:
    limit = data.draw(st.integers(1, 10_000 // tick - 1)) * tick
    cash = data.draw(st.integers(1_000_000, 10_000_000_000))
    amounts = spend_amounts(cash, limit, tick)
    assert amounts.maker_e6 <= cash
    assert amounts.maker_e6 % 10_000 == 0
    price = Decimal(amounts.maker_e6) / Decimal(amounts.taker_e6) * 10_000
    assert limit <= price < limit + tick


@pytest.mark.parametrize(
    ("price", "size", "tick"),
    [(5_250, 10**6, 100), (0, 10**6, 100), (10_000, 10**6, 100), (5_000, 9_999, 100), (5_000, 10**6, 7)],
)
def test_prices_off_the_grid_and_sizes_below_a_step_are_refused(price: int, size: int, tick: int) -> None:
    with pytest.raises(InvalidAmount):
        limit_amounts("BUY", price, size, tick)


def kalshi(key: Any, form: serialization.PrivateFormat) -> KalshiCredentials:
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return KalshiCredentials("key-1", SecretStr(pem.decode()))


TEXT = b"1781159489957GET/trade-api/v2/portfolio/orders"


@pytest.mark.parametrize("form", [serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8])
def test_an_rsa_key_signs_by_pss_without_the_query(form: serialization.PrivateFormat) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = KalshiSigner(kalshi(key, form))
    headers = signer.headers("get", "https://host/trade-api/v2/portfolio/orders?status=resting", 1781159489957)
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"])
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    key.public_key().verify(signature, TEXT, scheme, hashes.SHA256())
    assert (headers["KALSHI-ACCESS-KEY"], headers["KALSHI-ACCESS-TIMESTAMP"]) == ("key-1", "1781159489957")
    with pytest.raises(InvalidSignature):
        key.public_key().verify(signature, TEXT + b"?status=resting", scheme, hashes.SHA256())


def test_an_ed25519_key_signs_the_same_text() -> None:
    key = Ed25519PrivateKey.generate()
    signer = KalshiSigner(kalshi(key, serialization.PrivateFormat.PKCS8))
    headers = signer.headers("GET", "/trade-api/v2/portfolio/orders", 1781159489957)
    key.public_key().verify(base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]), TEXT)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8])
def test_a_key_that_is_sealed_with_a_passphrase_is_refused_in_a_sentence_that_says_so(
    form: serialization.PrivateFormat,
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    sealed = key.private_bytes(
        serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"a-good-passphrase")
    )
    with pytest.raises(ConfigurationError, match="sealed with a passphrase"):
        KalshiSigner(KalshiCredentials("k", SecretStr(sealed.decode())))


def test_an_rsa_key_too_short_for_the_venue_is_refused_before_it_is_used() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(ConfigurationError, match="2048"):
        KalshiSigner(kalshi(short, serialization.PrivateFormat.PKCS8))


def test_other_keys_are_refused_without_being_quoted() -> None:
    pkcs8 = serialization.PrivateFormat.PKCS8
    sealed = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, pkcs8, serialization.BestAvailableEncryption(b"passphrase")
    )
    public = Ed25519PrivateKey.generate().public_key()
    for credentials in (
        kalshi(generate_private_key(SECP256R1()), pkcs8),
        kalshi(X25519PrivateKey.generate(), pkcs8),
        kalshi(Ed448PrivateKey.generate(), pkcs8),
        KalshiCredentials("k", SecretStr(sealed.decode())),
        KalshiCredentials(
            "k",
            SecretStr(
                public.public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                ).decode()
            ),
        ),
        KalshiCredentials("k", SecretStr("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----")),
        KalshiCredentials("k", SecretStr("")),
    ):
        with pytest.raises(ConfigurationError) as raised:
            KalshiSigner(credentials)
        assert "secret" not in str(raised.value)
