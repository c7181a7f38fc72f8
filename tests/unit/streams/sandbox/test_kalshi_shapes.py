"""Bodies and frames of the Kalshi app have the keys that the venue's have, at every depth.

`tests/fixtures/kalshi/shapes.json` lists the keys by sample, so that the comparison runs everywhere; where the samples
are at hand the list itself is checked against them. `removed` are keys of older samples that the venue has dropped
since, `optional` are keys that are there only for some markets, orders or accounts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.sandbox.core.model import ChangeTick
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from tests.support.kalshi_venue import CRYPTO, RAIN, OfflineKalshi, order

_FIXTURE = Path(__file__).parents[3] / "fixtures" / "kalshi" / "shapes.json"
_SHAPES: dict[str, Any] = json.loads(_FIXTURE.read_text())
_IOC = {"time_in_force": "immediate_or_cancel", "price": "0.5200"}
_EVENT = "/events/KXRAIN-26DEC01?with_nested_markets=true"


def keys_of(value: Any, path: str = "") -> set[str]:
    """The paths of all keys: `orders[].order_id`."""
    if isinstance(value, dict):
        found = set()
        for name, inner in value.items():
            found |= {f"{path}{name}"} | keys_of(inner, f"{path}{name}.")
        return found
    if isinstance(value, list):
        return set().union(*(keys_of(inner, f"{path.rstrip('.')}[].") for inner in value)) if value else set()
    return set()


def last_names(paths: set[str], names: list[str]) -> set[str]:
    """The paths that have one of the names as a part."""
    return {path for path in paths if any(part.rstrip("[]") in names for part in path.split("."))}


def compared(sample: str, body: Any) -> tuple[set[str], set[str]]:
    """(keys that are missing, keys that the sample does not have), without those that may be there or not."""
    wanted, found = set(_SHAPES["samples"][sample]), keys_of(body)
    loose = last_names(wanted | found, _SHAPES["optional"])
    return wanted - found - loose, found - wanted - loose


def test_the_list_of_shapes_is_what_the_samples_have(shared_dir: Path) -> None:
    for name, shape in _SHAPES["samples"].items():
        body = json.loads((shared_dir / "venues" / "kalshi-samples" / f"{name}.json").read_text())
        keys = keys_of(body)
        assert sorted(keys - last_names(keys, _SHAPES["removed"])) == shape, name


def _traded() -> OfflineKalshi:
    """A venue on which key-1 has filled, rested, cancelled and been paid."""
    venue = OfflineKalshi()
    venue.placed(client_order_id="a", **_IOC)
    venue.placed(client_order_id="b")
    venue.settle(ticker=CRYPTO)
    return venue


_READS: dict[str, str] = {
    "rest_balance": "/portfolio/balance",
    "rest_balance.multi_shard": "/portfolio/balance",
    "rest_fills": "/portfolio/fills",
    "rest_orders_list": "/portfolio/orders",
    "rest_positions": "/portfolio/positions",
    "rest_settlements.empty": "/portfolio/settlements",
    "rest_queue_positions": f"/portfolio/orders/queue_positions?market_tickers={RAIN}",
    "rest_account_limits.premier": "/account/limits",
    "rest_account_endpoint_costs": "/account/endpoint_costs",
    "rest_exchange_status": "/exchange/status",
    "rest_exchange_schedule": "/exchange/schedule",
    "rest_user_data_timestamp": "/exchange/user_data_timestamp",
    "rest_series_list": "/series",
    "rest_series_single": "/series/KXRAIN",
    "rest_series_fee_changes.empty": "/series/fee_changes",
    "rest_event_single_nested": _EVENT,
    "rest_events_page_nested": "/events?with_nested_markets=true&with_milestones=true",
    "rest_events_last_page": "/events?series_ticker=NONE",
    "rest_markets_by_event": "/markets?event_ticker=KXRAIN-26DEC01",
    "rest_market_single": f"/markets/{RAIN}",
    "rest_market_finalized.scalar": f"/markets/{CRYPTO}",
    "rest_orderbook": f"/markets/{RAIN}/orderbook",
    "rest_orderbooks_batch": f"/markets/orderbooks?tickers={RAIN}&tickers={CRYPTO}",
    "rest_trades_page.prod": "/markets/trades",
    "rest_historical_cutoff": "/historical/cutoff",
}


@pytest.mark.parametrize("sample", list(_READS))
def test_reads_have_the_keys_of_the_samples(sample: str) -> None:
    assert compared(sample, _traded().own(_READS[sample])) == (set(), set())


def test_settlements_candles_and_fee_changes_have_the_keys_of_the_samples() -> None:
    venue = OfflineKalshi()
    venue.placed(client_order_id="a", **_IOC)
    span = f"start_ts={venue.now_ms // 1000 - 86_400}&end_ts={venue.now_ms // 1000}&period_interval=60"
    series = f"/series/KXRAIN/markets/{RAIN}/candlesticks?{span}"
    assert compared("rest_candlesticks", venue.public(series)) == (set(), set())
    venue.app.kalshi.fees.schedule("KXRAIN", venue.now_ms + 1, "quadratic", 1_000_000)
    venue.app.kalshi.fees.schedule("KXRAIN-26DEC01", venue.now_ms + 1, "quadratic", 500_000, is_event=True)
    assert compared("rest_series_fee_changes", venue.public("/series/fee_changes")) == (set(), set())
    assert compared("rest_events_fee_changes", venue.public("/events/fee_changes")) == (set(), set())
    venue.settle()
    assert compared("rest_settlements", venue.own("/portfolio/settlements")) == (set(), set())


def test_archived_candles_have_the_keys_of_the_sample() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(archive_after_ms=1_000))
    start = venue.now_ms // 1000 - 86_400
    venue.settle()
    venue.wait(2_000)
    path = f"/historical/markets/{RAIN}/candlesticks?start_ts={start}&end_ts={start + 80_000}&period_interval=60"
    assert compared("rest_candlesticks_historical", venue.public(path)) == (set(), set())


def test_answers_to_orders_have_the_keys_of_the_samples() -> None:
    venue = OfflineKalshi()
    path = "/portfolio/events/orders"
    assert compared("rest_create_order_v2.response_filled", venue.place(**_IOC).body) == (set(), set())
    resting = venue.place(client_order_id="two").body
    assert compared("rest_create_order_v2.response_resting", resting) == (set(), set())
    one = f"{path}/{resting['order_id']}"
    change = {"ticker": RAIN, "side": "bid", "price": "0.4100", "count": "12.00"}
    amended = venue.ask("POST", f"{one}/amend", change, key="key-1").body
    assert compared("rest_amend_order_v2.response", amended) == (set(), set())
    decreased = venue.ask("POST", f"{one}/decrease", {"reduce_to": "5.00"}, key="key-1").body
    assert compared("rest_decrease_order_v2.response", decreased) == (set(), set())
    assert compared("rest_order_single", venue.own(f"/portfolio/orders/{resting['order_id']}")) == (set(), set())
    canceled = venue.ask("DELETE", one, key="key-1").body
    assert compared("rest_cancel_order_v2.response", canceled) == (set(), set())
    batch = {"orders": [order(client_order_id="b1"), order(client_order_id="b2", price="0.9900", post_only=True)]}
    made = venue.ask("POST", f"{path}/batched", batch, key="key-1").body
    assert compared("rest_batch_create_v2.response", made) == (set(), set())
    assert "order_id" not in made["orders"][1]
    gone = {"orders": [{"order_id": made["orders"][0]["order_id"], "market_ticker": RAIN}, {"order_id": "unknown"}]}
    ended = venue.ask("DELETE", f"{path}/batched", gone, key="key-1").body
    assert compared("rest_batch_cancel_v2.response", ended) == (set(), set())


def test_order_groups_have_the_keys_of_the_samples() -> None:
    venue = OfflineKalshi()
    made = venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit_fp": "100.00"}, key="key-1").body
    assert compared("rest_order_group_create.response", made) == (set(), set())
    assert compared("rest_order_groups_list", venue.own("/portfolio/order_groups")) == (set(), set())
    one = venue.own(f"/portfolio/order_groups/{made['order_group_id']}")
    assert compared("rest_order_group_single", one) == (set(), set())


def _frames(action: Callable[[OfflineKalshi], None], *channels: str, tickers: bool = True) -> dict[str, Any]:
    """The frames an action brings on these channels, the last of each type (life cycles by their event type)."""
    venue = OfflineKalshi()
    line = venue.open_line()
    params: dict[str, Any] = {"channels": list(channels), "use_yes_price": True}
    frames = line.command(1, "subscribe", **params, **({"market_tickers": [RAIN]} if tickers else {}))
    action(venue)
    named = {}
    for frame in [*frames, *line.taken()]:
        message = frame.get("msg")
        kind = message.get("event_type") if isinstance(message, dict) else None
        named[f"{frame['type']}.{kind}" if kind else frame["type"]] = frame
    return named


def test_market_frames_have_the_keys_of_the_samples() -> None:
    frames = _frames(lambda venue: venue.placed(**_IOC), "orderbook_delta", "trade", "ticker")  # type: ignore[arg-type,return-value]
    for sample, kind in (
        ("ws_subscribed", "subscribed"),
        ("ws_orderbook_snapshot.yes_price", "orderbook_snapshot"),
        ("ws_orderbook_delta", "orderbook_delta"),
        ("ws_trade.current", "trade"),
        ("ws_ticker", "ticker"),
    ):
        assert compared(sample, frames[kind]) == (set(), set()), sample
    own = _frames(lambda venue: venue.placed(), "orderbook_delta")  # type: ignore[arg-type,return-value]
    assert compared("ws_orderbook_delta.own_order", own["orderbook_delta"]) == (set(), set())


def test_private_frames_have_the_keys_of_the_samples() -> None:
    channels = ("fill", "user_orders", "market_positions", "order_group_updates")
    frames = _frames(lambda venue: venue.placed(**_IOC), *channels, tickers=False)  # type: ignore[arg-type,return-value]
    assert compared("ws_fill", frames["fill"]) == (set(), set())
    assert compared("ws_user_order.executed", frames["user_order"]) == (set(), set())
    assert compared("ws_market_position", frames["market_position"]) == (set(), set())
    placed = _frames(lambda venue: venue.placed(), *channels, tickers=False)  # type: ignore[arg-type,return-value]
    assert compared("ws_user_order.created", placed["user_order"]) == (set(), set())

    def change_limit(venue: OfflineKalshi) -> None:
        made = venue.ask("POST", "/portfolio/order_groups/create", {"contracts_limit": 100}, key="key-1").body
        path = f"/portfolio/order_groups/{made['order_group_id']}/limit"
        venue.ask("PUT", path, {"contracts_limit_fp": "150.00"}, key="key-1")

    updated = _frames(change_limit, *channels, tickers=False)["order_group_updates.limit_updated"]
    assert compared("ws_order_group_update", updated) == (set(), set())


def test_life_cycle_frames_have_the_keys_of_the_samples() -> None:
    def live(venue: OfflineKalshi) -> None:
        listing = venue.exchange.state.markets[RAIN]
        venue.exchange.lifecycle.pause(RAIN, venue.now_ms)
        venue.exchange.lifecycle.reactivate(RAIN, venue.now_ms)
        venue.exchange.lifecycle.change_close(RAIN, venue.now_ms + 3_600_000, venue.now_ms)
        venue.exchange.apply(ChangeTick(listing.market.ref, 10), venue.now_ms)
        venue.app.broadcast.publish_metadata(listing)
        venue.settle()
        venue.list_another()
        venue.app.kalshi.fees.schedule("KXRAIN-26DEC01", venue.now_ms, "quadratic", 500_000, is_event=True)
        venue.public("/exchange/schedule")

    frames = _frames(live, "market_lifecycle_v2", tickers=False)
    for sample, kind in (
        ("ws_lifecycle_deactivated", "market_lifecycle_v2.deactivated"),
        ("ws_lifecycle_activated", "market_lifecycle_v2.activated"),
        ("ws_lifecycle_close_date_updated", "market_lifecycle_v2.close_date_updated"),
        ("ws_lifecycle_price_levels", "market_lifecycle_v2.price_level_structure_updated"),
        ("ws_lifecycle_metadata_updated", "market_lifecycle_v2.metadata_updated"),
        ("ws_lifecycle_determined", "market_lifecycle_v2.determined"),
        ("ws_lifecycle_settled", "market_lifecycle_v2.settled"),
        ("ws_lifecycle_created", "market_lifecycle_v2.created"),
        ("ws_event_lifecycle", "event_lifecycle"),
        ("ws_event_fee_update", "event_fee_update"),
    ):
        assert compared(sample, frames[kind]) == (set(), set()), sample
