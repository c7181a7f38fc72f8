"""Random sequences of what can happen at an exchange: drawn from a seed, plain values, nothing looked up.

A step names orders by the number of the step that placed them, so that any step can be left out of a sequence and the
rest still means the same.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from streams.market.identity import Venue

ACCOUNTS = ("me", "you", "other")
MARKETS = 3
SCHEMES = ("", "MECNET", "DIRECNET")
"""How Kalshi's events net collateral."""
CENT_E6 = 10_000


class Step(NamedTuple):
    """One thing that happens. `number` stays when steps around it are left out."""

    number: int
    kind: str
    values: dict[str, Any]


_WEIGHTS: dict[str, dict[Venue, int]] = {
    "place": {Venue.KALSHI: 42, Venue.POLYMARKET: 42},
    "house": {Venue.KALSHI: 16, Venue.POLYMARKET: 16},
    "house_cancel": {Venue.KALSHI: 3, Venue.POLYMARKET: 3},
    "cancel": {Venue.KALSHI: 6, Venue.POLYMARKET: 6},
    "cancel_all": {Venue.KALSHI: 1, Venue.POLYMARKET: 1},
    "amend": {Venue.KALSHI: 9, Venue.POLYMARKET: 0},
    "decrease": {Venue.KALSHI: 4, Venue.POLYMARKET: 0},
    "hold": {Venue.KALSHI: 5, Venue.POLYMARKET: 6},
    "wait": {Venue.KALSHI: 9, Venue.POLYMARKET: 12},
    "pause": {Venue.KALSHI: 1, Venue.POLYMARKET: 1},
    "reactivate": {Venue.KALSHI: 2, Venue.POLYMARKET: 2},
    "mode": {Venue.KALSHI: 2, Venue.POLYMARKET: 2},
    "tick": {Venue.KALSHI: 1, Venue.POLYMARKET: 1},
    "split": {Venue.KALSHI: 0, Venue.POLYMARKET: 4},
    "merge": {Venue.KALSHI: 0, Venue.POLYMARKET: 3},
    "convert": {Venue.KALSHI: 0, Venue.POLYMARKET: 3},
    "fail": {Venue.KALSHI: 0, Venue.POLYMARKET: 3},
    "transfer": {Venue.KALSHI: 2, Venue.POLYMARKET: 0},
    "allocation": {Venue.KALSHI: 1, Venue.POLYMARKET: 0},
    "netting": {Venue.KALSHI: 4, Venue.POLYMARKET: 0},
    "settle": {Venue.KALSHI: 2, Venue.POLYMARKET: 2},
    "redeem": {Venue.KALSHI: 0, Venue.POLYMARKET: 2},
    "restart": {Venue.KALSHI: 1, Venue.POLYMARKET: 1},
}


def sequence(venue: Venue, seed: int, length: int) -> list[Step]:
    """Return the steps of a seed."""
    random = Random(f"{venue}:{seed}")
    kinds = list(_WEIGHTS)
    weights = [_WEIGHTS[kind][venue] for kind in kinds]
    drawn = random.choices(kinds, weights, k=length)
    # A settlement ends a market, so it comes late; tokens to sell and to convert are bought first.
    last = length * 3 // 4
    drawn = ["place" if kind == "settle" and number < last else kind for number, kind in enumerate(drawn)]
    if venue is Venue.POLYMARKET:
        drawn[:2] = ["split", "split"]
    steps = [Step(number, kind, _values(kind, venue, number, random)) for number, kind in enumerate(drawn)]
    return _across_the_event(steps, random) if scheme_of(venue, seed) else steps


def scheme_of(venue: Venue, seed: int) -> str:
    """How the event of a sequence nets collateral."""
    return SCHEMES[seed % len(SCHEMES)] if venue is Venue.KALSHI else ""


def _across_the_event(steps: list[Step], random: Random) -> list[Step]:
    """Let who nets trade in all markets of the event, and have it settle at the end."""
    for step in steps:
        step.values["market"] = random.randrange(MARKETS)
    for number, who in enumerate(ACCOUNTS):
        if random.random() < 0.8:
            steps[number] = Step(number, "netting", {"who": who, "is_on": True})
    for market in range(MARKETS) if random.random() < 0.5 else ():
        number = len(steps) - MARKETS + market
        value = random.choice((0, 0, 10_000, 3_700, 5_000))
        values = {"market": market, "who": "me", "settlement": value, "is_paid": True}
        steps[number] = Step(number, "settle", values)
    return steps


def _values(kind: str, venue: Venue, number: int, random: Random) -> dict[str, Any]:
    if kind in ("place", "hold"):
        return _order(venue, random) | {"after_ms": random.choice((0, 100, 1_500, 20_000))}
    values: dict[str, Any] = {"market": _market(random), "who": random.choice(ACCOUNTS)}
    if kind == "house":
        is_immediate = random.random() < 0.3
        values |= {"price": _price(random, 0), "size": _size(random), "is_immediate": is_immediate}
        values["side"] = random.choice(("bid", "ask"))
    elif kind in ("cancel", "house_cancel", "amend", "decrease", "fail"):
        values |= {
            "order": max(0, number - random.randint(1, 12)),
            "price": _price(random, 0.02),
            "size": _size(random),
        }
        values["expires"] = random.choice(("keep", "keep", None, 3_000))
        values["price"] = None if kind == "amend" and random.random() < 0.4 else values["price"]
    elif kind == "wait":
        # 0: to the very moment at which the next order expires or is released.
        values["ms"] = random.choice((0, 0, 1, 50, 600, 2_500, 12_000, 61_000))
    elif kind == "mode":
        values["mode"] = random.choice(("open", "trading_paused", "closed", "restarting", "post_only", "cancel_only"))
        values["for_ms"] = random.choice((1, 50, 600))
    elif kind == "tick":
        values["tick"] = random.choice((10, 100, 50))
    elif kind in ("split", "merge", "convert"):
        values |= {"size": _size(random) // 2, "markets": random.sample(range(MARKETS), random.randint(1, MARKETS))}
    elif kind == "transfer":
        values |= {"source": random.randrange(4), "target": random.randrange(4), "amount": random.randrange(60) * 10**6}
    elif kind == "allocation":
        values["percents"] = random.choice(({0: 100}, {0: 40, 1: 20, 2: 20, 3: 20}, {}, {2: 50, 3: 50}))
    elif kind == "settle":
        values |= {"settlement": random.choice((0, 10_000, 3_700, 5_000)), "is_paid": random.random() < 0.7}
    elif kind == "netting":
        values["is_on"] = random.random() < 0.8
    elif kind == "restart":
        values["is_from_tail"] = random.random() < 0.5
    return values


def _order(venue: Venue, random: Random) -> dict[str, Any]:
    tif = random.choice(("gtc", "gtc", "gtc", "gtd", "ioc", "fok"))
    is_kalshi = venue is Venue.KALSHI
    action = "buy" if is_kalshi or random.random() < 0.65 else "sell"
    size = _size(random)
    spends = not is_kalshi and action == "buy" and tif in ("ioc", "fok") and random.random() < 0.7
    return {
        "market": _market(random),
        "who": random.choice(ACCOUNTS),
        "outcome": random.choice(("yes", "no")),
        "action": action,
        "price": _price(random, 0.02),
        "size": size,
        "tif": tif,
        "is_post_only": tif in ("gtc", "gtd") and random.random() < 0.2,
        "self_trade": random.choice(("taker_at_cross", "maker")),
        "expires": random.choice((700, 5_000, 40_000)) if tif == "gtd" else None,
        "spend": max(CENT_E6, size // 2 // CENT_E6 * CENT_E6) if spends else None,
        "is_reduce_only": is_kalshi and tif == "ioc" and random.random() < 0.2,
        "cancel_on_pause": random.random() < 0.2,
    }


def _market(random: Random) -> int:
    """Mostly the first one, so that its book gets deep."""
    return 0 if random.random() < 0.7 else random.randrange(MARKETS)


def _price(random: Random, off_grid: float) -> int:
    """Mostly near the middle, so that orders meet; sometimes anywhere, at the ends, or off the grid."""
    drawn = random.random()
    if drawn < off_grid:
        return random.choice((0, 5_003, 10_000, 4_955))
    if drawn < 0.1:
        return random.choice((100, 200, 300, 9_700, 9_800, 9_900, 2_000, 8_000))
    return random.randint(48, 52) * 100


def _size(random: Random) -> int:
    """Whole contracts mostly, sometimes hundredths, sometimes none."""
    drawn = random.random()
    if drawn < 0.02:
        return random.choice((0, CENT_E6 // 2, 1_234_567))
    if drawn < 0.3:
        return random.randint(1, 2_500) * CENT_E6
    return random.randint(1, 30) * 1_000_000
