"""Orders at the Kalshi app: what is taken, what is refused and how, amendments, batches, groups, shards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.sandbox.core.profile import ZERO
from streams.sandbox.exchange.persistence.snapshot import apply_state, exchange_state, reopen_books
from streams.sandbox.kalshi.routes.exchange import pause_end_ms
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from tests.support.kalshi_venue import CRYPTO, RAIN, OfflineKalshi, order

_ORDERS = "/portfolio/events/orders"
_IOC = "immediate_or_cancel"
_DOCUMENTED = KalshiVenueSettings(rate_limit_body="documented")


def error(response: Any) -> tuple[int, str, str]:
    """(status, code, details) of a nested refusal."""
    found = response.body["error"]
    return response.status, found["code"], found.get("details", "")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"price": "0.4050"}, (400, "invalid_price", "")),
        ({"price": "0.00001"}, (400, "invalid_price", "")),
        ({"price": "0.0000"}, (400, "invalid_price", "")),
        ({"price": "1.0000"}, (400, "invalid_price", "")),
        ({"price": "many"}, (400, "invalid_price", "")),
        ({"count": "0.001"}, (400, "invalid_order_size", "")),
        ({"count": "0.00"}, (400, "invalid_order_size", "")),
        ({"count": "-1"}, (400, "invalid_order_size", "")),
        ({"ticker": "KXNONE"}, (404, "market_not_found", "")),
        ({"price": "0.6000", "post_only": True}, (400, "invalid_order", "post only cross")),
        ({"count": "90000.00"}, (400, "insufficient_balance", "")),
        (
            {"price": "0.9900", "count": "900.00", "time_in_force": "fill_or_kill"},
            (409, "fill_or_kill_insufficient_resting_volume", ""),
        ),
        ({"expiration_time": 1_794_999_000}, (400, "invalid_order", "expiration_time")),
        ({"expiration_time": 1_795_999_000, "time_in_force": _IOC}, (400, "invalid_order", "expiration_time")),
        ({"reduce_only": True}, (400, "invalid_order", "reduce only orders must be immediate or cancel")),
        ({"order_group_id": "unknown"}, (404, "not_found", "")),
        ({"side": "yes"}, (400, "invalid_order", "side")),
    ],
)
def test_what_the_venue_would_refuse_is_refused(changes: dict[str, Any], refusal: tuple[int, str, str]) -> None:
    assert error(OfflineKalshi().place(**changes)) == refusal


@pytest.mark.parametrize("name", ["count", "price"])
def test_numbers_must_be_strings(name: str) -> None:
    response = OfflineKalshi().place(**{name: 10})
    details = f"json: cannot unmarshal number into Go struct field CreateOrderV2Request.{name} of type string"
    assert (response.status, response.body) == (
        400,
        {"code": "bad_request", "message": "bad request", "details": details},
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", {"ticker": RAIN}])
def test_bodies_that_do_not_decode_get_the_flat_error(body: Any) -> None:
    response = OfflineKalshi().ask("POST", _ORDERS, body, key="key-1")
    assert (response.status, response.body["code"], sorted(response.body)) == (
        400,
        "bad_request",
        ["code", "details", "message"],
    )


def test_a_finer_grid_takes_finer_prices_only_where_it_is_fine() -> None:
    venue = OfflineKalshi()
    assert venue.place(ticker=CRYPTO, price="0.0510").status == 201
    assert error(venue.place(ticker=CRYPTO, price="0.4510", client_order_id="b"))[1] == "invalid_price"


def test_an_immediate_order_without_liquidity_is_taken_and_fills_nothing() -> None:
    body = OfflineKalshi().place(time_in_force=_IOC, price="0.4000").body
    assert (body["fill_count"], body["remaining_count"]) == ("0.00", "0.00")
    assert "average_fill_price" not in body


def test_a_taker_keeps_the_improvement_and_hundredths_of_contracts_trade() -> None:
    body = OfflineKalshi().place(time_in_force=_IOC, price="0.9900", count="0.25").body
    assert (body["fill_count"], body["average_fill_price"]) == ("0.25", "0.5100")


@pytest.mark.parametrize(("mode", "filled", "left"), [("taker_at_cross", "50.00", 1), ("maker", "60.00", 0)])
def test_both_ways_of_preventing_self_trades(mode: str, filled: str, left: int) -> None:
    venue = OfflineKalshi()
    venue.placed(side="ask", price="0.5100", client_order_id="own")
    venue.quote("ask", 5_100, 10, key="behind")
    body = venue.place(
        side="bid", price="0.5100", count="100.00", time_in_force=_IOC, self_trade_prevention_type=mode
    ).body
    assert (body["fill_count"], body["remaining_count"]) == (filled, "0.00")
    assert len(venue.own("/portfolio/orders?status=resting")["orders"]) == left


def test_a_client_id_stays_taken_after_its_order_was_canceled() -> None:
    venue = OfflineKalshi()
    one = venue.placed()
    assert venue.ask("DELETE", f"{_ORDERS}/{one}", key="key-1").status == 200
    assert error(venue.place()) == (409, "order_already_exists", "")
    assert venue.place(key="key-2").status == 201


def test_the_time_a_client_id_stays_taken_is_a_setting() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(duplicate_horizon_ms=1_000))
    venue.placed()
    assert venue.place().status == 409
    venue.wait(1_000)
    assert venue.place().status == 201


def test_orders_that_are_gone_never_were_or_are_another_s_are_the_same_404() -> None:
    venue = OfflineKalshi()
    canceled, executed = venue.placed(client_order_id="a"), venue.placed(client_order_id="b", price="0.5100")
    others = venue.placed(client_order_id="c", key="key-2")
    venue.ask("DELETE", f"{_ORDERS}/{canceled}", key="key-1")
    responses = [venue.ask("DELETE", f"{_ORDERS}/{one}", key="key-1") for one in (canceled, executed, others, "none")]
    assert {response.status for response in responses} == {404}
    assert [response.body for response in responses] == [{"error": {"code": "not_found", "message": "not found"}}] * 4


def test_a_literal_shard_zero_does_not_find_a_market_of_another_shard() -> None:
    venue = OfflineKalshi()
    assert error(venue.place(ticker=CRYPTO, exchange_index=0)) == (404, "market_not_found", "")
    for number, shard in enumerate((2, -1, None)):
        assert venue.place(ticker=CRYPTO, exchange_index=shard, client_order_id=f"c{number}").status == 201


def test_a_cancel_without_ticker_or_shard_looks_on_shard_zero_only() -> None:
    venue = OfflineKalshi()
    one, two = venue.placed(ticker=CRYPTO, client_order_id="a"), venue.placed(ticker=CRYPTO, client_order_id="b")
    assert error(venue.ask("DELETE", f"{_ORDERS}/{one}", key="key-1")) == (404, "not_found", "")
    assert venue.ask("DELETE", f"{_ORDERS}/{one}?market_ticker={CRYPTO}", key="key-1").status == 200
    assert venue.ask("DELETE", f"{_ORDERS}/{two}?exchange_index=2", key="key-1").status == 200


def test_cash_on_another_shard_does_not_pay_until_it_is_moved() -> None:
    venue = OfflineKalshi()
    allocation = {"allocations": []}
    assert venue.ask("POST", "/portfolio/target_balance_allocation", allocation, key="key-1").status == 200
    dear = {"ticker": CRYPTO, "count": "6000.00"}
    status, code, details = error(venue.place(**dear))
    assert (status, code, bool(details)) == (404, "insufficient_shard_balance", True)
    transfer = {
        "source": "event_contract", "destination": "event_contract", "amount": 10_000_000, "source_exchange_shard": 0,
        "destination_exchange_shard": 2, "client_transfer_id": "t1",
    }  # fmt: skip
    path = "/portfolio/intra_exchange_instance_transfer"
    made = venue.ask("POST", path, transfer, key="key-1").body
    assert venue.ask("POST", path, transfer, key="key-1").body == made
    assert venue.own(f"{path}s/{made['transfer_id']}")["transfer"]["amount"] == "1000.0000"
    assert venue.place(**dear).status == 201


def test_an_amendment_keeps_its_place_only_when_it_shrinks() -> None:
    venue = OfflineKalshi()
    one = venue.placed(price="0.4900")
    venue.quote("bid", 4_900, 5, key="behind")

    def amend(**changes: Any) -> Any:
        body = {"ticker": RAIN, "side": "bid", "price": "0.4900", "count": "8.00", **changes}
        return venue.ask("POST", f"{_ORDERS}/{one}/amend", body, key="key-1")

    def ahead() -> str:
        return str(venue.own(f"/portfolio/orders/{one}/queue_position")["queue_position_fp"])

    assert (amend().body["remaining_count"], ahead()) == ("8.00", "50.00")
    expiry = amend(expiration_time=1_795_000_100).body
    assert (expiry["remaining_count"], ahead()) == (None, "50.00")
    assert (amend(count="9.00").body["remaining_count"], ahead()) == ("9.00", "55.00")
    renamed = amend(count="9.00", client_order_id="one", updated_client_order_id="two").body
    assert renamed["client_order_id"] == "two"
    crossing = amend(price="0.5100", count="9.00").body
    assert (crossing["fill_count"], crossing["average_fill_price"]) == ("9.00", "0.5100")
    assert error(amend()) == (404, "not_found", "")


def test_an_amendment_of_another_order_than_it_says_is_refused() -> None:
    venue = OfflineKalshi()
    one = venue.placed()
    for change, code in (
        ({"ticker": CRYPTO, "exchange_index": 0}, "order_ticker_mismatch"),
        ({"side": "ask"}, "order_side_mismatch"),
        ({"client_order_id": "other"}, "order_id_and_client_order_id_mismatch"),
        ({"price": "0.4050"}, "invalid_price"),
        ({"count": "0.00"}, "invalid_order_size"),
    ):
        body = {"ticker": RAIN, "side": "bid", "price": "0.4100", "count": "8.00", **change}
        assert error(venue.ask("POST", f"{_ORDERS}/{one}/amend", body, key="key-1"))[:2] == (400, code)


def test_a_decrease_names_exactly_one_size_and_down_to_nothing_cancels() -> None:
    venue = OfflineKalshi()
    one = venue.placed()

    def decrease(**body: str) -> Any:
        return venue.ask("POST", f"{_ORDERS}/{one}/decrease", body, key="key-1")

    assert decrease().body["code"] == "bad_request"
    assert decrease(reduce_by="1", reduce_to="1").body["code"] == "bad_request"
    assert decrease(reduce_by="2.50").body["remaining_count"] == "7.50"
    assert decrease(reduce_to="5").body["remaining_count"] == "5.00"
    assert error(decrease(reduce_to="6"))[1] == "invalid_order_size"
    assert decrease(reduce_to="0").body["remaining_count"] == "0.00"
    assert venue.own(f"/portfolio/orders/{one}")["order"]["status"] == "canceled"


def test_each_order_of_a_batch_answers_for_itself() -> None:
    venue = OfflineKalshi()
    orders = [order(client_order_id="a"), order(client_order_id="a"), order(client_order_id="b", price=1)]
    entries = venue.ask("POST", f"{_ORDERS}/batched", {"orders": orders}, key="key-1").body["orders"]
    assert [entry["error"] and entry["error"]["code"] for entry in entries] == [
        None, "order_already_exists", "bad_request",
    ]  # fmt: skip
    gone = {"orders": [{"order_id": entries[0]["order_id"]}, {"order_id": "none"}]}
    ended = venue.ask("DELETE", f"{_ORDERS}/batched", gone, key="key-1").body["orders"]
    assert [(entry["reduced_by"], entry["error"] and entry["error"]["code"]) for entry in ended] == [
        ("10.00", None), ("0.00", "not_found"),
    ]  # fmt: skip


def test_all_orders_of_an_account_are_canceled_on_all_shards() -> None:
    venue = OfflineKalshi()
    venue.placed(client_order_id="a")
    venue.placed(client_order_id="b", ticker=CRYPTO)
    venue.placed(client_order_id="c", key="key-2")
    assert venue.ask("DELETE", _ORDERS, key="key-1").status == 204
    assert venue.own("/portfolio/orders?status=resting")["orders"] == []
    assert len(venue.own("/portfolio/orders?status=resting", "key-2")["orders"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/portfolio/orders"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/x"),
        ("POST", "/portfolio/orders/x/amend"),
        ("POST", "/portfolio/orders/x/decrease"),
    ],
)
def test_the_old_order_routes_are_gone(method: str, path: str) -> None:
    response = OfflineKalshi().ask(method, path, {}, key="key-1")
    assert (response.status, response.body) == (
        410,
        {"error": {"code": "deprecated_v1_order_endpoint", "message": "Please switch to the V2 endpoints"}},
    )


def test_a_group_trips_when_its_fills_of_fifteen_seconds_reach_the_limit() -> None:
    venue = OfflineKalshi()
    path = "/portfolio/order_groups"
    group = venue.ask("POST", f"{path}/create", {"contracts_limit": 10}, key="key-1").body["order_group_id"]
    venue.placed(client_order_id="a", order_group_id=group)
    venue.placed(client_order_id="b", order_group_id=group, price="0.5100", count="6.00", time_in_force=_IOC)
    venue.wait(15_000)
    venue.placed(client_order_id="c", order_group_id=group, price="0.5100", count="6.00", time_in_force=_IOC)
    assert len(venue.own(f"{path}/{group}")["orders"]) == 1
    venue.placed(client_order_id="d", order_group_id=group, price="0.5100", count="6.00", time_in_force=_IOC)
    assert venue.own(f"{path}/{group}")["orders"] == []
    assert error(venue.place(client_order_id="e", order_group_id=group))[1] == "invalid_order"
    assert venue.ask("PUT", f"{path}/{group}/reset", {}, key="key-1").status == 200
    assert venue.place(client_order_id="f", order_group_id=group).status == 201
    assert venue.ask("PUT", f"{path}/{group}/trigger", {}, key="key-1").status == 200
    assert venue.own("/portfolio/orders?status=resting")["orders"] == []
    assert venue.ask("DELETE", f"{path}/{group}", key="key-1").status == 200
    assert venue.ask("GET", f"{path}/{group}", key="key-1").status == 404


def test_fills_by_makers_trip_a_group_too_and_its_state_survives_in_the_exchange() -> None:
    venue = OfflineKalshi()
    made = venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit_fp": "5.00"}, key="key-1").body
    group = made["order_group_id"]
    venue.placed(client_order_id="a", order_group_id=group, price="0.5000")
    venue.quote("ask", 5_000, 5, key="taker", now=True)
    assert venue.own("/portfolio/order_groups")["order_groups"][0]["contracts_limit_fp"] == "5.00"
    assert venue.own("/portfolio/orders?status=resting")["orders"] == []
    assert venue.exchange.state.saved["order_groups"]["kalshi:key-1"][group]["is_triggered"] is True


def test_a_trading_pause_takes_cancels_only_and_ends_the_orders_that_asked_for_it() -> None:
    venue = OfflineKalshi()
    stays, one = venue.placed(client_order_id="a"), venue.placed(client_order_id="b")
    ends = venue.placed(client_order_id="c", cancel_order_on_pause=True)
    venue.exchange.status.change("trading_paused", venue.now_ms, until_ms=venue.now_ms + 3_600_000)
    status = venue.public("/exchange/status")
    assert (status["exchange_active"], status["trading_active"]) == (True, False)
    assert status["exchange_estimated_resume_time"].endswith("Z")
    assert error(venue.place(client_order_id="d")) == (409, "trading_is_paused", "")
    change = {"ticker": RAIN, "side": "bid", "price": "0.4100", "count": "8.00"}
    assert error(venue.ask("POST", f"{_ORDERS}/{stays}/amend", change, key="key-1"))[1] == "trading_is_paused"
    assert venue.ask("DELETE", f"{_ORDERS}/{one}", key="key-1").status == 200
    assert venue.own(f"/portfolio/orders/{ends}")["order"]["status"] == "canceled"
    assert venue.own(f"/portfolio/orders/{stays}")["order"]["status"] == "resting"
    venue.exchange.status.change("closed", venue.now_ms)
    assert venue.public("/exchange/status")["exchange_active"] is False
    assert venue.ask("DELETE", f"{_ORDERS}/{stays}", key="key-1").status == 409


def test_the_status_of_a_pause_is_a_setting() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(pause_status=400))
    venue.exchange.status.change("trading_paused", venue.now_ms)
    assert error(venue.place()) == (400, "trading_is_paused", "")


def test_closed_and_paused_markets_take_no_orders_and_a_reactivation_cancels_what_rests() -> None:
    venue = OfflineKalshi()
    one = venue.placed()
    venue.exchange.lifecycle.pause(RAIN, venue.now_ms)
    assert error(venue.place(client_order_id="b")) == (400, "MARKET_NOT_ACTIVE", "")
    assert venue.public(f"/markets/{RAIN}")["market"]["status"] == "inactive"
    venue.exchange.lifecycle.reactivate(RAIN, venue.now_ms)
    assert venue.own(f"/portfolio/orders/{one}")["order"]["status"] == "canceled"
    two = venue.placed(client_order_id="c")
    venue.exchange.lifecycle.close_early(RAIN, venue.now_ms)
    assert venue.own(f"/portfolio/orders/{two}")["order"]["status"] == "canceled"
    for response in (
        venue.place(client_order_id="d"),
        venue.ask("DELETE", f"{_ORDERS}/{two}", key="key-1"),
    ):
        assert error(response) == (400, "MARKET_NOT_ACTIVE", "")


def test_reads_lag_writes() -> None:
    venue = OfflineKalshi(replace(ZERO, read_lag_ms=400))
    venue.wait(1_000)
    one = venue.placed()
    assert venue.ask("GET", f"/portfolio/orders/{one}", key="key-1").status == 404
    venue.wait(400)
    assert venue.ask("DELETE", f"{_ORDERS}/{one}", key="key-1").status == 200
    venue.wait(360)
    assert venue.own(f"/portfolio/orders/{one}")["order"]["status"] == "resting"
    venue.wait(40)
    assert venue.own(f"/portfolio/orders/{one}")["order"]["status"] == "canceled"
    venue.placed(client_order_id="b", price="0.5100", time_in_force=_IOC)
    assert venue.own("/portfolio/fills")["fills"] == []
    before = venue.own("/portfolio/balance")["balance_dollars"]
    venue.wait(400)
    assert len(venue.own("/portfolio/fills")["fills"]) == 1
    assert venue.own("/portfolio/balance")["balance_dollars"] != before


def test_orders_soon_after_a_cancel_all_can_die_too() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(cancel_all_lingers_ms=60_000))
    venue.ask("DELETE", _ORDERS, key="key-1")
    assert venue.place().body["remaining_count"] == "0.00"
    venue.wait(60_000)
    assert venue.place(client_order_id="b").body["remaining_count"] == "10.00"


def test_a_key_does_only_what_its_scopes_allow() -> None:
    venue = OfflineKalshi()
    venue.app.kalshi.keys["key-1"] = replace(venue.app.kalshi.keys["key-1"], scopes=frozenset({"read"}))
    assert venue.own("/portfolio/balance")
    assert venue.open_line().command(1, "subscribe", channels=["trade"])[0]["type"] == "subscribed"
    assert error(venue.place()) == (403, "forbidden", "")


def test_the_self_served_tier_needs_an_order_by_this_api() -> None:
    venue = OfflineKalshi()
    path = "/account/api_usage_level/upgrade"
    assert venue.ask("POST", path, key="key-1").status == 403
    venue.placed()
    assert venue.ask("POST", path, key="key-1").status == 201


def test_allocations_and_netting_are_remembered() -> None:
    venue = OfflineKalshi()
    path = "/portfolio/target_balance_allocation"
    wanted = {"allocations": [{"exchange_index": 0, "percent": 50}, {"exchange_index": 2, "percent": 50}]}
    assert venue.ask("POST", path, {"allocations": [{"exchange_index": 0, "percent": 99}]}, key="key-1").status == 400
    assert venue.ask("POST", path, wanted, key="key-1").status == 200
    assert venue.own(path) == {**wanted, "resting_margin_reservation": "sum"}
    venue.wait(10_000)
    assert venue.own("/portfolio/balance?exchange_index=2")["balance_dollars"] == "5000.0000"
    netting = "/portfolio/subaccounts/netting"
    assert venue.ask("PUT", netting, {"subaccount_number": 0, "enabled": True}, key="key-1").status == 200
    assert venue.own(netting)["netting_configs"][0]["enabled"] is True
    assert venue.ask("POST", "/portfolio/subaccounts", {}, key="key-1").status == 400


def test_fees_accumulate_over_the_fills_of_an_order() -> None:
    venue = OfflineKalshi()
    for number in range(3):
        venue.place(key="key-2", side="ask", price="0.5000", count="0.30", client_order_id=f"m{number}")
    venue.placed(price="0.5000", count="0.90", time_in_force=_IOC)
    fees = [fill["fee_cost"] for fill in reversed(venue.own("/portfolio/fills")["fills"])]
    assert fees == ["0.005300", "0.005200", "0.005300"]
    own = OfflineKalshi(settings=KalshiVenueSettings(fee_cost="trade"))
    own.placed(price="0.5100", count="0.30", time_in_force=_IOC)
    assert own.own("/portfolio/fills")["fills"][0]["fee_cost"] == "0.005248"


def test_refusals_are_word_for_word_those_that_were_recorded(shared_dir: Path) -> None:
    limited = replace(ZERO, kalshi_tier="basic")
    venue, poor = OfflineKalshi(), OfflineKalshi()
    paused, slow, slower = OfflineKalshi(), OfflineKalshi(limited), OfflineKalshi(limited, _DOCUMENTED)
    poor.exchange.transfers.set_allocation("kalshi:key-1", {})
    paused.exchange.status.change("trading_paused", paused.now_ms)
    venue.placed(client_order_id="used")
    spent = [(one, [one.ask("GET", "/portfolio/fills", key="key-1") for _ in range(61)][-1]) for one in (slow, slower)]
    late = venue.app.handle(venue.request("GET", "/portfolio/fills", key="key-1", at_ms=1))
    unknown, forged = (venue.request("GET", "/portfolio/fills", key="key-1") for _ in range(2))
    unknown.headers["kalshi-access-key"] = "unknown"
    forged.path = "/trade-api/v2/portfolio/orders"
    responses = {
        "400_insufficient_balance": venue.place(count="90000.00"),
        "400_invalid_price_off_grid": venue.place(price="0.4050"),
        "400_limit_over_max": venue.ask("GET", "/markets?limit=1001"),
        "400_numeric_field_types": venue.place(count=1),
        "400_post_only_cross": venue.place(price="0.6000", post_only=True),
        "401_bad_signature": venue.app.handle(forged),
        "401_missing_signature": venue.ask("GET", "/portfolio/fills"),
        "401_timestamp_expired": late,
        "401_unknown_key": venue.app.handle(unknown),
        "404_cancel_not_found": venue.ask("DELETE", f"{_ORDERS}/none", key="key-1"),
        "404_get_market": venue.ask("GET", "/markets/NONE"),
        "404_insufficient_shard_balance": poor.place(ticker=CRYPTO, count="6000.00"),
        "404_order_market_not_found": venue.place(ticker="NONE"),
        "409_duplicate_client_order_id": venue.place(client_order_id="used"),
        "409_fill_or_kill_killed": venue.place(time_in_force="fill_or_kill"),
        "409_trading_is_paused": paused.place(),
        "410_legacy_order_endpoint": venue.ask("POST", "/portfolio/orders", {}, key="key-1"),
        "429_observed": spent[0][1],
        "429_documented": spent[1][1],
    }
    venue.exchange.lifecycle.pause(RAIN, venue.now_ms)
    responses["400_market_not_active"] = venue.place()
    samples = shared_dir / "venues" / "kalshi-samples"
    for name, response in responses.items():
        wanted = json.loads((samples / f"err_{name}.json").read_text())
        if isinstance(wanted.get("error"), dict):
            wanted["error"].pop("service", None)  # gone since August 2026
        assert (response.status, response.body) == (int(name[:3]), wanted), name
    names = {path.stem.removeprefix("err_") for path in samples.glob("err_*.json")}
    assert {name for name in names if not name.startswith("ws_")} == set(responses)


def test_groups_transfers_and_fee_changes_survive_a_restart() -> None:
    venue, restarted = OfflineKalshi(), OfflineKalshi()
    made = venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit": 10}, key="key-1").body
    group = made["order_group_id"]
    one = venue.placed(client_order_id="a", order_group_id=group)
    transfer = {
        "source": "event_contract", "destination": "event_contract", "amount": 10_000, "destination_exchange_shard": 2,
    }  # fmt: skip
    venue.ask("POST", "/portfolio/intra_exchange_instance_transfer", transfer, key="key-1")
    venue.app.kalshi.fees.schedule("KXRAIN", venue.now_ms, "quadratic", 0)
    state = orjson.loads(orjson.dumps(exchange_state(venue.exchange)))
    apply_state(restarted.exchange, state)
    reopen_books(restarted.exchange, [], restarted.now_ms)
    assert restarted.own(f"/portfolio/order_groups/{group}")["orders"] == [one]
    assert len(restarted.own("/portfolio/intra_exchange_instance_transfers")["transfers"]) == 1
    assert restarted.own("/portfolio/balance?exchange_index=2")["balance_dollars"] == "2001.0000"
    assert restarted.public("/series/KXRAIN")["series"]["fee_multiplier"] == 0
    assert error(restarted.place(client_order_id="a"))[1] == "order_already_exists"
    filled = restarted.place(client_order_id="b", price="0.5100", time_in_force=_IOC).body
    assert filled["average_fee_paid"] == "0.0000"


def test_trading_pauses_on_thursdays_where_the_settings_say_so() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(keeps_maintenance=True))
    kept, ended = venue.placed(), venue.placed(client_order_id="two", cancel_order_on_pause=True)
    three = int(datetime(2026, 11, 26, 8, tzinfo=UTC).timestamp() * 1000)  # 03:00 in New York

    def at(moment_ms: int) -> tuple[bool, int]:
        venue.wait(moment_ms - venue.now_ms)
        venue.app.tick(venue.now_ms)
        status = venue.public("/exchange/status")
        return status["trading_active"], venue.place(client_order_id=str(moment_ms)).status

    assert at(three - 1_000) == (True, 201)
    assert at(three) == (False, 409)
    assert venue.public("/exchange/status")["exchange_estimated_resume_time"] == "2026-11-26T10:00:00Z"
    states = {row["order_id"]: row["status"] for row in venue.own("/portfolio/orders")["orders"]}
    assert (states[kept], states[ended]) == ("resting", "canceled")
    assert at(three + 7_199_000) == (False, 409)
    assert at(three + 7_200_000) == (True, 201)
    summer = int(datetime(2026, 7, 2, 7, tzinfo=UTC).timestamp() * 1000)
    assert [pause_end_ms(summer + hours * 3_600_000) is None for hours in (-1, 0, 1, 2)] == [True, False, False, True]
