"""What the Kalshi app makes of input that only an unkind client sends: a response of the venue's, never a crash."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from streams.market.errors import ConfigurationError
from streams.sandbox.kalshi.auth import KalshiKey, load_key
from tests.support.kalshi_venue import RAIN, OfflineKalshi

AMENDMENT = {"ticker": RAIN, "side": "bid", "price": "0.4000", "count": "5"}


@pytest.mark.parametrize("text", ["--5", "5-", "²", "1_0", "９", "1e1", " 5", "9" * 30])
def test_parameters_that_are_no_whole_numbers_get_a_bare_message(text: str) -> None:
    venue = OfflineKalshi()
    for path in (f"/markets?limit={text}", f"/markets/{RAIN}/orderbook?depth={text}", f"/markets/trades?min_ts={text}"):
        response = venue.ask("GET", path.replace(" ", "%20"))
        assert (response.status, list(response.body)) == (400, ["msg"])


@pytest.mark.parametrize("cursor", ["at:²:x", "at:-1:x", "at:9999:x", "after:", "at::"])
def test_a_forged_cursor_is_a_page(cursor: str) -> None:
    text = base64.urlsafe_b64encode(cursor.encode()).decode()
    assert OfflineKalshi().ask("GET", f"/markets?cursor={text}").status == 200


@pytest.mark.parametrize("stamp", ["²", "1_0", "-5", "", "9" * 40])
def test_a_timestamp_that_is_none_has_expired(stamp: str) -> None:
    venue = OfflineKalshi()
    request = venue.request("GET", "/portfolio/balance", key="key-1")
    request.headers["kalshi-access-timestamp"] = stamp
    assert venue.app.handle(request).status == 401


@pytest.mark.parametrize(
    "price", ["5e-1", "1_0", " 0.50", "+0.50", "٠.٥٠", ".50", "0.5", "0.50000", "1e999999999", "NaN"]
)
def test_prices_have_two_to_four_plain_decimals(price: str) -> None:
    venue = OfflineKalshi()
    order_id = venue.placed()
    refused = venue.place(price=price, client_order_id="two")
    amended = venue.ask(
        "POST", f"/portfolio/events/orders/{order_id}/amend", {**AMENDMENT, "price": price}, key="key-1"
    )
    assert [(one.status, one.body["error"]["code"]) for one in (refused, amended)] == [(400, "invalid_price")] * 2


@pytest.mark.parametrize("count", ["1_0", "1e1", " 10", "+10", "10.000", "-1", "0", "1" * 40, "Infinity"])
def test_counts_have_up_to_two_plain_decimals(count: str) -> None:
    response = OfflineKalshi().place(count=count)
    assert (response.status, response.body["error"]["code"]) == (400, "invalid_order_size")


@pytest.mark.parametrize("count", ["10", "10.0", "10.00"])
def test_every_documented_form_of_a_count_is_taken(count: str) -> None:
    assert OfflineKalshi().place(count=count).body["remaining_count"] == "10.00"


def test_an_expiry_no_date_can_say_is_refused_and_the_account_stays_readable() -> None:
    venue = OfflineKalshi()
    order_id = venue.placed()
    body = {**AMENDMENT, "expiration_time": 10**15}
    amended = venue.ask("POST", f"/portfolio/events/orders/{order_id}/amend", body, key="key-1")
    for response in (venue.place(expiration_time=10**15, client_order_id="two"), amended):
        assert (response.status, response.body["error"]["details"]) == (400, "expiration_time")
    assert len(venue.own("/portfolio/orders")["orders"]) == 1
    venue.settle()


def test_every_action_on_an_order_meets_the_close_of_its_market() -> None:
    venue = OfflineKalshi()
    order_id = venue.placed()
    venue.settle()
    path = f"/portfolio/events/orders/{order_id}"
    responses = [
        venue.ask("POST", f"{path}/amend", AMENDMENT, key="key-1"),
        venue.ask("POST", f"{path}/decrease", {"reduce_by": "1"}, key="key-1"),
        venue.ask("DELETE", f"{path}?market_ticker={RAIN}", key="key-1"),
    ]
    assert [(one.status, one.body["error"]["code"]) for one in responses] == [(400, "MARKET_NOT_ACTIVE")] * 3


@pytest.mark.parametrize("changes", [{"exchange_index": "x"}, {"exchange_index": 7}, {"exchange_index": -1},
                                     {"subaccount": 3}, {"contracts_limit_fp": "1e9999999"}])  # fmt: skip
def test_a_group_needs_a_shard_and_a_limit_that_exist(changes: dict[str, Any]) -> None:
    venue = OfflineKalshi()
    response = venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit": 10, **changes}, key="key-1")
    assert (response.status, response.body["code"]) == (400, "bad_request")
    assert venue.own("/portfolio/order_groups")["order_groups"] == []


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({"read"}, {"balance", "orders"}),
        ({"read::portfolio_balance"}, {"balance"}),
        ({"write::trade"}, {"place"}),
        ({"write::transfer"}, {"move"}),
        ({"read", "write"}, {"balance", "orders", "place", "move"}),
    ],
)
def test_a_child_scope_opens_its_own_group_of_calls(scopes: set[str], allowed: set[str]) -> None:
    venue = OfflineKalshi()
    venue.app.kalshi.keys["key-1"] = replace(venue.app.kalshi.keys["key-1"], scopes=frozenset(scopes))
    responses = {
        "balance": venue.ask("GET", "/portfolio/balance", key="key-1"),
        "orders": venue.ask("GET", "/portfolio/orders", key="key-1"),
        "place": venue.place(),
        "move": venue.ask("POST", "/portfolio/intra_exchange_instance_transfer", {}, key="key-1"),
    }
    assert {name for name, response in responses.items() if response.status != 403} == allowed


def test_a_key_with_an_unknown_scope_is_not_loaded(public_pem: str) -> None:
    assert isinstance(load_key("key", public_pem, ["write::trade"]), KalshiKey)
    with pytest.raises(ConfigurationError, match="unknown scopes"):
        load_key("key", public_pem, ["everything"])


@pytest.fixture
def public_pem() -> str:
    """A public key."""
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
