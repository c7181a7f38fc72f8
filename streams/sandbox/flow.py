"""The seeded flow: what makers, takers and rivals do on both venues, and when markets open, close and pay.

Pure and deterministic: the acts follow from the catalogue, the seed, the parameters, the times at which `step` is
called and the fills it is told. Everything waits in one heap of timed events; a step handles those that are due.
Nothing here knows what anyone decided about a pair: gaps arise between markets that are one contract by their truth.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

from streams.market.identity import MarketRef, Side, Venue
from streams.sandbox.behaviour import Behaviour
from streams.sandbox.beliefs import Beliefs
from streams.sandbox.catalogue import Catalogue
from streams.sandbox.episodes import catalogue_gap, gap_for_edge, mean_gap_s, short_gap
from streams.sandbox.model import (
    Act,
    ChangeTick,
    CloseMarket,
    DetermineMarket,
    HouseFill,
    ListMarket,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.parameters import FlowParameters
from streams.sandbox.quoting import (
    MAKER,
    RIVAL,
    TAKER,
    Quotes,
    follow,
    new_quotes,
    note_fill,
    refresh,
    step_back,
    wanted_contracts,
)
from streams.sandbox.registry import Registry, parse_ref
from streams.sandbox.series import MINUTE_MS, ShortEvent, due_closes, listings, strikes_around
from streams.sandbox.truth import Fact

_BELIEF_MS = 100
_SHORT_LAST_GAP_MS = 8_000
"""No gap is opened or kept in the last seconds of a short market."""
_SHOWN_AFTER_MS = 20
_Event = tuple[int, int, str, str]


class Flow:
    """Turns time into acts. One instance serves both venues.

    Args:
        catalogue: What is listed at the start and what is true of it.
        seed: Decides everything that is drawn.
        parameters: The figures; see `streams.sandbox.parameters`.

    Attributes:
        ladders: Kalshi markets "above X" of one event, lowest strike first.
        gaps: How many were opened, `brief`, `long`, `short` (series), and `taken` by rivals, since this process began.
    """

    def __init__(self, catalogue: Catalogue, seed: int, parameters: FlowParameters | None = None) -> None:
        self.parameters = parameters or FlowParameters()
        self._seed = seed
        self._rng = Random(f"flow:{seed}")  # a text seeds alike on every version and machine
        self._beliefs = Beliefs(catalogue.truth, self.parameters, self._rng)
        self._registry = Registry(self.parameters)
        self._quotes: dict[MarketRef, Quotes] = {}
        self._heap: list[_Event] = []
        self._sequence = 0
        self._now_ms = 0
        self._markets_made = 0
        self._short_events: dict[str, ShortEvent] = {}
        self._listed_until: dict[str, int] = {}
        self._early: set[str] = set()
        self.gaps: Counter[str] = Counter()
        events = {(event.venue, event.event_id): event for event in catalogue.events}
        for market in catalogue.markets:
            condition = catalogue.truth.conditions[market.ref]
            fact = catalogue.truth.facts[condition.fact_id]
            self._registry.add(events[(market.venue, market.event_id)], market, condition, fact)
        self._registry.weigh(list(self._registry.markets))
        for ref in self._registry.markets:
            self._make_quotes(ref)
        self.ladders = self._registry.ladders()
        self._handlers: dict[str, Callable[[str, list[Act]], None]] = {
            "belief": self._on_belief, "quote": self._on_quote, "quote_once": self._on_quote_once,
            "taker": self._on_taker, "gap": self._on_gap, "brief": self._on_brief, "rival": self._on_rival,
            "gap_end": self._on_gap_end, "fade": self._on_fade, "ladder": self._on_ladder, "series": self._on_series,
            "close": self._on_close, "determine": self._on_determine, "settle": self._on_settle,
        }  # fmt: skip

    # -- the one call -----------------------------------------------------------------------------------------------

    def step(self, now_ms: int, fills: Sequence[HouseFill]) -> list[Act]:
        """Return what happens up to `now_ms`, in order.

        Args:
            now_ms: Milliseconds since the epoch; a time before the last one is taken as the last one.
            fills: What traded of house orders since the last step. Calling again at once after a fill from outside
                lets makers react between the two legs of a hedge.
        """
        acts: list[Act] = []
        if self._now_ms == 0:
            self._now_ms = now_ms
            self._start(acts)
        self._note_fills(fills, max(now_ms, self._now_ms))
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, _, kind, key = heapq.heappop(self._heap)
            # After a pause the past is not replayed event by event: what is overdue happens now.
            self._now_ms = max(self._now_ms, due_ms, now_ms - 1_000)
            self._handlers[kind](key, acts)
        self._now_ms = max(self._now_ms, now_ms)
        return acts

    def _at(self, when_ms: float, kind: str, key: str = "") -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (int(when_ms), self._sequence, kind, key))

    def _start(self, acts: list[Act]) -> None:
        now, parameters, rng = self._now_ms, self.parameters, self._rng
        count = len(self._registry.markets)
        spread_ms = parameters.opening_s * 1000 * max(1.0, count / 1000)
        by_weight = sorted(self._registry.markets.items(), key=lambda item: -item[1].weight)
        acts.extend(ListMarket(listed.event, listed.market) for listed in self._registry.markets.values())
        for rank, (ref, listed) in enumerate(by_weight):
            self._at(now + spread_ms * rank / max(count, 1), "quote", str(ref))
            self._at(listed.market.close_time.timestamp() * 1000, "close", str(ref))
        mean_ms = mean_gap_s(parameters) * 1000
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

    # -- prices and quotes ------------------------------------------------------------------------------------------

    def _make_quotes(self, ref: MarketRef) -> None:
        """Give a market makers whose habits depend on seed and market alone, so that a restore finds the same."""
        listed = self._registry.markets[ref]
        self._markets_made += 1
        start = listed.market.start_price_e4 / 10_000
        if listed.is_short:
            start = self._beliefs.probability(listed.condition, self._now_ms)
        rng = Random(f"{self._seed}:{ref}")
        quotes = new_quotes(ref, self._markets_made, listed.market.price_ranges, start, rng, self.parameters)
        quotes.seen_ms = self._now_ms
        self._quotes[ref] = quotes

    def _on_belief(self, _: str, acts: list[Act]) -> None:
        self._beliefs.advance(_BELIEF_MS / 1000)
        self._at(self._now_ms + _BELIEF_MS, "belief")

    def _on_quote(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        quotes = self._quotes.get(ref)
        if quotes is None:
            return
        self._refresh(ref, quotes, acts)
        parameters, listed = self.parameters, self._registry.markets[ref]
        rate = parameters.deltas_per_s / parameters.acts_per_refresh * listed.weight / self._registry.total_weight
        if quotes.gap:
            rate *= parameters.gap_speed
            if self._rng.random() < parameters.flicker_probability:
                wanted: Side = "bid" if quotes.gap > 0 else "ask"
                residue = self._rng.random() < parameters.fade_residue
                acts.extend(step_back(quotes, wanted, self._now_ms, self._rng, parameters, keeps_residue=residue))
                quotes.shy_until_ms = self._now_ms + int(self._rng.uniform(*parameters.flicker_s) * 1000)
        self._at(self._now_ms + 1 + self._rng.expovariate(rate) * 1000, "quote", key)

    def _on_quote_once(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        quotes = self._quotes.get(ref)
        if quotes is not None:
            self._refresh(ref, quotes, acts)

    def _refresh(self, ref: MarketRef, quotes: Quotes, acts: list[Act]) -> None:
        parameters = self.parameters
        listed = self._registry.markets[ref]
        fair = self._beliefs.probability(listed.condition, self._now_ms)
        lag = parameters.kalshi_lag_ms if ref.venue is Venue.KALSHI else parameters.polymarket_lag_ms
        lag *= parameters.short_lag_share if listed.is_short else 1.0
        middle = follow(quotes, fair, lag, self._now_ms, self._rng, parameters.noise_memory_s)
        if ref.venue is Venue.POLYMARKET and not quotes.fine_tick and not 0.04 <= middle <= 0.96:
            quotes.fine_tick = True
            if quotes.tick_ranges[0][2] > 10:
                acts.append(ChangeTick(ref, 10))
        acts.extend(refresh(quotes, middle, self._now_ms, self._rng, parameters))
        if abs(quotes.believed - quotes.noticed) * 10_000 >= parameters.move_fade_e4:
            went_up, quotes.noticed = quotes.believed > quotes.noticed, quotes.believed
            for peer in listed.peers:
                # What is stale there after a rise here are the asks.
                stale: Side = "ask" if went_up is not peer.is_inverted else "bid"
                self._plan_fade(peer.ref, stale, parameters.move_fade_probability, self._now_ms)

    def _on_taker(self, _: str, acts: list[Act]) -> None:
        rng = self._rng
        pool = self._quotes
        self._at(self._now_ms + 1 + rng.expovariate(self.parameters.takers_per_s) * 1000, "taker")
        for ref in rng.sample(list(pool), min(4, len(pool))):
            if rng.random() < self._registry.markets[ref].weight:
                side: Side = "bid" if rng.random() < 0.5 else "ask"
                size = max(5, int(rng.expovariate(1 / 18))) * 1_000_000
                self._take(ref, TAKER, side, size, acts)
                return

    def _take(self, ref: MarketRef, account: str, side: Side, size_e6: int, acts: list[Act]) -> None:
        bid, ask = self._quotes[ref].best()
        price = ask if side == "bid" else bid
        if price is not None:
            self._sequence += 1
            acts.append(PlaceOrder(ref, account, f"t{self._sequence}", side, price, size_e6, is_immediate=True))

    # -- gaps, ladders, fades ---------------------------------------------------------------------------------------

    def _on_gap(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        listed = self._registry.markets.get(ref)
        if listed is None or ref not in self._quotes:
            return
        parameters, rng = self.parameters, self._rng
        edge, length_s = short_gap(parameters, rng) if listed.is_short else catalogue_gap(parameters, rng)
        self._open_gap(ref, edge, length_s)
        if listed.is_short:
            life_ms = self._short_events[listed.condition.fact_id].coin.life_min * 60_000
            wait = length_s * 1000 + rng.expovariate(parameters.short_gaps_per_life / life_ms)
        else:
            wait = length_s * 1000 + rng.expovariate(parameters.gap_share / (mean_gap_s(parameters) * 1000))
        self._at(self._now_ms + wait, "gap", key)

    def _brief_wait_ms(self) -> float:
        return self._rng.expovariate(self.parameters.brief_gaps_per_h / 3_600_000)

    def _on_brief(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        if ref not in self._quotes:
            return
        parameters, rng = self.parameters, self._rng
        length_s = rng.uniform(*parameters.brief_gap_s)
        few = max(5.0, parameters.brief_gap_contracts * math.exp(0.3 * rng.gauss(0.0, 1.0)))
        self._open_gap(ref, rng.uniform(*parameters.brief_gap_edge_e4) / 10_000, length_s, few)
        self._at(self._now_ms + length_s * 1000 + self._brief_wait_ms(), "brief", key)

    def _open_gap(self, ref: MarketRef, edge: float, length_s: float, few: float = 0.0) -> None:
        listed = self._registry.markets[ref]
        peers = [peer.ref for peer in listed.peers if peer.ref in self._quotes]
        if not peers:
            return
        pair = [ref, self._rng.choice(peers)]
        self._rng.shuffle(pair)
        near, far = ((self._quotes[one], self._registry.markets[one].market) for one in pair)
        end_ms = self._now_ms + int(length_s * 1000)
        if listed.is_short:
            end_ms = min(end_ms, int(listed.market.close_time.timestamp() * 1000) - _SHORT_LAST_GAP_MS)
        gap = gap_for_edge(edge, near, far, self._rng)
        if gap is None or near[0].gap or far[0].gap or end_ms <= self._now_ms + 1_000 * (1 if few else 2):
            return
        self.gaps["brief" if few else "short" if listed.is_short else "long"] += 1
        self._displace(near[0], gap, end_ms, few)
        if self.parameters.rival_share and self._rng.random() < self.parameters.rival_share:
            reaction = self.parameters.rival_reaction_ms * math.exp(
                self.parameters.rival_reaction_spread * self._rng.gauss(0.0, 1.0)
            )
            self._at(self._now_ms + _SHOWN_AFTER_MS + reaction, "rival", str(near[0].ref))

    def _displace(self, quotes: Quotes, gap: float, end_ms: int, few: float = 0.0) -> None:
        quotes.gap, quotes.gap_until_ms, quotes.few = gap, end_ms + 500, few
        self._at(self._now_ms + _SHOWN_AFTER_MS, "quote_once", str(quotes.ref))
        self._at(end_ms, "gap_end", str(quotes.ref))

    def _on_rival(self, key: str, acts: list[Act]) -> None:
        """Somebody faster takes all that is stale, and the makers know."""
        quotes = self._quotes.get(parse_ref(key))
        if quotes is None or not quotes.gap:
            return
        levels = quotes.bids if quotes.wanted_side == "bid" else quotes.asks
        best = (max if quotes.wanted_side == "bid" else min)(levels, default=0)
        stale = {price: order[1] for price, order in levels.items() if abs(price - best) <= abs(quotes.gap) * 5_000}
        if stale:
            worst = (min if quotes.wanted_side == "bid" else max)(stale)
            self._sequence += 1
            side: Side = "ask" if quotes.wanted_side == "bid" else "bid"
            taken = sum(stale.values())
            acts.append(PlaceOrder(quotes.ref, RIVAL, f"t{self._sequence}", side, worst, taken, is_immediate=True))
            self.gaps["taken"] += 1
        quotes.gap = quotes.few = 0.0
        self._at(self._now_ms + _SHOWN_AFTER_MS, "quote_once", key)

    def _on_gap_end(self, key: str, acts: list[Act]) -> None:
        quotes = self._quotes.get(parse_ref(key))
        if quotes is None or not quotes.gap or self._now_ms < quotes.gap_until_ms - 600:
            return
        if self._rng.random() < self.parameters.rival_probability:
            side: Side = "ask" if quotes.gap > 0 else "bid"
            levels = quotes.bids if side == "ask" else quotes.asks
            if levels:
                best = max(levels) if side == "ask" else min(levels)
                self._take(quotes.ref, RIVAL, side, levels[best][1], acts)
        quotes.gap = quotes.few = 0.0
        self._refresh(quotes.ref, quotes, acts)

    def _on_ladder(self, _: str, acts: list[Act]) -> None:
        parameters, rng = self.parameters, self._rng
        self._at(self._now_ms + 1 + rng.expovariate(parameters.ladder_violations_per_min / 60_000), "ladder")
        rungs = [ref for ref in rng.choice(self.ladders) if ref in self._quotes]
        close = [
            (low, high)
            for low, high in pairwise(rungs)
            if self._quotes[low].believed - self._quotes[high].believed < 0.08
            and 0.06 < self._quotes[high].believed < 0.94
            and not self._quotes[low].gap
            and not self._quotes[high].gap
        ]
        if not close:
            return
        low, high = (self._quotes[ref] for ref in rng.choice(close))
        spreads = (low.half_spread_e4 + high.half_spread_e4) / 10_000
        fees = 2 * 0.07 * high.believed * (1 - high.believed)
        shift = (low.believed - high.believed + spreads + fees + rng.uniform(0.01, 0.03)) / 2
        end_ms = self._now_ms + int(rng.uniform(*parameters.ladder_violation_s) * 1000)
        self._displace(low, -shift, end_ms)
        self._displace(high, shift, end_ms)

    def _note_fills(self, fills: Sequence[HouseFill], now_ms: int) -> None:
        for fill in fills:
            quotes = self._quotes.get(fill.market)
            if quotes is None or fill.account != MAKER:
                continue
            note_fill(quotes, fill.side, fill.order_key, fill.remaining_e6)
            if quotes.few and fill.side == quotes.wanted_side:
                quotes.gap = quotes.few = 0.0
            if fill.counterparty_is_house:
                continue
            quotes.gap *= 0.6
            for peer in self._registry.markets[fill.market].peers:
                # The second leg of someone who bought here is a sale there: it is the bids that step back.
                hit: Side = ("bid" if fill.side == "ask" else "ask") if not peer.is_inverted else fill.side
                self._plan_fade(peer.ref, hit, self.parameters.fade_probability, now_ms)

    def _plan_fade(self, ref: MarketRef, side: Side, probability: float, now_ms: int) -> None:
        parameters, rng = self.parameters, self._rng
        if parameters.fades and rng.random() < probability:
            residue = "few" if rng.random() < parameters.fade_residue else "none"
            self._at(now_ms + rng.randint(*parameters.fade_delay_ms), "fade", f"{side}|{residue}|{ref}")

    def _on_fade(self, key: str, acts: list[Act]) -> None:
        side, residue, name = key.split("|", 2)
        quotes = self._quotes.get(parse_ref(name))
        if quotes is not None:
            hit: Side = "bid" if side == "bid" else "ask"
            is_few = residue == "few"
            acts.extend(step_back(quotes, hit, self._now_ms, self._rng, self.parameters, keeps_residue=is_few))

    # -- short series -----------------------------------------------------------------------------------------------

    def _on_series(self, _: str, acts: list[Act]) -> None:
        for coin in self.parameters.coins:
            for close_ms in due_closes(self._now_ms, coin, self._listed_until.get(coin.code, 0)):
                self._listed_until[coin.code] = close_ms
                strikes = strikes_around(self._beliefs.spot(coin.code), coin)
                self._list_short(ShortEvent(coin, close_ms, self._now_ms, strikes), acts)
        next_minute = (self._now_ms // MINUTE_MS + 1) * MINUTE_MS
        self._at(next_minute, "series")

    def _list_short(self, event: ShortEvent, acts: list[Act] | None) -> None:
        """List a short event; without `acts` (a restore) only make it known."""
        self._short_events[event.fact_id] = event
        self._beliefs.add_short(event.fact_id, event.coin, event.close_ms)
        rows = listings(event)
        fact = Fact(event.fact_id, "scalar", step="0.01")
        refs = [market.ref for _, market, _ in rows]
        for parent, market, condition in rows:
            start = min(max(round(self._beliefs.probability(condition, self._now_ms) * 10_000), 100), 9_900)
            listed = replace(market, start_price_e4=start)
            self._registry.add(parent, listed, condition, fact, is_short=True)
            if acts is not None:
                acts.append(ListMarket(parent, listed))
        self._registry.weigh(refs)
        for ref in refs:
            self._make_quotes(ref)
        if acts is None:
            return
        life_ms = event.coin.life_min * MINUTE_MS
        for ref in refs:
            self._at(self._now_ms + self._rng.uniform(50, 900), "quote", str(ref))
            self._at(event.close_ms, "close", str(ref))
            if ref.venue is Venue.KALSHI:
                wait = self._rng.expovariate(self.parameters.short_gaps_per_life / life_ms)
                self._at(self._now_ms + 5_000 + wait, "gap", str(ref))

    # -- the end of a market ----------------------------------------------------------------------------------------

    def _on_close(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        if self._quotes.pop(ref, None) is None:
            return
        acts.append(CloseMarket(ref))
        listed, rng = self._registry.markets[ref], self._rng
        fact_id = listed.condition.fact_id
        self._beliefs.answer(fact_id)
        lag = self.parameters.determination_s(ref.venue, is_short=listed.is_short)
        self._at(self._now_ms + rng.uniform(*lag) * 1000, "determine", key)
        if isinstance(listed.condition.yes, (bool, frozenset)) and fact_id not in self._early:
            # What has happened is known everywhere: the other markets on it close early.
            self._early.add(fact_id)
            for other in self._registry.of_fact(fact_id):
                if other in self._quotes:
                    self._at(self._now_ms + rng.uniform(2_000, 60_000), "close", str(other))

    def _on_determine(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        listed = self._registry.markets[ref]
        fair = min(max(self._beliefs.probability(listed.condition, self._now_ms), 0.01), 0.99)
        outcome = self._beliefs.settlement(listed.condition, round(fair * 100) * 100)
        result: Any = outcome.result
        acts.append(DetermineMarket(ref, outcome.settlement_e4, result))
        lag = self.parameters.payment_s(ref.venue)
        self._at(self._now_ms + self._rng.uniform(*lag) * 1000, "settle", key)

    def _on_settle(self, key: str, acts: list[Act]) -> None:
        ref = parse_ref(key)
        acts.append(SettleMarket(ref))
        fact_id = self._registry.markets[ref].condition.fact_id
        self._registry.remove(ref)
        if fact_id in self._short_events and not self._registry.of_fact(fact_id):
            del self._short_events[fact_id]
            self._beliefs.drop_short(fact_id)

    # -- keeping ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The whole state as JSON values: a flow restored from it goes on exactly as this one would."""
        version, numbers, spare = self._rng.getstate()
        return {
            "now_ms": self._now_ms, "sequence": self._sequence, "rng": [version, list(numbers), spare],
            "beliefs": self._beliefs.snapshot(), "heap": [list(event) for event in self._heap],
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
        self._beliefs.restore(state["beliefs"])
        self._now_ms, self._sequence, self._markets_made = state["now_ms"], state["sequence"], state["markets_made"]
        self._heap = [(due, number, kind, key) for due, number, kind, key in state["heap"]]
        self._listed_until, self._early = dict(state["listed_until"]), set(state["early"])
        version, numbers, spare = state["rng"]
        self._rng.setstate((version, tuple(numbers), spare))

    def displaced(self) -> Iterator[tuple[MarketRef, bool, int]]:
        """Every book that lags behind: the market, whether the gap is a brief one, and contracts at its best price."""
        for ref, quotes in self._quotes.items():
            if quotes.gap:
                yield ref, quotes.few > 0, wanted_contracts(quotes)

    def follow(self, behaviour: Behaviour) -> None:
        """Let makers and rivals act by another behaviour from now on."""
        self.parameters = self.parameters.under(behaviour)

    def forget_orders(self) -> None:
        """Drop the makers' view of their resting orders: for an exchange that came back without them."""
        for quotes in self._quotes.values():
            quotes.bids.clear()
            quotes.asks.clear()
