"""Polymarket's official SDK lives a whole life in the sandbox; every call that concerns Crossbook is answered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.acceptance import table
from tests.acceptance.stage import CASH_USD, HERE, INSTALLED, PYTHON, Stage, need

TYPED_ERRORS = {"PublicClient.get_series": ("RequestRejectedError", 404)}
"""There is no such series: the sandbox's markets belong to none."""
OLDER_TYPED_ERRORS = {"py_clob_client.create_and_post_order": ("PolyApiException", 400)}
"""The order format that was retired on 2026-04-28."""


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    need(INSTALLED / "python")


@pytest.fixture(scope="module")
def calls(stage: Stage) -> list[dict[str, Any]]:
    return table.polymarket_calls(stage)


@pytest.fixture(scope="module")
def older(stage: Stage) -> list[dict[str, Any]]:
    return table.older_calls(stage)


@pytest.fixture(scope="module")
def life(any_stage: Stage) -> dict[str, dict[str, Any]]:
    lines = any_stage.run(PYTHON, HERE / "polymarket" / "life.py")
    return {line["name"] if line["step"] == "refused" else line["step"]: line for line in lines}


@pytest.fixture(scope="module")
def inventory(stage: Stage) -> dict[str, dict[str, Any]]:
    return {line["step"]: line for line in stage.run(PYTHON, HERE / "polymarket" / "inventory.py")}


def refusals(lines: list[dict[str, Any]]) -> dict[str, tuple[str, int | None]]:
    """The calls that raised, with the error's class and HTTP status."""
    made = [line for line in lines if "left_out" not in line]
    return {line["call"]: (line["result"], line.get("status")) for line in made if line["result"] != "ok"}


def test_every_call_that_concerns_crossbook_is_parsed_by_the_sdk(calls: list[dict[str, Any]]) -> None:
    assert [line for line in calls if "problem" in line] == []
    assert refusals(calls) == TYPED_ERRORS
    assert len([line for line in calls if "left_out" not in line]) >= 75


def test_the_older_sdks_authenticate_and_read_and_only_the_second_orders(older: list[dict[str, Any]]) -> None:
    assert refusals(older) == OLDER_TYPED_ERRORS
    [refused] = [line for line in older if line["result"] != "ok"]
    assert "order_version_mismatch" in refused["message"]
    assert "py_clob_client_v2.create_and_post_market_order" in {line["call"] for line in older}


def test_the_page_shows_what_every_call_was_answered(calls: list[dict[str, Any]], older: list[dict[str, Any]]) -> None:
    assert table.render(calls) == table.written("polymarket-client"), "run `python -m tests.acceptance.table`"
    assert table.render(older) == table.written("py-clob-client"), "run `python -m tests.acceptance.table`"


def test_markets_are_found_page_by_page(life: dict[str, Any]) -> None:
    found = life["discover"]
    assert found["pages"] >= 2
    assert len(found["events"]) == len(set(found["events"]))
    assert {"rain-in-the-city", "mayor-avery", "match-first"} <= set(found["markets"])
    assert found["book"]["bids"] == [{"price": "0.4", "size": "100"}]
    assert found["mirror"]["asks"] == [{"price": "0.6", "size": "100"}]


def test_the_key_is_derived_and_the_wallet_is_the_signers_own(life: dict[str, Any]) -> None:
    signed = life["sign in"]
    assert signed["wallet_type"] == "EOA"
    assert signed["active_key"] in signed["keys"]
    assert (signed["balance"]["balance"], signed["closed_only"]) == (int(CASH_USD) * 1_000_000, False)


def test_an_order_rests_and_both_streams_tell(life: dict[str, Any]) -> None:
    place = life["place"]
    assert (place["placed"]["ok"], place["placed"]["status"]) == (True, "live")
    assert place["snapshot"]["payload"]["hash"]
    assert place["event"]["payload"]["status"] == "LIVE"
    changes = {(one["side"], one["price"], one["size"]) for one in place["change"]["payload"]["price_changes"]}
    assert changes == {("BUY", "0.45", "10"), ("SELL", "0.55", "10")}, "one message carries both outcomes"


def test_a_partial_fill_settles_and_the_rest_is_cancelled(life: dict[str, Any]) -> None:
    partial, cancel = life["partial fill"], life["cancel"]
    assert partial["update"]["payload"]["size_matched"] == "4"
    assert partial["trade"]["payload"]["trader_side"] == "MAKER"
    [own] = [
        entry for entry in partial["trade"]["payload"]["maker_orders"] if entry["order_id"] == partial["order"]["id"]
    ]
    assert (own["matched_amount"], own["price"], own["side"]) == ("4", "0.45", "BUY")
    assert partial["steps"] == ["MATCHED", "MINED", "CONFIRMED"]
    assert (partial["order"]["size_matched"], partial["order"]["status"]) == ("4", "LIVE")
    assert cancel["before"] == cancel["cancelled"]["canceled"] == [partial["order"]["id"]]
    assert cancel["event"]["payload"]["status"] == "CANCELED"
    assert (cancel["again"]["canceled"], cancel["after"]) == ([], [])


def test_market_orders_fill_and_settle(life: dict[str, Any]) -> None:
    made = life["market orders"]
    assert (made["bought"]["status"], len(made["hashes"])) == ("matched", 1)
    assert made["steps"] == ["MATCHED", "MINED", "CONFIRMED"]
    assert made["held"]["balance"] == 24_000_000, "four as maker, twenty for twelve dollars at 0.60"
    assert (made["sold"]["status"], len(made["sold_hashes"])) == ("matched", 1)
    assert {trade["status"] for trade in made["trades"]} == {"CONFIRMED"}
    assert len(made["trades"]) == 3


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("off tick", "UserInputError", "tick size"),
        ("too small", "RequestRejectedError", "lower than the minimum: 5"),
        ("too dear", "RequestRejectedError", "not enough balance"),
        ("post only cross", "RequestRejectedError", "order crosses book"),
        ("fill or kill", "RequestRejectedError", "fully filled or killed"),
        ("nothing to match", "RequestRejectedError", "no orders found to match"),
        ("too soon", "UserInputError", "180 seconds"),
        ("unknown order", "RequestRejectedError", "not found"),
        ("duplicate", "RequestRejectedError", "Duplicated"),
    ],
)
def test_an_order_that_cannot_be_is_refused_in_the_venues_words(
    life: dict[str, Any], name: str, error: str, words: str
) -> None:
    assert life[name]["error"] == error
    assert words in life[name]["message"]


def test_batches_answer_for_each_order_and_every_cancel_finds_its_own(life: dict[str, Any]) -> None:
    batches = life["batches"]
    assert [order["ok"] for order in batches["posted"]] == [True, True, True, False]
    assert batches["posted"][3]["code"] == "not_enough_balance"
    ids = [order["order_id"] for order in batches["posted"][:3]]
    assert batches["one"]["canceled"] == [ids[0]]
    assert len(batches["one"]["not_canceled"]) == 1
    assert batches["of_token"]["canceled"] == [ids[1]]
    assert ids[2] in batches["rest"]["canceled"]


def test_restarts_restrictions_and_limits_are_the_sdks_typed_errors(life: dict[str, Any]) -> None:
    states = life["states"]
    assert {mode: (one["status"], one["restriction"]) for mode, one in states["told"].items()} == {
        "restarting": (425, "restarting"),
        "cancel_only": (503, "cancel_only"),
        "post_only": (503, "post_only"),
    }
    assert states["allowed"]["status"] == "live"
    assert states["cancelled"]["canceled"] == [states["allowed"]["order_id"]]
    assert states["limited"]["error"] == "RateLimitError"
    assert states["limited"]["retry_after"] > 0


def test_a_stale_heartbeat_is_answered_with_the_expected_one(life: dict[str, Any]) -> None:
    beats = life["heartbeats"]
    assert beats["expected"] == beats["second"]["heartbeat_id"]
    assert beats["third"]["heartbeat_id"] not in ("", beats["expected"])


def test_the_position_is_paid_when_the_market_resolves(life: dict[str, Any]) -> None:
    resolve = life["resolve"]
    [position] = resolve["positions"]
    assert Decimal(str(position["current_size"])) == 19
    fees = Decimal("0.05") * (20 * Decimal("0.24") + 5 * Decimal("0.24"))
    spent = 4 * Decimal("0.45") + 12 - 2
    assert Decimal(resolve["before"]["balance"]) / 1_000_000 == Decimal(CASH_USD) - spent - fees
    assert resolve["after"]["balance"] - resolve["before"]["balance"] == 19_000_000
    assert resolve["order"]["status"] == "CANCELED_MARKET_RESOLVED"
    assert resolve["resolved"]["payload"]["winning_outcome"] == "Yes"
    assert resolve["market"]["state"]["closed"]
    assert {row["type"] for row in resolve["activity"]} >= {"TRADE", "REDEEM"}
    assert resolve["late"].get("status") == 400 or resolve["late"]["error"] == "UserInputError"


def test_a_deposit_wallet_splits_sells_merges_and_is_paid(inventory: dict[str, Any]) -> None:
    wallet = inventory["wallet"]
    assert wallet["type"] == "DEPOSIT_WALLET"
    assert wallet["wallet"] != wallet["signer"]
    assert change(inventory["split"]) == {"dollars": -50_000_000, "yes": 50_000_000, "no": 50_000_000}
    fee = 20 * Decimal("0.05") * Decimal("0.21") * 1_000_000
    assert change(inventory["sell"]) == {"dollars": 6_000_000 - fee, "yes": -20_000_000, "no": 0}
    assert change(inventory["merge"]) == {"dollars": 10_000_000, "yes": -10_000_000, "no": -10_000_000}
    assert change(inventory["merge several"]) == {"dollars": 5_000_000, "yes": -5_000_000, "no": -5_000_000}
    assert change(inventory["settle"]) == {"dollars": 35_000_000, "yes": -15_000_000, "no": -35_000_000}
    assert inventory["redeem"]["after"] == inventory["settle"]["after"], "it was redeemed by itself"


def change(step: dict[str, Any]) -> dict[str, int]:
    """What a step did to dollars and tokens, in 1e-6 units."""
    return {name: step["after"][name] - step["before"][name] for name in ("dollars", "yes", "no")}
