"""The seeded flow: what makers, takers and rival takers do on both venues, and when markets open, close and pay.

Pure and deterministic: the actions follow from the catalogue, the seed, the parameters, the times at which `step` is
called and the fills it is told. Everything waits in one heap of timed events; a step handles those that are due.
Nothing here knows what anyone decided about a pair: dislocations arise between markets that are
one contract by their truth.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.catalogue import Catalogue
from streams.sandbox.catalogue.truth import Fact
from streams.sandbox.core.model import (
    CloseMarket,
    DetermineMarket,
    ListMarket,
    MarketAction,
    ParticipantFill,
    SettleMarket,
)
from streams.sandbox.core.profile import Profile
from streams.sandbox.core.scenario import Scenario
from streams.sandbox.simulation.dislocations import Dislocations, mean_dislocation_s
from streams.sandbox.simulation.parameters import FlowParameters
from streams.sandbox.simulation.quoting import wanted_contracts
from streams.sandbox.simulation.short_series import MINUTE_MS, ShortEvent, due_closes, listings, strikes_around
from streams.sandbox.simulation.universe import parse_ref


class Flow(Dislocations):
    """Turns time into market actions. One instance serves both venues.

    Args:
        catalogue: What is listed at the start and what is true of it.
        seed: Decides everything that is drawn.
        parameters: The figures; see `streams.sandbox.simulation.parameters`.
    """

    def __init__(self, catalogue: Catalogue, seed: int, parameters: FlowParameters | None = None) -> None:
        super().__init__(catalogue.truth, seed, parameters or FlowParameters())
        self._listed_until: dict[str, int] = {}
        self._early: set[str] = set()
        events = {(event.venue, event.event_id): event for event in catalogue.events}
        for market in catalogue.markets:
            condition = catalogue.truth.conditions[market.ref]
            fact = catalogue.truth.facts[condition.fact_id]
            self._registry.add(events[(market.venue, market.event_id)], market, condition, fact)
        self._registry.weigh(list(self._registry.markets))
        for ref in self._registry.markets:
            self._make_quotes(ref)
        self.ladders = self._registry.ladders()
        self._handlers: dict[str, Callable[[str, list[MarketAction]], None]] = {
            "belief": self._on_fair_value, "quote": self._on_quote, "quote_once": self._on_quote_once,
            "taker": self._on_taker, "gap": self._on_dislocation, "brief": self._on_brief, "rival": self._on_rival,
            "gap_end": self._on_dislocation_end, "fade": self._on_fade, "ladder": self._on_ladder,
            "series": self._on_series, "close": self._on_close, "determine": self._on_determine,
            "settle": self._on_settle,
        }  # fmt: skip

    # -- the one call -----------------------------------------------------------------------------------------------

    def step(self, now_ms: int, fills: Sequence[ParticipantFill]) -> list[MarketAction]:
        """Return what happens up to `now_ms`, in order.

        Args:
            now_ms: Milliseconds since the epoch; a time before the last one is taken as the last one.
            fills: What traded of simulated orders since the last step. Calling again at once after a fill from outside
                lets makers react between the two legs of a hedge.
        """
        actions: list[MarketAction] = []
        if self._now_ms == 0:
            self._now_ms = now_ms
            self._start(actions)
        self._note_fills(fills, max(now_ms, self._now_ms))
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, _, kind, key = heapq.heappop(self._heap)
            # After a pause the past is not replayed event by event: what is overdue happens now.
            self._now_ms = max(self._now_ms, due_ms, now_ms - 1_000)
            self._handlers[kind](key, actions)
        self._now_ms = max(self._now_ms, now_ms)
        return actions

    def _start(self, actions: list[MarketAction]) -> None:
        now, parameters, rng = self._now_ms, self.parameters, self._rng
        count = len(self._registry.markets)
        spread_ms = parameters.opening_s * 1000 * max(1.0, count / 1000)
        by_weight = sorted(self._registry.markets.items(), key=lambda item: -item[1].weight)
        actions.extend(ListMarket(listed.event, listed.market) for listed in self._registry.markets.values())
        for rank, (ref, listed) in enumerate(by_weight):
            self._at(now + spread_ms * rank / max(count, 1), "quote", str(ref))
            self._at(listed.market.close_time.timestamp() * 1000, "close", str(ref))
        mean_ms = mean_dislocation_s(parameters) * 1000
        for ref, listed in self._registry.markets.items():
            if ref.venue is Venue.KALSHI and listed.peers:
                starts_open = rng.random() < parameters.gap_share
                wait = rng.expovariate(parameters.gap_share / mean_ms)
                self._at(now + spread_ms + (1_000 if starts_open else wait), "gap", str(ref))
        self._at(now, "belief")
        self._at(now + spread_ms + 1_000, "taker")
        if parameters.brief_gaps_per_h:
            for ref, listed in self._registry.markets.items():
                if ref.venue is Venue.KALSHI and listed.peers:
                    self._at(now + spread_ms + self._brief_wait_ms(), "brief", str(ref))
        if self.ladders:
            self._at(now + spread_ms + 5_000, "ladder")
        if parameters.coins:
            self._at(now, "series")

    # -- short series -----------------------------------------------------------------------------------------------

    def _on_series(self, _: str, actions: list[MarketAction]) -> None:
        for coin in self.parameters.coins:
            for close_ms in due_closes(self._now_ms, coin, self._listed_until.get(coin.code, 0)):
                self._listed_until[coin.code] = close_ms
                strikes = strikes_around(self._fair_values.spot(coin.code), coin)
                self._list_short(ShortEvent(coin, close_ms, self._now_ms, strikes), actions)
        next_minute = (self._now_ms // MINUTE_MS + 1) * MINUTE_MS
        self._at(next_minute, "series")

    def _list_short(self, event: ShortEvent, actions: list[MarketAction] | None) -> None:
        """List a short event; without `actions` (a restore) only make it known."""
        self._short_events[event.fact_id] = event
        self._fair_values.add_short(event.fact_id, event.coin, event.close_ms)
        rows = listings(event)
        fact = Fact(event.fact_id, "scalar", step="0.01")
        refs = [market.ref for _, market, _ in rows]
        for parent, market, condition in rows:
            start = min(max(round(self._fair_values.probability(condition, self._now_ms) * 10_000), 100), 9_900)
            listed = replace(market, start_price_e4=start)
            self._registry.add(parent, listed, condition, fact, is_short=True)
            if actions is not None:
                actions.append(ListMarket(parent, listed))
        self._registry.weigh(refs)
        for ref in refs:
            self._make_quotes(ref)
        if actions is None:
            return
        life_ms = event.coin.life_min * MINUTE_MS
        for ref in refs:
            self._at(self._now_ms + self._rng.uniform(50, 900), "quote", str(ref))
            self._at(event.close_ms, "close", str(ref))
            if ref.venue is Venue.KALSHI:
                wait = self._rng.expovariate(self.parameters.short_gaps_per_life / life_ms)
                self._at(self._now_ms + 5_000 + wait, "gap", str(ref))

    # -- the end of a market ----------------------------------------------------------------------------------------

    def _on_close(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        if self._quotes.pop(ref, None) is None:
            return
        actions.append(CloseMarket(ref))
        listed, rng = self._registry.markets[ref], self._rng
        fact_id = listed.condition.fact_id
        self._fair_values.answer(fact_id)
        lag = self.parameters.determination_s(ref.venue, is_short=listed.is_short)
        self._at(self._now_ms + rng.uniform(*lag) * 1000, "determine", key)
        if isinstance(listed.condition.yes, (bool, frozenset)) and fact_id not in self._early:
            # What has happened is known everywhere: the other markets on it close early.
            self._early.add(fact_id)
            for other in self._registry.of_fact(fact_id):
                if other in self._quotes:
                    self._at(self._now_ms + rng.uniform(2_000, 60_000), "close", str(other))

    def _on_determine(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        listed = self._registry.markets[ref]
        fair = min(max(self._fair_values.probability(listed.condition, self._now_ms), 0.01), 0.99)
        outcome = self._fair_values.settlement(listed.condition, round(fair * 100) * 100)
        result: Any = outcome.result
        actions.append(DetermineMarket(ref, outcome.settlement_e4, result))
        lag = self.parameters.payment_s(ref.venue)
        self._at(self._now_ms + self._rng.uniform(*lag) * 1000, "settle", key)

    def _on_settle(self, key: str, actions: list[MarketAction]) -> None:
        ref = parse_ref(key)
        actions.append(SettleMarket(ref))
        fact_id = self._registry.markets[ref].condition.fact_id
        self._registry.remove(ref)
        if fact_id in self._short_events and not self._registry.of_fact(fact_id):
            del self._short_events[fact_id]
            self._fair_values.drop_short(fact_id)

    # -- keeping ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The whole state as JSON values: a flow restored from it goes on exactly as this one would."""
        version, numbers, spare = self._rng.getstate()
        return {
            "now_ms": self._now_ms, "sequence": self._sequence, "rng": [version, list(numbers), spare],
            "beliefs": self._fair_values.snapshot(), "heap": [list(event) for event in self._heap],
            "quotes": [[str(ref), quotes.index, *quotes.snapshot()] for ref, quotes in self._quotes.items()],
            "markets": [str(ref) for ref in self._registry.markets], "total_weight": self._registry.total_weight,
            "markets_made": self._markets_made, "listed_until": dict(self._listed_until), "early": sorted(self._early),
            "short": [event.as_json() for event in self._short_events.values()],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `snapshot` gave, on a flow made with the same catalogue, seed and parameters."""
        coins = {coin.code: coin for coin in self.parameters.coins}
        for code, close_ms, listed_ms, strikes in state["short"]:
            self._now_ms = listed_ms
            self._list_short(ShortEvent(coins[code], close_ms, listed_ms, tuple(strikes)), None)
        alive = {parse_ref(text) for text in state["markets"]}
        for ref in [ref for ref in self._registry.markets if ref not in alive]:
            self._registry.remove(ref)
        made, self._quotes = self._quotes, {}
        for text, index, *values in state["quotes"]:
            quotes = made[parse_ref(text)]
            quotes.index = index
            quotes.restore(values)
            self._quotes[quotes.ref] = quotes
        self._registry.total_weight = state["total_weight"]
        self._fair_values.restore(state["beliefs"])
        self._now_ms, self._sequence, self._markets_made = state["now_ms"], state["sequence"], state["markets_made"]
        self._heap = [(due, number, kind, key) for due, number, kind, key in state["heap"]]
        self._listed_until, self._early = dict(state["listed_until"]), set(state["early"])
        version, numbers, spare = state["rng"]
        self._rng.setstate((version, tuple(numbers), spare))

    def displaced(self) -> Iterator[tuple[MarketRef, bool, int]]:
        """Every book that lags behind: the market, whether that is a brief dislocation, and contracts at its best."""
        for ref, quotes in self._quotes.items():
            if quotes.gap:
                yield ref, quotes.few > 0, wanted_contracts(quotes)

    def follow(self, profile: Profile, scenario: Scenario | None = None) -> None:
        """Let makers and rival takers act by another profile, and in another scenario if one is given, from now on."""
        parameters = self.parameters if scenario is None else self.parameters.in_scenario(scenario)
        self.parameters = parameters.under(profile)

    def drop_orders(self) -> None:
        """Drop the makers' view of their resting orders: for an exchange that came back without them."""
        for quotes in self._quotes.values():
            quotes.bids.clear()
            quotes.asks.clear()
