"""Random requests and frames at the Polymarket emulator: whatever they say, it answers, and its lists stay readable."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import orjson

from streams.sandbox.polymarket.stream.socket import UserSession


def words(text: str) -> list[str]:
    """Names, as a text."""
    return text.split()


ODD: list[Any] = [
    "", None, 0, -1, 1, 2**31, 2**63, "0", "1", "-1", "²", "x" * 300, "é", "0.5", "1e5", True, [], {}, [[]], [{}],
    [None], [1], "BUY", "2026-01-01", 1.5, "9" * 18, "9" * 99, "0x", "0x11", "0x" + "11" * 65, "MA==", "LTE=", "GTD",
]  # fmt: skip
BODY = words(
    "order orders owner orderType postOnly orderID market asset_id heartbeat_id token_id side type from to nonce "
    "signature data proxyWallet signatureParams depositWalletParams key method params id jsonrpc"
)
ORDER = words(
    "salt maker signer tokenId makerAmount takerAmount side signatureType timestamp metadata builder "
    "signature expiration"
)
QUERY = words(
    "limit offset after_cursor next_cursor cursor order ascending closed id slug clob_token_ids tag_id start_date_min "
    "volume_num_min token_id side market interval fidelity startTs endTs user condition event_id status type sort_by "
    "start end before after maker_address asset_type signature_type address bucket_seconds q"
)
FRAME = words("assets_ids type operation custom_feature_enabled initial_dump markets auth")


def some(source: random.Random, names: list[str], most: int) -> dict[str, Any]:
    """A few names with odd values."""
    return {source.choice(names): source.choice(ODD) for _ in range(source.randint(0, most))}


def test_any_request_is_answered(desk: Any) -> None:
    source, router = random.Random(3), desk.app._router
    patterns = [(method, re.sub(r"\(\?P<\w+>[^)]*\)", "{}", known.pattern)) for method, known, _ in router._patterns]
    known = [one for one in (*router._exact, *patterns) if one != ("DELETE", "/clob/auth/api-key")]
    orders = [desk.post("BUY", 4_000_000, 10_000_000).body["orderID"] for _ in range(3)]
    for number in range(1_000):
        method, path = source.choice(known)
        path = path.replace("{}", source.choice([*orders, str(desk.yes), desk.condition(), "1000", "x", "²"]))
        body: Any = some(source, BODY, 5)
        if source.random() < 0.1:
            body = desk.order("BUY", 4_000_000, 10_000_000, source.choice(["GTC", "FAK", "GTD"]))
            body["order"] |= some(source, ORDER, 2)
        if "orders" in path or source.random() < 0.1:
            body = [body, source.choice(ODD)]
        content = None if method == "GET" else body
        if path.startswith("/clob"):
            answer = desk.signed(method, path.removeprefix("/clob"), content, **some(source, QUERY, 4))
        else:
            answer = desk.ask(method, path, content, some(source, QUERY, 4))
        assert answer.status < 500 or answer.body == {"error": "could not insert order"}
        assert isinstance(answer.body, bytes) or orjson.dumps(answer.body)
        if number % 50 == 0:
            desk.pass_ms(1_000)
    for path in ("/data/orders", "/data/trades", "/auth/api-keys"):
        assert desk.signed("GET", path).status == 200


def test_any_frame_leaves_the_sockets_open(desk: Any) -> None:
    source = random.Random(4)
    auth = {"apiKey": desk.key.api_key, "secret": desk.key.secret, "passphrase": desk.key.passphrase}
    for session in (desk.market_session(), desk.user_session(), desk.user_session()):
        if isinstance(session, UserSession) and not desk.app.user_feed.subscribers:
            session.on_text(json.dumps({"auth": auth, "type": "user"}))
        for _ in range(500):
            session.on_text(json.dumps(some(source, FRAME, 4) | {"operation": source.choice(["subscribe", ""])}))
    assert len(desk.app.user_feed.subscribers) == 1
