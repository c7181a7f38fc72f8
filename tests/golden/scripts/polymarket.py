"""What a client asks of the Polymarket emulator: every route, every refusal."""

from __future__ import annotations

from typing import Any

from tests.golden.record import Step
from tests.golden.stage import condition, token

SHARE = 1_000_000
YES, NO = token(0), token(0, "no")
MARKET, NEG, OTHER_NEG, CRYPTO, GAME = (condition(number) for number in range(5))
ZERO32 = "0x" + "00" * 32
NOW_S, USDC = 1_795_000_000, "collateral"


def order(side: str = "BUY", price_cents: int = 45, shares: int = 10, **more: Any) -> dict[str, Any]:
    """A signed order; a resting buy below the market."""
    dollars, tokens = price_cents * shares * SHARE // 100, shares * SHARE
    return {"$order": [side, dollars, tokens] if side == "BUY" else [side, tokens, dollars], **more}


def get(*targets: str, by: str = "") -> list[Step]:
    """Reads."""
    return [("polymarket", by, f"GET {target}") for target in targets]


def post(*bodies: Any, path: str = "/clob/order", by: str = "wallet", method: str = "POST") -> list[Step]:
    """The same path with one body after the other."""
    return [("polymarket", by, f"{method} {path}", body) for body in bodies]


def delete(*bodies: Any, path: str, by: str = "wallet") -> list[Step]:
    """The same, deleting."""
    return post(*bodies, path=path, by=by, method="DELETE")


def relayed(*bodies: Any, by: str = "relayer") -> list[Step]:
    """Transactions for the relayer."""
    return post(*bodies, path="/relayer/submit", by=by)


def rpc(method: str, *params: Any, saves: str = "", path: str = "/rpc") -> Step:
    """A call of the chain."""
    return (
        "polymarket",
        "",
        f"POST {path}",
        {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)},
        saves,
    )


def move(action: str, market: str = MARKET, body: Any = None) -> Step:
    """An act of the admin port on a market."""
    return ("admin", "", f"POST /markets/polymarket/{market}/{action}", body)


def mode(name: str, **more: Any) -> Step:
    """A mode of the exchange."""
    return ("admin", "", "POST /mode", {"venue": "polymarket", "mode": name, **more})


def fault(kind: str, **more: Any) -> Step:
    """One more fault, once."""
    return ("admin", "", "POST /faults", {"kind": kind, "venue": "polymarket", "times": 1, **more})


_PUBLIC: list[Step] = [
    *get("/api/geoblock", "/clob/", "/clob/ok", "/clob/time", "/clob/version", "/nothing"),
    *get(*(f"/clob/{name}?token_id={YES}&side=BUY" for name in (
        "book", "price", "midpoint", "spread", "tick-size", "neg-risk", "fee-rate", "last-trade-price"))),
    *get(*(f"/clob/{name}/{NO}" for name in ("tick-size", "neg-risk", "fee-rate"))),
    *get(f"/clob/book?token_id={NO}", f"/clob/price?token_id={NO}&side=sell", f"/clob/fees/builder-fees/{ZERO32}",
         f"/clob/prices-history?market={YES}&interval=1h", f"/clob/prices-history?market={NO}&startTs={NOW_S - 600}",
         "/clob/prices-history?market=1", "/clob/rebates/current"),
    *(step for name in ("books", "prices", "midpoints", "spreads", "last-trades-prices") for step in (
        *post([{"token_id": YES, "side": "BUY"}, {"token_id": NO}, {"token_id": "1"}], path=f"/clob/{name}", by=""),
        *get(f"/clob/{name}"))),
    *get("/clob/markets", "/clob/simplified-markets", "/clob/sampling-markets", "/clob/sampling-simplified-markets",
         f"/clob/markets/{MARKET}", f"/clob/markets-by-token/{NO}", f"/clob/clob-markets/{GAME}"),
    *get("/gamma/markets", "/gamma/markets?limit=1&closed=false", "/gamma/markets/keyset?limit=2&include_tag=true",
         f"/gamma/markets/keyset?condition_ids={NEG}&order=volume&ascending=false", "/gamma/events?limit=2",
         "/gamma/events/keyset?limit=1", "/gamma/events/keyset?closed=true", "/gamma/markets/slug/number-0",
         "/gamma/markets/1001", "/gamma/markets/1001/tags", "/gamma/events/901", "/gamma/events/901/tags",
         "/gamma/events/slug/event-901", "/gamma/tags", "/gamma/tags/slug/politics",
         "/gamma/tags/slug/politics/related-tags", "/gamma/tags/slug/politics/related-tags/tags", "/gamma/tags/1",
         "/gamma/tags/1/related-tags", "/gamma/tags/1/related-tags/tags", "/gamma/series", "/gamma/series/1",
         "/gamma/sports", "/gamma/sports/market-types", "/gamma/teams",
         "/gamma/comments?parent_entity_type=Event&parent_entity_id=1", "/gamma/comments/keyset", "/gamma/comments/1",
         "/gamma/comments/user_address/0x1", "/gamma/public-profile?address=0x1", "/gamma/public-search?q=number"),
]  # fmt: skip


def _wallet_reads(user: str) -> list[Step]:
    return get(
        *(f"/data/v2/{name}?user={user}" for name in (
            "positions", "activity", "trades", "value", "approvals", "positions/combos", "activity/combos")),
        *(f"/data/{name}?user={user}" for name in ("positions", "closed-positions", "trades", "activity", "value")),
        f"/data/v2/positions?condition={MARKET}", f"/data/v2/positions?user={user}&status=OPEN&sort_by=SIZE",
        f"/data/v2/activity?user={user}&type=TRADE&side=BUY&limit=1", f"/data/v2/holders?condition={MARKET}",
        f"/data/v2/oi?condition={MARKET}", "/data/v2/live-volume?event_id=900",
        f"/data/v2/tokens?condition_id={MARKET}", f"/data/v2/prices-history?token_id={YES}&interval=1h",
        f"/data/v2/resolutions?condition_id={MARKET}", "/data/",
    )  # fmt: skip


_OWN_READS = get(
    "/clob/data/orders", f"/clob/data/orders?market={MARKET}", "/clob/data/pre-migration-orders",
    "/clob/data/order/$o", "/clob/data/order/0x1", "/clob/data/trades", f"/clob/data/trades?asset_id={YES}",
    "/clob/builder/trades", "/clob/notifications", "/clob/order-scoring?order_id=$o",
    "/clob/balance-allowance?asset_type=COLLATERAL", f"/clob/balance-allowance?asset_type=CONDITIONAL&token_id={YES}",
    "/clob/balance-allowance/update?asset_type=COLLATERAL", by="wallet",
)  # fmt: skip
_LIFE: list[Step] = [
    ("polymarket", "wallet", "POST /clob/order", order(), "o=orderID"),
    ("polymarket", "wallet", "POST /clob/order", order("BUY", 51, 20), "taken=orderID"),
    *post(order("SELL", 49, 5), order("BUY", 52, 30, kind="FOK"), order("SELL", 49, 8, kind="FAK"),
          order("BUY", 51, 10, outcome="no"), order("BUY", 40, 10, kind="GTD", expiration={"$now_text": 240}),
          order("BUY", 44, 10, outer={"postOnly": True}), order("BUY", 45, 10, market=1), order("BUY", 52, 60,
           market=3),
          order("BUY", 52, 10, market=4)),
    *post(order("SELL", 45, 5, by="second"), order("BUY", 55, 5, outcome="no", by="second"), by="second"),
    *post([order("BUY", 43, 10), order("BUY", 43, 1), order("BUY", 51, 5, kind="FOK")], path="/clob/orders"),
    ("wait", 4_000),
    *_OWN_READS, *post(["$o"], {}, path="/clob/orders-scoring"),
    *delete({"orderID": "$o"}, {"orderID": "$o"}, path="/clob/order"),
    ("polymarket", "wallet", "POST /clob/order", order("BUY", 41, 10), "o=orderID"),
    *delete(["$o", "0x1"], path="/clob/orders"),
    *delete({"market": MARKET, "asset_id": YES}, path="/clob/cancel-market-orders"),
    *delete(None, path="/clob/cancel-all"), *delete(None, path="/clob/notifications"),
    ("polymarket", "wallet", "POST /clob/order", order("BUY", 41, 10), "o=orderID"),
    ("polymarket", "wallet", "POST /clob/v1/heartbeats", {"heartbeat_id": ""}, "beat=heartbeat_id"),
    ("polymarket", "wallet", "POST /clob/v1/heartbeats", {"heartbeat_id": "$beat"}),
    *post({"heartbeat_id": "odd"}, {"heartbeat_id": 5}, {"$text": "{"}, path="/clob/v1/heartbeats"),
    *post(None, path="/clob/heartbeats"), ("wait", 16_000), *get("/clob/data/order/$o", by="wallet"),
    ("polymarket", "", "POST /rpc", [{"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}, 5]),
    rpc("eth_getTransactionCount", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"),
]  # fmt: skip

_KEYS: list[Step] = [
    ("polymarket", "l1/5", "POST /clob/auth/api-key", None, "made=apiKey"),
    ("polymarket", "l1/5", "POST /clob/auth/api-key"), ("polymarket", "l1/5", "GET /clob/auth/derive-api-key"),
    ("polymarket", "l1", "GET /clob/auth/derive-api-key"), ("polymarket", "l1/77", "GET /clob/auth/derive-api-key"),
    ("polymarket", "", "POST /clob/auth/api-key"), ("polymarket", "", "GET /clob/auth/derive-api-key"),
    *get("/clob/auth/api-keys", "/clob/auth/ban-status/closed-only", by="wallet"), *get("/clob/auth/api-keys"),
    ("polymarket", "wallet", "POST /clob/auth/builder-api-key", None, "builder="),
    *get("/clob/auth/builder-api-key", by="wallet"),
    *relayed({"type": "WALLET-CREATE", "from": {"$wallet": "safe"}, "to": ZERO32[:42]}, by="$builder"),
    *relayed({"type": "WALLET-CREATE", "from": {"$wallet": "safe"}}, by=""),
    ("polymarket", "$builder", "DELETE /clob/auth/builder-api-key"),
    ("polymarket", "$builder", "DELETE /clob/auth/builder-api-key"),
    ("polymarket", "wallet", "POST /clob/auth/readonly-api-key", None, "reader=apiKey"),
    *get("/clob/auth/readonly-api-keys", by="wallet"),
    *delete({"key": "$reader"}, {"key": "$reader"}, path="/clob/auth/readonly-api-key"),
    ("polymarket", "wallet", "DELETE /clob/auth/api-key"), *get("/clob/auth/api-keys", by="wallet"),
    ("polymarket", "l1", "POST /clob/auth/api-key"),
]  # fmt: skip

_SPLIT = ["adapter", "split", MARKET, 10 * SHARE]
_MERGE = ["adapter", "merge", MARKET, 4 * SHARE]
_BY_KINDS = [
    step for kind, name in (("safe", "SAFE"), ("deposit", "WALLET"), ("proxy", "PROXY")) for step in (
        ("polymarket", "relayer", "POST /relayer/submit", {"$transaction": [kind, [_SPLIT], 0]}, "id=transactionID"),
        *relayed({"$transaction": [kind, [_SPLIT], 0]}), *get("/relayer/v1/account/transactions/$id"), ("wait", 1_000),
        *get("/relayer/v1/account/transactions/$id"), ("wait", 2_100), *get("/relayer/transaction?id=$id"),
        *relayed({"$transaction": [kind, [_SPLIT], 0]}, {"$transaction": [kind, [_MERGE, _MERGE], 1]}),
        ("polymarket", "", f"GET /relayer/nonce?address=0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A&type={name}"),
        ("wait", 4_000),
        *post(order("SELL", 49, 1, wallet=kind, outcome="no", kind="FAK")),
    )]  # fmt: skip
_BAD_CALLS = (
    ["adapter", "split", NEG, SHARE], ["adapter", "merge", CRYPTO, SHARE], ["adapter", "split", "0x" + "99" * 32,
     SHARE],
    ["nobody", "split", MARKET, SHARE], ["adapter", "odd(uint256)", 1], ["adapter", "odd()"],
    ["collateral", "transfer(address,uint256)", "nobody", 10**15], ["collateral", "transfer(address,uint256)",
     "nobody"],
    ["neg_adapter", "convertPositions(bytes32,uint256,uint256)", ZERO32, 1, SHARE], ["adapter", "redeem", MARKET],
)  # fmt: skip
_INVENTORY: list[Step] = [
    ("admin", "", "PATCH /behaviour", {"settlement_ms": [3_000, 9_000]}),
    *_BY_KINDS,
    *relayed({"$transaction": ["safe", [["neg_collateral_adapter", "split", NEG, 10 * SHARE],
                                        ["neg_adapter", "convert", 1, 1, 10 * SHARE]], 2]}), ("wait", 3_100),
    *(step for number, call in enumerate(_BAD_CALLS) for step in (
        ("polymarket", "relayer", "POST /relayer/submit", {"$transaction": ["safe", [call], 3 + number]},
         "id=transactionID"), ("wait", 3_100), *get("/relayer/v1/account/transactions/$id"))),
    *relayed({"$transaction": ["safe", [["collateral", "approve(address,uint256)", "adapter", 0]], 13]}), ("wait",
     3_100),
    ("polymarket", "relayer", "POST /relayer/submit", {"$transaction": ["safe", [_SPLIT], 14]}, "id=transactionID"),
    ("wait", 3_100), *get("/relayer/v1/account/transactions/$id"),
    *relayed({"$transaction": ["safe", [_SPLIT], 15], "from": "0x" + "12" * 20},
             {"$transaction": ["safe", [_SPLIT], 15], "data": "0x1234",
              "to": "0xA238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"},
             {"$transaction": ["safe", [_SPLIT], 15], "signature": "0x11"},
             {"$transaction": ["deposit", [_SPLIT], 2], "deadline_s": -5},
             {"$transaction": ["proxy", [_SPLIT], 2], "data": "0x"}, {"type": "ODD", "from": "0x" + "12" * 20},
             {"type": "SAFE"}, {"$text": "5"}, {"type": "SAFE-CREATE", "from": "0x" + "34" * 20}),
    *get("/relayer/transaction?id=none", "/relayer/v1/account/transactions/none", "/relayer/nonce?address=odd",
         f"/relayer/relay-payload?address=0x{'34' * 20}&type=PROXY",
          f"/relayer/deployed?address=0x{'34' * 20}&type=WALLET",
         f"/relayer/v1/account/transactions/params?address=0x{'34' * 20}",
         f"/relayer/deployed?address=0x{'34' * 20}&type=SAFE"),
    *_wallet_reads("$safe"),
]  # fmt: skip
_WALLET = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
_CHAIN: list[Step] = [
    *(rpc(name) for name in ("eth_chainId", "eth_blockNumber", "eth_getBlockByNumber", "eth_gasPrice",
     "eth_estimateGas",
                             "eth_getBalance", "eth_getCode", "eth_nothing", "eth_call")),
    rpc("eth_chainId", path="/rpc/"),
    rpc("eth_sendRawTransaction", {"$raw": [0, *_SPLIT]}, saves="tx=result"), rpc("eth_getTransactionReceipt", "$tx"),
    ("wait", 2_000), rpc("eth_getTransactionReceipt", "$tx"), rpc("eth_getTransactionCount", _WALLET, "pending"),
    rpc("eth_sendRawTransaction", {"$raw": [0, *_SPLIT]}), rpc("eth_sendRawTransaction", {"$raw": [9, *_SPLIT]}),
    rpc("eth_sendRawTransaction", {"$raw": [1, *_MERGE], "is_typed": True}, saves="tx=result"),
    rpc("eth_sendRawTransaction", {"$raw": [2, "adapter", "merge", MARKET, 99 * SHARE]}, saves="tx=result"),
    ("wait", 2_000), rpc("eth_getTransactionReceipt", "$tx"),
    rpc("eth_sendRawTransaction", {"$raw": [3, "collateral", "approve(address,uint256)", "exchange", 5 * SHARE]}),
    rpc("eth_call", {"$chain": ["collateral", "allowance(address,address)", _WALLET, "exchange"]}),
    rpc("eth_call", {"$chain": ["tokens", "isApprovedForAll(address,address)", _WALLET, "exchange"]}),
    rpc("eth_call", {"$chain": ["collateral", "balanceOf(address)", _WALLET]}),
    rpc("eth_call", {"$chain": ["tokens", "balanceOf(address,uint256)", _WALLET, int(YES)]}),
    rpc("eth_call", {"$chain": ["tokens", "balanceOfBatch(address[],uint256[])", 64, 160, 2, _WALLET, _WALLET, 2,
                                int(YES), int(NO)]}),
    rpc("eth_call", {"$chain": ["tokens", "balanceOfBatch(address[],uint256[])", 64, 64, 5_000]}),
    rpc("eth_call", {"$chain": ["tokens", "balanceOfBatch(address[],uint256[])", 64, 64]}),
    rpc("eth_call", {"$chain": ["tokens", "odd()"]}), rpc("eth_sendRawTransaction", "0xc0ff"), *post(5, path="/rpc"),
    *post(order("BUY", 51, 20)), *_wallet_reads(_WALLET),
]  # fmt: skip

_BAD_READS: list[Step] = [
    *get("/clob/price?token_id=1&side=BUY", f"/clob/price?token_id={YES}&side=odd", "/clob/book",
     "/clob/tick-size?token_id=x",
         "/clob/markets?next_cursor=odd", "/clob/markets/0x1", "/clob/markets-by-token/1", "/clob/clob-markets/0x1",
         f"/clob/prices-history?market={YES}&interval=1w&fidelity=1", f"/clob/prices-history?market={YES}",
         "/gamma/markets/keyset?limit=x", "/gamma/markets?offset=-1", "/gamma/markets/keyset?after_cursor=odd",
         "/gamma/markets?offset=99999", "/gamma/markets?order=odd", "/gamma/markets?order=competitive",
          "/gamma/events?order=competitive",
         "/gamma/markets/keyset?order=competitive", "/gamma/markets/keyset?order=odd",
         "/gamma/markets/odd", "/gamma/markets/9", "/gamma/events/9", "/gamma/events/slug/none", "/gamma/tags?limit=x",
         "/gamma/comments", "/gamma/public-search", "/gamma/series/9", "/gamma/tags/none", "/gamma/markets/slug/none",
         "/gamma/markets/keyset?closed=odd", "/gamma/markets/keyset?start_date_min=odd", "/gamma/events/9/tags",
         "/data/positions", "/data/value", "/data/trades?offset=x", "/data/v2/positions", "/data/v2/value",
         "/data/v2/positions?user=0x1&status=odd", "/data/v2/positions?user=0x1&offset=5",
         "/data/v2/positions?user=0x1&limit=0", "/data/v2/positions?user=0x1&cursor=odd",
         f"/data/v2/positions?user=0x1&condition={MARKET}&event_id=1", "/data/v2/activity?user=0x1&start=x",
         f"/data/v2/prices-history?token_id={YES}&interval=odd"),
    *post({}, [{"token_id": YES}] * 501, path="/clob/books", by=""),
    ("raw", "polymarket", "POST /ws/market HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
    ("raw", "polymarket", "GET /ws/market HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
     + "x: y\r\n" * 200 + "\r\n"),
    ("raw", "polymarket", "GET /ws/odd HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
    *get("/clob/data/orders"), *get("/clob/data/orders?next_cursor=odd", "/clob/data/trades?after=x",
         "/clob/balance-allowance?asset_type=odd", "/clob/balance-allowance?asset_type=CONDITIONAL&token_id=1",
         "/clob/balance-allowance?asset_type=COLLATERAL&signature_type=9",
         "/clob/balance-allowance/update?signature_type=9", by="wallet"),
    *(("polymarket", "wallet", "GET /clob/data/orders", None, "", {name: "odd"}) for name in (
        "poly_address", "poly_api_key", "poly_passphrase", "poly_timestamp", "poly_signature")),
]  # fmt: skip

_BAD_ORDERS: list[Step] = [
    *post({"$text": "{"}, {}, {"order": 5}, order(unsigned_nonce="1"), order(unsigned_side="odd"),
          order(unsigned_salt="x"), order(unsigned_makerAmount="x"), order(unsigned_signatureType=9),
          order(outer={"owner": "odd"}), order(unsigned_tokenId="1"), order(unsigned_signature="0x11"),
          order(unsigned_signer="0x" + "12" * 20), order(unsigned_takerAmount=str(9 * SHARE)),
          order(unsigned_maker="0x" + "12" * 20, signatureType=3), order(maker="0x" + "12" * 20), order(kind="ODD"),
          {"$order": ["BUY", 4_550_000, 10_000_000]}, {"$order": ["BUY", 10_000_000, 10_000_000]},
          {"$order": ["BUY", 0, 10_000_000]}, order(shares=1), order(kind="FOK", outer={"postOnly": True}),
          {"$order": ["SELL", 10_001_000, 4_900_490], "kind": "FOK"}, order("BUY", 51, 1, kind="FAK"),
          order(expiration="5"), order(kind="GTD", expiration="5"), order(kind="GTD", expiration="odd"),
          order(kind="GTD", expiration={"$now_text": 60}), order("BUY", 52, 10, outer={"postOnly": True}),
          order("BUY", 52, 900, kind="FOK"), order("BUY", 40, 10, kind="FAK"), order("BUY", 52, 90_000, kind="FAK"),
          order("BUY", 45, 90_000), order("SELL", 55, 10), order(salt=77), order(salt=77),
          order(wallet="safe", market=1), order("BUY", 52, 20)),
    *post(order("SELL", 45, 5), order("BUY", 46, 10), order("SELL", 46, 10)),
    *post({}, [], [order()] * 16, path="/clob/orders"),
    *delete({"$text": "{"}, {}, {"orderID": 5}, path="/clob/order"),
    *delete({}, ["0x1"] * 3_001, path="/clob/orders"), *delete({"$text": "[]"}, path="/clob/cancel-market-orders"),
    rpc("eth_sendRawTransaction", {"$raw": [0, "collateral", "approve(address,uint256)", "exchange", 5]}),
    *post(order()),
]  # fmt: skip

_STATES: list[Step] = [
    ("polymarket", "wallet", "POST /clob/order", order(), "o=orderID"),
    *(step for name in ("trading_paused", "closed", "restarting", "cancel_only", "post_only") for step in (
        mode(name, for_ms=9_000), *post(order("BUY", 44, 10)), *post(order("BUY", 44, 10, outer={"postOnly": True})),
        *post([order("BUY", 43, 5), order("BUY", 43, 5, outer={"postOnly": True})], path="/clob/orders"),
        *delete({"orderID": "0x1"}, path="/clob/order"))),
    mode("open"), *post(order("BUY", 52, 10, market=4)), mode("post_only"), ("wait", 3_100),
    *get("/clob/data/orders", by="wallet"), mode("open"),
    move("pause"), *post(order()), move("reactivate"), move("tick", MARKET, {"tick_e4": 10}),
    *post({"$order": ["BUY", 4_550_000, 10_000_000]}), *get(f"/clob/tick-size?token_id={YES}"),
    *post(order("BUY", 60, 20)), move("close"), *post(order()), *get(f"/clob/book?token_id={YES}"),
    move("determine", MARKET, {"settlement_e4": 10_000}), move("settle"),
    move("close", NEG), move("determine", NEG, {"settlement_e4": 5_000, "result": "scalar"}), move("settle", NEG),
    ("wait", 5_000), *get("/clob/data/trades", by="wallet"), *_wallet_reads(_WALLET),
    *get("/gamma/markets/keyset?closed=true", f"/clob/markets/{MARKET}"),
    fault("reject", code="odd words"), *post(order(market=2)), fault("server_error"), *get("/clob/ok"),
    fault("failed_settlement"), *post(order("BUY", 52, 10, market=2)), ("wait", 9_000),
    *get("/clob/data/trades", by="wallet"),
    fault("partial_fill", fraction="0.5"), *post(order("BUY", 52, 10, market=2)),
    fault("late_fill", ms=700), *post(order("BUY", 52, 10, market=2)), ("wait", 1_000),
    fault("fade"), *post(order("BUY", 52, 10, market=2, kind="FOK")), fault("lost_response"), *post(order(market=2)),
    ("polymarket", "wallet", "POST /clob/order", order(market=4), "o=orderID"), ("wait", 1_800_000),
    *get("/clob/data/order/$o", by="wallet"),
    ("full disk", True), *post(order(market=2)), ("full disk", False), *post(order(market=2)),
]  # fmt: skip

SCRIPTS: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "polymarket-public": ({}, _PUBLIC),
    "polymarket-life": ({}, [*_LIFE, *_wallet_reads(_WALLET), *_PUBLIC]),
    "polymarket-keys": ({}, _KEYS),
    "polymarket-inventory": ({}, _INVENTORY),
    "polymarket-chain": ({}, _CHAIN),
    "polymarket-bad-reads": ({}, _BAD_READS),
    "polymarket-bad-orders": ({}, _BAD_ORDERS),
    "polymarket-states": ({}, _STATES),
    "polymarket-other-settings": (
        {"polymarket": {
            "kill_status": 200, "micro_amounts": True, "delayed_status": "unmatched", "geoblocked": True,
            "builder_taker_bps": 5, "has_novelties": True, "site_wallets_exist": False, "v1_page_limit": 1}},
        [*get("/api/geoblock", "/clob/auth/ban-status/closed-only", by="wallet"),
         *post(order(), order("BUY", 52, 20, outcome="no"), order("SELL", 49, 5, kind="FOK")),
         *get(f"/clob/book?token_id={YES}", "/gamma/markets/keyset?limit=1", f"/clob/fees/builder-fees/{ZERO32}")],
    ),
    "polymarket-realistic": (
        {"profile": "realistic"},
        [*_LIFE[:11], ("wait", 30_000), *_OWN_READS, *post(order("BUY", 51, 10, market=3), order("SELL", 49, 9,
         market=3)),
         *post(order("BUY", 52, 900, kind="FOK", market=3), order("BUY", 52, 50, kind="FAK", market=3)),
         *post([order("BUY", 51, 10, market=3), order("BUY", 44, 10, market=3)], path="/clob/orders"),
         *get("/gamma/markets/1001"), *post(order("BUY", 51, 20, market=1)), *get("/gamma/markets/1001"),
         *post(order("SELL", 40, 20, market=1)), ("wait", 60_000), *get("/clob/data/trades", by="wallet"),
         *post(*[[order("BUY", 40, 5)] * 15] * 14, path="/clob/orders"),
         *[("polymarket", "", "POST /relayer/submit", {})] * 30],
    ),
}  # fmt: skip
