"""What the edge monitor watches: the bundles of all groups, with the terms of their markets, indexed by market."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestration.execution.decide.plan import annual_days
from orchestration.opportunities.bundles import Bundle, find_bundles
from orchestration.opportunities.outcomes import InvalidSet, parse_outcomes
from streams.logs import get_logger
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.market.taker_fees import TakerFees, taker_fees
from streams.storage.database import Connection, Row
from streams.storage.store.signals import MarketInfo, load_groups, load_markets

MAX_GROUP_MARKETS = 40
"""Larger groups are not watched: the legs of a lock over them would not fill together."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one market takes orders, and what its fills cost."""

    fees: TakerFees
    size_step_e6: int
    min_size_e6: int
    min_notional_e6: int


@dataclass(frozen=True, slots=True)
class Watched:
    """One bundle of one group. `rules` in the order of the legs; `key` (group, legs) is what makes an episode."""

    group_id: str
    bundle: Bundle
    rules: tuple[Rules, ...]
    is_tradable: bool
    cash_back_at: datetime | None
    key: tuple[str, str]


@dataclass(slots=True)
class Universe:
    """All watched bundles by key, and their keys by market ("venue:market_id")."""

    watched: dict[tuple[str, str], Watched] = field(default_factory=dict)
    by_market: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class UniverseLoader:
    """Builds universes from Postgres; bundles of a group that did not change are kept from the last time."""

    def __init__(self) -> None:
        self._bundles: dict[str, tuple[str, list[Bundle]]] = {}
        self._rules: dict[str, tuple[str, Rules]] = {}

    def load(self, connection: Connection) -> Universe:
        """Read groups, approvals and terms, and return what is to be watched."""
        groups = load_groups(connection)
        keys = sorted({_key(item) for group in groups for item in group["markets"]})
        markets = load_markets(connection, keys)
        universe = Universe()
        for group in groups:
            for watched in self._watch(group, markets):
                universe.watched[watched.key] = watched
                for market, _ in watched.bundle.legs:
                    universe.by_market.setdefault(market, []).append(watched.key)
        return universe

    def _watch(self, group: Row, markets: Mapping[str, MarketInfo]) -> list[Watched]:
        members = [_key(item) for item in group["markets"]]
        if len(members) > MAX_GROUP_MARKETS:
            return []
        is_tradable = bool(group["is_tradable"]) and (group["kind"] != "pair" or group["pair_state"] == "approved")
        result: list[Watched] = []
        for bundle in self._bundles_of(group, members):
            if not all(key in markets and markets[key].status == "open" for key, _ in bundle.legs):
                continue
            legs = [markets[key] for key, _ in bundle.legs]
            rules = tuple(self._rules_of(market) for market in legs)
            ends = annual_days(legs, legs[0].close_time) if legs[0].close_time else None
            key = (group["group_id"], bundle.leg_set)
            result.append(Watched(group["group_id"], bundle, rules, is_tradable and len(legs) == 2, ends, key))
        return result

    def _bundles_of(self, group: Row, members: list[str]) -> list[Bundle]:
        text = json.dumps([members, group["outcomes"]])
        cached = self._bundles.get(group["group_id"])
        if cached is None or cached[0] != text:
            try:
                bundles = find_bundles(members, parse_outcomes(group["outcomes"], set(members)))
            except InvalidSet as error:
                get_logger().warning("a group cannot be watched", group_id=group["group_id"], error=str(error))
                bundles = []
            cached = (text, bundles)
            self._bundles[group["group_id"]] = cached
        return cached[1]

    def _rules_of(self, market: MarketInfo) -> Rules:
        terms = market.terms
        text = json.dumps([terms.fee_schedule, terms.size_step_e6, terms.min_size_e6, terms.min_notional_e6])
        cached = self._rules.get(market.key)
        if cached is None or cached[0] != text:
            fees = taker_fees(from_json(Venue(market.venue), terms.fee_schedule))
            cached = (text, Rules(fees, terms.size_step_e6, terms.min_size_e6, terms.min_notional_e6))
            self._rules[market.key] = cached
        return cached[1]


def _key(item: Mapping[str, Any]) -> str:
    return f"{item['venue']}:{item['market_id']}"
