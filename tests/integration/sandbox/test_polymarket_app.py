"""The Polymarket emulator over real HTTP and real sockets, asked by our own client and by hand."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from streams.market.errors import NotFound, Refused
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.faults import FaultPlan, SettlementPlan
from streams.sandbox.core.model import ChangeTick, CloseMarket, DetermineMarket, SettleMarket
from streams.sandbox.polymarket.auth import hmac_signature
from streams.sandbox.polymarket.signing import order_digest_and_signer
from streams.venues.polymarket.amounts import Amounts, limit_amounts, spend_amounts
from streams.venues.polymarket.signing import SignedOrder, build_order, l1_headers

CONDITION = "0x" + "ab" * 32
YES, NO = str(10**40), str(10**40 + 1)
SALTS = iter(range(1, 10_000))


def signed(world: Any, side: str, amounts: Amounts, kind: str = "FAK", token: str = YES, **more: Any) -> SignedOrder:
    return build_order(
        world.polymarket_credentials, token_id=token, side=side, amounts=amounts, order_type=kind, is_neg_risk=False,
        salt=next(SALTS), timestamp_ms=time.time_ns() // 1_000_000, is_checked=False, **more,
    )  # type: ignore[arg-type]  # fmt: skip


def settle(world: Any, settlement_e4: int) -> None:
    ref = MarketRef(Venue.POLYMARKET, CONDITION)
    for act in (CloseMarket(ref), DetermineMarket(ref, settlement_e4, "yes"), SettleMarket(ref)):
        world.act(act)


def test_dollars_buy_tokens_that_are_redeemed_by_themselves(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            order = signed(world, "BUY", spend_amounts(10_200_000, 5_300, 100))
            posted = await world.polymarket.post_order(order)
            assert posted.order_id == order.order_id
            # 10.20 dollars at the resting 0.51 are 20 shares, not the 19.24 of the limit
            assert await world.polymarket.token_balance(YES) == 20_000_000
            # fee 20 x 0.05 x 0.51 x 0.49 = 0.2499
            assert await world.polymarket.balance() == 1_000_000_000 - 10_200_000 - 249_900
            trades = await world.polymarket.trades(id=posted.trade_ids[0])
            assert trades[0].fills[0].size_e6 == 20_000_000
            settle(world, 10_000)
            assert await world.polymarket.balance() == 1_000_000_000 - 10_449_900 + 20_000_000
            activity = await world.polymarket.activity(world.polymarket_credentials.address)
            assert [(row.kind, row.cash_e6) for row in activity] == [("REDEEM", 20_000_000), ("TRADE", 10_200_000)]

    asyncio.run(main())


def test_a_maker_on_the_other_token_is_shown_as_the_complement(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            order = signed(world, "BUY", spend_amounts(5_100_000, 5_100, 100), token=NO)
            posted = await world.polymarket.post_order(order)
            url = f"{world.endpoints.clob}/data/trades"
            trade = (await world.polymarket.trades(id=posted.trade_ids[0]))[0].payload
            assert (trade["price"], trade["outcome"], trade["asset_id"]) == ("0.51", "No", NO)
            maker = trade["maker_orders"][0]
            assert (maker["price"], maker["outcome"], maker["side"]) == ("0.49", "Yes", "BUY")
            assert (await world.http.get(url)).status_code == 401

    asyncio.run(main())


def test_resting_orders_are_listed_and_cancelled(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            order = signed(world, "BUY", limit_amounts("BUY", 4_000, 10_000_000, 100), "GTC")
            assert (await world.polymarket.post_order(order)).status == "live"
            assert [o.order_id for o in await world.polymarket.open_orders()] == [order.order_id]
            with pytest.raises(Refused, match=r"(?i)duplicate"):
                await world.polymarket.post_order(order)
            assert (await world.polymarket.cancel(order.order_id)).canceled == (order.order_id,)
            assert (await world.polymarket.order(order.order_id)).status == "CANCELED"
            assert (await world.polymarket.cancel(order.order_id)).canceled == ()
            with pytest.raises(NotFound):
                await world.polymarket.order("0x" + "00" * 32)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("side", "amounts", "kind", "more", "text"),
    [
        ("BUY", Amounts(5_250_000, 10_000_000), "GTC", {}, "breaks minimum tick size"),
        ("BUY", Amounts(400_000, 1_000_000), "GTC", {}, "lower than the minimum"),
        ("BUY", Amounts(500_000, 980_300), "FAK", {}, "min size: \\$1"),
        ("BUY", Amounts(1_001_000, 1_962_700), "FAK", {}, "2 decimals"),
        ("BUY", Amounts(1_000_000, 25_000_000), "FAK", {}, "no orders found to match"),
        ("BUY", Amounts(510_000_000, 1_000_000_000), "FOK", {}, "fully filled or killed"),
        ("SELL", Amounts(10_000_000, 4_900_000), "FAK", {}, "not enough balance"),
        ("BUY", Amounts(5_100_000, 10_000_000), "GTC", {"post_only": True}, "crosses book"),
        ("BUY", Amounts(4_000_000, 10_000_000), "GTD", {"expiration_s": int(time.time()) + 60}, "invalid expiration"),
    ],
)
def test_what_the_venue_would_refuse_is_refused(
    open_world: Any, side: str, amounts: Amounts, kind: str, more: dict[str, Any], text: str
) -> None:
    async def main() -> None:
        async with open_world() as world:
            order = signed(world, side, amounts, kind, **more)
            answer = await send(world, order.body)
            assert answer.status_code == 400
            assert re.search(text, answer.json()["error"]), answer.text

    asyncio.run(main())


async def send(world: Any, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    keys = world.polymarket_credentials
    stamp = str(int(time.time()))
    headers = {
        "POLY_ADDRESS": keys.address, "POLY_API_KEY": keys.api_key, "POLY_PASSPHRASE": "pass", "POLY_TIMESTAMP": stamp,
        "POLY_SIGNATURE": hmac_signature(keys.secret.get_secret_value(), stamp, "POST", "/order", content),
    }  # fmt: skip
    return await world.http.post(f"{world.endpoints.clob}/order", content=content, headers=headers)


def test_old_foreign_and_tampered_orders_are_refused(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            body = json.loads(
                json.dumps(signed(world, "BUY", limit_amounts("BUY", 4_000, 10_000_000, 100), "GTC").body)
            )
            old = {**body, "order": {**body["order"], "nonce": "0", "feeRateBps": "0"}}
            foreign = {**body, "owner": "somebody else"}
            tampered = {**body, "order": {**body["order"], "takerAmount": "11000000", "makerAmount": "4400000"}}
            errors = [(await send(world, wrong)).json()["error"] for wrong in (old, foreign, tampered)]
            assert errors == [
                "order_version_mismatch",
                "the order owner has to be the owner of the API KEY",
                "invalid signature",
            ]
            assert (await send(world, body)).json()["status"] == "live"
            late = await world.http.post(
                f"{world.endpoints.clob}/order", json=body, headers={"POLY_API_KEY": "api-key"}
            )
            assert late.status_code == 401

    asyncio.run(main())


def test_the_published_order_vectors_are_recognised(shared_dir: Path) -> None:
    vectors = json.loads((shared_dir / "venues" / "polymarket-order-vectors.json").read_text())
    checked = 0
    for vector in vectors["orders"]:
        inputs = vector["inputs"]
        if vector["eip712_domain"]["version"] != "2" or inputs["chain_id"] != 137 or inputs["signature_type"] == 3:
            continue
        order = vector["post_order_body"]["order"]
        order_id, signer = order_digest_and_signer(order, is_neg_risk=inputs["neg_risk"])
        assert signer is not None
        assert (order_id, signer.lower()) == (vector["order_id"], inputs["signer_address"].lower())
        checked += 1
    assert checked > 15
    secret = vectors["l2_hmac"]["credentials"]["secret"]
    for vector in vectors["l2_hmac"]["vectors"]:
        body = (vector["body"] or "").encode()
        made = hmac_signature(secret, vector["timestamp"], vector["method"], vector["path"], body)
        assert made == vector["signature"]


def test_a_book_carries_a_hash_of_itself_and_mirrors_the_other_token(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            url = f"{world.endpoints.clob}/book"
            answer = await world.http.get(url, params={"token_id": YES})
            book = answer.json()
            blank = answer.text.replace(book["hash"], "")
            assert hashlib.sha1(blank.encode(), usedforsecurity=False).hexdigest() == book["hash"]
            assert book["bids"][-1] == {"price": "0.49", "size": "50"}
            other = (await world.http.get(url, params={"token_id": NO})).json()
            assert other["asks"][-1] == {"price": "0.51", "size": "50"}
            assert (await world.http.get(url, params={"token_id": "7"})).status_code == 404

    asyncio.run(main())


def test_the_catalogue_pages_by_cursor_and_shows_resolution(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            url = f"{world.endpoints.gamma}/markets/keyset"
            page = (await world.http.get(url, params={"limit": 1})).json()
            assert "next_cursor" not in page
            market = page["markets"][0]
            assert json.loads(market["clobTokenIds"]) == [YES, NO]
            assert market["events"][0]["id"] == "500"
            assert (await world.http.get(url, params={"limit": 101})).status_code == 422
            assert (await world.http.get(url, params={"offset": 5})).status_code == 422
            settle(world, 10_000)
            assert (await world.http.get(url)).json()["markets"] == []
            closed = (await world.http.get(url, params={"closed": "true"})).json()["markets"][0]
            assert (closed["outcomePrices"], closed["umaResolutionStatus"]) == ('["1", "0"]', "resolved")
            events = (await world.http.get(f"{world.endpoints.gamma}/events/keyset", params={"closed": "true"})).json()
            assert events["events"][0]["markets"][0]["conditionId"] == CONDITION

    asyncio.run(main())


def test_terms_history_and_small_reads(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            clob = world.endpoints.clob
            terms = (await world.http.get(f"{clob}/clob-markets/{CONDITION}")).json()
            assert terms["fd"] == {"r": 0.05, "e": 1, "to": True}
            assert (await world.http.get(f"{clob}/tick-size", params={"token_id": YES})).json() == {
                "minimum_tick_size": 0.01
            }
            assert (await world.http.get(f"{clob}/version")).json() == {"version": 2}
            assert (await world.http.get(f"{clob}/markets-by-token/{NO}")).json()["condition_id"] == CONDITION
            now = int(time.time())
            query = {"market": YES, "startTs": now - 7 * 86_400, "endTs": now, "fidelity": 60}
            history = (await world.http.get(f"{clob}/prices-history", params=query)).json()["history"]
            assert 165 <= len(history) <= 170
            assert all(0 < point["p"] < 1 for point in history)

    asyncio.run(main())


def test_the_market_socket_starts_with_an_array_and_then_publishes_changes(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world, world.polymarket_socket("market") as wire:
            await wire.send({"assets_ids": ["999"], "type": "market"})
            assert await wire.receive() == []
            await wire.send({"assets_ids": [YES, NO], "operation": "subscribe", "custom_feature_enabled": True})
            books = await wire.receive()
            assert [book["asset_id"] for book in books] == [YES, NO]
            await wire.send("PING")
            assert await wire.receive() == "PONG"
            world.quote(Venue.POLYMARKET, "x", "bid", 5_000, 3)
            change = await wire.receive()
            entries = change["price_changes"]
            shown = [(e["asset_id"], e["price"], e["size"], e["side"], e["best_bid"], e["best_ask"]) for e in entries]
            assert shown == [
                (YES, "0.5", "3", "BUY", "0.5", "0.51"),
                (NO, "0.5", "3", "SELL", "0.49", "0.5"),
            ]
            tops = [await wire.receive() for _ in range(2)]
            assert [(t["event_type"], t["best_bid"], t["best_ask"], t["spread"]) for t in tops] == [
                ("best_bid_ask", "0.5", "0.51", "0.01"),
                ("best_bid_ask", "0.49", "0.5", "0.01"),
            ]
            await world.polymarket.post_order(signed(world, "BUY", spend_amounts(5_100_000, 5_100, 100)))
            kinds = [(await wire.receive())["event_type"] for _ in range(3)]
            assert kinds == ["book", "book", "last_trade_price"]
            world.act(ChangeTick(MarketRef(Venue.POLYMARKET, CONDITION), 10))
            assert {(await wire.receive())["new_tick_size"] for _ in range(2)} == {"0.001"}
            world.act(DetermineMarket(MarketRef(Venue.POLYMARKET, CONDITION), 10_000, "yes"))
            frame = await wire.receive()
            while frame["event_type"] != "market_resolved":
                frame = await wire.receive()
            assert frame["winning_asset_id"] == YES

    asyncio.run(main())


def test_the_user_socket_publishes_orders_and_each_step_of_a_trade(open_world: Any) -> None:
    async def main() -> None:
        plan = FaultPlan(settlement=SettlementPlan(0, 0))
        async with open_world(plan) as world, world.polymarket_socket("user") as wire:
            keys = world.polymarket_credentials
            auth = {"apiKey": keys.api_key, "secret": keys.secret.get_secret_value(), "passphrase": "pass"}
            await wire.send({"auth": auth, "type": "user"})
            await wire.send("PING")
            assert await wire.receive() == "PONG"
            await world.polymarket.post_order(signed(world, "BUY", spend_amounts(5_100_000, 5_100, 100)))
            first = [await wire.receive() for _ in range(2)]
            assert [(f["event_type"], f["status"]) for f in first] == [("order", "MATCHED"), ("trade", "MATCHED")]
            for _ in range(2):
                world.exchanges[Venue.POLYMARKET].tick(time.time_ns() // 1_000_000)
            assert [(await wire.receive())["status"] for _ in range(2)] == ["MINED", "CONFIRMED"]

    asyncio.run(main())


def test_wrong_credentials_close_the_user_socket(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world, world.polymarket_socket("user") as wire:
            await wire.send({"auth": {"apiKey": "api-key", "secret": "no", "passphrase": "pass"}, "type": "user"})
            with pytest.raises(Exception, match="1008"):
                await wire.receive()

    asyncio.run(main())


def test_api_keys_are_derived_for_the_wallet_that_signs(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            headers = l1_headers(world.polymarket_credentials, int(time.time()))
            url = f"{world.endpoints.clob}/auth"
            assert (await world.http.post(f"{url}/api-key", headers=headers)).status_code == 400
            derived = (await world.http.get(f"{url}/derive-api-key", headers=headers)).json()
            assert derived["apiKey"] == "api-key"
            wrong = {**headers, "POLY_NONCE": "1"}
            assert (await world.http.get(f"{url}/derive-api-key", headers=wrong)).status_code == 401

    asyncio.run(main())


def test_positions_are_paged_and_offsets_refused(open_world: Any) -> None:
    async def main() -> None:
        async with open_world() as world:
            await world.polymarket.post_order(signed(world, "BUY", spend_amounts(5_100_000, 5_100, 100)))
            rows = await world.polymarket.positions(world.polymarket_credentials.address)
            assert [(row.token_id, row.size_e6, row.status) for row in rows] == [(YES, 10_000_000, "OPEN")]
            url = f"{world.endpoints.polymarket_data}/v2/positions"
            refused = await world.http.get(url, params={"user": "0x0", "offset": "1"})
            assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")

    asyncio.run(main())
