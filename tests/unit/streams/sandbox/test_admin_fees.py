"""Fee changes ordered on the admin port, as Kalshi's clients see and pay them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.scenario import CALM
from streams.sandbox.exchange.persistence.snapshot import apply_state, exchange_state, reopen_books
from streams.sandbox.http.server import Request, Response
from streams.sandbox.process.admin import AdminApp, Controls
from tests.support.kalshi_venue import CRYPTO, OfflineKalshi

EVENT, SERIES = "KXRAIN-26DEC01", "KXRAIN"
_IOC = {"time_in_force": "immediate_or_cancel", "price": "0.5100"}


def ask(venue: OfflineKalshi, body: dict[str, Any]) -> Response:
    controls = Controls(
        {Venue.KALSHI: venue.exchange}, {Venue.KALSHI: venue.app}, FaultPlan(), lambda _: venue.now_ms,
        lambda: None, lambda: None, lambda _: None, lambda: b"", lambda _: None, CALM,
    )  # fmt: skip
    request = Request("POST", "/fees", [], {}, orjson.dumps({"venue": "kalshi", **body}))
    return AdminApp(controls).handle(request)


def paid(venue: OfflineKalshi) -> list[str]:
    """Fees of key-1's fills, oldest first."""
    return [fill["fee_cost"] for fill in reversed(venue.own("/portfolio/fills")["fills"])]


def test_an_event_changes_at_once_in_its_object_its_fills_and_on_the_lifecycle_channel() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", channels=["market_lifecycle_v2"])
    change = {"event": EVENT, "fee_type": "quadratic_with_maker_fees", "fee_multiplier": "0.5"}
    assert ask(venue, change).body["at_ms"] == venue.now_ms
    (frame,) = [frame for frame in line.taken() if frame["type"] == "event_fee_update"]
    told = {"fee_type_override": "quadratic_with_maker_fees", "fee_multiplier_override": 0.5}
    assert frame["msg"] == {"event_ticker": EVENT, **told}
    shown = venue.public(f"/events/{EVENT}")["event"]
    assert {name: shown[name] for name in told} == told
    (row,) = venue.public("/events/fee_changes")["event_fee_changes"]
    assert {name: row[name] for name in told} == told
    venue.placed(**_IOC)
    assert paid(venue) == ["0.087500"]
    assert ask(venue, {"event": EVENT}).status == 200
    assert "fee_multiplier_override" not in venue.public(f"/events/{EVENT}")["event"]
    venue.placed(client_order_id="two", **_IOC)
    assert paid(venue) == ["0.087500", "0.175000"]


def test_a_series_changes_at_its_time_and_is_listed_before() -> None:
    venue = OfflineKalshi()
    later = venue.now_ms + 60_000
    ask(venue, {"series": SERIES, "fee_type": "quadratic", "fee_multiplier": "0.5", "at_ms": later})
    (row,) = venue.public("/series/fee_changes")["series_fee_change_arr"]
    assert (row["series_ticker"], row["fee_multiplier"]) == (SERIES, 0.5)
    assert venue.public(f"/series/{SERIES}")["series"]["fee_multiplier"] == 1
    venue.wait(60_000)
    venue.app.tick(venue.now_ms)
    assert venue.public("/series/fee_changes")["series_fee_change_arr"] == []
    assert venue.public(f"/series/{SERIES}")["series"]["fee_multiplier"] == 0.5


def test_an_order_that_rests_through_a_change_pays_each_fill_by_the_fees_of_its_moment() -> None:
    venue = OfflineKalshi()
    venue.placed(ticker=CRYPTO, price="0.5000", count="20.00")
    venue.quote("ask", 5_000, 10, ticker=CRYPTO, now=True)
    ask(venue, {"series": "KXBTCD", "fee_type": "quadratic", "fee_multiplier": "1"})
    venue.quote("ask", 5_000, 10, key="y", ticker=CRYPTO, now=True)
    assert paid(venue) == ["0.043800", "0.000000"]


def test_of_two_changes_for_one_moment_the_last_counts() -> None:
    venue = OfflineKalshi()
    for multiplier in ("0.5", "2"):
        ask(venue, {"series": SERIES, "fee_type": "quadratic", "fee_multiplier": multiplier})
    assert venue.public(f"/series/{SERIES}")["series"]["fee_multiplier"] == 2


def test_orders_that_dearer_fees_leave_without_cover_end() -> None:
    venue = OfflineKalshi()
    account = venue.exchange.state.accounts.accounts["kalshi:key-1"]
    account.allocation = {}
    ids = [venue.placed(price="0.4000", client_order_id=f"o{number}") for number in range(2)]
    account.cash_by_shard_e6[0] = venue.exchange.transfers.reserved_e6(account.account_id)
    ask(venue, {"series": SERIES, "fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"})
    assert [venue.exchange.state.orders[name].reason for name in ids] == ["", "margin"]


def test_a_restart_keeps_the_fees_and_tells_no_change_twice() -> None:
    venue, restarted = OfflineKalshi(), OfflineKalshi()
    ask(venue, {"event": EVENT, "fee_multiplier": "0"})
    apply_state(restarted.exchange, orjson.loads(orjson.dumps(exchange_state(venue.exchange))))
    reopen_books(restarted.exchange, [], restarted.now_ms)
    line = restarted.open_line()
    line.command(1, "subscribe", channels=["market_lifecycle_v2"])
    restarted.app.tick(restarted.now_ms)
    assert restarted.public(f"/events/{EVENT}")["event"]["fee_multiplier_override"] == 0
    assert [frame for frame in line.taken() if frame["type"] == "event_fee_update"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"series": "KXNONE", "fee_type": "quadratic", "fee_multiplier": "1"}, 404),
        ({"event": "KXNONE", "fee_multiplier": "1"}, 404),
        ({"series": SERIES, "event": EVENT, "fee_multiplier": "1"}, 400),
        ({"series": SERIES, "fee_multiplier": "1"}, 400),
        ({"series": SERIES, "fee_type": "quadratic", "fee_multiplier": "much"}, 400),
        ({"event": EVENT, "fee_multiplier": "-1"}, 400),
        ({"event": EVENT, "fee_type": 7}, 400),
        ({"event": EVENT, "at_ms": 5}, 400),
        ({}, 400),
        ({"venue": "nowhere", "event": EVENT}, 404),
    ],
)
def test_what_cannot_be_meant_changes_nothing(body: dict[str, Any], status: int) -> None:
    venue = OfflineKalshi()
    assert ask(venue, body).status == status
    assert venue.public("/series/fee_changes?show_historical=true")["series_fee_change_arr"] == []
    assert venue.public("/events/fee_changes")["event_fee_changes"] == []
