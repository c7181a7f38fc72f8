"""What both exchanges and the flow leave on disk and what a restart makes of it; a journal of format 2 is read once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CancelOrder, DetermineMarket, ListMarket, PlaceOrder, SettleMarket
from streams.sandbox.exchange.exchange import KEPT_TRADED_MS, Exchange
from streams.sandbox.exchange.persistence import saved_state
from streams.sandbox.exchange.persistence.journal import Journal
from streams.sandbox.exchange.persistence.saved_state import SavedState
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    listing_state,
    reopen_books,
    restore_listing,
    take_changes,
)
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request

Exchanges = dict[Venue, Exchange]
FLOW = {"quotes": [1, 2]}


def quoted() -> Exchanges:
    """Both exchanges, with orders of two accounts."""
    made = {venue: exchange(venue) for venue in Venue}
    for each in made.values():
        each.order_entry.place(request("b", "yes", "buy", 4_000, 10, "gtc"), NOW)
        each.order_entry.place(request("a", "yes", "buy", 5_100, 2), NOW)
        each.order_entry.place(request("c", "yes", "buy", 4_000, 7, "gtc", who="you"), NOW)
    return made


def list_more(made: Exchange, count: int) -> None:
    """List further markets, each with a quote."""
    act = listing(made.state.venue)
    for number in range(count):
        market = replace(act.market, market_id=f"N{number}", yes_token=f"1{number}", no_token=f"2{number}")
        made.apply(ListMarket(act.event, market), NOW)
        made.apply(
            PlaceOrder(MarketRef(made.state.venue, f"N{number}"), "maker", f"n{number}", "bid", 4_000, CONTRACT), NOW
        )


@contextmanager
def saving(folder: Path, made: Exchanges) -> Iterator[SavedState]:
    """What a sandbox saves, begun and with a first snapshot."""
    saved = SavedState(folder, made)
    try:
        assert saved.read() is None
        saved.begin("test", NOW, {}, NOW)
        saved.write_snapshot(FLOW, NOW)
        yield saved
    finally:
        saved.close()


@contextmanager
def resumed(folder: Path) -> Iterator[tuple[Exchanges, Any, SavedState]]:
    """Exchanges made from what a folder holds, what was read, and what goes on saving them."""
    made = {venue: Exchange(venue, FaultPlan(), 1) for venue in Venue}
    saved = SavedState(folder, made)
    try:
        found = saved.read()
        assert found is not None
        for state in found.listings:
            restore_listing(made[Venue(state["market"]["venue"])], state)
        for venue, state in found.states:
            apply_state(made[venue], state)
        for venue, each in made.items():
            reopen_books(each, found.house[venue], NOW)
        saved.begin(found.source, found.anchor_ms, found.flow, NOW)
        yield made, found, saved
    finally:
        saved.close()


def written(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def states(made: Exchanges) -> dict[str, Any]:
    """Everything of both exchanges; quotes by their place in the queues."""
    found = {}
    for venue, each in made.items():
        state = written(exchange_state(each))
        state["house"].sort(key=lambda quote: quote[-1])
        found[venue.value] = state
    return found


def quotes(made: Exchange) -> set[str]:
    return {order.client_order_id for order in made.state.engine.orders.values() if order.is_house}


# -- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_reads_back_everything_in_its_order(tmp_path: Path) -> None:
    made = quoted()
    with saving(tmp_path, made) as saved:
        made[Venue.KALSHI].transfers.transfer("me", 1, 2, CONTRACT, NOW)
        made[Venue.KALSHI].status.change("restarting", NOW, until_ms=NOW + 90, then="post_only")
        made[Venue.POLYMARKET].state.saved["groups"] = {"g": 1}
        saved.write_snapshot({"later": True}, NOW + 5)
        was = states(made)
    with resumed(tmp_path) as (again, found, _):
        assert states(again) == was
        assert [list(each.state.orders) for each in again.values()] == [["b", "a", "c"]] * 2
        assert list(again[Venue.KALSHI].state.markets["M"].book.bids[4_000].orders) == ["b", "c"]
        assert (found.source, found.anchor_ms, found.flow) == ("test", NOW, {"later": True})


def test_a_kill_after_a_commit_keeps_the_orders_and_takes_quotes_and_flow_back_together(tmp_path: Path) -> None:
    made = quoted()
    with saving(tmp_path, made) as saved:
        kalshi = made[Venue.KALSHI]
        kalshi.order_entry.place(request("late", "yes", "buy", 4_200, 1, "gtc"), NOW)
        kalshi.apply(PlaceOrder(MarketRef(Venue.KALSHI, "M"), "maker", "new", "bid", 4_700, CONTRACT), NOW)
        saved.commit()
        assert saved.gather(), "few enough are left to write at once"
        records = written(list(kalshi.state.orders.values()))
    with resumed(tmp_path) as (again, found, _):
        assert written(list(again[Venue.KALSHI].state.orders.values())) == records
        assert "new" not in quotes(again[Venue.KALSHI])
        assert found.flow == FLOW


def test_quotes_of_many_markets_are_encoded_in_parts_and_written_as_they_are_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_state, "QUOTES_AT_ONCE", 10)
    made = {venue: Exchange(venue, FaultPlan(), 1) for venue in Venue}
    with saving(tmp_path, made) as saved:
        kalshi = made[Venue.KALSHI]
        list_more(kalshi, 35)
        saved.commit()
        assert [saved.gather() for _ in range(4)] == [False, False, False, True]
        ref = MarketRef(Venue.KALSHI, "N7")
        kalshi.apply(CancelOrder(ref, "maker", "n7"), NOW)
        kalshi.apply(PlaceOrder(ref, "maker", "moved", "bid", 4_100, CONTRACT), NOW)
        saved.write_snapshot({"at": 1}, NOW)
        was = states(made)
        assert saved.gather()
    with resumed(tmp_path) as (again, found, _):
        assert states(again) == was
        assert "moved" in quotes(again[Venue.KALSHI])
        assert found.flow == {"at": 1}


def test_a_snapshot_that_fails_is_made_up_for_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = quoted()
    with saving(tmp_path, made) as saved:
        made[Venue.KALSHI].apply(CancelOrder(MarketRef(Venue.KALSHI, "M"), "maker", "b1"), NOW)
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "commit", _full)
            with pytest.raises(OSError, match="no space left"):
                saved.write_snapshot({"at": 1}, NOW)
        saved.write_snapshot({"at": 2}, NOW)
    with resumed(tmp_path) as (again, found, _):
        assert "b1" not in quotes(again[Venue.KALSHI])
        assert found.flow == {"at": 2}


def _full(journal: Journal, *of: object, **with_: object) -> None:
    raise OSError(28, "no space left")


def test_trades_among_the_makers_are_in_the_next_snapshot(tmp_path: Path) -> None:
    made = quoted()
    with saving(tmp_path, made) as saved:
        each = made[Venue.KALSHI]
        taker = PlaceOrder(MarketRef(Venue.KALSHI, "M"), "taker", "t", "bid", 5_200, CONTRACT, is_immediate=True)
        each.apply(taker, NOW)
        volume = each.state.markets["M"].volume_e6
        saved.write_snapshot(FLOW, NOW)
    with resumed(tmp_path) as (again, _, _):
        assert again[Venue.KALSHI].state.markets["M"].volume_e6 == volume


def test_a_quote_whose_cancel_waits_for_the_venue_is_not_written(tmp_path: Path) -> None:
    made = quoted()
    with saving(tmp_path, made) as saved:
        made[Venue.KALSHI].status.change("closed", NOW)
        made[Venue.KALSHI].apply(CancelOrder(MarketRef(Venue.KALSHI, "M"), "maker", "b1"), NOW)
        saved.write_snapshot(FLOW, NOW)
    with resumed(tmp_path) as (again, _, _):
        assert quotes(again[Venue.KALSHI]) == quotes(made[Venue.KALSHI]) - {"b1"}


def test_an_account_that_did_nothing_keeps_the_cash_it_was_opened_with(tmp_path: Path) -> None:
    made = {venue: Exchange(venue, FaultPlan(), 1) for venue in Venue}
    made[Venue.KALSHI].state.accounts.open_account("me", 5 * CONTRACT)
    with saving(tmp_path, made):
        pass
    with resumed(tmp_path) as (again, _, _):
        assert again[Venue.KALSHI].state.accounts.accounts["me"].cash_e6 == 5 * CONTRACT


@pytest.mark.parametrize("is_in_snapshot", [True, False])
def test_a_forgotten_market_stays_forgotten_after_a_restart(tmp_path: Path, is_in_snapshot: bool) -> None:
    made = {venue: exchange(venue) for venue in Venue}
    kalshi, act = made[Venue.KALSHI], listing(Venue.KALSHI)
    ends = act.market.open_time + timedelta(hours=1)
    kalshi.apply(ListMarket(act.event, replace(act.market, market_id="S1", close_time=ends)), NOW)
    kalshi.order_entry.place(replace(request("a", "yes", "buy", 4_000, 10, "gtc"), market_id="S1"), NOW)
    with saving(tmp_path, made) as saved:
        ref = MarketRef(Venue.KALSHI, "S1")
        kalshi.apply(DetermineMarket(ref, 0, "no"), NOW)
        kalshi.apply(SettleMarket(ref), NOW)
        saved.commit()
        kalshi.tick(NOW + KEPT_TRADED_MS + 60_000)
        assert "S1" not in kalshi.state.markets
        if is_in_snapshot:
            saved.write_snapshot(FLOW, NOW)
        else:
            saved.commit()
        rows = saved._database.read()[1]
        assert [row for row in rows if row.market_id == "S1"] == []
    with resumed(tmp_path) as (again, _, _):
        assert (list(again[Venue.KALSHI].state.markets), again[Venue.KALSHI].state.orders) == (["M"], {})
        assert (
            again[Venue.KALSHI]
            .lifecycle.list_market(ListMarket(act.event, replace(act.market, market_id="S2")), NOW)
            .number
            == 3
        )


# -- the journal of format 2 ------------------------------------------------------------------------------------------


def line(record: Any) -> bytes:
    text = orjson.dumps(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def write_old(folder: Path) -> Exchanges:
    """An old journal with a snapshot and two tails, and an older tail that no longer counts; returns what it says."""
    folder.mkdir(parents=True)
    made = quoted()
    for each in made.values():
        take_changes(each)
    (folder / "listings.log").write_bytes(
        b"".join(line(listing_state(listed)) for each in made.values() for listed in each.state.markets.values())
    )
    snapshot = {
        "format": 2, "generation": 10, "anchor_ms": NOW, "source": "old", "written_ms": NOW, "flow": FLOW,
        "exchanges": {venue.value: exchange_state(each) for venue, each in made.items()},
    }  # fmt: skip
    (folder / "snapshot.json").write_bytes(line(snapshot))
    (folder / "tail-9.log").write_bytes(line({"venue": "kalshi"}))
    for generation, name in ((10, "d"), (11, "e")):
        records = []
        for each in made.values():
            each.order_entry.place(request(name, "yes", "buy", 3_900, generation, "gtc"), NOW)
            records.append(line(take_changes(each)))
        (folder / f"tail-{generation}.log").write_bytes(b"".join(records))
    (folder / "lock").touch()
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_old_journal_becomes_a_database_once_and_its_files_are_kept_beside(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)
    with resumed(folder) as (again, found, saved):
        assert states(again) == states(made)
        assert (found.source, found.anchor_ms, found.flow) == ("old", NOW, FLOW)
        assert contents(folder / "before-sqlite") == old
        again[Venue.KALSHI].order_entry.place(request("f", "yes", "buy", 3_900, 1, "gtc"), NOW)
        saved.commit()
        was = states(again)
    assert list(contents(folder)) == ["memory.db"]
    with resumed(folder) as (third, found, _):
        assert states(third) == was
        assert found.flow == FLOW
    assert contents(folder / "before-sqlite") == old


def test_a_kill_before_the_database_is_in_place_converts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", _killed)
        with pytest.raises(KeyboardInterrupt), resumed(folder):
            pass
    left = contents(folder)
    assert left.pop("memory.db.new")
    assert left == old
    (folder / "memory.db.new").write_bytes(b"half a file")
    with resumed(folder) as (again, _, _):
        assert states(again) == states(made)
    assert list(contents(folder)) == ["memory.db"]


def test_after_a_kill_before_the_files_were_moved_the_database_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "journal"
    made = write_old(folder)
    old = contents(folder)
    with monkeypatch.context() as patched:
        patched.setattr(saved_state.old_journal, "keep_beside", _killed)
        with pytest.raises(KeyboardInterrupt), resumed(folder):
            pass
    (folder / "snapshot.json").write_bytes(b"never read again")
    with resumed(folder) as (again, _, _):
        assert states(again) == states(made)
    assert contents(folder / "before-sqlite") == {**old, "snapshot.json": b"never read again"}


def _killed(*of: object) -> None:
    raise KeyboardInterrupt


def test_old_files_that_come_again_are_kept_beside_those_of_before(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    with resumed(folder):
        pass
    first = contents(folder / "before-sqlite")
    (folder / "snapshot.json").write_bytes(b"written by an earlier version")
    with resumed(folder):
        pass
    assert contents(folder / "before-sqlite") == first
    assert contents(folder / "before-sqlite-2") == {"snapshot.json": b"written by an earlier version"}


def test_a_damaged_old_tail_counts_up_to_the_damage_and_is_kept_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    tail = folder / "tail-11.log"
    damaged = tail.read_bytes()[:-4]
    tail.write_bytes(damaged)
    with resumed(folder) as (again, _, _):
        assert [list(each.state.orders) for each in again.values()] == [["b", "a", "c", "d", "e"], ["b", "a", "c", "d"]]
    assert (folder / "before-sqlite" / "tail-11.log").read_bytes() == damaged


@pytest.mark.parametrize(
    ("content", "told"), [(b"deadbeef {}\n", "is damaged"), (line({"format": 1}), "another version")]
)
def test_an_old_journal_that_cannot_be_used_is_one_sentence_and_stays(
    tmp_path: Path, content: bytes, told: str
) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    (folder / "snapshot.json").write_bytes(content)
    old = contents(folder)
    with pytest.raises(ConfigurationError, match=told) as refused, resumed(folder):
        pass
    assert "reset" not in str(refused.value)
    assert contents(folder) == old


def test_a_sandbox_of_the_earlier_version_that_still_runs_keeps_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    running = SavedState(folder, {})
    with pytest.raises(ConfigurationError, match=r"^Another sandbox is already running on .*journal\.$"):
        SavedState(folder, {})
    running.close()


def test_an_old_start_that_never_came_to_a_snapshot_counts_for_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_old(folder)
    (folder / "snapshot.json").unlink()
    saved = SavedState(folder, {})
    assert saved.read() is None
    saved.close()
    assert "listings.log" in contents(folder / "before-sqlite")
