"""Frames to decode: the self-made ones of `tests/fixtures/frames` and the samples of the shared folder, with decoders.

A decoder is known by a name: `kalshi_market`, `kalshi_user`, `polymarket_market`, `polymarket_user`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pydantic import SecretStr

from streams.market.errors import MalformedFrame
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.kalshi.types import market_frames as kalshi_market
from streams.venues.kalshi.types import user_frames as kalshi_user
from streams.venues.polymarket import market_frames as polymarket_market
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.stream import user_frames as polymarket_user

FIXTURES = Path(__file__).parents[1] / "fixtures" / "frames"
WALLET = PolymarketCredentials(SecretStr("0x1"), "0xme", "api-key", SecretStr("s"), SecretStr("p"))
TOKENS = {"7001": TokenRef("0x" + "5e" * 32, "yes"), "7002": TokenRef("0x" + "5e" * 32, "no")}
COMMANDS = ("ws_cmd_", "ws_market_subscribe", "ws_user_subscribe")
UNREAD = "ws_sports"
"""Frames of a socket that nobody reads."""
_KALSHI_USER = ("ws_fill", "ws_user_order", "ws_market_position", "ws_order_group")

Decode = Callable[[bytes], list[Any]]


class Frame(NamedTuple):
    """One frame to decode; `gives` are the names of the events it is known to give."""

    name: str
    read_as: str
    raw: bytes
    gives: tuple[str, ...] = ()
    tokens: dict[str, TokenRef] = TOKENS
    use_yes_price: bool = True
    wallet: PolymarketCredentials = WALLET


def decoder(frame: Frame) -> Decode:
    """Return the decoder of a frame's kind, with what that frame has to be read with."""
    return {
        "kalshi_market": lambda raw: kalshi_market.parse_frame(raw, use_yes_price=frame.use_yes_price),
        "kalshi_user": _kalshi_user_events,
        "polymarket_market": lambda raw: polymarket_market.parse_frame(raw, frame.tokens),
        "polymarket_user": lambda raw: polymarket_user.parse_user_frame(raw, frame.wallet),
    }[frame.read_as]


def _kalshi_user_events(raw: bytes) -> list[Any]:
    event = kalshi_user.parse_user_frame(raw).event
    return [] if event is None else [event]


def outcome(frame: Frame) -> tuple[str, ...]:
    """Return the names of the events a frame gives, or of the error."""
    try:
        return tuple(type(event).__name__ for event in decoder(frame)(frame.raw))
    except MalformedFrame:
        return ("MalformedFrame",)


def fixture_frames() -> list[Frame]:
    """Return the self-made frames."""
    found = []
    for path in sorted(FIXTURES.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            found.append(Frame(row["name"], row["read_as"], orjson.dumps(row["frame"]), tuple(row["gives"])))
    return found


def sample_frames(venues: Path) -> list[Frame]:
    """Return every frame the venues send in the sample folders; commands are not among them."""
    found = []
    for folder in ("kalshi-samples", "polymarket-samples"):
        for path in sorted((venues / folder).iterdir()):
            if path.name.startswith("ws_") and not path.name.startswith((*COMMANDS, UNREAD)):
                found += _frames_of(path, folder.removesuffix("-samples"))
    return found


def _frames_of(path: Path, venue: str) -> list[Frame]:
    raw = path.read_bytes()
    if venue == "kalshi":
        read_as = "kalshi_user" if path.name.startswith(_KALSHI_USER) else "kalshi_market"
        lines = raw.splitlines() if path.suffix == ".jsonl" else [raw]
        is_yes = "session.no_leg" not in path.name
        return [Frame(path.name, read_as, line, use_yes_price=is_yes) for line in lines]
    kinds = {"ws_user": "user", "ws_market": "market"}
    read_as = next(kind for prefix, kind in kinds.items() if path.name.startswith(prefix))
    documents = json.loads(raw)
    documents = documents if isinstance(documents, list) else [documents]
    wallet = WALLET
    if read_as == "user":
        owner = _owner(documents[0])
        wallet = PolymarketCredentials(SecretStr("0x1"), "0xme", owner, SecretStr("s"), SecretStr("p"))
    return [Frame(path.name, f"polymarket_{read_as}", raw, tokens=_tokens(documents), wallet=wallet)]


def _owner(document: dict[str, Any]) -> str:
    """Whose socket a sample was received on: as a maker, one of those in the trade."""
    owners = [entry["owner"] for entry in document.get("maker_orders", [])]
    mine = str(document.get("trade_owner") or document.get("owner"))
    return owners[0] if document.get("trader_side") == "MAKER" and mine not in owners else mine


def _tokens(documents: list[dict[str, Any]]) -> dict[str, TokenRef]:
    names = [document["asset_id"] for document in documents if "asset_id" in document]
    names += [change["asset_id"] for document in documents for change in document.get("price_changes", [])]
    return {name: TokenRef("M", "yes" if n == 0 else "no") for n, name in enumerate(dict.fromkeys(names))}


def table(frames: list[Frame]) -> list[str]:
    """Return Markdown rows: one per file with what its frames give."""
    by_name: dict[tuple[str, str], Counter[str]] = {}
    count: Counter[tuple[str, str]] = Counter()
    for frame in frames:
        key = frame.name, frame.read_as
        by_name.setdefault(key, Counter()).update(outcome(frame) or ("nothing",))
        count[key] += 1
    rows = ["| file | read by | frames | gives |", "|---|---|---|---|"]
    for (name, read_as), found in by_name.items():
        gives = ", ".join(f"{number} {kind}" if number > 1 else kind for kind, number in found.items())
        rows.append(f"| `{name}` | {read_as} | {count[name, read_as]} | {gives} |")
    return rows
