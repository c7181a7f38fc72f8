"""The steps of matching where the market list changes under them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orchestration.judging.budget import Budget
from orchestration.judging.cache import MemoryCache
from orchestration.judging.judge import Judge
from orchestration.pairing import steps
from streams.market.identity import Venue
from streams.market.listing import Listing, MarketTerms
from streams.settings import Settings
from streams.storage.discovered.listings import StoredMarket
from streams.storage.store.pairs import CandidateRow


def stored(venue: Venue, market_id: str) -> StoredMarket:
    return StoredMarket(Listing(venue, market_id, "E", "Will Ada win in 2027?"), "t", MarketTerms(), "open", None)


@pytest.mark.parametrize("gone", [("A", "1"), ("A",), ("1",)])
def test_a_market_that_closes_between_two_readings_costs_its_own_verdict(
    monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...]
) -> None:
    markets = [stored(Venue.KALSHI, "A"), stored(Venue.KALSHI, "B")]
    markets += [stored(Venue.POLYMARKET, "1"), stored(Venue.POLYMARKET, "2")]
    written: list[Any] = []
    replaced: dict[str, Any] = {
        "versions_after": lambda *_args: (1, {("kalshi", "A")}),
        "load_candidates": lambda *_args: [CandidateRow(1, "A", "1"), CandidateRow(2, "B", "2")],
        "load_markets": lambda *_args, **_named: [m for m in markets if m.listing.market_id not in gone],
        "judged": lambda *_args: set(),
        "save_verdicts": lambda _connection, rows: written.extend(rows),
        "write_cursor": lambda *_args: None,
    }
    for name, function in replaced.items():
        monkeypatch.setattr(steps, name, function)
    judge = Judge(None, MemoryCache(), Budget(Decimal(0)), 1)
    summary = steps.judge_candidates(None, Settings(venues="sandbox"), only_new=False, judge=judge)  # type: ignore[arg-type]
    assert summary.judged == 1
    assert [row.candidate_id for row in written] == [2]
