"""Hedges in a seeded world of fills, part fills, refusals, unknown outcomes, failures, late fills and deadlines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from tests.golden.execution import stage
from tests.golden.execution.stage import Plain

ONE = 1_000_000
TICKS = 60
SHAPES: dict[str, list[tuple[str, str, tuple[int, ...]]]] = {
    "pair": [("polymarket", "yes", (10_000, 0)), ("kalshi", "no", (0, 10_000))],
    "ladder": [("kalshi", "yes", (0, 10_000, 10_000)), ("kalshi", "no", (10_000, 10_000, 0))],
    "event": [
        ("polymarket", "no", (0, 10_000, 10_000)),
        ("kalshi", "no", (10_000, 0, 10_000)),
        ("kalshi", "no", (10_000, 10_000, 0)),
    ],
}
PROFILES: dict[str, dict[str, float]] = {
    "calm": {},
    "partials": {"partial": 0.6},
    "thin": {"partial": 0.3, "no_asks": 0.5, "no_book": 0.2},
    "refused": {"refused": 0.45},
    "unknown": {"unknown": 0.4, "vanished": 0.4},
    "slow": {"unknown": 0.3, "partial": 0.4, "seconds": 30.0},
    "failed": {"failed": 0.8, "unconfirmed": 0.3},
    "late": {"refused": 0.5, "late": 0.9},
    "kill": {"partial": 0.5, "kill": 0.25},
    "reduce": {"partial": 0.5, "reduce": 0.5},
    "deadline": {"unknown": 0.4, "no_bids": 0.7, "no_asks": 0.6, "late_after": 12.0},
    "crumbs": {"crumbs": 0.9, "partial": 0.2},
    "stuck": {"unknown": 0.5, "stuck": 0.9, "late_after": 8.0},
    "no_bids": {"no_bids": 1.0, "no_asks": 0.7, "late_after": 10.0},
    "pieces": {"partial": 1.0, "no_asks": 0.5},
    "flatten": {"flatten": 1.0, "partial": 0.2},
    "flatten_thin": {"flatten": 1.0, "partial": 0.4, "no_bids": 0.4, "unconfirmed": 0.3, "late_after": 30.0},
    "all": {"partial": 0.2, "refused": 0.1, "unknown": 0.2, "no_book": 0.1, "failed": 0.2, "flatten": 0.5},
}


def rows() -> Iterator[Plain]:
    """Give every step of every case."""
    for number, (profile, shape, turn) in enumerate(product(PROFILES, SHAPES, (1, 2))):
        yield from World(f"{profile}-{shape}-{turn}", 1_000 + number, PROFILES[profile], shape).run()


class World:
    """The books, orders and accidents of one case."""

    def __init__(self, case: str, seed: int, chances: dict[str, float], shape: str) -> None:
        self._case, self._chances = case, chances
        self._random = random.Random(seed)
        self._plan = self._make_plan(SHAPES[shape])
        self._hedge = stage.Hedge(self._plan)
        self._orders: list[Plain] = []
        self._exposed_e6_s = 0
        self._switch = "run"
        self._may_complete = True
        self._floors: dict[int, int] = {}
        self._sales: int | None = None

    def run(self) -> Iterator[Plain]:
        """Give each look at the hedge: the step, what came of it, and the figures afterwards."""
        yield {"case": self._case, "plan": self._plan}
        is_over = False
        for tick in range(TICKS):
            self._change_switch()
            books = self._books()
            situation = self._situation(tick)
            step = self._step(books, situation)
            happened = self._happen(step)
            figures = self._hedge.figures(self._orders)
            self._exposed_e6_s += int(figures["exposure_e6"] * self._chances.get("seconds", 0.5))
            yield {"case": self._case, "tick": tick, "step": step, "happened": happened, "figures": figures}
            is_over = step["kind"] == "finish" and happened == ""
            if is_over:
                break
        yield {"case": self._case, "is_over": is_over, "exposure_e6_s": self._exposed_e6_s, "switch": self._switch}

    def _is(self, chance: str) -> bool:
        return self._random.random() < self._chances.get(chance, 0.0)

    def _make_plan(self, shape: list[tuple[str, str, tuple[int, ...]]]) -> Plain:
        payoff = min(map(sum, zip(*(pays for _, _, pays in shape), strict=True)))
        size = self._random.randrange(5, 40) * ONE + self._random.choice([0, 0, 250_000])
        legs: list[Plain] = []
        for number, (venue, outcome, pays) in enumerate(shape):
            price = payoff // len(shape) // 100 * 100 - self._random.randrange(1, 6) * 100
            legs.append(
                {
                    "leg_no": number,
                    "venue": venue,
                    "market_id": f"M{number}",
                    "outcome": outcome,
                    "limit_price_e4": price,
                    "pays_e4": list(pays),
                    "cost_e6": price * size // 10_000,
                    "size_step_e6": self._random.choice([10_000, 10_000, ONE]),
                    "min_size_e6": self._random.choice([10_000, ONE]),
                    "min_notional_e6": ONE if venue == "polymarket" else 0,
                }
            )
        bounds = {"slippage_e4": 200, "exposure_budget_e6": 50 * ONE, "exposure_budget_e6_s": 600 * ONE}
        return {"legs": legs, "size_e6": size // ONE * ONE, **bounds, "dust_e6": ONE}

    def _change_switch(self) -> None:
        if self._orders and self._is("kill"):
            self._switch = "kill"
        elif self._orders and self._is("reduce"):
            self._switch = self._random.choice(["pause", "reduce"])

    def _situation(self, tick: int) -> Plain:
        return {
            "switch": self._switch,
            "exposure_e6_s": self._exposed_e6_s,
            "is_overdue": tick > self._chances.get("late_after", 45.0),
            "may_complete": self._may_complete,
        }

    def _books(self) -> dict[int, Plain | None]:
        found: dict[int, Plain | None] = {}
        for leg in self._plan["legs"]:
            middle = leg["limit_price_e4"] + self._random.randrange(-200, 300, 50)
            depth = [self._random.randrange(1, 30) * ONE for _ in range(6)]
            asks = [(middle + 100 * n, depth[n]) for n in range(3)]
            bids = [(middle - 100 - 100 * n, depth[3 + n]) for n in range(3)]
            sellable = 0 if self._is("unconfirmed") else 1_000 * ONE
            asks, bids = ([] if self._is("no_asks") else asks), ([] if self._is("no_bids") else bids)
            is_there = not self._is("no_book")
            found[leg["leg_no"]] = {"asks": asks, "bids": bids, "sellable_e6": sellable} if is_there else None
        return found

    def _step(self, books: dict[int, Plain | None], situation: Plain) -> Plain:
        if self._sales is None:
            return self._hedge.step(self._orders, books, situation)
        for number, book in books.items():
            floor = None if book is None or number in self._floors else stage.floor_e4(book, 300)
            if floor is not None:
                self._floors[number] = floor
        return self._hedge.flatten(self._orders, books, situation, self._floors, self._sales)

    def _happen(self, step: Plain) -> str:
        if step["kind"] == "place":
            return self._send(step)
        if step["kind"] == "wait":
            return self._learn()
        return self._reopen(step)

    def _send(self, step: Plain) -> str:
        if self._sales is not None:
            self._sales += 1
        order = {
            "leg_no": step["leg_no"],
            "purpose": step["purpose"],
            "action": "sell" if step["purpose"] == "complement" else step["side"],
            "filled_e6": 0,
            "spent_e6": 0,
            "is_resolved": True,
        }
        self._orders.append(order)
        cash = step["price_e4"] * step["size_e6"] // 10_000
        if self._is("unknown"):
            rest = cash + cash // 50 if step["side"] == "buy" else -cash
            rest -= step["size_e6"] if step["purpose"] == "complement" else 0
            order |= {"is_resolved": False, "rest_e6": step["size_e6"], "rest_spent_e6": rest}
            return "unknown"
        if self._is("refused"):
            return "refused"
        size = step["size_e6"]
        if self._is("partial"):
            size = size // 3 // 10_000 * 10_000
        if self._is("crumbs"):
            size -= self._random.choice([0, 12_340, 20_000, 30_000])
        return self._fill(order, step["price_e4"], max(0, size))

    def _fill(self, order: Plain, price_e4: int, size: int) -> str:
        cash, fee = price_e4 * size // 10_000, 7 * size // 400
        spent = fee - cash if order["action"] == "sell" and order["purpose"] != "complement" else cash + fee
        order |= {"filled_e6": size, "spent_e6": spent - (size if order["purpose"] == "complement" else 0)}
        return f"filled {size}"

    def _learn(self) -> str:
        """Learn what became of an order whose outcome was not known."""
        for number, order in enumerate(self._orders):
            if order["is_resolved"] or self._random.random() < self._chances.get("stuck", 0.4):
                continue
            rest, cash = order["rest_e6"], order["rest_spent_e6"]
            order |= {"is_resolved": True, "rest_e6": 0, "rest_spent_e6": 0}
            if self._is("vanished"):
                return f"order {number} never arrived"
            order |= {"filled_e6": rest, "spent_e6": cash}
            return f"order {number} filled {rest}"
        return "nothing"

    def _reopen(self, step: Plain) -> str:
        """Let something come after the end: a failed settlement, a late fill, or a person's flatten."""
        filled: list[Any] = [order for order in self._orders if order["filled_e6"] and order["action"] == "buy"]
        empty: list[Any] = [order for order in self._orders if not order["filled_e6"] and order["action"] == "buy"]
        if filled and self._is("failed"):
            order = self._random.choice(filled)
            order |= {"filled_e6": 0, "spent_e6": 0}
            return f"order {self._orders.index(order)} failed to settle"
        if empty and self._may_complete and self._is("late"):
            self._may_complete = False
            order = empty[0]
            self._fill(order, self._plan["legs"][order["leg_no"]]["limit_price_e4"], 5 * ONE)
            return f"order {self._orders.index(order)} filled late"
        if step["state"] == "HEDGED" and self._sales is None and self._is("flatten"):
            self._sales = 0
            return "a person asks for a flatten"
        return ""
