"""Kalshi's official TypeScript SDK lives a whole life in the sandbox, and every call it has is answered as declared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance import table
from tests.acceptance.stage import CASH_USD, HERE, NODE, Stage, need

TICKER = "KXRAIN-1-A"
TYPED_ERRORS = {
    "HistoricalApi.getHistoricalMarket": (404, "not_found"),
    "HistoricalApi.getMarketCandlesticksHistorical": (404, "not_found"),
}
"""Calls that the venue refuses here too: a live market is not in the historical tier."""


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    need(NODE)


@pytest.fixture(scope="module")
def calls(stage: Stage) -> list[dict[str, Any]]:
    return table.kalshi_calls(stage)


@pytest.fixture(scope="module")
def life(any_stage: Stage) -> dict[str, dict[str, Any]]:
    lines = any_stage.run("node", HERE / "kalshi" / "life.mjs")
    return {line["name"] if line["step"] == "refused" else line["step"]: line for line in lines}


def test_every_call_that_concerns_crossbook_is_answered_as_the_sdk_declares(calls: list[dict[str, Any]]) -> None:
    assert [line for line in calls if "problem" in line] == []
    made = [line for line in calls if "left_out" not in line]
    failed = {line["call"]: (line["status"], line["body"]["error"]["code"]) for line in made if "body" in line}
    assert failed == TYPED_ERRORS
    assert {line["call"]: line["misfits"] for line in made if line.get("misfits")} == {}
    assert len(made) >= 60


def test_the_page_shows_what_every_call_was_answered(calls: list[dict[str, Any]]) -> None:
    assert table.render(calls) == table.written("kalshi-typescript"), "run `python -m tests.acceptance.table`"


def test_the_exchange_is_open_and_its_markets_are_found(life: dict[str, Any]) -> None:
    assert life["status"]["exchange_active"]
    assert life["status"]["trading_active"]
    assert "KXRAIN" in life["series"]["tickers"]
    assert life["series"]["one"]["ticker"] == "KXRAIN"
    assert {"KXRAIN-1", "KXMAYOR-1", "KXCOIN-1"} <= set(life["events"]["tickers"])
    assert len(life["events"]["tickers"]) == len(set(life["events"]["tickers"]))
    assert life["markets"]["tickers"] == [TICKER, "KXRAIN-1-B"]
    assert (life["market"]["ticker"], life["market"]["status"]) == (TICKER, "active")
    assert life["unknown market"]["status"] == 404


def test_the_stream_begins_with_the_book_that_rest_shows(life: dict[str, Any]) -> None:
    stream = life["stream"]
    assert [kind for kind, _ in stream["answers"]] == ["subscribed"] * 5
    assert stream["book"] == {"yes_dollars": [["0.4000", "100.00"]], "no_dollars": [["0.4000", "100.00"]]}
    assert stream["snapshot"]["msg"]["yes_dollars_fp"] == [["0.4000", "100.00"]]
    assert stream["snapshot"]["msg"]["no_dollars_fp"] == [["0.6000", "100.00"]], "in YES prices, as asked for"
    assert (stream["batch"], stream["unsigned_upgrade"]) == ([TICKER, "KXRAIN-1-B"], 401)


def test_an_order_rests_and_its_id_cannot_be_used_again(life: dict[str, Any]) -> None:
    place = life["place"]
    assert (place["placed"]["fill_count"], place["placed"]["remaining_count"]) == ("0.00", "10.00")
    assert (place["own"]["price_dollars"], place["own"]["delta_fp"], place["own"]["side"]) == ("0.4500", "10.00", "yes")
    assert place["resting"]["remaining_count_fp"] == "10.00"
    assert place["again"]["status"] == 409
    assert place["again"]["body"]["error"]["code"] == "order_already_exists"


def test_a_partial_fill_is_told_alike_by_every_channel(life: dict[str, Any]) -> None:
    partial = life["partial fill"]
    assert (partial["fill"]["count_fp"], partial["fill"]["yes_price_dollars"]) == ("4.00", "0.4500")
    assert not partial["fill"]["is_taker"]
    assert Decimal(partial["fill"]["fee_cost"]) == 0
    assert (partial["trade"]["count_fp"], partial["trade"]["taker_book_side"]) == ("4.00", "ask")
    assert partial["position"]["position_fp"] == "4.00"
    assert (partial["order"]["status"], partial["order"]["remaining_count_fp"]) == ("resting", "6.00")
    assert Decimal(partial["order"]["maker_fill_cost_dollars"]) == Decimal("1.80")


def test_an_order_is_amended_decreased_and_cancelled(life: dict[str, Any]) -> None:
    amended = life["amend"]
    assert amended["queue"]["queue_position_fp"] == "0.00"
    assert (amended["amended"]["fill_count"], amended["amended"]["remaining_count"]) == ("0.00", "8.00")
    assert amended["order"]["remaining_count_fp"] == "8.00"
    assert life["decrease"]["decreased"]["remaining_count"] == "3.00"
    assert life["decrease"]["order"]["remaining_count_fp"] == "3.00"
    assert life["cancel"]["cancelled"]["reduced_by"] == "3.00"
    assert life["cancel"]["order"]["fill_count_fp"] == "4.00"
    assert life["cancel"]["again"]["status"] == 404
    assert life["cancel"]["again"]["body"]["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("off grid", 400, "invalid_price"),
        ("post only cross", 400, "invalid_order"),
        ("fill or kill", 409, "fill_or_kill_insufficient_resting_volume"),
        ("too dear", 400, "insufficient_balance"),
        ("wrong shard", 404, "market_not_found"),
        ("number", 400, "bad_request"),
        ("unknown market", 404, "market_not_found"),
    ],
)
def test_an_order_that_cannot_be_is_refused_with_its_code(
    life: dict[str, Any], name: str, status: int, code: str
) -> None:
    refused = life[name]
    error = refused["body"].get("error", refused["body"])
    assert (refused["status"], error["code"]) == (status, code)


def test_batches_answer_for_each_order(life: dict[str, Any]) -> None:
    created, cancelled = life["batches"]["created"], life["batches"]["cancelled"]
    assert [entry.get("error") and entry["error"]["code"] for entry in created] == [None, None, "invalid_price"]
    assert [entry.get("error") and entry["error"]["code"] for entry in cancelled] == [None, None, "not_found"]


def test_a_triggered_group_cancels_its_orders_until_it_is_reset(life: dict[str, Any]) -> None:
    group = life["group"]
    assert group["member"] in group["before"]["orders"]
    assert group["triggered"]["status"] == "canceled"
    assert group["closed"]["status"] >= 400
    assert (group["open"]["status"], group["deleted"], group["left"]) == (201, 200, [])


def test_what_is_not_the_orders_fault_is_told_apart(life: dict[str, Any]) -> None:
    states = life["states"]
    told = {name: (one["status"], one["body"]["error"]["code"]) for name, one in states["told"].items()}
    assert told == {
        "unknown key": (401, "authentication_error"),
        "another's signature": (401, "authentication_error"),
        "paused": (409, "trading_is_paused"),
        "too many": (429, "too_many_requests"),
    }
    clock = life["wrong clock"]
    assert (clock["status"], clock["body"]["error"]["code"]) == (401, "header_timestamp_expired")
    assert (states["status"]["exchange_active"], states["status"]["trading_active"]) == (True, False)
    assert states["cancelled"]["reduced_by"] == "5.00", "a pause lets orders be cancelled"


def test_cash_is_moved_to_the_markets_shard_before_an_order_there(life: dict[str, Any]) -> None:
    shards = life["shards"]
    assert (shards["exchange_index"], shards["poor"]["status"]) == (2, 404)
    assert shards["poor"]["body"]["error"]["code"] == "insufficient_shard_balance"
    assert (shards["rich"]["remaining_count"], shards["cancelled"]["reduced_by"]) == ("500.00", "500.00")
    cash = {row["exchange_index"]: Decimal(row["balance"]) for row in shards["balance"]["balance_breakdown"]}
    assert Decimal(299) < cash[2] <= Decimal(300), "a fifth of the cash, less what was spent, and the hundred"


def test_the_stream_folds_into_the_book_that_rest_shows(life: dict[str, Any]) -> None:
    again = life["book again"]
    sides: dict[str, dict[str, Decimal]] = {"yes": {}, "no": {}}
    for frame in again["frames"]:
        message = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            for side, levels in sides.items():
                levels |= {price: Decimal(size) for price, size in message.get(f"{side}_dollars_fp", [])}
        else:
            levels = sides[message["side"]]
            price = message["price_dollars"]
            levels[price] = levels.get(price, Decimal(0)) + Decimal(message["delta_fp"])
    left = {side: {price: size for price, size in levels.items() if size} for side, levels in sides.items()}
    assert left["yes"] == {price: Decimal(size) for price, size in again["yes_dollars"]}
    in_yes_prices = {f"{1 - Decimal(price):.4f}": Decimal(size) for price, size in again["no_dollars"]}
    assert left["no"] == in_yes_prices


def test_what_is_bought_is_held_settled_and_paid_to_the_last_digit(life: dict[str, Any]) -> None:
    fill, settle = life["fill"], life["settle"]
    assert (fill["none"]["fill_count"], fill["none"]["remaining_count"]) == ("0.00", "0.00")
    assert (fill["taken"]["fill_count"], Decimal(fill["taken"]["average_fill_price"])) == ("7.00", Decimal("0.60"))
    fees = sum(Decimal(one["fee_cost"]) for one in fill["fills"])
    assert fees == Decimal("0.1176"), "0.07 x 7 x 0.6 x 0.4 for the taker, nothing for the maker"
    cost = Decimal("4") * Decimal("0.45") + Decimal("7") * Decimal("0.60")
    # One contract at 0.10 and five at 0.20 rest meanwhile.
    assert fill["value"]["total_resting_order_value"] == 110
    assert Decimal(fill["balance"]["balance_dollars"]) == Decimal(CASH_USD) - cost - fees - Decimal("1.10")
    assert (settle["market"]["result"], settle["order"]["status"]) == ("yes", "canceled")
    assert (settle["settlement"]["market_result"], settle["settlement"]["revenue"]) == ("yes", 1_100)
    assert settle["settlement"]["yes_count_fp"] == "11.00"
    assert Decimal(settle["balance"]["balance_dollars"]) == Decimal(CASH_USD) - cost - fees + 11
    assert settle["late"]["status"] >= 400


def test_no_frame_of_the_book_was_lost(life: dict[str, Any]) -> None:
    seq = life["end"]["seq"]
    assert len(seq) > 10
    assert seq == list(range(1, len(seq) + 1))
