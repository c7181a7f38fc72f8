"""Every frame of both venues' sockets: self-made ones always, collected samples where they are, and our commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.kalshi.stream import commands as kalshi
from streams.venues.polymarket.stream import commands as polymarket
from tests.support.frames import COMMANDS, Frame, fixture_frames, outcome, sample_frames, table

PAGE = Path(__file__).resolve().parents[4] / "docs" / "venues" / "frames.md"


@pytest.mark.parametrize("frame", fixture_frames(), ids=lambda frame: f"{frame.read_as}-{frame.name}")
def test_a_frame_gives_the_events_it_is_known_to_give(frame: Frame) -> None:
    assert outcome(frame) == frame.gives


def test_the_self_made_frames_show_every_event_and_error_of_every_decoder() -> None:
    given = {(frame.read_as, name) for frame in fixture_frames() for name in frame.gives}
    wanted = {
        "kalshi_market": "BookSnapshot LevelChange TradePrint VenueQuote LifecycleChange EventListed EventFeeChange "
        "Acknowledgement ChannelError OtherChannel MalformedFrame",
        "kalshi_user": "FillUpdate OrderUpdate PositionUpdate OrderGroupUpdate MalformedFrame",
        "polymarket_market": "BookSnapshot LevelChange TradePrint VenueQuote TickSizeChange LifecycleChange BookStale "
        "OtherChannel MalformedFrame",
        "polymarket_user": "FillUpdate OrderUpdate MalformedFrame",
    }
    assert given == {(read_as, name) for read_as, names in wanted.items() for name in names.split()}


def test_every_sample_frame_gives_events_or_the_documented_error_as_the_page_says(shared_dir: Path) -> None:
    frames = sample_frames(shared_dir / "venues")
    rows = table(frames)
    assert len(frames) == 71
    page = PAGE.read_text().splitlines()
    assert [row for row in page if row.startswith("| `")] == rows[2:]
    odd = {frame.name: outcome(frame) for frame in frames if outcome(frame) in ((), ("MalformedFrame",))}
    assert odd == {
        "ws_market_initial_snapshot_unknown_token.json": (),
        "ws_market_price_change_legacy_pre_2025_09_15.json": ("MalformedFrame",),
    }


KALSHI_COMMANDS = {
    "ws_cmd_list_subscriptions": kalshi.list_subscriptions(126),
    "ws_cmd_subscribe_all_ticker": kalshi.subscribe(
        2, ["ticker"], ["KXFED-27APR-T4.25"], with_first_ticker=True, without_market_lists=True
    ),
    "ws_cmd_subscribe_orderbook": kalshi.subscribe(
        1, ["orderbook_delta", "trade"], ["KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"]
    ),
    "ws_cmd_subscribe_private": kalshi.subscribe(3, ["fill", "user_orders", "market_positions", "order_group_updates"]),
    "ws_cmd_unsubscribe": kalshi.unsubscribe(124, [1, 2]),
    "ws_cmd_update_add_markets": kalshi.update(125, 4, ["KXFED-27APR-T4.25"], "add_markets"),
    "ws_cmd_update_delete_markets": kalshi.update(125, 4, ["KXFED-27APR-T4.25"], "delete_markets"),
    "ws_cmd_update_get_snapshot": kalshi.update(125, 4, ["KXFED-27APR-T4.25"], "get_snapshot"),
}


def _polymarket_commands(name: str, sample: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if name == "ws_user_subscribe":
        auth = sample[0]["auth"]
        keys = PolymarketCredentials(
            SecretStr("0x1"), "0xme", auth["apiKey"], SecretStr(auth["secret"]), SecretStr(auth["passphrase"])
        )
        later = [polymarket.user_operation(entry["operation"], entry["markets"]) for entry in sample[1:]]
        return [polymarket.user_hello(keys, sample[0]["markets"]), *later]
    later = [polymarket.market_operation(entry["operation"], entry["assets_ids"]) for entry in sample[1:]]
    return [polymarket.market_hello(sample[0]["assets_ids"]), *later]


def test_our_commands_are_those_of_the_samples(shared_dir: Path) -> None:
    seen = 0
    for folder in ("kalshi-samples", "polymarket-samples"):
        for path in (shared_dir / "venues" / folder).iterdir():
            if not path.name.startswith(COMMANDS):
                continue
            sample = json.loads(path.read_bytes())
            ours: Any = KALSHI_COMMANDS.get(path.stem) or _polymarket_commands(path.stem, sample)
            assert ours == sample, path.name
            seen += 1
    assert seen == 10


def test_books_are_always_asked_for_in_yes_prices() -> None:
    assert kalshi.subscribe(1, ["orderbook_delta"], ["A"])["params"]["use_yes_price"] is True
    assert "use_yes_price" not in kalshi.subscribe(1, ["trade"], ["A"])["params"]
