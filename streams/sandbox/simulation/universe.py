"""Which markets the flow runs, which of them are one contract on two venues, and which form ladders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.market.identity import MarketRef, Venue
from streams.sandbox.catalogue.truth import Condition, Fact, Interval, contract_key
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket
from streams.sandbox.simulation.parameters import FlowParameters


class Peer(NamedTuple):
    """The same contract on the other venue; `is_inverted`: its YES is our NO."""

    ref: MarketRef
    is_inverted: bool


@dataclass(slots=True)
class Listed:
    """A market of the flow with its place in the catalogue and its truth."""

    event: CatalogueEvent
    market: CatalogueMarket
    condition: Condition
    is_short: bool
    weight: float = 0.0
    peers: list[Peer] = field(default_factory=list)


class Registry:
    """Markets by reference, with peers kept up to date as markets come and go."""

    def __init__(self, parameters: FlowParameters) -> None:
        self._parameters = parameters
        self._classes: dict[tuple[str, str], list[tuple[MarketRef, bool]]] = {}
        self._of_fact: dict[str, list[MarketRef]] = {}
        self.markets: dict[MarketRef, Listed] = {}
        self.total_weight = 0.0

    def add(
        self,
        event: CatalogueEvent,
        market: CatalogueMarket,
        condition: Condition,
        fact: Fact,
        *,
        is_short: bool = False,
    ) -> None:
        """Add a market and tell its peers."""
        listed = Listed(event, market, condition, is_short)
        self.markets[market.ref] = listed
        fact_id, name, is_complement = contract_key(fact, condition)
        members = self._classes.setdefault((fact_id, name), [])
        for other, other_complement in members:
            if other.venue is not market.venue:
                is_inverted = is_complement != other_complement
                listed.peers.append(Peer(other, is_inverted))
                self.markets[other].peers.append(Peer(market.ref, is_inverted))
        members.append((market.ref, is_complement))
        self._of_fact.setdefault(fact_id, []).append(market.ref)

    def remove(self, ref: MarketRef) -> None:
        """Forget a market that was paid."""
        listed = self.markets.pop(ref)
        self.total_weight -= listed.weight
        for peer in listed.peers:
            other = self.markets.get(peer.ref)
            if other is not None:
                other.peers = [back for back in other.peers if back.ref != ref]
        for key, members in list(self._classes.items()):
            if key[0] == listed.condition.fact_id:
                self._classes[key] = [member for member in members if member[0] != ref]
                if not self._classes[key]:
                    del self._classes[key]
        left = [other for other in self._of_fact.get(listed.condition.fact_id, []) if other != ref]
        if left:
            self._of_fact[listed.condition.fact_id] = left
        else:
            self._of_fact.pop(listed.condition.fact_id, None)

    def of_fact(self, fact_id: str) -> list[MarketRef]:
        """All markets that settle on a fact."""
        return self._of_fact.get(fact_id, [])

    def weigh(self, refs: Iterable[MarketRef]) -> None:
        """Give markets their relative speed; call it once peers are known."""
        parameters = self._parameters
        paired_events = {
            (listed.market.venue, listed.market.event_id) for listed in self.markets.values() if listed.peers
        }
        for ref in refs:
            listed = self.markets[ref]
            if listed.is_short:
                weight = parameters.weight_short
            elif listed.peers:
                weight = parameters.weight_pair
            elif (ref.venue, listed.market.event_id) in paired_events:
                weight = parameters.weight_event
            else:
                weight = parameters.weight_other
            self.total_weight += weight - listed.weight
            listed.weight = weight

    def ladders(self) -> list[list[MarketRef]]:
        """Kalshi markets "above X" of one event and one fact, lowest strike first, at least two rungs."""
        rungs: dict[tuple[str, str], list[tuple[int, MarketRef]]] = {}
        for ref, listed in self.markets.items():
            bounds = listed.condition.yes
            if (
                ref.venue is Venue.KALSHI
                and isinstance(bounds, Interval)
                and bounds.high >= 10**15
                and not listed.is_short
            ):
                key = (listed.market.event_id, listed.condition.fact_id)
                rungs.setdefault(key, []).append((bounds.low, ref))
        return [[ref for _, ref in sorted(found)] for found in rungs.values() if len(found) > 1]


def parse_ref(text: str) -> MarketRef:
    """The market a `venue:market_id` text names."""
    venue, _, market_id = text.partition(":")
    return MarketRef(Venue(venue), market_id)
