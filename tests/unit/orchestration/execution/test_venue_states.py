"""What venues say is kept and read again as it was, and a clock is only as far off as its date proves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestration.execution.decide.gate.venue_states import (
    AccountState,
    KeyState,
    MarketState,
    account_from_json,
    account_kind,
    account_to_json,
    clock_ahead_ms,
    market_from_json,
    market_to_json,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("asked", "dated", "answered", "ahead"),
    [
        (0.2, None, 0.4, None),
        (0.2, 0, 0.4, 0),
        (0.2, 0, 1.1, 0),
        (1.0, 0, 1.2, 0),  # dated 0.99 s into its second, as we asked
        (1.5, 0, 1.7, 500),
        (0.2, 1, 0.4, -600),
        (0.2, 0, 30.0, 0),  # it took long, and proves little
    ],
)
def test_a_date_without_fractions_proves_the_least_difference(
    asked: float, dated: float | None, answered: float, ahead: int | None
) -> None:
    assert clock_ahead_ms(at(asked), None if dated is None else at(dated), at(answered)) == ahead


@pytest.mark.parametrize(
    "state",
    [
        AccountState(),
        AccountState(
            {"": True, "2": False}, ((at(1), at(2)),), 10**12, False, True, -5, KeyState(True, at(9)), "direct"
        ),
        AccountState(key=KeyState(False)),
    ],
)
def test_the_state_of_an_account_is_read_as_it_was_kept(state: AccountState) -> None:
    assert account_from_json(account_to_json(state)) == state


def test_a_state_that_an_older_version_kept_says_nothing_of_the_key() -> None:
    stored = {name: value for name, value in account_to_json(AccountState()).items() if name not in ("key", "kind")}
    assert account_from_json(stored) == AccountState()


@pytest.mark.parametrize(
    ("cash_e6", "is_of_a_broker", "kind"),
    [(0, False, "not_stated"), (10_000, False, "not_stated"), (10_100, False, "direct"), (9_900, True, "fcm")],
)
def test_parts_of_a_cent_show_a_direct_account(cash_e6: int, is_of_a_broker: bool, kind: str) -> None:
    assert account_kind(cash_e6, is_of_a_broker=is_of_a_broker) == kind


def test_an_allowance_without_a_bound_is_kept_as_a_large_one() -> None:
    assert account_from_json(account_to_json(AccountState(allowance_e6=2**256 - 1))).allowance_e6 == 2**62


@pytest.mark.parametrize(
    "state",
    [MarketState("paused", {}), MarketState("open", {"rate": "0.05"}, 10, at(5), at(6), 3_000)],
)
def test_the_state_of_a_market_is_read_as_it_was_kept(state: MarketState) -> None:
    assert market_from_json(market_to_json(state)) == state
