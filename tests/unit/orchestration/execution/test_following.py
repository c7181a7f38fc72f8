"""What a run says of the hedge it follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.execution.armed.following import Follower
from orchestration.execution.armed.version import trading_version
from streams.settings import Settings
from streams.storage.store.hedges.story import StoryRow

AT = datetime(2026, 11, 30, 12, 0, 1, 234_567, UTC)
ORDER = StoryRow(
    AT, "order", 7, "sent", "",
    {"venue": "kalshi", "market_id": "KXA", "outcome": "no", "action": "buy", "purpose": "open", "leg_no": 1,
     "size_e6": 20_500_000, "limit_price_e4": 5_300, "filled_e6": 0, "cash_e6": 0, "fee_e6": 0},
)  # fmt: skip


def test_each_row_is_said_once_for_each_state() -> None:
    follower = Follower()
    filled = replace(ORDER, state="filled", detail={**ORDER.detail, "filled_e6": 20_500_000})
    assert list(follower.news([ORDER])) == [
        "12:00:01.234 order 7 (open, leg 1) is sent: buy no of kalshi:KXA, 20.5 at 0.53 or better"
    ]
    assert list(follower.news([ORDER])) == []
    assert list(follower.news([filled])) == [
        "12:00:01.234 order 7 (open, leg 1) is filled: buy no of kalshi:KXA, 20.5 at 0.53 or better, 20.5 filled"
    ]


def test_events_and_fills_are_said_with_their_figures() -> None:
    rows = [
        StoryRow(AT, "event", 1, "COMPLETING", "complete buy leg 1", {}),
        StoryRow(
            AT, "fill", 3, "provisional", "",
            {"order_id": 7, "venue": "polymarket", "market_id": "0xb", "outcome": "yes", "action": "buy",
             "contracts_e6": 10_000_000, "cash_e6": 4_710_000, "fee_e6": 1},
        ),
    ]  # fmt: skip
    assert list(Follower().news(rows)) == [
        "12:00:01.234 COMPLETING: complete buy leg 1",
        "12:00:01.234 fill of order 7 is provisional: buy yes of polymarket:0xb, 10 for 4.71 USD, fee 0.000001 USD",
    ]


# -- the version a run is started with ---------------------------------------------------------------------------------


def test_the_version_changes_with_code_settings_and_keys(tmp_path: Path) -> None:
    code = tmp_path / "streams" / "a.py"
    code.parent.mkdir()
    code.write_text("x = 1\n")
    settings = Settings(home=tmp_path / "home")
    settings.home_dir.mkdir(parents=True)
    seen = [trading_version(settings, tmp_path), trading_version(settings, tmp_path)]
    assert seen[0] == seen[1]
    code.write_text("x = 2\n")
    code.touch()
    seen.append(trading_version(settings, tmp_path))
    (settings.home_dir / "keystore.json").write_text("{}")
    seen.append(trading_version(settings, tmp_path))
    seen.append(trading_version(settings.model_copy(update={"hedges_at_once": 2}), tmp_path))
    assert len(set(seen[1:])) == 4


def test_the_version_does_not_tell_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = Settings(home=tmp_path, keystore_passphrase="a passphrase of some length")
    two = Settings(home=tmp_path, keystore_passphrase="another one of some length")
    assert trading_version(one, tmp_path) == trading_version(two, tmp_path)
