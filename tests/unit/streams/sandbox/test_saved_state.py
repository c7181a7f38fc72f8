"""What both exchanges and the flow leave on disk and what a restart makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import CancelOrder, DetermineMarket, ListMarket, PlaceOrder, SettleMarket
from streams.sandbox.exchange.exchange import KEPT_TRADED_MS, Exchange
from streams.sandbox.exchange.persistence import saved_state
from streams.sandbox.exchange.persistence.journal import Journal
from tests.engine.quoted import CONTRACT, NOW, exchange, listing, request
from tests.engine.saved import FLOW, list_more, quoted, quotes, resumed, saving, states, written


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
