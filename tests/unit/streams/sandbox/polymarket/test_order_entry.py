"""Order entry of the Polymarket emulator: rules, texts, amounts, delays, trading status and limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.sandbox.core.faults import FaultRule
from streams.sandbox.core.profile import REALISTIC, ZERO
from streams.sandbox.polymarket.contracts import COLLATERAL, EXCHANGE_V2
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.polymarket.wallets import owned_wallets

KEYS = {"errorMsg", "orderID", "takingAmount", "makingAmount", "status", "success"}


def error(answer: Any) -> str:
    assert answer.status == 400, answer.body
    return str(answer.body["error"])


def test_a_resting_order_is_live_and_its_id_is_the_digest(desk: Any) -> None:
    answer = desk.post("BUY", 4_000_000, 10_000_000)
    assert set(answer.body) == KEYS
    assert (answer.body["status"], answer.body["success"], answer.body["makingAmount"]) == ("live", True, "")
    shown = desk.signed("GET", f"/data/order/{answer.body['orderID']}").body
    assert (shown["status"], shown["price"], shown["original_size"], shown["side"]) == ("LIVE", "0.4", "10", "BUY")


def test_a_limit_order_is_exact_in_shares_and_gets_the_better_price(desk: Any) -> None:
    answer = desk.post("BUY", 5_500_000, 10_000_000)
    assert answer.body["status"] == "matched"
    assert (answer.body["makingAmount"], answer.body["takingAmount"]) == ("5.1", "10")
    assert len(answer.body["tradeIDs"]) == 1
    assert "transactionsHashes" not in answer.body


def test_a_fak_buy_spends_its_dollars_at_better_prices(desk: Any) -> None:
    answer = desk.post("BUY", 5_100_000, 5_151_500, "FAK")
    assert (answer.body["makingAmount"], answer.body["takingAmount"]) == ("5.1", "10")


def test_amounts_can_be_micro_units(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(settings=PolymarketVenueSettings(micro_amounts=True))
    assert desk.post("BUY", 5_100_000, 10_000_000).body["takingAmount"] == "10000000"


def test_buys_of_both_outcomes_meet_and_mint(desk: Any) -> None:
    answer = desk.post("BUY", 6_000_000, 10_000_000, token=desk.no)
    assert answer.body["status"] == "matched"
    trade = desk.signed("GET", "/data/trades", id=answer.body["tradeIDs"][0]).body["data"][0]
    maker = trade["maker_orders"][0]
    assert (trade["outcome"], maker["outcome"], trade["price"], maker["price"]) == ("No", "Yes", "0.51", "0.49")
    assert trade["transaction_hash"] == ""


@pytest.mark.parametrize(
    ("order", "more", "text"),
    [
        (("BUY", 5_250_000, 10_000_000), {}, "Price (0.525) breaks minimum tick size rule: 0.01"),
        (("BUY", 10_000_000, 10_000_000), {}, "breaks minimum tick size rule"),
        (("BUY", 400_000, 1_000_000), {}, "Size (1) lower than the minimum: 5"),
        (("BUY", 500_000, 980_300, "FAK"), {}, "invalid amount for a marketable BUY order ($0.5), min size: $1"),
        (("BUY", 1_001_000, 1_962_700, "FAK"), {}, "max accuracy of 2 decimals"),
        (("BUY", 1_000_000, 25_000_000, "FAK"), {}, "no orders found to match with FAK order."),
        (("BUY", 510_000_000, 1_000_000_000, "FOK"), {}, "couldn't be fully filled"),
        (("SELL", 10_000_000, 4_900_000, "FAK"), {}, "not enough balance / allowance: the balance is not enough"),
        (("BUY", 5_100_000, 10_000_000), {"postOnly": True}, "invalid post-only order: order crosses book"),
        (("BUY", 4_000_000, 10_000_000, "FAK"), {"postOnly": True}, "invalid post-only order"),
        (("BUY", 4_000_000, 10_000_000), {"expiration": "1900000000"}, "invalid expiration"),
        (("BUY", 4_000_000, 10_000_000, "GTD"), {"expiration": "1795000179"}, "invalid expiration"),
        (("BUY", 4_000_000, 10_000_000), {"owner": "another"}, "the order owner has to be the owner of the API KEY"),
        (("BUY", 4_000_000, 10_000_000, "ICE"), {}, "Invalid order payload"),
        (("BUY", 4_000_000, 10_000_000), {"signatureType": 4}, "Invalid order payload"),
        (("BUY", 4_000_000, 10_000_000), {"signer": "0x" + "12" * 20}, "signer address has to be the address of"),
        (("BUY", 4_000_000, 10_000_000), {"signatureType": 2, "maker": "0x" + "00" * 19}, "Invalid order payload"),
        (("BUY", 4_000_000, 10_000_000), {"signatureType": 1}, "maker address not allowed"),
        (("BUY", 20_000_000_000, 40_000_000_000), {}, "not enough balance / allowance: the balance is not enough"),
    ],
)
def test_what_the_venue_refuses_is_refused(desk: Any, order: Any, more: dict[str, Any], text: str) -> None:
    if "00" * 19 in str(more.get("maker")):
        body = desk.order(*order)
        body["order"] |= more
        assert text in error(desk.signed("POST", "/order", body))
        return
    assert text in error(desk.post(*order, **more))


def test_an_order_that_meets_only_an_own_one_is_not_inserted(desk: Any) -> None:
    desk.post("BUY", 25_000_000, 50_000_000)
    refused = desk.post("BUY", 6_000_000, 10_000_000, token=desk.no)
    assert (refused.status, refused.body) == (500, {"error": "could not insert order"})


def test_bodies_of_the_first_version_are_refused(desk: Any, shared_dir: Path) -> None:
    vectors = json.loads((shared_dir / "venues" / "polymarket-order-vectors.json").read_text())
    for vector in vectors["legacy_v1_orders"]:
        assert error(desk.signed("POST", "/order", vector["post_order_body"])) == "order_version_mismatch"
    body = desk.order("BUY", 4_000_000, 10_000_000)
    body["order"]["feeRateBps"] = "0"
    assert error(desk.signed("POST", "/order", body)) == "order_version_mismatch"


@pytest.mark.parametrize("body", [None, [], {"order": 7}, {"order": {"salt": "1"}}, b"{", "text"])
def test_bodies_of_another_form_are_invalid_payloads(desk: Any, body: Any) -> None:
    assert error(desk.signed("POST", "/order", body)) == "Invalid order payload"


@pytest.mark.parametrize(
    ("name", "value"), [("salt", "1"), ("salt", True), ("makerAmount", "x"), ("maker", None), ("signature", 7)]
)
def test_fields_of_another_type_are_invalid_payloads(desk: Any, name: str, value: Any) -> None:
    body = desk.order("BUY", 4_000_000, 10_000_000)
    body["order"][name] = value
    assert error(desk.signed("POST", "/order", body)) == "Invalid order payload"
    kind = desk.order("BUY", 4_000_000, 10_000_000) | {"orderType": ["GTC"]}
    assert error(desk.signed("POST", "/order", kind)) == "Invalid order payload"


def test_a_changed_amount_breaks_the_signature(desk: Any) -> None:
    body = desk.order("BUY", 4_000_000, 10_000_000)
    body["order"]["makerAmount"] = "4100000"
    assert error(desk.signed("POST", "/order", body)) == "invalid signature"


def test_the_same_order_twice_is_a_duplicate(desk: Any) -> None:
    body = desk.order("BUY", 4_000_000, 10_000_000)
    assert desk.signed("POST", "/order", body).status == 200
    assert error(desk.signed("POST", "/order", body)).endswith("Duplicated.")


def test_a_buy_just_below_a_tick_cannot_pay_it(desk: Any) -> None:
    # 5.10 dollars for 10.0001 shares is a hair below 0.51.
    assert "no orders found" in error(desk.post("BUY", 5_100_000, 10_000_100, "FAK"))


def test_an_order_from_a_safe_uses_the_wallet_of_the_safe(desk: Any) -> None:
    safe = owned_wallets(desk.address).safe
    answer = desk.post("BUY", 5_100_000, 10_000_000, maker=safe, signatureType=2)
    assert answer.body["status"] == "matched"
    held = {"asset_type": "CONDITIONAL", "token_id": desk.yes}
    assert desk.signed("GET", "/balance-allowance", signature_type=2, **held).body["balance"] == "10000000"
    assert desk.signed("GET", "/balance-allowance", signature_type=0, **held).body["balance"] == "0"
    assert len(desk.signed("GET", "/data/trades").body["data"]) == 1
    assert desk.get("/data/v2/positions", user=safe)["data"][0]["current_size"] == 10.0


def test_every_published_order_is_taken_by_an_emulator_that_lists_its_token(
    open_desk: Callable[..., Any], make_market: Callable[..., Any], shared_dir: Path
) -> None:
    vectors = json.loads((shared_dir / "venues" / "polymarket-order-vectors.json").read_text())
    taken = 0
    for vector in vectors["orders"]:
        inputs, body = vector["inputs"], vector["post_order_body"]
        if inputs["chain_id"] != 137:
            continue
        ticks = ((0, 10_000, round(float(inputs["tick_size"]) * 10_000)),)
        is_neg, token = inputs["neg_risk"], body["order"]["tokenId"]
        listed = make_market(0, price_ranges=ticks, is_neg_risk=is_neg, yes_token=token, min_size_e6=1_000_000)
        desk = open_desk(markets=[listed])
        desk.private_key = inputs["private_key"]
        desk.log_in()
        # The rules of the order's form pass; a market order may then find nothing, a sale nothing to sell.
        answer = desk.signed("POST", "/order", {**body, "owner": desk.key.api_key})
        if answer.status != 200:
            assert answer.body["error"].startswith(("not enough balance", "order couldn't be", "no orders found"))
        else:
            assert answer.body["orderID"] == vector["order_id"]
        taken += 1
    assert taken == 30


def test_a_batch_answers_in_order_with_refused_legs(desk: Any) -> None:
    good, bad = desk.order("BUY", 4_000_000, 10_000_000), desk.order("BUY", 400_000, 1_000_000)
    rows = desk.signed("POST", "/orders", [good, bad]).body
    assert [set(row) for row in rows] == [KEYS, KEYS]
    assert (rows[0]["status"], rows[1]["orderID"], rows[1]["success"]) == ("live", "", True)
    assert "lower than the minimum" in rows[1]["errorMsg"]
    too_many = desk.signed("POST", "/orders", [good] * 16)
    assert error(too_many) == "Too many orders in payload: 16, max allowed: 15"
    assert desk.signed("POST", "/orders", []).status == 400


def test_killed_orders_can_be_answered_with_200(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(settings=PolymarketVenueSettings(kill_status=200))
    answer = desk.post("BUY", 1_000_000, 25_000_000, "FAK")
    assert (answer.status, answer.body["orderID"]) == (200, "")
    assert answer.body["errorMsg"].startswith("no orders found")


def test_a_gtd_order_leaves_a_minute_early(desk: Any) -> None:
    answer = desk.post("BUY", 4_000_000, 10_000_000, "GTD", expiration="1795000200")
    desk.pass_ms(139_000)
    assert desk.signed("GET", f"/data/order/{answer.body['orderID']}").body["status"] == "LIVE"
    desk.pass_ms(2_000)
    assert desk.signed("GET", f"/data/order/{answer.body['orderID']}").body["status"] == "CANCELED"


def test_a_missing_allowance_is_refused_with_the_text_clients_look_for(desk: Any) -> None:
    desk.venue.allowances.set(desk.address, COLLATERAL, EXCHANGE_V2, 1_000_000)
    assert "the allowance is not enough" in error(desk.post("BUY", 4_000_000, 10_000_000))


# -- delays ------------------------------------------------------------------------------------------------------------


def crypto_desk(open_desk: Callable[..., Any], make_market: Callable[..., Any]) -> Any:
    fees = {"rate": "0.07", "exponent": "1", "taker_only": True}
    return open_desk(replace(ZERO, taker_delay_ms=150), markets=[make_market(0, fee_schedule=fees)])


def test_a_taker_waits_where_the_market_says_so(open_desk: Callable[..., Any], make_market: Callable[..., Any]) -> None:
    desk = crypto_desk(open_desk, make_market)
    assert desk.get(f"/clob/clob-markets/{desk.condition()}")["itode"] is True
    body = desk.order("BUY", 5_100_000, 10_000_000)
    waiting = desk.signed("POST", "/order", body)
    assert waiting.delay_ms == 150
    order_id = next(iter(desk.exchange.state.orders))
    refused = desk.signed("DELETE", "/order", {"orderID": order_id}).body
    assert (refused["canceled"], list(refused["not_canceled"])) == ([], [order_id])
    desk.pass_ms(150)
    answer = waiting.resume()
    assert (answer.body["status"], answer.body["takingAmount"]) == ("matched", "10")


def test_makers_can_leave_while_a_taker_waits(open_desk: Callable[..., Any], make_market: Callable[..., Any]) -> None:
    desk = crypto_desk(open_desk, make_market)
    waiting = desk.post("BUY", 5_100_000, 10_000_000, "FOK")
    for level in range(1, 4):
        desk.exchange.state.engine.cancel(f"maker/0ask{level}")
    desk.pass_ms(150)
    answer = waiting.resume()
    assert "couldn't be fully filled" in error(answer)


def test_an_order_that_does_not_cross_does_not_wait(
    open_desk: Callable[..., Any], make_market: Callable[..., Any]
) -> None:
    desk = crypto_desk(open_desk, make_market)
    assert desk.post("BUY", 4_000_000, 10_000_000).body["status"] == "live"


def test_a_batch_with_a_waiting_leg_waits(open_desk: Callable[..., Any], make_market: Callable[..., Any]) -> None:
    desk = crypto_desk(open_desk, make_market)
    legs = [desk.order("BUY", 4_000_000, 10_000_000), desk.order("BUY", 5_100_000, 10_000_000)]
    waiting = desk.signed("POST", "/orders", legs)
    desk.pass_ms(150)
    assert [row["status"] for row in waiting.resume().body] == ["live", "matched"]


def test_a_sports_market_answers_delayed_and_matches_later(
    open_desk: Callable[..., Any], make_market: Callable[..., Any]
) -> None:
    desk = open_desk(markets=[make_market(0, extra={"secondsDelay": 3, "gameStartTime": "2026-11-30 18:00:00+00"})])
    terms = desk.get(f"/clob/clob-markets/{desk.condition()}")
    assert (terms["sd"], terms["gst"]) == (3, "2026-11-30T18:00:00Z")
    answer = desk.post("BUY", 5_100_000, 10_000_000).body
    assert (answer["status"], answer["makingAmount"], answer["success"]) == ("delayed", "", True)
    path = f"/data/order/{answer['orderID']}"
    assert desk.signed("GET", path).body["status"] == "DELAYED"
    desk.pass_ms(3_000)
    assert desk.signed("GET", path).body["status"] == "MATCHED"


def test_a_fak_order_can_answer_live_and_fill_later(desk: Any) -> None:
    desk.exchange.state.faults.rules.append(FaultRule("late_fill", ms=2_000))
    answer = desk.post("BUY", 5_100_000, 10_000_000, "FAK").body
    assert (answer["status"], answer["makingAmount"]) == ("live", "")
    path = f"/data/order/{answer['orderID']}"
    assert desk.signed("GET", path).body["status"] == "LIVE"
    desk.pass_ms(2_000)
    assert desk.signed("GET", path).body["status"] == "MATCHED"


# -- modes and limits --------------------------------------------------------------------------------------------------


def test_a_restart_is_425_and_then_two_minutes_of_post_only(desk: Any) -> None:
    resting = desk.post("BUY", 4_000_000, 10_000_000).body["orderID"]
    desk.exchange.status.change("restarting", desk.now[0], until_ms=desk.now[0] + 5_000, then="post_only")
    assert desk.post("BUY", 4_000_000, 10_000_000).status == 425
    assert desk.signed("DELETE", "/order", {"orderID": resting}).status == 425
    desk.pass_ms(5_000)
    refused = desk.post("BUY", 4_000_000, 10_000_000)
    assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (503, "post_only_mode", "120")
    assert refused.body["retry_after_seconds"] == 120
    assert desk.post("BUY", 4_000_000, 10_000_000, postOnly=True).status == 200
    legs = [desk.order("BUY", 4_000_000, 10_000_000), desk.order("BUY", 4_000_000, 10_000_000, postOnly=True)]
    rows = desk.signed("POST", "/orders", legs).body
    assert [row["errorMsg"].startswith("post-only mode") for row in rows] == [True, False]
    assert desk.signed("DELETE", "/order", {"orderID": resting}).body["canceled"] == [resting]
    desk.pass_ms(120_000)
    assert desk.post("BUY", 4_000_000, 10_000_000).status == 200


def test_disabled_and_cancel_only_are_503(desk: Any) -> None:
    resting = desk.post("BUY", 4_000_000, 10_000_000).body["orderID"]
    desk.exchange.status.change("trading_paused", desk.now[0])
    assert "currently disabled" in desk.post("BUY", 4_000_000, 10_000_000).body["error"]
    desk.exchange.status.change("cancel_only", desk.now[0])
    refused = desk.post("BUY", 4_000_000, 10_000_000)
    assert (refused.status, "cancel-only" in refused.body["error"]) == (503, True)
    assert desk.signed("DELETE", "/cancel-all").body["canceled"] == [resting]


def test_a_signer_that_is_too_fast_is_refused_with_headers(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(replace(ZERO, polymarket_tier="standard"))
    body = desk.order("BUY", 400_000, 1_000_000)
    answers = [desk.signed("POST", "/orders", [body] * 15) for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 429]
    headers = answers[-1].headers
    assert (headers["Poly-RateLimit-Tier"], headers["Poly-RateLimit-Remaining"]) == ("Standard", "0")
    assert int(headers["Retry-After"]) >= 1
    assert int(headers["Poly-RateLimit-Reset"]) > desk.now[0] // 1000
    desk.pass_ms(1_000)
    again = desk.signed("POST", "/orders", [body] * 15)
    assert (again.status, again.headers["Poly-RateLimit-Remaining"]) == (200, "25")
    assert desk.signed("DELETE", "/cancel-all").headers["Poly-RateLimit-Remaining"] == "119"


def test_the_edge_queues_first_and_then_refuses(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(replace(ZERO, polymarket_tier="standard"))
    path = {"path": "/clob/tick-size", "query": {"token_id": desk.yes}}
    for _ in range(200):
        assert desk.ask("GET", **path).delay_ms == 0
    assert desk.ask("GET", **path).status == 429
    desk.pass_ms(9_000)
    assert desk.ask("GET", **path).delay_ms == 1_000
    desk.pass_ms(11_000)
    assert desk.ask("GET", **path).delay_ms == 0


def test_writes_take_their_time_under_the_realistic_profile(open_desk: Callable[..., Any]) -> None:
    desk = open_desk(replace(REALISTIC, polymarket_tier=None))
    waiting = desk.post("BUY", 4_000_000, 10_000_000)
    assert 30 <= waiting.delay_ms <= 125
    assert not desk.exchange.state.orders
    answer = waiting.resume()
    assert (answer.body["status"], answer.delay_ms) == ("live", waiting.delay_ms)
