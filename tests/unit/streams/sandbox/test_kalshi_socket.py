"""Kalshi's socket without a server: channels, sequence numbers, commands and their errors, own tags, slow readers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.sandbox.core.faults import FaultPlan, FaultRule
from streams.sandbox.kalshi.formats import market_uuid
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from tests.support.kalshi_venue import CRYPTO, RAIN, OfflineKalshi

_BOOK = {"channels": ["orderbook_delta"], "market_tickers": [RAIN], "use_yes_price": True}
_SHARDED = {"channels": ["communications"], "shard_factor": 2}
_IOC = {"time_in_force": "immediate_or_cancel", "price": "0.5200"}


def test_each_channel_is_acknowledged_by_itself_and_errors_do_not_stop_the_others() -> None:
    line = OfflineKalshi().open_line()
    frames = line.command(3, "subscribe", channels=["ticker_v2", "trade", "orderbook_delta", "ticker"])
    assert frames == [
        {"id": 3, "type": "error", "msg": {"code": 8, "msg": "Unknown channel name"}},
        {"id": 3, "type": "subscribed", "msg": {"channel": "trade", "sid": 1}},
        {"id": 3, "type": "error", "msg": {"code": 14, "msg": "Market Ticker required"}},
        {"id": 3, "type": "subscribed", "msg": {"channel": "ticker", "sid": 2}},
    ]
    listed = line.command(4, "list_subscriptions")
    assert listed == [{"id": 4, "type": "ok", "msg": [{"channel": "trade", "sid": 1}, {"channel": "ticker", "sid": 2}]}]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", 1),
        ([1], 1),
        ({"id": 1, "cmd": "subscribe"}, 2),
        ({"id": 1, "cmd": "subscribe", "params": {"market_tickers": [RAIN]}}, 3),
        ({"id": 1, "cmd": "unsubscribe", "params": {"x": 1}}, 4),
        ({"id": 1, "cmd": "dance", "params": {"x": 1}}, 5),
        ({"id": 1, "cmd": "unsubscribe", "params": {"sids": [9]}}, 7),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": "trade"}}, 11),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": "A"}}, 11),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": [7]}}, 11),
        ({"id": 1, "cmd": "update_subscription", "params": {"action": "add_markets"}}, 12),
        ({"id": 1, "cmd": "update_subscription", "params": {"sids": [1, 2], "action": "add_markets"}}, 12),
        ({"id": 1, "cmd": "update_subscription", "params": {"sid": 9, "action": "add_markets"}}, 7),
        ({"id": 1, "cmd": "update_subscription", "params": {"sid": 1, "action": "dance"}}, 13),
        ({"id": 1, "cmd": "update_subscription", "params": {"sid": 1, "action": "get_snapshot"}}, 14),
        ({"id": 1, "cmd": "update_subscription", "params": {"sid": 1}}, 15),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": ["communications"], "shard_factor": 0}}, 19),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": ["communications"], "shard_key": 1}}, 20),
        ({"id": 1, "cmd": "subscribe", "params": _SHARDED | {"shard_key": 2}}, 21),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": ["communications"], "shard_factor": 101}}, 22),
        ({"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "market_ids": [market_uuid(RAIN)]}}, 11),
        ({"id": 1, "cmd": "unsubscribe", "params": {"sids": [True]}}, 7),
    ],
)  # fmt: skip
def test_wrong_commands_get_their_codes(message: Any, code: int) -> None:
    line = OfflineKalshi().open_line()
    line.command(9, "subscribe", **_BOOK)
    line.send(message)
    (frame,) = line.taken()
    assert (frame["type"], frame["msg"]["code"]) == ("error", code)
    assert ("seq" in frame) is (code in (13, 14, 15))


def test_ids_of_markets_are_for_the_ticker_channel_alone() -> None:
    line = OfflineKalshi().open_line()
    frames = line.command(1, "subscribe", channels=["ticker", "trade"], market_ids=[market_uuid(RAIN)])
    assert [(frame["type"], frame["msg"].get("code")) for frame in frames] == [("subscribed", None), ("error", 11)]
    assert list(line.session.subscriptions[1].tickers or ()) == [RAIN]


def test_private_channels_need_a_key_that_may_read() -> None:
    venue = OfflineKalshi()
    venue.app.kalshi.keys["key-1"] = replace(venue.app.kalshi.keys["key-1"], scopes=frozenset({"write::trade"}))
    frames = venue.open_line().command(1, "subscribe", channels=["fill", "trade"])
    assert frames[0]["msg"] == {"code": 9, "msg": "Authentication required"}
    assert frames[1]["msg"]["channel"] == "trade"


def test_the_channel_of_underlyings_takes_commands_of_its_own() -> None:
    line = OfflineKalshi().open_line()
    line.command(1, "subscribe", channels=["pyth_value"])
    (missing,) = line.command(2, "update_subscription", sid=1, action="subscribe_underlyings")
    (unsupported,) = line.command(3, "update_subscription", sid=1, action="add_markets", market_tickers=[RAIN])
    assert [missing["msg"]["code"], unsupported["msg"]["code"]] == [28, 13]
    (taken,) = line.command(4, "update_subscription", sid=1, action="subscribe_underlyings", underlying_tickers=["all"])
    (known,) = line.command(5, "update_subscription", sid=1, action="underlying_list")
    assert (taken["type"], taken["seq"]) == ("ok", 3)
    assert (known["type"], known["msg"]) == ("pyth_value_underlying_list", {"underlying_tickers": []})


def test_a_channel_in_trouble_ends_its_subscription_and_a_command_can_time_out() -> None:
    plan = FaultPlan([FaultRule("channel_error", channel="trade", times=1), FaultRule("command_timeout", skip=2)])
    venue = OfflineKalshi(plan=plan)
    line = venue.open_line()
    line.command(1, "subscribe", channels=["trade"])
    line.command(2, "subscribe", channels=["ticker"])
    venue.quote("bid", 5_100, 1, now=True)
    (error, ticker) = line.taken()
    assert (error["type"], error["sid"], error["seq"], error["msg"]["code"]) == ("error", 1, 1, 10)
    assert ticker["type"] == "ticker"
    assert list(line.session.subscriptions) == [2]
    (late,) = line.command(3, "subscribe", **_BOOK)
    assert late["msg"] == {"code": 18, "msg": "Command timeout"}
    assert list(line.session.subscriptions) == [2]


def test_answers_about_a_subscription_use_up_its_numbers_and_subscribed_does_not() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    subscribed, snapshot = line.command(1, "subscribe", **_BOOK)
    assert "seq" not in subscribed
    assert snapshot["seq"] == 1
    (again,) = line.command(2, "subscribe", **_BOOK)
    assert (again["type"], again["seq"], again["msg"]) == ("ok", 2, {"market_tickers": [RAIN]})
    added = line.command(3, "update_subscription", sid=1, market_tickers=[CRYPTO], action="add_markets")
    assert [(frame["type"], frame["seq"]) for frame in added] == [("ok", 3), ("orderbook_snapshot", 4)]
    assert added[0]["msg"]["market_tickers"] == [RAIN, CRYPTO]
    (refused,) = line.command(4, "update_subscription", sids=[1], action="get_snapshot")
    assert (refused["sid"], refused["seq"], refused["msg"]["code"]) == (1, 5, 14)
    (healed,) = line.command(5, "update_subscription", sids=[1], market_tickers=[RAIN], action="get_snapshot")
    assert (healed["type"], healed["seq"], healed["msg"]["market_ticker"]) == ("orderbook_snapshot", 6, RAIN)
    (left,) = line.command(6, "update_subscription", sids=[1], market_tickers=[RAIN], action="delete_markets")
    assert (left["seq"], left["msg"]["market_tickers"]) == (7, [CRYPTO])
    venue.quote("bid", 5_000, 1)
    assert line.taken() == []
    venue.quote("bid", 5_000, 1, key="y", ticker=CRYPTO)
    assert [frame["seq"] for frame in line.taken()] == [8]
    assert line.command(7, "unsubscribe", sids=[1]) == [{"id": 7, "sid": 1, "seq": 9, "type": "unsubscribed"}]
    (fresh, _) = line.command(8, "subscribe", **_BOOK)
    assert fresh["msg"]["sid"] == 2


@pytest.mark.parametrize(("use_yes_price", "best", "moved"), [(True, "0.5100", "0.5000"), (False, "0.4900", "0.5000")])
def test_the_no_ladder_is_in_the_prices_that_were_asked_for(use_yes_price: bool, best: str, moved: str) -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    frames = line.command(1, "subscribe", **{**_BOOK, "use_yes_price": use_yes_price})
    ladder = frames[1]["msg"]["no_dollars_fp"]
    assert ladder == sorted(ladder)
    assert best in (ladder[0][0], ladder[-1][0])
    venue.quote("ask", 5_000, 7)
    (delta,) = line.taken()
    assert (delta["msg"]["side"], delta["msg"]["price_dollars"], delta["msg"]["delta_fp"]) == ("no", moved, "7.00")


def test_what_a_subscription_without_the_flag_gets_is_a_setting() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(default_use_yes_price=True))
    snapshot = venue.open_line().command(1, "subscribe", channels=["orderbook_delta"], market_ticker=RAIN)[1]
    assert snapshot["msg"]["no_dollars_fp"][0] == ["0.5100", "50.00"]


def test_an_empty_side_of_a_snapshot_has_no_key() -> None:
    venue = OfflineKalshi()
    venue.settle()
    snapshot = venue.open_line().command(1, "subscribe", **_BOOK)[1]
    assert sorted(snapshot["msg"]) == ["market_id", "market_ticker"]


def test_own_orders_are_tagged_when_placed_and_canceled_and_on_fills_by_setting() -> None:
    for tags_own_fills in (False, True):
        venue = OfflineKalshi(settings=KalshiVenueSettings(tags_own_fills=tags_own_fills))
        mine, theirs = venue.open_line(), venue.open_line("key-2")
        for line in (mine, theirs):
            line.command(1, "subscribe", **_BOOK)
        venue.placed(client_order_id="a", price="0.5000")
        venue.quote("ask", 5_000, 4, key="taker", now=True)
        venue.ask("DELETE", "/portfolio/events/orders", key="key-1")
        tags = [frame["msg"].get("client_order_id") for frame in mine.taken()]
        assert tags == ["a", "a" if tags_own_fills else None, "a"]
        assert not any("client_order_id" in frame["msg"] for frame in theirs.taken())


def test_private_channels_have_no_numbers_and_reach_their_owner_only() -> None:
    venue = OfflineKalshi()
    channels = ["fill", "user_orders", "market_positions"]
    mine, theirs = venue.open_line(), venue.open_line("key-2")
    for line in (mine, theirs):
        line.command(1, "subscribe", channels=channels)
    venue.placed(**_IOC)
    frames = {frame["type"]: frame for frame in mine.taken()}
    assert sorted(frames) == ["fill", "market_position", "user_order"]
    assert not any("seq" in frame for frame in frames.values())
    assert frames["market_position"]["msg"]["position_fp"] == frames["fill"]["msg"]["post_position_fp"] == "10.00"
    assert frames["user_order"]["msg"]["last_update_reason"] == "Trade"
    assert theirs.taken() == []


def test_private_channels_can_be_filtered_by_market() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", channels=["user_orders"], market_tickers=[CRYPTO])
    venue.placed(client_order_id="a")
    venue.placed(client_order_id="b", ticker=CRYPTO)
    assert [frame["msg"]["ticker"] for frame in line.taken()] == [CRYPTO]


def test_reasons_say_why_an_order_changed() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", channels=["user_orders"])

    def last() -> tuple[str, str]:
        message = line.taken()[-1]["msg"]
        return message["status"], message.get("last_update_reason", "")

    one = venue.placed(client_order_id="a", expiration_time=venue.now_ms // 1000 + 5)
    assert last() == ("resting", "")
    path = f"/portfolio/events/orders/{one}"
    venue.ask("POST", f"{path}/amend", {"ticker": RAIN, "side": "bid", "price": "0.4100", "count": "9"}, key="key-1")
    assert last() == ("resting", "Amend")
    venue.ask("POST", f"{path}/decrease", {"reduce_to": "5"}, key="key-1")
    assert last() == ("resting", "Decrease")
    venue.wait(5_000)
    assert last() == ("canceled", "ExpiryCancel")
    two = venue.placed(client_order_id="b")
    venue.ask("DELETE", f"/portfolio/events/orders/{two}", key="key-1")
    assert last() == ("canceled", "")
    venue.placed(client_order_id="c")
    venue.exchange.lifecycle.close_early(RAIN, venue.now_ms)
    assert last() == ("canceled", "CloseCancel")


def test_the_ticker_channel_takes_ids_sends_first_values_and_can_be_terse() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    ids = {"market_ids": [market_uuid(RAIN)], "send_initial_snapshot": True}
    frames = line.command(1, "subscribe", channels=["ticker"], **ids)
    assert [frame["type"] for frame in frames] == ["subscribed", "ticker"]
    assert "seq" not in frames[1]
    (ok,) = line.command(2, "update_subscription", sid=1, market_id=market_uuid(CRYPTO), action="add_markets")
    assert ok["msg"] == {"market_ids": [market_uuid(RAIN), market_uuid(CRYPTO)]}
    venue.quote("bid", 5_000, 1)
    assert [frame["msg"]["yes_bid_dollars"] for frame in line.taken()] == ["0.5000"]
    venue.quote("bid", 4_000, 1, key="deep")
    assert line.taken() == []
    terse = venue.open_line()
    terse.command(1, "subscribe", channels=["ticker"], market_tickers=[RAIN], skip_ticker_ack=True)
    assert terse.command(2, "subscribe", channels=["ticker"], market_tickers=[CRYPTO])[0]["msg"] == {}


def test_a_slow_reader_loses_its_subscription() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", **_BOOK)
    line.wire.unsent_bytes = 10**9
    venue.quote("bid", 5_000, 1)
    venue.quote("bid", 5_000, 1, key="y")
    assert line.taken() == [
        {"type": "error", "sid": 1, "seq": 2, "msg": {"code": 25, "msg": "Subscription buffer overflow"}}
    ]


def test_limits_of_a_connection_have_their_codes() -> None:
    venue = OfflineKalshi(
        settings=KalshiVenueSettings(max_markets_per_session=1, max_commands_per_s=3, max_connections=1)
    )
    line = venue.open_line()
    (refused,) = line.command(1, "subscribe", channels=["orderbook_delta"], market_tickers=[RAIN, CRYPTO])
    assert refused["msg"]["code"] == 26
    line.command(2, "subscribe", **_BOOK)
    (held,) = line.command(3, "update_subscription", sid=1, market_tickers=[CRYPTO], action="add_markets")
    assert (held["msg"]["code"], held["seq"]) == (26, 2)
    assert line.command(4, "list_subscriptions")[0]["msg"]["code"] == 27
    venue.now_ms += 1_000
    assert line.command(5, "list_subscriptions")[0]["type"] == "ok"
    with pytest.raises(AssertionError):
        venue.open_line()
    line.session.on_close()
    venue.open_line()


def test_frames_say_when_they_were_sent_unless_told_not_to() -> None:
    venue = OfflineKalshi()
    assert venue.open_line().command(1, "subscribe", **_BOOK)[1]["sending_ts_ms"] == venue.now_ms
    silent = OfflineKalshi(settings=KalshiVenueSettings(sends_sending_ts=False))
    assert "sending_ts_ms" not in silent.open_line().command(1, "subscribe", **_BOOK)[1]


def test_a_ping_says_heartbeat_every_ten_seconds() -> None:
    wire = OfflineKalshi().open_line().wire
    ((delay_s, again),) = wire.loop.timers
    again()
    assert (delay_s, wire.pings) == (10, [b"heartbeat"] * 2)


def test_a_new_event_is_told_before_its_market() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", channels=["market_lifecycle_v2"], market_tickers=[RAIN])
    venue.list_another()
    frames = line.taken()
    assert [(frame["type"], frame["seq"]) for frame in frames] == [("event_lifecycle", 1), ("market_lifecycle_v2", 2)]


def test_closing_on_time_is_not_told_and_closing_early_is() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", channels=["market_lifecycle_v2"])
    venue.exchange.lifecycle.close_early(RAIN, venue.now_ms)
    assert [frame["msg"]["event_type"] for frame in line.taken()] == ["close_date_updated"]
    venue.now_ms = venue.exchange.state.markets[CRYPTO].close_ms
    venue.exchange.lifecycle.close_early(CRYPTO, venue.now_ms)
    assert line.taken() == []


def test_frames_and_answers_can_carry_unknown_fields() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(has_novelties=True))
    assert "x_new_field" in venue.open_line().command(1, "subscribe", **_BOOK)[1]["msg"]


@pytest.mark.parametrize("name", ["no_leg_price", "yes_price"])
def test_a_recorded_session_is_told_again_frame_by_frame(shared_dir: Path, name: str) -> None:
    path = shared_dir / "venues" / "kalshi-samples" / f"ws_session.{name}.jsonl"
    recorded = [json.loads(line) for line in path.read_text().splitlines()]
    is_yes_price = name == "yes_price"
    venue = OfflineKalshi()
    for step in (1, 2, 3):
        venue.pull(f"{RAIN} b{step}")
        venue.pull(f"{RAIN} a{step}")
    venue.quote("bid", 4_700, 3, key="bid")
    venue.quote("ask", 5_200, 1 if is_yes_price else 2, key="ask")
    line = venue.open_line()
    params = {"channels": ["orderbook_delta", "trade"], "market_tickers": [RAIN]}
    frames = line.command(1, "subscribe", **params, **({"use_yes_price": True} if is_yes_price else {}))
    if not is_yes_price:
        venue.pull("bid")
    venue.pull("ask")
    if not is_yes_price:
        venue.quote("bid", 4_700, 3, key="bid again")
    venue.quote("ask", 5_200, 2 if is_yes_price else 1, key="ask again")
    assert [_bare(frame) for frame in [*frames, *line.taken()]] == [_bare(frame) for frame in recorded]


def _bare(frame: Any) -> Any:
    """A frame without its times and the ids of the market."""
    dropped = ("ts", "ts_ms", "market_ticker", "market_id", "sending_ts_ms")
    return {
        name: _bare(value) if isinstance(value, dict) else value for name, value in frame.items() if name not in dropped
    }
