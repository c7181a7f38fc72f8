"""What is drawn for a seed before it begins, and the rows that stand in the warehouse before anybody trades."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection
from tests.campaign.exchanges import CONTRACT, PAIRS, Pair, Weather
from tests.campaign.wire import Faults
from tests.support.decisions import write_decision

_KALSHI_EVENT, _KALSHI_SERIES = "KXRAIN-26DEC01", "KXRAIN"


@dataclass(frozen=True, slots=True)
class World:
    """What a seed has in store, all of it drawn from its number.

    Attributes:
        faults: Of the wire, while accidents happen.
        weather: Of the venues.
        limits: The operator's limits that are not as large as ever; changed by a person where `is_limit_moved`.
        has_person: A person turns the switch now and then; `has_reviewer`: one takes approvals back and gives them.
        has_stops: Runs are stopped and woken.
        is_paid_at_once: Markets settle as soon as all is quiet, before what was given up may have come.
        settlement_e4: What one YES pays in the end.
    """

    faults: Faults
    weather: Weather
    limits: dict[str, Decimal]
    is_limit_moved: bool
    has_person: bool
    has_reviewer: bool
    has_stops: bool
    is_paid_at_once: bool
    settlement_e4: int

    @property
    def is_altered(self) -> bool:
        """Whether a venue fills more than was ordered: limits and bounds are passed by what nobody has decided then."""
        return self.faults.larger > 0


def drawn(source: random.Random) -> World:
    """Draw what a seed has in store."""
    share = source.choice([0.0, 0.1, 0.3])
    faults = Faults(
        lost_request=share * source.random(),
        lost_answer=share * source.random(),
        doubled=share * source.random(),
        slow=share * source.random(),
        late=source.choice([0.0, 0.0, 0.0, 0.15]),
        larger=source.choice([0.0, 0.0, 0.0, 0.0, 0.0, 0.3]),
    )
    limits: dict[str, Decimal] = {}
    if source.random() < 0.4:
        limits["total_usd"] = Decimal(source.choice([25, 40, 60, 100]))
    if source.random() < 0.3:
        limits["daily_loss_usd"] = Decimal(source.choice([4, 6, 10, 15]))
    return World(
        faults=faults,
        weather=Weather(
            failed_share=Decimal(source.choice(["0.005", "0.005", "0.1", "0.3"])),
            rules=_rules(source),
            is_key_slow=source.random() < 0.25,
        ),
        limits=limits,
        is_limit_moved=source.random() < 0.3,
        has_person=source.random() < 0.5,
        has_reviewer=source.random() < 0.25,
        has_stops=source.random() < 0.3,
        is_paid_at_once=source.random() < 0.5,
        settlement_e4=source.choice([0, 10_000]),
    )


def _rules(source: random.Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for kind, more in (
        ("partial_fill", {"fraction": "0.4"}),
        ("late_fill", {"ms": source.choice([150, 400, 900, 2_500])}),
        ("reject", {"code": "insufficient_balance"}),
    ):
        if source.random() < 0.25:
            found.append({"kind": kind, "probability": source.choice(["0.1", "0.3"]), **more})
    return found


def settings_of(home: Any, world: World) -> Settings:
    """Return the settings of the trading side: no breaker stops a seed at its first accidents."""
    return Settings(
        venues="sandbox",
        home=home,
        execution_cooldown_s=0,
        lease_ttl_s=5,
        limit_edge_usd=Decimal(1),
        breaker_reject_count=10_000,
        breaker_venue_errors_count=10_000,
        breaker_slippage_count=10_000,
        breaker_gap_count=10_000,
        breaker_loss_count=10_000,
        **{f"limit_{name}": value for name, value in world.limits.items()},
    )


def write_groups(connection: Connection, now: datetime) -> None:
    """Write all markets, their pairs, approved, and their groups."""
    for pair in PAIRS:
        for venue, market in pair.markets.items():
            _write_market(connection, pair, venue, market, now)
        connection.execute(
            """INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,
                   kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
               VALUES (%s, %s, %s, 'equivalent', 'aligned', 't', 't', 'sandbox', %s, %s)""",
            (pair.pair_id, *pair.markets.values(), now, now),
        )
        write_decision(connection, f"pair:{pair.pair_id}")
        keys = [f"{venue}:{market}" for venue, market in pair.markets.items()]
        listed = [{"venue": venue.value, "market_id": market} for venue, market in pair.markets.items()]
        connection.execute(
            """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment,
                   updated_at)
               VALUES (%s, 'pair', 'Will it?', %s, %s, true, 'sandbox', %s)""",
            (group_of(pair), Jsonb(listed), Jsonb([keys, []]), now),
        )


def group_of(pair: Pair) -> str:
    """Return the market group of a pair."""
    return f"group-{pair.pair_id}"


def _write_market(connection: Connection, pair: Pair, venue: Venue, market: str, now: datetime) -> None:
    yes_token, no_token = pair.tokens
    terms: dict[Venue, dict[str, Any]] = {
        Venue.KALSHI: {
            "series_id": _KALSHI_SERIES,
            "fee_schedule": {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"},
        },
        Venue.POLYMARKET: {
            "fee_schedule": {"rate": pair.rate, "exponent": "1", "taker_only": True},
            "min_size_e6": 5 * CONTRACT, "min_notional_e6": CONTRACT, "yes_token": yes_token, "no_token": no_token,
        },
    }  # fmt: skip
    connection.execute(
        """WITH version AS (
               INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title,
                   outcomes, close_time, status, terms, payload, seen_at)
               VALUES (%(venue)s, %(market)s, 'v', 't', %(event)s, 'Will it?', '["Yes", "No"]',
                   %(close)s, 'open', %(terms)s, '{}', %(now)s)
               RETURNING version_id)
           INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
           SELECT %(venue)s, %(market)s, version_id, 'open', %(now)s, %(now)s FROM version""",
        {
            "venue": venue.value,
            "market": market,
            "event": _KALSHI_EVENT if venue is Venue.KALSHI else pair.event,
            "terms": Jsonb(terms[venue]),
            "now": now,
            "close": now + timedelta(days=10),
        },
    )
