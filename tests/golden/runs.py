"""Every golden run by name: what is recorded, as lines of JSON."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.golden.record import Recorder, recorded
from tests.golden.scripts import admin, kalshi, polymarket, sockets
from tests.golden.stage import ADMIN, KALSHI, POLYMARKET, Stage, Subscriber, stage

Lines = list[dict[str, Any]]
Run = Callable[[Path], Lines]
SEEDS = range(1, 21)
_SEED_MS = 4_000
_LONG_MS = 20_000
_SAMPLE = 3
SCRIPTS = {**kalshi.SCRIPTS, **polymarket.SCRIPTS, **admin.SCRIPTS, **sockets.SCRIPTS}


def runs() -> dict[str, Run]:
    """All runs; each needs an empty folder."""
    made: dict[str, Run] = {name: partial(_script, name=name) for name in SCRIPTS}
    made["journal"] = _journal
    made |= {f"flow-{seed:02d}": partial(_flow, seed=seed, ms=_SEED_MS) for seed in SEEDS}
    made["flow-realistic"] = partial(_flow, seed=1, ms=_LONG_MS, profile="realistic")
    made["replay"] = _replay
    return made


def _script(home: Path, *, name: str) -> Lines:
    settings, steps = SCRIPTS[name]
    return recorded(home, settings, steps)


def _journal(home: Path) -> Lines:
    """What the journal holds before and after a snapshot, and the state that is read back from it."""
    lines: Lines = []
    with stage(home) as on:
        on.write_snapshot()
        Recorder(on).run([*kalshi.SCRIPTS["kalshi-life"][1][:40], *polymarket.SCRIPTS["polymarket-life"][1][:20]])
        lines += _kept(on, "before")
        on.write_snapshot()
        Recorder(on).run([*kalshi.SCRIPTS["kalshi-states"][1][:52], *polymarket.SCRIPTS["polymarket-states"][1][:52]])
        lines += _kept(on, "after")
        state = on.reopened()
        lines.append({"at": "read back", "state": {name: state[name] for name in sorted(state)}})
    return lines


def _kept(on: Stage, at: str) -> Lines:
    meta, rows = on.kept()
    return [{"at": at, "meta": meta}, *({"at": at, **row._asdict(), "document": row.document.decode()} for row in rows)]


# -- the simulated market ----------------------------------------------------------------------------------------------


def _flow(home: Path, *, seed: int, ms: int, profile: str = "zero") -> Lines:
    """A stretch of the simulated market with subscribers of everything, and a client who takes what is offered."""
    with stage(home, seed=seed, profile=profile) as on:
        on.advance(500)
        tickers, tokens = _markets(on)
        ears = _listen(on, tickers, tokens)
        on.advance(ms // 2 - 500)
        taken = [_take(on, ticker) for ticker in tickers[:: len(tickers) // 8]]
        on.advance(ms // 2)
        return _told(on, {"seed": seed, "profile": profile, "taken": taken}, ears, tickers, tokens)


def _replay(home: Path) -> Lines:
    """A recording of one book, played with a client who takes part of it."""
    with stage(home / "sandbox", recording=_recording(home)) as on:
        on.advance(100)
        ears = {"market": on.listen(POLYMARKET, "/ws/market")}
        assert isinstance(ears["market"], Subscriber)
        ears["market"].send({"assets_ids": ["111", "222"], "type": "market"})
        on.advance(2_000)
        on.ask(POLYMARKET, "POST", "/clob/order",
               on.signer.order("BUY", 9_900_000, 10_000_000, tokenId="111", kind="FAK"),
               by="wallet")  # fmt: skip
        on.advance(6_000)
        frames = [{"frame": frame.decode()} for frame in ears["market"].take()]
        return [*frames, {"books": json.loads(_books(on, ["111", "222"]))}]


def _recording(folder: Path) -> Path:
    """A file as the recorder of another project wrote them: one market, a snapshot and sixty changes."""
    source, path = random.Random(7), folder / "mlb-aaa-bbb-2025-06-19.csv.gz"
    rows: list[tuple[Any, ...]] = [
        ("book", f"0.{price}", "bid" if price < 41 else "ask", str(10 * price), 0) for price in range(36, 46)
    ]
    for number in range(60):
        price, at = source.randrange(30, 50), 100 * number + source.randrange(100)
        side = "bid" if price < 41 else "ask"
        rows.append(("price_change", f"0.{price}", side, str(source.randrange(0, 500)), at))
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(
            ["market_slug", "asset_id", "market_id", "event_type", "price", "side", "size", "hash", "timestamp"]
        )
        for kind, price, side, size, at in rows:
            writer.writerow(["mlb-aaa-bbb-2025-06-19", "111", "5", kind, price, side, size, f"h{at}", at])
        writer.writerow(["mlb-aaa-bbb-2025-06-19", "222", "5", "price_change", "0.6", "bid", "1", "x", rows[-1][4]])
    return path


def _markets(on: Stage) -> tuple[list[str], list[str]]:
    """The tickers of one venue and the tokens of the other, in the order they are served."""
    tickers: list[str] = []
    cursor = ""
    while True:
        page = json.loads(on.ask(KALSHI, "GET", f"/markets?limit=1000&cursor={cursor}").body)
        tickers += [market["ticker"] for market in page["markets"]]
        cursor = page["cursor"]
        if not cursor:
            break
    tokens: list[str] = []
    while True:
        body = json.loads(on.ask(POLYMARKET, "GET", f"/clob/simplified-markets?next_cursor={cursor}").body)
        tokens += [token["token_id"] for market in body["data"] for token in market["tokens"]]
        cursor = body["next_cursor"]
        if cursor in ("", "LTE="):
            return sorted(tickers), sorted(tokens)


def _listen(on: Stage, tickers: list[str], tokens: list[str]) -> dict[str, Any]:
    kalshi_ear = on.listen(KALSHI, "/trade-api/ws/v2", by="main")
    market_ear, user_ear = on.listen(POLYMARKET, "/ws/market"), on.listen(POLYMARKET, "/ws/user")
    assert isinstance(kalshi_ear, Subscriber)
    assert isinstance(market_ear, Subscriber)
    for number, channels in enumerate((["orderbook_delta"], ["ticker", "trade", "market_lifecycle_v2", "fill"])):
        named = {"market_tickers": tickers} if number == 0 else {}
        kalshi_ear.send({"id": number + 1, "cmd": "subscribe", "params": {"channels": channels, **named}})
    market_ear.send({"assets_ids": tokens[:: max(1, len(tokens) // 400)], "type": "market",
                     "custom_feature_enabled": True})  # fmt: skip
    return {KALSHI: kalshi_ear, POLYMARKET: market_ear, "user": user_ear}


def _take(on: Stage, ticker: str) -> str:
    market = json.loads(on.ask(KALSHI, "GET", f"/markets/{ticker}").body)["market"]
    body = {
        "ticker": ticker, "side": "bid", "count": "5.00", "price": market["yes_ask_dollars"],
        "time_in_force": "immediate_or_cancel", "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": market["exchange_index"],
    }  # fmt: skip
    answer = on.ask(KALSHI, "POST", "/portfolio/events/orders", body, by="main")
    return f"{ticker} {answer.status} {json.loads(answer.body).get('fill_count', '')}"


def _books(on: Stage, tokens: list[str]) -> bytes:
    return on.ask(POLYMARKET, "POST", "/clob/books", [{"token_id": token} for token in tokens[:500]]).body


def _told(on: Stage, head: dict[str, Any], ears: dict[str, Any], tickers: list[str], tokens: list[str]) -> Lines:
    """A summary that a person can read, and digests of all that was said."""
    lines: Lines = [{**head, "markets": len(tickers), "tokens": len(tokens)}]
    for name, ear in ears.items():
        frames: list[bytes] = ear.take()
        kinds = Counter(_kind(frame) for frame in frames)
        digest = hashlib.sha256(b"\n".join(frames)).hexdigest()
        thirds = [frames[len(frames) * part // _SAMPLE].decode()[:300] for part in range(_SAMPLE)] if frames else []
        lines.append({"socket": name, "frames": dict(sorted(kinds.items())), "sha256": digest, "some": thirds})
    reads = [
        (KALSHI, "/markets?limit=1000"), (KALSHI, f"/markets/orderbooks?tickers={','.join(tickers[:100])}"),
        (KALSHI, "/markets/trades?limit=1000"), (KALSHI, f"/markets/{tickers[0]}/orderbook"),
        (POLYMARKET, "/gamma/markets/keyset?limit=100"), (ADMIN, "/truth/kalshi"),
    ]  # fmt: skip
    for port, target in reads:
        body = on.ask(port, "GET", target).body
        shown = f"{port} {target[:60]}"
        lines.append({"ask": shown, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(),
                      "begins": body[:200].decode()})  # fmt: skip
    books = _books(on, tokens)
    lines.append({"ask": "books", "bytes": len(books), "sha256": hashlib.sha256(books).hexdigest()})
    return lines


def _kind(frame: bytes) -> str:
    if frame.startswith(b"<"):
        return frame.split(b" ")[0].decode()
    document = json.loads(frame)
    document = document[0] if isinstance(document, list) and document else document
    return str(document.get("type") or document.get("event_type")) if isinstance(document, dict) else "none"
