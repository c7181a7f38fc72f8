"""The Kalshi app over real HTTP and a real socket, asked by our own client and by hand."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from streams.market.errors import PermanentError, Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.model import (
    CatalogueEvent,
    CatalogueMarket,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    SettleMarket,
)
from streams.sandbox.http.server import Request
from streams.sandbox.kalshi.auth import authenticate, load_key
from streams.venues.kalshi.types.order_changes import Amendment
from streams.venues.kalshi.types.orders import OrderRequest

TICKER = "KXRAIN-26DEC01-NYC"


def order(name: str, side: str = "bid", price: int = 5_100, contracts: int = 10, **more: Any) -> OrderRequest:
    return OrderRequest(TICKER, side, price, contracts * 1_000_000, name, **more)  # type: ignore[arg-type]


def settle(world: Any, settlement_e4: int, result: str) -> None:
    ref = MarketRef(Venue.KALSHI, TICKER)
    for act in (CloseMarket(ref), DetermineMarket(ref, settlement_e4, result), SettleMarket(ref)):
        world.act(act)


def test_an_order_goes_through_its_life_and_the_account_agrees(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            taken = await world.kalshi.create_order(order("one"))
            assert (taken.filled_e6, taken.remaining_e6) == (10_000_000, 0)
            rested = await world.kalshi.create_order(order("two", price=4_000, time_in_force="good_till_canceled"))
            assert (await world.kalshi.order(rested.order_id)).status == "resting"
            assert await world.kalshi.balance() == 1_000_000_000 - 5_275_000 - 4_000_000
            await world.kalshi.cancel_order(rested.order_id, TICKER)
            with pytest.raises(Exception, match="not_found"):
                await world.kalshi.cancel_order(rested.order_id, TICKER)
            fills = await world.kalshi.fills()
            assert [(fill.size_e6, fill.fee_e6) for fill in fills] == [(10_000_000, 175_000)]
            settle(world, 10_000, "yes")
            assert await world.kalshi.balance() == 1_000_000_000 - 5_275_000 + 10_000_000
            assert len(await world.kalshi.settlements()) == 1
            assert await world.kalshi.positions() == []
            assert world.commits

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_order_id": "used"}, "order_already_exists"),
        ({"price_e4": 5_150}, "invalid_price"),
        ({"market_id": "KXNONE"}, "market_not_found"),
        ({"post_only": True, "time_in_force": "good_till_canceled"}, "invalid_order"),
        ({"time_in_force": "fill_or_kill", "size_e6": 900_000_000}, "fill_or_kill_insufficient_resting_volume"),
        ({"size_e6": 90_000_000_000, "time_in_force": "good_till_canceled"}, "insufficient_balance"),
    ],
)
def test_what_the_venue_would_refuse_is_refused(open_world: Any, change: dict[str, Any], code: str) -> None:
    async def main() -> None:
        async with open_world() as world:
            await world.kalshi.create_order(order("used", price=4_000))
            fields = {"market_id": TICKER, "side": "bid", "price_e4": 5_100, "size_e6": 10_000_000} | change
            with pytest.raises(PermanentError, match=code):
                await world.kalshi.create_order(OrderRequest(**{"client_order_id": "fresh", **fields}))

    asyncio.run(main())


def test_numbers_must_be_strings_and_old_routes_are_gone(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            body = order("n").body().replace(b'"10.00"', b"10")
            with pytest.raises(Refused, match="bad_request"):
                await world.kalshi.send_order(body)
            gone = await world.http.post(f"{world.endpoints.kalshi_rest}/portfolio/orders", json={})
            assert gone.status_code == 410

    asyncio.run(main())


def test_signatures_are_checked(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            url = f"{world.endpoints.kalshi_rest}/portfolio/balance"
            codes = []
            stamp = str(time.time_ns() // 1_000_000)
            for headers in (
                {},
                {"KALSHI-ACCESS-KEY": "key-1", "KALSHI-ACCESS-TIMESTAMP": "1", "KALSHI-ACCESS-SIGNATURE": "eA=="},
                {"KALSHI-ACCESS-KEY": "who", "KALSHI-ACCESS-TIMESTAMP": stamp, "KALSHI-ACCESS-SIGNATURE": "eA=="},
                {"KALSHI-ACCESS-KEY": "key-1", "KALSHI-ACCESS-TIMESTAMP": stamp, "KALSHI-ACCESS-SIGNATURE": "eA=="},
            ):
                answer = await world.http.get(url, headers=headers)
                assert answer.status_code == 401
                error = answer.json()["error"]
                codes.append((error["code"], error.get("details")))
            assert codes == [
                ("signature_is_missing_from_headers", None),
                ("header_timestamp_expired", None),
                ("authentication_error", "NOT_FOUND"),
                ("authentication_error", "INCORRECT_API_KEY_SIGNATURE"),
            ]
            with pytest.raises(InvalidStatus):
                await connect(world.endpoints.kalshi_ws)

    asyncio.run(main())


def test_ed25519_keys_sign_too() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    key = load_key("ed", pem)
    text = b"1795000000000GET/trade-api/v2/portfolio/balance"
    headers = {
        "kalshi-access-key": "ed",
        "kalshi-access-timestamp": "1795000000000",
        "kalshi-access-signature": base64.b64encode(private.sign(text)).decode(),
    }
    request = Request("GET", "/trade-api/v2/portfolio/balance", [("ignored", "1")], headers)
    assert authenticate(request, {"ed": key}, 1_795_000_005_000, 10_000) is key


def test_lists_page_by_cursor_and_a_garbage_cursor_is_page_one(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            for number in range(1, 5):
                world.exchanges[Venue.KALSHI].apply(_another(number), 1_795_000_000_000)
            url = f"{world.endpoints.kalshi_rest}/markets"
            seen, cursor = [], ""
            while True:
                page = (await world.http.get(url, params={"limit": 2, "cursor": cursor})).json()
                seen += [market["ticker"] for market in page["markets"]]
                cursor = page["cursor"]
                if not cursor:
                    break
            assert len(seen) == len(set(seen)) == 5
            garbage = (await world.http.get(url, params={"limit": 2, "cursor": "%%%"})).json()
            assert [market["ticker"] for market in garbage["markets"]] == seen[:2]
            too_many = await world.http.get(url, params={"limit": 1001})
            assert (too_many.status_code, list(too_many.json())) == (400, ["msg"])
            settle(world, 0, "no")
            settled = (await world.http.get(url, params={"status": "settled"})).json()["markets"]
            assert [(market["ticker"], market["result"]) for market in settled] == [(TICKER, "no")]

    asyncio.run(main())


def _another(number: int) -> ListMarket:
    event = CatalogueEvent(Venue.KALSHI, f"E{number}", "S", "Other")
    at = datetime(2026, 12, 1, tzinfo=UTC)
    market = CatalogueMarket(Venue.KALSHI, f"T{number}", f"E{number}", "S", "Other?", "Rules.", at, at)
    return ListMarket(event, replace(market, fee_schedule={"fee_type": "quadratic", "fee_multiplier": "1"}))


def test_seven_days_of_candles_exist_at_the_first_start(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            now = int(time.time())
            candles = await world.kalshi.candlesticks("KXRAIN", TICKER, now - 7 * 86_400, now, 60)
            assert 165 <= len(candles) <= 170
            again = await world.kalshi.candlesticks("KXRAIN", TICKER, now - 7 * 86_400, now - 86_400, 60)
            assert again == candles[: len(again)]

    asyncio.run(main())


def test_sequence_numbers_belong_to_the_subscription_and_answers_use_them_up(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world, world.kalshi_socket() as wire:
            params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER], "use_yes_price": True}
            await wire.send({"id": 1, "cmd": "subscribe", "params": params})
            assert await wire.receive() == {
                "type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1},
            }  # fmt: skip
            snapshot = await wire.receive()
            assert (snapshot["type"], snapshot["seq"]) == ("orderbook_snapshot", 1)
            assert snapshot["msg"]["no_dollars_fp"][0] == ["0.5100", "50.00"]
            assert snapshot["msg"]["yes_dollars_fp"][-1] == ["0.4900", "50.00"]
            world.quote(Venue.KALSHI, "x", "ask", 5_100, 7)
            delta = await wire.receive()
            message = delta["msg"]
            assert (delta["seq"], message["price_dollars"], message["delta_fp"], message["side"]) == (
                2, "0.5100", "7.00", "no",
            )  # fmt: skip
            await wire.send({"id": 2, "cmd": "subscribe", "params": params})
            again = await wire.receive()
            assert (again["type"], again["seq"]) == ("ok", 3)
            update = {"sids": [1], "market_tickers": [TICKER], "action": "get_snapshot"}
            await wire.send({"id": 3, "cmd": "update_subscription", "params": update})
            healed = await wire.receive()
            assert (healed["type"], healed["seq"]) == ("orderbook_snapshot", 4)
            await wire.send({"id": 4, "cmd": "update_subscription", "params": {"sids": [1], "action": "get_snapshot"}})
            refused = await wire.receive()
            assert (refused["msg"]["code"], refused["seq"]) == (14, 5)
            await wire.send({"id": 5, "cmd": "unsubscribe", "params": {"sids": [1]}})
            assert await wire.receive() == {"id": 5, "sid": 1, "seq": 6, "type": "unsubscribed"}

    asyncio.run(main())


def test_a_no_ladder_is_in_no_prices_by_default_and_empty_sides_have_no_key(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world, world.kalshi_socket() as wire:
            for step in (1, 2, 3):
                world.pull(Venue.KALSHI, f"b{step}")
            params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER]}
            await wire.send({"id": 1, "cmd": "subscribe", "params": params})
            await wire.receive()
            snapshot = await wire.receive()
            assert "yes_dollars_fp" not in snapshot["msg"]
            assert snapshot["msg"]["no_dollars_fp"][-1] == ["0.4900", "50.00"]
            book = await world.kalshi.order_book(TICKER)
            assert book.bids == []

    asyncio.run(main())


def test_own_fills_orders_and_lifecycle_are_frames(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world, world.kalshi_socket() as wire:
            channels = ["fill", "user_orders", "trade", "market_lifecycle_v2"]
            await wire.send({"id": 1, "cmd": "subscribe", "params": {"channels": channels}})
            assert [(await wire.receive())["type"] for _ in channels] == ["subscribed"] * 4
            await world.kalshi.create_order(order("one"))
            frames = {(frame := await wire.receive())["type"]: frame for _ in range(3)}
            assert frames["user_order"]["msg"]["status"] == "executed"
            assert frames["fill"]["msg"]["fee_cost"] == "0.175000"
            assert "seq" not in frames["fill"]
            assert frames["trade"]["msg"]["trade_id"] == frames["fill"]["msg"]["trade_id"]
            settle(world, 3_700, "scalar")
            frames = [await wire.receive() for _ in range(3)]
            kinds = [frame["msg"]["event_type"] for frame in frames]
            assert kinds == ["close_date_updated", "determined", "settled"]
            assert frames[1]["msg"]["settlement_value"] == "0.3700"

    asyncio.run(main())


def test_our_client_changes_orders_in_every_way(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.kalshi
            resting = order("one", price=4_000, time_in_force="good_till_canceled")
            placed = await client.create_order(resting)
            change = Amendment(placed.order_id, TICKER, "bid", 4_100, 8_000_000, "one", "two")
            assert (await client.amend_order(change)).client_order_id == "two"
            assert await client.queue_position(placed.order_id) == 150_000_000
            left = await client.decrease_order(placed.order_id, TICKER, by_e6=3_000_000)
            assert left.remaining_e6 == 5_000_000
            assert len(await client.queue_positions(market_ids=[TICKER])) == 1
            assert (await client.resting_value()).by_shard == {0: 2_050_000}
            batch = await client.create_orders([replace(resting, client_order_id=name) for name in ("a", "b", "a2")])
            assert [item.error for item in batch] == [None] * 3
            names = [(item.answer.order_id, TICKER) for item in batch if item.answer is not None]
            ended = await client.cancel_orders([*names[:2], ("unknown", TICKER)])
            assert [item.error is None for item in ended] == [True, True, False]
            await client.cancel_all()
            assert [state.status for state in await client.orders()] == ["canceled"] * 4

    asyncio.run(main())


def test_our_client_uses_groups_and_moves_cash_between_shards(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.kalshi
            group = await client.create_order_group(10_000_000)
            assert [found.group_id for found in await client.order_groups()] == [group]
            await client.limit_order_group(group, 20_000_000)
            await client.trigger_order_group(group)
            await client.reset_order_group(group)
            assert (await client.order_group(group)).limit_e6 == 20_000_000
            await client.delete_order_group(group)
            assert await client.order_groups() == []
            await client.set_target_allocation({0: 60, 2: 40})
            assert await client.target_allocation() == {0: 60, 2: 40}
            transfer = await client.transfer(0, 2, 50_000_000)
            assert [found.transfer_id for found in await client.transfers()] == [transfer]

    asyncio.run(main())


def test_our_client_reads_the_venue_s_public_side(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            client = world.kalshi
            assert (await client.exchange_status()).is_trading
            await client.exchange_schedule()
            await client.user_data_timestamp()
            assert [series.ticker for series in await client.series_list()] == ["KXRAIN"]
            assert len((await client.event("KXRAIN-26DEC01")).payload["markets"]) == 1
            assert len(await client.events(with_nested_markets=True)) == 1
            assert len(await client.markets(status="open")) == 1
            assert await client.series_fee_changes() == await client.event_fee_changes() == []
            assert len(await client.order_books([TICKER])) == 1
            world.quote(Venue.KALSHI, "t", "bid", 5_000, 1)
            now = int(time.time())
            assert len((await client.candlesticks_of([TICKER], now - 7_200, now, 60))[TICKER]) >= 1
            await client.historical_cutoff()
            assert (await client.historical_markets_page()).items == []
            assert (await client.account_limits()).tier == "prestige"
            assert (await client.endpoint_costs()).default == 10

    asyncio.run(main())
