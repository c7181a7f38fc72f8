"""What the edge monitor watches: the bundles of all groups, with the terms of their markets, indexed by market."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.execution.decide.plan import cash_back_at
from orchestration.opportunities.bundles import Bundle, find_bundles
from orchestration.opportunities.outcomes import InvalidSet, OutcomeCase, parse_outcomes
from streams.logs import get_logger
from streams.market.errors import InvalidAmount
from streams.market.taker_fees import TakerFees, taker_fees
from streams.market.trading import MarketGroup, MarketInfo
from streams.storage.database import Connection
from streams.storage.store.market_groups import load_groups, load_market_infos

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
class WatchedBundle:
    """One bundle of one group, as it is watched.

    Attributes:
        cases: The allowed outcomes of its group.
        categories: Of the markets of its legs.
        rules: In the order of the legs.
        key: (group, legs), which names its signals.
    """

    group_id: str
    bundle: Bundle
    cases: tuple[OutcomeCase, ...]
    categories: tuple[str, ...]
    rules: tuple[Rules, ...]
    is_tradable: bool
    cash_back_at: datetime | None
    key: tuple[str, str]


@dataclass(slots=True)
class Watchlist:
    """All watched bundles by key, and their keys by market ("venue:market_id")."""

    watched: dict[tuple[str, str], WatchedBundle] = field(default_factory=dict)
    by_market: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class WatchlistLoader:
    """Builds watchlists from Postgres; bundles of a group that did not change are kept from the last time."""

    def __init__(self, *, needs_approval: bool, max_legs: int) -> None:
        self._needs_approval = needs_approval
        self._max_legs = max_legs
        self._bundles: dict[str, tuple[str, tuple[OutcomeCase, ...], list[Bundle]]] = {}
        self._rules: dict[str, tuple[str, Rules | None]] = {}

    def load(self, connection: Connection) -> Watchlist:
        """Read market groups, approvals and terms, and return what is to be watched."""
        groups = load_groups(connection)
        markets = load_market_infos(connection, sorted({key for group in groups for key in group.market_keys}))
        self._forget({group.group_id for group in groups}, markets)
        watchlist = Watchlist()
        # The same legs are watched once, in the smallest group that says what they pay together.
        leg_sets: set[str] = set()
        for group in sorted(groups, key=lambda group: (len(group.markets), group.group_id)):
            for watched in self._watch(group, markets):
                if watched.bundle.leg_set in leg_sets:
                    continue
                leg_sets.add(watched.bundle.leg_set)
                watchlist.watched[watched.key] = watched
                for market, _ in watched.bundle.legs:
                    watchlist.by_market.setdefault(market, []).append(watched.key)
        return watchlist

    def _forget(self, groups: Collection[str], markets: Collection[str]) -> None:
        """Drop what was kept of groups that have ended and of their markets: they do not come back."""
        self._bundles = {group_id: kept for group_id, kept in self._bundles.items() if group_id in groups}
        self._rules = {key: kept for key, kept in self._rules.items() if key in markets}

    def _watch(self, group: MarketGroup, markets: Mapping[str, MarketInfo]) -> list[WatchedBundle]:
        if len(group.markets) > MAX_GROUP_MARKETS:
            return []
        is_tradable = group.is_tradable and group.is_allowed(needs_approval=self._needs_approval)
        result: list[WatchedBundle] = []
        cases, bundles = self._bundles_of(group)
        for bundle in bundles:
            if not all(key in markets and markets[key].status == "open" for key, _ in bundle.legs):
                continue
            legs = [markets[key] for key, _ in bundle.legs]
            rules = tuple(rules for market in legs if (rules := self._rules_of(market)) is not None)
            if len(rules) < len(legs):
                continue
            ends = cash_back_at(legs) if legs[0].close_time else None
            key = (group.group_id, bundle.leg_set)
            may_trade = is_tradable and len(legs) <= self._max_legs
            categories = tuple(market.category for market in legs)
            result.append(WatchedBundle(group.group_id, bundle, cases, categories, rules, may_trade, ends, key))
        return result

    def _bundles_of(self, group: MarketGroup) -> tuple[tuple[OutcomeCase, ...], list[Bundle]]:
        """Return the outcomes of a group and its bundles; nothing where its outcomes cannot be read."""
        members = group.market_keys
        text = json.dumps([members, group.outcomes])
        cached = self._bundles.get(group.group_id)
        if cached is None or cached[0] != text:
            try:
                cases = parse_outcomes(group.outcomes, set(members))
                cached = (text, cases, find_bundles(members, cases, self._max_legs))
            except InvalidSet as error:
                get_logger().warning("a group cannot be watched", group_id=group.group_id, error=str(error))
                cached = (text, (), [])
            self._bundles[group.group_id] = cached
        return cached[1], cached[2]

    def _rules_of(self, market: MarketInfo) -> Rules | None:
        """Return how a market takes orders; None where its fees cannot be read: nobody can price it."""
        terms = market.terms
        text = json.dumps([terms.fee_schedule, terms.size_step_e6, terms.min_size_e6, terms.min_notional_e6])
        cached = self._rules.get(market.key)
        if cached is None or cached[0] != text:
            rules: Rules | None = None
            try:
                fees = taker_fees(market.target.schedule)
                rules = Rules(fees, terms.size_step_e6, terms.min_size_e6, terms.min_notional_e6)
            except InvalidAmount as error:
                get_logger().warning("a market cannot be watched", market=market.key, error=str(error))
            cached = (text, rules)
            self._rules[market.key] = cached
        return cached[1]
