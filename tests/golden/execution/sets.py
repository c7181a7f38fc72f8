"""Plans, edges and portfolios over seeded books, and ledger rows of seeded fills and settlements."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

from tests.golden.execution import stage
from tests.golden.execution.stage import Plain

ONE = 1_000_000
FEES: dict[str, list[Plain]] = {
    "kalshi": [
        {"fee_type": "quadratic", "fee_multiplier": "1"},
        {"fee_type": "quadratic", "fee_multiplier": "0.5"},
    ],
    "polymarket": [
        {"rate": "0.04", "exponent": "1", "taker_only": True},
        {"rate": "0", "exponent": "1", "taker_only": True},
    ],
}
K, L, P = "kalshi:KXA", "kalshi:KXB", "polymarket:0xa"
KINDS: list[tuple[str, list[str], list[list[str]], list[tuple[str, str]]]] = [
    ("pair", [K, P], [[K, P], []], [(K, "yes"), (P, "no")]),
    ("pair", [K, P], [[K], [P]], [(K, "yes"), (P, "yes")]),
    ("ladder", [K, L], [[], [K], [K, L]], [(K, "yes"), (L, "no")]),
    ("event", [K, L, P], [[K], [L], [P]], [(K, "no"), (L, "no"), (P, "no")]),
]
ROOM: Plain = {
    "limits": {
        "order_contracts_e6": 50 * ONE,
        "market_e6": 200 * ONE,
        "pair_e6": 300 * ONE,
        "total_e6": 2_000 * ONE,
        "daily_loss_e6": 100 * ONE,
    },
    "used": {
        "by_market_e6": [],
        "by_group_e6": {},
        "total_e6": 0,
        "provisional_e6": 0,
    },
    "cash_e6": {"kalshi": [[None, 1_000 * ONE]], "polymarket": [[None, 1_000 * ONE]]},
    "settings": {},
}


def plan_rows() -> Iterator[Plain]:
    """Give the plan, or the refusal, of each case."""
    for seed in range(28):
        source = random.Random(seed)
        kind, markets, outcomes, legs = KINDS[seed % len(KINDS)]
        case = _plan_case(source, kind, markets, outcomes, legs, gain=source.choice([200, 500, 700, 900]))
        for section, values in _tightened(seed // len(KINDS)).items():
            case[section] = {**case[section], **values}
        yield {"case": f"{kind}-{seed}", **stage.plan(case)}
    source = random.Random(99)
    kind, markets, outcomes, legs = KINDS[0]
    for name, change in {
        "no book": {"books": {}},
        "unknown terms": {"markets": {}},
        "no outcome": {"group": {"group_id": "g", "markets": _group(markets), "outcomes": []}},
        "foreign outcome": {"group": {"group_id": "g", "markets": _group(markets), "outcomes": [["kalshi:KXZ"]]}},
        "thirds": {"cash_e6": {"kalshi": [[0, 900 * ONE], [1, 3 * ONE]], "polymarket": [[None, 7 * ONE]]}},
    }.items():
        yield {"case": name, **stage.plan(_plan_case(source, kind, markets, outcomes, legs, gain=400) | change)}


def _group(markets: list[str]) -> list[Plain]:
    return [dict(zip(("venue", "market_id"), key.split(":"), strict=True)) for key in markets]


def _plan_case(
    source: random.Random, kind: str, markets: list[str], outcomes: object, legs: list[tuple[str, str]], *, gain: int
) -> Plain:
    payoff = 20_000 if kind == "event" else 10_000
    terms, books = {}, {}
    for key in markets:
        venue, market = key.split(":")
        more = {"min_size_e6": 5 * ONE, "min_notional_e6": ONE} if venue == "polymarket" else {}
        more["size_step_e6"] = source.choice([10_000, 10_000, ONE]) if venue == "kalshi" else 10_000
        terms[key] = (venue, market, {"fee_schedule": source.choice(FEES[venue]), **more})
        outcome = dict(legs)[key]
        ask = (payoff - gain) // len(markets) // 100 * 100 + source.randrange(-2, 2) * 100
        books[key] = _book(source, ask if outcome == "yes" else 10_000 - ask, outcome)
    return {
        "markets": terms,
        "legs": [{**leg, "outcome": dict(legs)[key]} for key, leg in zip(markets, _group(markets), strict=True)],
        "group": {"group_id": "g", "kind": kind, "markets": _group(markets), "outcomes": outcomes},
        "books": books,
        **ROOM,
    }


def _book(source: random.Random, price: int, outcome: str) -> Plain:
    """Return a book whose best offer of an outcome stands at a YES price."""
    depth = [source.randrange(2, 60) * ONE + source.choice([0, 0, 330_000]) for _ in range(8)]
    best_bid = price - 100 if outcome == "yes" else price
    bids = [(best_bid - 100 * n, depth[n]) for n in range(4) if best_bid > 100 * n]
    asks = [(best_bid + 100 + 100 * n, depth[4 + n]) for n in range(4) if best_bid + 100 + 100 * n < 10_000]
    return {"bids": bids, "asks": asks}


def _tightened(number: int) -> Plain:
    """Return what is scarce in a round of cases."""
    return [
        {},
        {"limits": {"order_contracts_e6": 3 * ONE}},
        {"limits": {"market_e6": 12 * ONE, "pair_e6": 15 * ONE}},
        {
            "used": {
                "by_group_e6": {"g": 296 * ONE},
                "total_e6": 296 * ONE,
                "by_market_e6": [["kalshi", "KXA", 190 * ONE]],
            }
        },
        {"cash_e6": {"kalshi": [[None, 4 * ONE]], "polymarket": [[None, 6 * ONE + 1]]}},
        {"used": {"total_e6": 2_000 * ONE, "provisional_e6": 499 * ONE}},
        {"settings": {"exposure_budget_usd": "3", "signal_min_profit_usd": "0.50", "slippage_max_usd": "0.01"}},
    ][number]


# -- opportunities -----------------------------------------------------------------------------------------------------


def opportunity_rows() -> Iterator[Plain]:
    """Give bundles, walks, sizes and portfolios of each set."""
    for kind, markets, outcomes, _ in KINDS:
        yield {"case": f"bundles of {kind}", "bundles": stage.bundles(markets, outcomes)}
    for seed in range(20):
        source = random.Random(seed)
        offers = [_offer(source, number) for number in range(source.choice([2, 2, 2, 3]))]
        payoff = sum(offer["levels"][0][0] for offer in offers) + source.choice([200, 500, 800, 1_200])
        for threshold, most in ((0, None), (50, None), (0, 7 * ONE)):
            found = stage.edge(offers, payoff, threshold, most)
            yield {"case": f"walk-{seed}", "threshold_e4": threshold, "most_e6": most, "edge": found}
        caps = [
            {"name": "first", "cash_e6": source.randrange(0, 12) * ONE, "legs": [0]},
            {"name": "all", "cash_e6": source.randrange(1, 30) * ONE, "legs": list(range(len(offers)))},
        ]
        yield {"case": f"sized-{seed}", **stage.sized(offers, payoff, 20 * ONE, caps)}
    for seed in range(24):
        source = random.Random(500 + seed)
        document = _document(source, KINDS[seed % len(KINDS)])
        yield {"case": f"set-{seed}", "answer": stage.best_of(document)}
        legs = [
            {"market": market["id"], "side": source.choice(["yes", "no"]), "size": "6", "price": "0.37"}
            for market in document["markets"]
        ]
        yield {"case": f"legs-{seed}", "answer": stage.value_of({**document, "legs": legs})}
    for name, change in {
        "no outcomes": {"outcomes": []},
        "unknown id": {"outcomes": [["x"]]},
        "no markets": {"markets": []},
        "price off the grid": {"markets": [{"id": "A", "venue": "kalshi", "yes_asks": [["0.405", "1"]]}]},
        "void": {"outcomes": [["A"], {"name": "void", "kind": "stress", "settles": {"A": "0.5"}}]},
    }.items():
        base: Plain = {
            "markets": [{"id": "A", "venue": "kalshi", "yes_asks": [["0.40", "9"]]}],
            "outcomes": [["A"], []],
        }
        yield {"case": name, "answer": stage.best_of(base | change)}


def _offer(source: random.Random, number: int) -> Plain:
    venue = source.choice(["kalshi", "polymarket"])
    best = source.randrange(5, 60) * 100
    return {
        "key": f"{venue}:M{number}:yes",
        "venue": venue,
        "levels": [[best + 100 * n, source.randrange(1, 20) * ONE] for n in range(4)],
        "fee_schedule": source.choice(FEES[venue]),
        "size_step_e6": source.choice([10_000, ONE]),
        "min_size_e6": source.choice([10_000, 5 * ONE]),
        "min_notional_e6": ONE if venue == "polymarket" else 0,
    }


def _document(source: random.Random, kind: tuple[str, list[str], list[list[str]], list[tuple[str, str]]]) -> Plain:
    _, keys, outcomes, legs = kind
    payoff = 200 if kind[0] == "event" else 100
    markets: list[Plain] = []
    for key in keys:
        venue = key.split(":")[0]
        ask = (payoff - source.choice([2, 6, 9, 14])) // len(keys) + source.randrange(-2, 3)
        levels = [[str(Decimal(ask + n) / 100), str(source.randrange(5, 90))] for n in range(3)]
        fee = dict(source.choice(FEES[venue]))
        rules = {"size_step": source.choice(["0.01", "1"]), "min_size": source.choice(["0.01", "5"])}
        markets.append({"id": key, "venue": venue, "fee": fee, f"{dict(legs)[key]}_asks": levels, **rules})
    stress = {"name": "void", "kind": "stress", "settles": dict.fromkeys(keys, "0.5")}
    limits = source.choice(
        [
            {},
            {"max_cost_usd": "20"},
            {"min_edge_usd": "0.01"},
            {"max_legs": 2},
            {"cost_by_account": {"kalshi": "15"}},
            {"min_annualised": "0.5"},
        ]
    )
    return {
        "as_of": "2026-01-05T12:00:00Z",
        "markets": markets,
        "outcomes": [*outcomes, stress],
        "resolves_at": "2026-02-05T12:00:00Z",
        "limits": limits,
    }


# -- ledger ------------------------------------------------------------------------------------------------------------


def ledger_rows() -> Iterator[Plain]:
    """Give the ledger rows of fills, of their reversals and of settlements."""
    for seed in range(16):
        source = random.Random(seed)
        fill = {
            "fill_key": f"fill-{seed}",
            "venue": source.choice(["kalshi", "polymarket"]),
            "market_id": "M",
            "outcome": source.choice(["yes", "no"]),
            "action": source.choice(["buy", "sell"]),
            "contracts_e6": source.randrange(1, 50 * ONE),
            "cash_e6": source.randrange(0, 40 * ONE),
            "fee_e6": source.choice([0, source.randrange(1, ONE), -source.randrange(1, ONE)]),
            "execution_id": seed // 2,
            "order_id": seed,
        }
        yield {"fill": fill, "rows": stage.fill_rows(fill), "reversal": stage.reversal_rows(fill)}
    for seed in range(24):
        source = random.Random(seed)
        venue = source.choice(["kalshi", "polymarket"])
        lots = [
            {"execution_id": number or None, "outcome": source.choice(["yes", "no"]), "contracts_e6": size}
            for number, size in enumerate(source.choice([0, source.randrange(1, 30 * ONE)]) for _ in range(4))
        ]
        held = {side: sum(lot["contracts_e6"] for lot in lots if lot["outcome"] == side) for side in ("yes", "no")}
        early = stage.paid_early_e6(venue, held["yes"], held["no"])
        value = source.choice([0, 10_000, 10_000, 3_700, 5_000])
        pays = {side: stage.pays_e6(side, size, value) for side, size in held.items()}
        paid = source.choice([None, sum(pays.values()) - early, sum(pays.values()) - early + 3, 0])
        given = {"venue": venue, "settlement_e4": value, "lots": lots, "paid_e6": paid}
        found = stage.settlement_rows(venue, "M", value, lots, early, paid)
        yield {"settlement": given, "paid_early_e6": early, "pays_e6": pays, "rows": found}
