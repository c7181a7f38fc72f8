"""Pairs with states and verdicts, and one pair or group of any kind with what a person needs to decide on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.queries.markets import MarketText, load_market_text
from app.queries.rows import Page, conditions, decode_cursor, fetch, page_of
from streams.storage.database import Connection
from streams.storage.store.decisions.group_decisions import (
    DecisionRow,
    GroupStateRow,
    find_group_state,
    list_decisions,
    pair_group_id,
)
from streams.storage.store.pairs import VerdictRow, find_verdict


@dataclass(frozen=True, slots=True)
class PairRow:
    """One row per pair with the state its last decision leaves it in.

    `is_open`: both markets trade now; `closes_at`: the earlier close of the two.
    """

    pair_id: str
    kalshi_market_id: str
    polymarket_market_id: str
    kalshi_title: str
    polymarket_title: str
    relation: str
    polarity: str
    state: str
    confidence: Decimal | None
    judge: str | None
    decided_by: str | None
    decided_at: datetime | None
    environment: str
    kalshi_text_hash: str
    polymarket_text_hash: str
    created_at: datetime
    is_open: bool
    closes_at: datetime | None


@dataclass(frozen=True, slots=True)
class PairDetail:
    """Everything to decide one pair by."""

    pair: PairRow
    kalshi: MarketText | None
    polymarket: MarketText | None
    verdict: VerdictRow | None
    decisions: tuple[DecisionRow, ...]


_PAIRS = """
SELECT pair_id, kalshi_market_id, polymarket_market_id, coalesce(kalshi_title, kalshi_market_id) AS kalshi_title,
    coalesce(polymarket_title, polymarket_market_id) AS polymarket_title, relation, polarity, state, confidence, judge,
    decided_by, decided_at, environment, kalshi_text_hash, polymarket_text_hash, created_at, is_open, closes_at
FROM analytics.pairs {where} ORDER BY pair_id LIMIT %(rows)s
"""


def load_pairs(
    connection: Connection,
    *,
    state: str | None = None,
    market_id: str | None = None,
    pair_id: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[PairRow]:
    """Return pairs in the order of their id.

    Raises:
        InvalidCursor: If `cursor` is not one of this list.
    """
    after = decode_cursor(cursor, (str,)) or (None,)
    where, params = conditions(
        ("pair_id = %(pair_id)s", "pair_id", pair_id),
        ("state = %(state)s", "state", state),
        ("%(market_id)s IN (kalshi_market_id, polymarket_market_id)", "market_id", market_id),
        ("pair_id > %(after)s", "after", after[0]),
    )
    query = _PAIRS.format(where=where)
    return page_of(fetch(connection, PairRow, query, {**params, "rows": limit + 1}), limit, ("pair_id",))


def load_pair(connection: Connection, pair_id: str) -> PairDetail | None:
    """Return one pair with both texts, its verdict and its decisions (newest first), or None."""
    found = load_pairs(connection, pair_id=pair_id, limit=1).rows
    if not found:
        return None
    pair = found[0]
    return PairDetail(
        pair=pair,
        kalshi=load_market_text(connection, "kalshi", pair.kalshi_market_id),
        polymarket=load_market_text(connection, "polymarket", pair.polymarket_market_id),
        verdict=find_verdict(connection, pair_id),
        decisions=tuple(list_decisions(connection, pair_group_id(pair_id))),
    )


def count_pairs(connection: Connection) -> dict[str, int]:
    """Return the number of pairs per state; states without pairs are absent."""
    query = "SELECT state, count(*) AS pairs FROM analytics.pairs GROUP BY state ORDER BY state"
    return {str(row["state"]): int(row["pairs"]) for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """Everything to decide one group by. `texts`: of its markets in the order of their names; unlisted ones lack."""

    group: GroupStateRow
    texts: tuple[MarketText, ...]
    decisions: tuple[DecisionRow, ...]

    @property
    def seen_hashes(self) -> dict[str, str]:
        """Hashes of the texts that are shown, by "venue:market_id"."""
        return {f"{text.venue}:{text.market_id}": text.text_hash for text in self.texts}


def load_group_detail(connection: Connection, group_id: str) -> GroupDetail | None:
    """Return one group with all texts and its decisions (newest first); None where there is none, or it has ended."""
    group = find_group_state(connection, group_id)
    if group is None:
        return None
    found = (load_market_text(connection, *key.split(":", 1)) for key in sorted(group.market_hashes))
    texts = tuple(text for text in found if text is not None)
    return GroupDetail(group, texts, tuple(list_decisions(connection, group_id)))
