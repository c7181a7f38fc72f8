"""Groups, the terms of their markets, and signals: what the edge monitor and the desk read and write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from streams.market.listing import MarketTerms
from streams.storage.database import Connection, Row


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """What must be known of a market to trade it. `settlement_e4` is what one YES pays, None until known."""

    venue: str
    market_id: str
    terms: MarketTerms
    status: str
    close_time: datetime | None
    expected_settle_time: datetime | None
    settlement_e4: int | None

    @property
    def key(self) -> str:
        """The id used in groups: "venue:market_id"."""
        return f"{self.venue}:{self.market_id}"


@dataclass(frozen=True, slots=True)
class SignalLeg:
    """A leg of a signal, at the peak."""

    venue: str
    market_id: str
    outcome: str
    limit_price_e4: int
    size_e6: int


@dataclass(frozen=True, slots=True)
class Episode:
    """What an episode of an opportunity looks like when it is written."""

    group_id: str
    leg_set: str
    is_tradable: bool
    at: datetime
    open_edge_usd: Decimal
    edge_usd: Decimal
    peak_edge_usd: Decimal
    contracts_e6: int
    cost_e6: int
    fee_e6: int
    profit_e6: int
    annualised_return: Decimal | None
    legs: tuple[SignalLeg, ...]


def load_groups(connection: Connection) -> list[Row]:
    """Return the groups that have not ended, with the state of their pair where they are one.

    Columns: those of trading.groups and `pair_state` (None unless kind is pair). A pair's group is recognised by its
    two markets.
    """
    return connection.execute(
        """SELECT g.*, p.state AS pair_state FROM trading.groups AS g
           LEFT JOIN trading.pair_states AS p ON g.kind = 'pair'
               AND p.kalshi_market_id =
                   jsonb_path_query_first(g.markets, '$[*] ? (@.venue == "kalshi").market_id') #>> '{}'
               AND p.polymarket_market_id =
                   jsonb_path_query_first(g.markets, '$[*] ? (@.venue == "polymarket").market_id') #>> '{}'
           WHERE g.ended_at IS NULL ORDER BY g.group_id"""
    ).fetchall()


def load_group(connection: Connection, group_id: str) -> Row | None:
    """Return one group with `pair_state`, ended or not."""
    return connection.execute(
        """SELECT g.*, p.state AS pair_state FROM trading.groups AS g
           LEFT JOIN trading.pair_states AS p ON g.kind = 'pair'
               AND g.markets @> jsonb_build_array(
                   jsonb_build_object('venue', 'kalshi', 'market_id', p.kalshi_market_id),
                   jsonb_build_object('venue', 'polymarket', 'market_id', p.polymarket_market_id))
           WHERE g.group_id = %s LIMIT 1""",
        (group_id,),
    ).fetchone()


def load_markets(connection: Connection, keys: list[str]) -> dict[str, MarketInfo]:
    """Return what is known of markets by "venue:market_id"; unknown ones are left out."""
    rows = connection.execute(
        """SELECT v.venue, v.market_id, v.terms, s.status, v.close_time, v.expected_settle_time, s.settlement_e4
           FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)
           WHERE (s.venue || ':' || s.market_id) = ANY(%s)""",
        (keys,),
    ).fetchall()
    found = (
        MarketInfo(
            row["venue"],
            row["market_id"],
            terms_of(row["terms"]),
            row["status"],
            row["close_time"],
            row["expected_settle_time"],
            row["settlement_e4"],
        )
        for row in rows
    )
    return {market.key: market for market in found}


def terms_of(raw: dict[str, Any]) -> MarketTerms:
    """Return the terms from their JSON form; keys we do not know are ignored."""
    known = {name: value for name, value in raw.items() if name in MarketTerms.__dataclass_fields__}
    if "price_ranges" in known:
        known["price_ranges"] = tuple((int(a), int(b), int(c)) for a, b, c in known["price_ranges"])
    return MarketTerms(**known)


def open_signal(connection: Connection, episode: Episode, shard: int, environment: str) -> int | None:
    """Write a new episode with its legs; None when one is open already for the same legs."""
    with connection.transaction():
        row = connection.execute(
            """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at,
                   open_edge_usd, peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6,
                   annualised_return, updated_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
               ON CONFLICT (group_id, leg_set) WHERE closed_at IS NULL DO NOTHING RETURNING signal_id""",
            (
                episode.group_id,
                episode.leg_set,
                shard,
                environment,
                episode.is_tradable,
                episode.at,
                episode.open_edge_usd,
                episode.peak_edge_usd,
                episode.edge_usd,
                episode.contracts_e6,
                episode.cost_e6,
                episode.fee_e6,
                episode.profit_e6,
                episode.annualised_return,
                episode.at,
            ),
        ).fetchone()
        if row is None:
            return None
        for number, leg in enumerate(episode.legs):
            connection.execute(
                """INSERT INTO trading.signal_legs (signal_id, leg_no, venue, market_id, outcome, limit_price_e4,
                       size_e6) VALUES (%s, %s, %s, %s, %s, %s, %s)""",
                (
                    row["signal_id"],
                    number,
                    leg.venue,
                    leg.market_id,
                    leg.outcome,
                    leg.limit_price_e4,
                    leg.size_e6,
                ),
            )
    return int(row["signal_id"])


def update_signal(
    connection: Connection, signal_id: int, edge_usd: Decimal, peak: Episode | None, at: datetime
) -> None:
    """Note the edge as it is now, and the sizes and legs of a new peak."""
    with connection.transaction():
        connection.execute(
            "UPDATE trading.signals SET last_edge_usd = %s, updated_at = %s WHERE signal_id = %s AND closed_at IS NULL",
            (edge_usd, at, signal_id),
        )
        if peak is None:
            return
        connection.execute(
            """UPDATE trading.signals SET peak_edge_usd = %s, contracts_e6 = %s, cost_e6 = %s, fee_e6 = %s,
                   profit_e6 = %s, annualised_return = %s WHERE signal_id = %s AND closed_at IS NULL""",
            (
                peak.peak_edge_usd,
                peak.contracts_e6,
                peak.cost_e6,
                peak.fee_e6,
                peak.profit_e6,
                peak.annualised_return,
                signal_id,
            ),
        )
        for number, leg in enumerate(peak.legs):
            connection.execute(
                "UPDATE trading.signal_legs SET limit_price_e4 = %s, size_e6 = %s WHERE signal_id = %s AND leg_no = %s",
                (leg.limit_price_e4, leg.size_e6, signal_id, number),
            )


def close_signal(connection: Connection, signal_id: int, reason: str, at: datetime, edge_usd: Decimal | None) -> None:
    """End an episode."""
    connection.execute(
        """UPDATE trading.signals SET closed_at = greatest(%s, opened_at), close_reason = %s,
               last_edge_usd = coalesce(%s, last_edge_usd), updated_at = %s
           WHERE signal_id = %s AND closed_at IS NULL""",
        (at, reason, edge_usd, at, signal_id),
    )


def close_orphans(connection: Connection, shard: int, at: datetime) -> int:
    """End the episodes a former monitor of this shard left open; nobody watched them since."""
    cursor = connection.execute(
        """UPDATE trading.signals SET closed_at = greatest(%s, opened_at), close_reason = 'unwatched', updated_at = %s
           WHERE shard = %s AND closed_at IS NULL""",
        (at, at, shard),
    )
    return cursor.rowcount


def load_signal(connection: Connection, signal_id: int) -> Row | None:
    """Return a signal with `legs` (rows of trading.signal_legs in order) and `attempts` (executions so far)."""
    row = connection.execute(
        """SELECT s.*, (SELECT count(*) FROM trading.executions AS e WHERE e.signal_id = s.signal_id) AS attempts
           FROM trading.signals AS s WHERE s.signal_id = %s""",
        (signal_id,),
    ).fetchone()
    if row is None:
        return None
    row["legs"] = connection.execute(
        "SELECT * FROM trading.signal_legs WHERE signal_id = %s ORDER BY leg_no", (signal_id,)
    ).fetchall()
    return row


def load_actionable(
    connection: Connection, retry_after_s: float, max_attempts: int, limit: int, least_age_s: float = 0.0
) -> list[Row]:
    """Return open, tradable signals worth a look, the most profitable first.

    Not: signals with an execution that bought something, is under way or was flattened by a person, with
    `max_attempts` executions, or that were tried or refused less than `retry_after_s` ago, or opened less than
    `least_age_s` ago.
    """
    return connection.execute(
        """SELECT s.signal_id, s.group_id, s.leg_set, s.profit_e6, s.opened_at FROM trading.signals AS s
           WHERE s.closed_at IS NULL AND s.is_tradable
             AND s.opened_at <= now() - make_interval(secs => %(age)s)
             AND NOT EXISTS (SELECT 1 FROM trading.executions AS e WHERE e.signal_id = s.signal_id
                 AND (e.state <> 'FLAT' OR e.detail ? 'flatten'
                     OR e.started_at > now() - make_interval(secs => %(retry)s)))
             AND (SELECT count(*) FROM trading.executions AS e WHERE e.signal_id = s.signal_id) < %(attempts)s
             AND NOT EXISTS (SELECT 1 FROM trading.refusals AS r WHERE r.signal_id = s.signal_id
                 AND r.refused_at > now() - make_interval(secs => %(retry)s))
           ORDER BY s.profit_e6 DESC, s.signal_id LIMIT %(limit)s""",
        {"retry": retry_after_s, "attempts": max_attempts, "limit": limit, "age": least_age_s},
    ).fetchall()
