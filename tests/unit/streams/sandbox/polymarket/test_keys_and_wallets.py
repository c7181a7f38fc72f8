"""Who may ask: API keys from a wallet's signature, signed requests, and the wallets of a signer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streams.sandbox.http.server import Request
from streams.sandbox.polymarket.auth import hmac_signature
from streams.sandbox.polymarket.keyring import KeyRing
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.signing import clob_auth_digest, hex_bytes, order_digest_and_signer, recovered
from streams.sandbox.polymarket.wallets import owned_wallets


def test_any_wallet_makes_a_key_and_gets_an_account(desk: Any) -> None:
    first = desk.l1("GET", "/auth/derive-api-key")
    assert first.body == {"apiKey": desk.key.api_key, "secret": desk.key.secret, "passphrase": desk.key.passphrase}
    assert desk.l1("POST", "/auth/api-key").status == 400
    balance = desk.signed("GET", "/balance-allowance", asset_type="COLLATERAL", signature_type=0)
    assert balance.body["balance"] == str(PolymarketVenueSettings().starting_cash_e6)


def test_every_nonce_has_its_own_key(desk: Any) -> None:
    assert desk.l1("GET", "/auth/derive-api-key", nonce=7).status == 400
    second = desk.l1("POST", "/auth/api-key", nonce=7)
    assert second.status == 200
    assert second.body["apiKey"] != desk.key.api_key
    keys = desk.signed("GET", "/auth/api-keys").body["apiKeys"]
    assert set(keys) == {desk.key.api_key, second.body["apiKey"]}


def test_a_deleted_key_is_refused_and_a_new_one_differs(desk: Any) -> None:
    assert desk.signed("DELETE", "/auth/api-key").body == "OK"
    assert desk.signed("GET", "/auth/api-keys").status == 401
    again = desk.l1("POST", "/auth/api-key")
    assert again.status == 200
    assert again.body["apiKey"] != desk.key.api_key


def test_keys_come_back_with_the_exchange_state(desk: Any) -> None:
    ring = KeyRing(desk.exchange, {}, PolymarketVenueSettings())
    assert ring.get(desk.key.api_key).secret == desk.key.secret
    desk.signed("DELETE", "/auth/api-key")
    assert KeyRing(desk.exchange, {}, PolymarketVenueSettings()).get(desk.key.api_key) is None


def test_wrong_l1_headers_are_refused(desk: Any) -> None:
    wrong = Request("GET", "/clob/auth/derive-api-key", [], {"poly_address": desk.address, "poly_signature": "0x12"})
    assert desk.app.handle(wrong).status == 401
    desk.now[0] += 60_000
    stale = desk.l1("GET", "/auth/derive-api-key")
    assert stale.status == 200


def test_a_request_signed_with_replaced_quotes_is_accepted(desk: Any) -> None:
    body = b"{'orderID': '0x12'}"
    stamp = str(desk.now[0] // 1000)
    headers = {
        "poly_address": desk.address,
        "poly_api_key": desk.key.api_key,
        "poly_passphrase": desk.key.passphrase,
        "poly_timestamp": stamp,
        "poly_signature": hmac_signature(desk.key.secret, stamp, "DELETE", "/order", body.replace(b"'", b'"')),
    }
    assert desk.app.handle(Request("DELETE", "/clob/order", [], headers, body)).status == 400
    headers["poly_signature"] = headers["poly_signature"][:-2] + "x="
    assert desk.app.handle(Request("DELETE", "/clob/order", [], headers, body)).status == 401


def test_a_request_from_another_time_is_refused(desk: Any) -> None:
    body, stamp = b"", str(desk.now[0] // 1000 - 31)
    headers = {
        "poly_address": desk.address,
        "poly_api_key": desk.key.api_key,
        "poly_passphrase": desk.key.passphrase,
        "poly_timestamp": stamp,
        "poly_signature": hmac_signature(desk.key.secret, stamp, "GET", "/data/orders", body),
    }
    assert desk.app.handle(Request("GET", "/clob/data/orders", [], headers)).status == 401


def test_the_wallets_of_a_signer_are_those_of_the_factories() -> None:
    # Computed with polymarket-client 0.14.0.
    owned = owned_wallets("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
    assert owned.proxy == "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70"
    assert owned.safe == "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47"
    assert owned.deposit == "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"
    assert owned.deposit_uups == "0xdf8b9E8f9AB23f261F6e1B171B7454ae6E46Ba76"
    assert owned.type_of(owned.safe.lower()) == 2


def test_a_wallet_that_cannot_be_derived_belongs_to_its_first_signer(desk: Any) -> None:
    wallet = "0x" + "ab" * 20
    ring = desk.venue.keyring
    assert ring.owns(desk.address, wallet, 2)
    assert not ring.owns(desk.address, wallet, 1)
    assert not ring.owns("0x" + "cd" * 20, wallet, 2)
    assert not ring.owns(desk.address, "0x" + "ee" * 20, 0)


def test_every_published_vector_is_recognised(shared_dir: Path) -> None:
    vectors = json.loads((shared_dir / "venues" / "polymarket-order-vectors.json").read_text())
    checked = 0
    for vector in vectors["orders"]:
        inputs = vector["inputs"]
        if inputs["chain_id"] != 137:
            continue
        order = vector["post_order_body"]["order"]
        order_id, signer = order_digest_and_signer(order, is_neg_risk=inputs["neg_risk"])
        assert signer is not None
        assert (order_id, signer.lower()) == (vector["order_id"], inputs["signer_address"].lower()), vector["id"]
        checked += 1
    assert checked == 30
    for vector in vectors["l1_clob_auth"]["vectors"]:
        digest = clob_auth_digest(vector["address"], vector["timestamp"], vector["nonce"], vector["chain_id"])
        assert str(recovered(digest, hex_bytes(vector["signature"]))).lower() == vector["address"].lower()


def test_a_nested_signature_with_another_trailer_is_refused(shared_dir: Path) -> None:
    vectors = json.loads((shared_dir / "venues" / "polymarket-order-vectors.json").read_text())
    vector = next(v for v in vectors["orders"] if v["id"] == "v2-limit-buy-1271")
    order = vector["post_order_body"]["order"]
    assert order_digest_and_signer(order, is_neg_risk=True)[1] is None
    cut = {**order, "signature": order["signature"][:-4]}
    assert order_digest_and_signer(cut, is_neg_risk=False)[1] is None
