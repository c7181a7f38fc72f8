"""Cash that moved without an order: what the venues list, and what is booked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestration.execution.accounts.moves import facts_of
from orchestration.execution.decide.ledger import CashMove, entries_of
from orchestration.execution.venues.gateway import AccountMove
from orchestration.execution.venues.kalshi import KalshiGateway
from streams.market.identity import Venue
from tests.support.kalshi_stub import Stub, ask

AT = datetime(2026, 11, 1, tzinfo=UTC)
TS = int(AT.timestamp())
USD = 1_000_000
DEPOSIT = AccountMove("d", "deposit", 50 * USD, "done", AT)
TRANSFER = AccountMove("t", "transfer", 7 * USD, "under_way", AT, 0, 2)


def moves(*answers: Any, subaccount: int | None = None, is_fee_inside: bool = True) -> Sequence[AccountMove]:
    """Ask Kalshi: transfers between shards, then deposits and withdrawals, or transfers between subaccounts."""
    stub = Stub(*((200, answer) for answer in answers))
    return ask(
        stub,
        lambda client: KalshiGateway(client, is_fee_inside=is_fee_inside).moves_since(AT),
        subaccount=subaccount,
    )


def row(name: str, status: str = "applied", **changes: Any) -> dict[str, Any]:
    return {
        "id": name, "status": status, "type": "ach", "amount_cents": 10_000, "fee_cents": 200, "created_ts": TS - 9,
        "finalized_ts": TS,
    } | changes  # fmt: skip


NO_TRANSFERS: dict[str, Any] = {"transfers": []}


@pytest.mark.parametrize(("is_fee_inside", "came", "left"), [(True, 98, 100), (False, 100, 102)])
def test_what_a_deposit_brings_and_a_withdrawal_takes(is_fee_inside: bool, came: int, left: int) -> None:
    found = moves(NO_TRANSFERS, {"deposits": [row("a")]}, {"withdrawals": [row("b")]}, is_fee_inside=is_fee_inside)
    assert list(found) == [
        AccountMove("a", "deposit", came * USD, "done", AT), AccountMove("b", "withdrawal", left * USD, "done", AT)
    ]  # fmt: skip


def test_what_is_pending_moved_nothing_and_what_is_older_is_left_out() -> None:
    rows = [row("a", "pending", finalized_ts=None), row("b", finalized_ts=TS - 1), row("c", "returned")]
    (back,) = moves(NO_TRANSFERS, {"deposits": rows}, {"withdrawals": []})
    assert (back.move_id, back.state) == ("c", "failed")


def test_a_subaccount_sees_what_came_to_it_and_left_it() -> None:
    def between(name: str, source: int, target: int) -> dict[str, Any]:
        return {
            "transfer_id": name, "from_subaccount": source, "to_subaccount": target, "amount_cents": 500,
            "created_ts": TS, "exchange_index": 2,
        }  # fmt: skip

    listed = {"transfers": [between("in", 0, 3), between("out", 3, 0), between("others", 0, 4), between("odd", 3, 3)]}
    found = moves(NO_TRANSFERS, listed, subaccount=3)
    assert [(move.move_id, move.kind, move.amount_e6, move.target) for move in found] == [
        ("in", "deposit", 5 * USD, 2), ("out", "withdrawal", 5 * USD, 2)
    ]  # fmt: skip


def booked_twice(*seen: AccountMove) -> dict[str, int]:
    """Book moves as they are seen, each twice; returns what stands on each account afterwards."""
    keys: set[str] = set()
    sums: dict[str, int] = {}
    for move in [move for move in seen for _ in range(2)]:
        facts = list(facts_of(Venue.KALSHI, move, keys.__contains__))
        for entry in [entry for fact in facts for entry in entries_of(fact)]:
            assert entry.key not in keys
            keys.add(entry.key)
            for posting in entry.postings:
                name = posting.account if posting.shard is None else f"{posting.account} {posting.shard}"
                sums[name] = sums.get(name, 0) + posting.amount_e6
    return {name: amount for name, amount in sums.items() if amount}


def test_a_deposit_is_booked_once_and_taken_back_once() -> None:
    assert booked_twice(DEPOSIT) == {"cash": 50 * USD, "deposits": -50 * USD}
    returned = replace(DEPOSIT, state="failed")
    assert booked_twice(DEPOSIT, returned) == {}
    assert booked_twice(returned) == {}
    out = replace(DEPOSIT, kind="withdrawal", target=1)
    assert booked_twice(out) == {"cash 1": -50 * USD, "deposits": 50 * USD}
    assert booked_twice(out, replace(out, state="failed")) == {}


def test_a_deposit_and_a_withdrawal_of_one_transaction_are_two_moves() -> None:
    assert booked_twice(DEPOSIT, replace(DEPOSIT, kind="withdrawal", amount_e6=20 * USD)) == {
        "cash": 30 * USD, "deposits": -30 * USD
    }  # fmt: skip


def test_a_transfer_is_in_transit_until_it_has_arrived() -> None:
    assert booked_twice(TRANSFER) == {"cash 0": -7 * USD, "in_transit 2": 7 * USD}
    done = replace(TRANSFER, state="done")
    arrived = {"cash 0": -7 * USD, "cash 2": 7 * USD}
    assert booked_twice(done) == booked_twice(TRANSFER, done) == arrived
    failed = replace(TRANSFER, state="failed")
    assert booked_twice(TRANSFER, failed) == booked_twice(failed) == {}
    assert list(facts_of(Venue.KALSHI, replace(TRANSFER, source=None), lambda key: False)) == []


def test_the_fact_of_a_deposit_names_its_move() -> None:
    assert list(facts_of(Venue.KALSHI, DEPOSIT, lambda key: False)) == [
        CashMove("move:kalshi:deposit:d", "deposit", Venue.KALSHI, {None: 50 * USD})
    ]
