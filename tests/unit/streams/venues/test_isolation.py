"""Which of Polymarket's markets may share a socket, where the venue closes connections for some of them."""

from __future__ import annotations

import random

import pytest

from streams.market.errors import TransientError
from streams.venues.polymarket.stream.isolation import SETTLED_NS, Isolation

MARKETS = [f"M{n}" for n in range(40)]
SECOND = 1_000_000_000


def run(isolation: Isolation, connections: list[list[str]], poisoned: set[str]) -> tuple[list[list[str]], int]:
    """Open connections until each lives; return them and how many attempts it took."""
    living: list[list[str]] = []
    attempts = 0
    while connections:
        asked = connections.pop(0)
        attempts += 1
        if poisoned.isdisjoint(asked):
            living.append(asked)
            continue
        others = sum(map(len, connections)) + sum(map(len, living))
        connections += isolation.lost(asked, others, SECOND, attempts * SECOND)
    return living, attempts


@pytest.mark.parametrize("seed", range(20))
def test_only_the_markets_that_connections_are_closed_for_are_left_out(seed: int) -> None:
    chance = random.Random(seed)
    poisoned = set(chance.sample(MARKETS, chance.randint(1, 4)))
    isolation = Isolation()
    living, attempts = run(isolation, [list(MARKETS)], poisoned)
    assert {name for group in living for name in group} == set(MARKETS) - poisoned
    assert attempts < 120
    for group in living:
        isolation.held(group)
    free, apart = isolation.groups(MARKETS, 0)
    assert (set(free), apart) == (set(MARKETS) - poisoned, [])
    free, apart = isolation.groups(MARKETS, 10**15)
    assert sorted(apart) == sorted([name] for name in poisoned), "each is tried again on a connection of its own"


def test_a_market_left_out_is_tried_again_ever_later_and_forgiven_when_it_is_carried() -> None:
    isolation = Isolation()
    now, pauses = 0, []
    for _ in range(9):
        while isolation.lost(["M"], 5, 0, now):
            pass
        due = next(s for s in (60, 120, 240, 480, 960, 1920, 3600) if isolation.groups(["M"], now + s * SECOND)[1])
        pauses.append(due)
        now += due * SECOND
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    isolation.held(["M"])
    assert isolation.groups(["M"], now) == (["M"], [])


def test_connections_lost_now_and_then_are_not_for_their_markets() -> None:
    isolation = Isolation()
    for lived_ns in (SECOND, SECOND, SETTLED_NS, SECOND, SECOND, SETTLED_NS):
        assert isolation.lost(["A", "B"], 0, lived_ns, 0) == [["A", "B"]]
    assert not isolation.is_suspect(["A", "B"])


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_venue_that_closes_every_connection_blames_no_market(count: int) -> None:
    isolation = Isolation()
    with pytest.raises(TransientError, match="every connection"):
        run(isolation, [MARKETS[:count]], set(MARKETS))
    assert isolation.groups(MARKETS, 0) == (MARKETS, [])


def test_a_venue_that_closes_many_connections_is_not_asked_by_ever_more_of_them() -> None:
    isolation = Isolation()
    connections = [[f"{n}-{name}" for name in MARKETS] for n in range(10)]
    with pytest.raises(TransientError, match="every connection"):
        run(isolation, connections, {name for group in connections for name in group})
    assert len(connections) < 80


def test_a_fresh_market_is_not_put_beside_a_suspect() -> None:
    isolation = Isolation()
    halves: list[list[str]] = []
    while len(halves) < 2:
        halves = isolation.lost(["A", "B"], 0, 0, 0)
    assert isolation.is_suspect(["A"])
    assert isolation.groups(["A", "C", "B"], 0) == (["C"], [["A"], ["B"]])
