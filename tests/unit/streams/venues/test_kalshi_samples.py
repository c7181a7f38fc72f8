"""Every REST body of Kalshi we have is read by the client: the venue's samples, and made-up ones that always run."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from streams.venues.kalshi.rest.client import KalshiClient
from tests.support.kalshi_samples import BUILDERS, PAGE, READERS, page, read_folder

MADE = Path(__file__).resolve().parents[3] / "fixtures" / "kalshi"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {reading.file.removesuffix(".json"): reading.result for reading in read_folder(MADE)}


def test_every_sample_gives_a_typed_result_or_the_documented_error(shared_dir: Path) -> None:
    folder = shared_dir / "venues/kalshi-samples"
    readings = read_folder(folder)
    files = {path.name for pattern in ("rest_*.json", "err_*.json") for path in folder.glob(pattern)}
    assert {reading.file for reading in readings} == files - {"fee_accumulator_cases.json"}
    assert PAGE.read_text() == page(readings), "run `python -m tests.support.kalshi_samples <folder>`"


def test_there_is_a_made_up_body_for_every_call(made: dict[str, str]) -> None:
    for name in [*READERS, *BUILDERS]:
        if name in ("rest_events", "rest_batch_cancel_v2.request"):
            continue
        assert any(file.startswith(name) for file in made), name


@pytest.mark.parametrize(
    ("file", "result"),
    [
        ("err_nested_refusal", "Refused(invalid_order)"),
        ("err_nested_upper_case", "Refused(MARKET_NOT_ACTIVE)"),
        ("err_flat_refusal", "Refused(bad_request)"),
        ("err_bare_message", "Refused(invalid_parameters)"),
        ("err_string", "RateLimited"),
        ("err_nested_rate", "RateLimited"),
        ("err_authentication", "AuthenticationFailed"),
        ("err_missing_signature", "AuthenticationFailed"),
        ("err_timestamp", "AuthenticationFailed"),
        ("err_flat_authentication", "AuthenticationFailed"),
        ("err_not_found", "NotFound"),
        ("err_market_not_found", "NotFound"),
        ("err_shard_balance", "Refused(insufficient_shard_balance)"),
        ("err_duplicate", "Refused(order_already_exists)"),
        ("err_fok", "Refused(fill_or_kill_insufficient_resting_volume)"),
        ("err_paused", "Refused(trading_is_paused)"),
        ("err_paused_as_400", "Refused(trading_is_paused)"),
        ("err_paused_as_503", "OutcomeUnknown"),
        ("err_legacy_route", "Refused(deprecated_v1_order_endpoint)"),
        ("err_unknown_code", "Refused(a_code_of_next_year)"),
        ("err_read_failed", "TransientError"),
        ("err_write_failed", "OutcomeUnknown"),
        (
            "rest_batch_create_v2.response",
            "1 BatchItem(OrderAnswer), 1 BatchItem(OutcomeUnknown), 1 BatchItem(Refused)",
        ),
        ("rest_batch_cancel_v2.response", "1 BatchItem(CancelAnswer), 1 BatchItem(NotFound)"),
        ("rest_event_single", "Event with 2 Market"),
        ("rest_events_page", "1 Event with 0 Market, 1 Event with 1 Market"),
        ("rest_exchange_status.as_503", "ExchangeStatus"),
        ("rest_series_list", "1 Series"),
        ("rest_positions", "Positions of 1 markets, 1 events"),
        ("rest_cancel_all", "nothing"),
        ("rest_amend_order_v2.request", "sent alike"),
    ],
)
def test_what_a_made_up_body_becomes(made: dict[str, str], file: str, result: str) -> None:
    assert made[file] == result


def test_the_page_of_the_client_names_every_call() -> None:
    text = (PAGE.parent / "kalshi-client.md").read_text()
    calls = [name for name, call in inspect.getmembers(KalshiClient, inspect.iscoroutinefunction) if name[0] != "_"]
    assert len(calls) > 50
    assert [name for name in calls if f"`{name}`" not in text] == []
