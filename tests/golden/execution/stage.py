"""Plain values in, plain values out: only the modules named `stage...` here know the project's internals.

A change of names or structure is followed here; the scripts and the stored answers beside it stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.execution.decide.flatten import Bound, flatten_step, floor_of
from orchestration.execution.decide.hedge import Finish, LegBook, Place, RunConditions, Step, next_step, state_of
from orchestration.execution.decide.hedge_plan import (
    OrderFact,
    Plan,
    exposure_e6,
    holdings,
    locked_e6,
    spent_e6,
    unmatched_e6,
)
from orchestration.execution.decide.ledger import (
    FailedFill,
    FillFact,
    entries_of,
    netting_target_e6,
    payout_e6,
)
from orchestration.execution.decide.market_account import Lot, MarketAccount, Result, missing_entries
from orchestration.execution.decide.plan import Headroom, decide, plan_from_json, plan_to_json, trade_request
from orchestration.execution.decide.postings import Entry, cash_of
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.trading_context import TradingContext
from orchestration.opportunities.bundles import find_bundles
from orchestration.opportunities.documents import calc_answer, edges_answer
from orchestration.opportunities.edges import Edge, Offer, walk
from orchestration.opportunities.outcomes import InvalidSet, parse_outcomes
from orchestration.opportunities.sizing import Cap, size_bundle
from streams.market.events import BookSnapshot
from streams.market.fees import from_json
from streams.market.identity import MarketRef, Venue
from streams.market.limits import LimitValues
from streams.market.listing import MarketTerms
from streams.market.taker_fees import taker_fees
from streams.market.trading import MarketGroup, MarketInfo, Signal, SignalLeg, TiedUp
from streams.recorder.pipeline import Pipeline
from streams.recorder.sources import PARSERS
from streams.settings import Settings
from streams.storage.recording import RowBatch
from streams.storage.segments import Record, RecordKind, pack_head

Plain = dict[str, Any]
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_FEES = taker_fees(from_json(Venue.POLYMARKET, {"rate": "0.04", "exponent": "1", "taker_only": True}))

# -- hedges ------------------------------------------------------------------------------------------------------------


class Hedge:
    """The decisions of one hedge. `plan` is in the form that is stored with an execution."""

    def __init__(self, plan: Plain) -> None:
        self._plan = plan_from_json(plan)

    def step(self, orders: Sequence[Plain], books: Mapping[int, Plain | None], situation: Plain) -> Plain:
        """Return what to do next to be hedged."""
        return _step(self._plan, next_step(self._plan, _orders(orders), _books(books), _conditions(situation)))

    def flatten(
        self,
        orders: Sequence[Plain],
        books: Mapping[int, Plain | None],
        situation: Plain,
        floors_e4: Mapping[int, int],
        sales: int,
    ) -> Plain:
        """Return what to do next to hold nothing any more."""
        bound = Bound(floors_e4, sales)
        found = flatten_step(self._plan, _orders(orders), _books(books), _conditions(situation), bound)
        return _step(self._plan, found)

    def figures(self, orders: Sequence[Plain]) -> Plain:
        """Return what the orders so far amount to."""
        facts = _orders(orders)
        return {
            "state": str(state_of(facts)),
            "held_e6": [held for _, held in sorted(holdings(self._plan, facts).items())],
            "spent_e6": spent_e6(facts),
            "locked_e6": locked_e6(self._plan, facts),
            "exposure_e6": exposure_e6(self._plan, facts),
            "unmatched_e6": unmatched_e6(self._plan, facts),
        }


def floor_e4(book: Plain, slippage_e4: int) -> int | None:
    """Return the least price a flatten may sell at into a book, None without a bid."""
    return floor_of(_book(book), slippage_e4)


def _conditions(situation: Plain) -> RunConditions:
    values = dict(situation)
    may_exceed_plan = values.pop("may_complete")
    return RunConditions(exposure_usd_seconds_e6=values.pop("exposure_e6_s"), may_exceed_plan=may_exceed_plan, **values)


def _orders(orders: Sequence[Plain]) -> list[OrderFact]:
    return [OrderFact(**order) for order in orders]


def _book(book: Plain) -> LegBook:
    return LegBook(book["asks"], book["bids"], book["sellable_e6"], _FEES.of)


def _books(books: Mapping[int, Plain | None]) -> dict[int, LegBook | None]:
    return {number: None if book is None else _book(book) for number, book in books.items()}


def _step(plan: Plan, step: Step) -> Plain:
    if isinstance(step, Place):
        leg = plan.legs[step.leg_no]
        return {
            "kind": "place",
            "leg_no": step.leg_no,
            "purpose": step.purpose,
            "venue": leg.venue.value,
            "market": leg.market_id,
            "outcome": leg.outcome,
            "side": step.action,
            "price_e4": step.limit_price_e4,
            "size_e6": step.size_e6,
            "cost_e6": step.cost_e6,
        }
    if isinstance(step, Finish):
        return {"kind": "finish", "state": str(step.state), "why": step.why}
    return {"kind": "wait", "why": step.why}


def answer(refusal: Refusal | None) -> Plain:
    if refusal is None:
        return {"answer": "pass"}
    return {"answer": "refused", "reason": str(refusal.reason), "detail": refusal.detail}


# -- plans -------------------------------------------------------------------------------------------------------------


def settings_of(values: Plain) -> Settings:
    """Return settings of which every one that decides about money is given."""
    fixed = {
        "signal_entry_edge_usd": "0.005",
        "signal_exit_edge_usd": "0.001",
        "signal_min_profit_usd": "0.05",
        "slippage_max_usd": "0.02",
        "flatten_slippage_usd": "0.05",
        "exit_depth_share": "0",
        "reconciled_max_age_s": 86_400,
        "exposure_budget_usd": "50",
        "exposure_budget_usd_s": "600",
        "provisional_cap_usd": "500",
        "dust_exposure_usd": "1",
        "limit_order_contracts": "50",
        "limit_market_usd": "200",
        "limit_pair_usd": "300",
        "limit_total_usd": "2000",
        "limit_daily_loss_usd": "100",
        "trade_loss_cap_usd": "10",
        "last_contract_edge_usd": "0",
        "leg_fade_usd": "0",
        "stress_void_probability": "0",
        "stress_differ_probability": "0",
        "stress_tie_probability": "0",
        "min_annualised_return": "0",
        "trading_mode": "live",
        "execution_max_s": 120.0,
        "execution_cooldown_s": 0,
        "order_poll_ms": 10,
        "closing_margin_s": 60,
    }
    return Settings(venues="sandbox", **(fixed | values))


def plan(case: Plain) -> Plain:
    """Return the plan for a signal on given books, or why there is none."""
    markets = {
        key: MarketInfo(Venue(venue), market, MarketTerms(**terms), "open", NOW + timedelta(hours=1), None, None)
        for key, (venue, market, terms) in case["markets"].items()
    }
    legs = tuple(SignalLeg(Venue(leg["venue"]), leg["market_id"], leg["outcome"], 0, 0) for leg in case["legs"])
    group = case["group"]
    members = tuple(MarketRef(Venue(item["venue"]), item["market_id"]) for item in group["markets"])
    found = trade_request(
        Signal(1, group["group_id"], None, NOW, 0, legs),
        MarketGroup(group["group_id"], "pair", members, group["outcomes"], True, None, "approved"),
        markets,
    )
    if isinstance(found, Refusal):
        return answer(found)
    books = {
        key: BookSnapshot(Venue(key.split(":")[0]), key.split(":")[1], list(book["bids"]), list(book["asks"]))
        for key, book in case["books"].items()
    }
    used = case["used"]
    by_market = {(venue, market): cash for venue, market, cash in used["by_market_e6"]}
    tied = TiedUp(by_market, used["by_group_e6"], {}, {}, used["total_e6"], used["provisional_e6"])
    cash = {Venue(venue): dict(pots) for venue, pots in case["cash_e6"].items()}
    policy = TradingContext(settings_of(case["settings"]), "live", {}).policy
    decision = decide(found, books, Headroom(limits_of(case["limits"]), tied, cash, policy, NOW))
    if isinstance(decision, Refusal):
        return answer(decision)
    decided = _edge(decision.edge)
    return {"answer": "plan", "binding": decision.binding, "plan": plan_to_json(decision.plan), "edge": decided}


def limits_of(values: Plain) -> LimitValues:
    """Return limits of which some are given; the others are wide."""
    wide = dict.fromkeys((found.name for found in fields(LimitValues)), 10**15)
    return LimitValues(**{**wide, **values})


# -- opportunities -----------------------------------------------------------------------------------------------------


def best_of(document: Plain) -> Plain:
    """Return the answer of `crossbook edges` to a document."""
    try:
        return edges_answer(document, NOW)
    except InvalidSet as error:
        return {"invalid": str(error)}


def value_of(document: Plain) -> Plain:
    """Return the answer of `crossbook calc` to a document."""
    try:
        return calc_answer(document, NOW)
    except InvalidSet as error:
        return {"invalid": str(error)}


def bundles(markets: Sequence[str], outcomes: object) -> list[Plain]:
    """Return the bundles of a set that lock something in."""
    cases = parse_outcomes(outcomes, markets)
    return [{"legs": found.leg_set, "payoff_e4": found.payoff_e4} for found in find_bundles(markets, cases)]


def edge(offers: Sequence[Plain], payoff_e4: int, threshold_e4: int, max_size_e6: int | None) -> Plain | None:
    """Return what the walk down the books of a bundle finds."""
    found = walk(_offers(offers), payoff_e4, threshold_e4=threshold_e4, max_size_e6=max_size_e6)
    return None if found is None else _edge(found)


def sized(offers: Sequence[Plain], payoff_e4: int, most_e6: int, caps: Sequence[Plain]) -> Plain:
    """Return the edge within limits, and the limit that decided."""
    given = [Cap(cap["name"], cap["cash_e6"], tuple(cap["legs"])) for cap in caps]
    found = size_bundle(_offers(offers), payoff_e4, threshold_e4=10, max_contracts_e6=most_e6, caps=given)
    return {"binding": found.binding, "edge": None if found.edge is None else _edge(found.edge)}


def _offers(offers: Sequence[Plain]) -> list[Offer]:
    return [
        Offer(
            offer["key"],
            [(price, size) for price, size in offer["levels"]],
            taker_fees(from_json(offer["venue"], offer["fee_schedule"])),
            offer["size_step_e6"],
            offer["min_size_e6"],
            offer["min_notional_e6"],
        )
        for offer in offers
    ]


def _edge(found: Edge) -> Plain:
    return {
        "size_e6": found.size_e6,
        "payoff_e6": found.payoff_e6,
        "cost_e6": found.cost_e6,
        "fee_e6": found.fee_e6,
        "profit_e6": found.profit_e6,
        "best_edge_usd": str(found.best_edge_usd),
        "legs": [
            {
                "size_e6": leg.size_e6,
                "cost_e6": leg.cost_e6,
                "fee_e6": leg.fee_e6,
                "fee_bound_e6": leg.fee_bound_e6,
                "limit_price_e4": leg.limit_price_e4,
            }
            for leg in found.legs
        ],
    }


# -- ledger ------------------------------------------------------------------------------------------------------------


def fill_rows(fill: Plain) -> list[Plain]:
    """Return the ledger rows of a fill."""
    return _entries(entries_of(_fill(fill)))


def reversal_rows(fill: Plain) -> list[Plain]:
    """Return the ledger rows that undo a fill."""
    return _entries(entries_of(FailedFill(_fill(fill))))


def settlement_rows(
    venue: str, market: str, settlement_e4: int, lots: Sequence[Plain], advance_e6: int, paid_e6: int | None
) -> list[Plain]:
    """Return the ledger rows that end a market."""
    held = [Lot(lot["execution_id"], lot["outcome"], lot["contracts_e6"]) for lot in lots]
    account = MarketAccount(Venue(venue), market, tuple(held), advance_e6, int(advance_e6 != 0))
    return _entries(missing_entries(account, Result(settlement_e4, paid_e6)))


def paid_early_e6(venue: str, yes_e6: int, no_e6: int) -> int:
    """Return what a venue pays early for matched YES and NO."""
    return netting_target_e6(Venue(venue), yes_e6, no_e6)


def pays_e6(outcome: Any, contracts_e6: int, settlement_e4: int) -> int:
    """Return what contracts pay."""
    return payout_e6(outcome, contracts_e6, settlement_e4)


def _fill(fill: Plain) -> FillFact:
    return FillFact(**{**fill, "venue": Venue(fill["venue"])})


def _entries(entries: Iterable[Entry]) -> list[Plain]:
    kept = list(entries)
    found = [
        {
            "entry_key": entry.key,
            "kind": entry.kind,
            "venue": entry.venue.value,
            "market_id": entry.market_id,
            "outcome": entry.outcome,
            "cash_e6": entry.cash_e6,
            "contracts_e6": entry.contracts_e6,
            "execution_id": entry.execution_id,
            "order_id": entry.order_id,
        }
        for entry in kept
    ]
    return [*found, {"sum_cash_e6": cash_of(kept)}]


# -- recorder ----------------------------------------------------------------------------------------------------------

RecordedBatch = RowBatch


class Recorder:
    """Frames of one segment through parsers and books to rows."""

    def __init__(self, segment_id: int, start_offset: int) -> None:
        self._pipeline = Pipeline(PARSERS)
        self._pipeline.begin(segment_id, start_offset)
        self._offset = start_offset

    def take(self, kind: str, venue: str | None, connection: int, at_ns: int, body: bytes) -> str:
        """Take one record; returns its head as it stands in a segment, in hex."""
        known = None if venue is None else Venue(venue)
        head = pack_head(RecordKind[kind], known, connection, at_ns, body)
        end = self._offset + len(head) + len(body)
        self._pipeline.consume(Record(self._offset, end, RecordKind[kind], known, connection, at_ns, body))
        self._offset = end
        return head.hex()

    def state(self) -> bytes:
        """Return the body of a STATE record."""
        return self._pipeline.dump()

    def batch(self) -> RecordedBatch:
        """Return the rows made since the last call."""
        return self._pipeline.take()

    def asked(self) -> Plain:
        """Return what the books ask of the connections, and what was counted."""
        found = {
            "requests": [list(request) for request in self._pipeline.requests],
            "reconnects": list(self._pipeline.reconnects),
            "counters": dict(sorted(self._pipeline.counters.items())),
            "stale": sum(
                not book.is_live for one in self._pipeline.connections.values() for book in one.books.values()
            ),
        }
        self._pipeline.requests.clear()
        self._pipeline.reconnects.clear()
        return found


def batch_rows(batch: RecordedBatch) -> list[Plain]:
    """Return the rows of a batch: COPY's fields by table, and changes of coverage."""
    found: list[Plain] = [
        {"table": table, "fields": line.rstrip("\n").split("\t")}
        for table, lines in batch.lines.items()
        for line in lines
    ]
    for change in batch.coverage:
        values = {"market_id": change.market_id, "state": change.state, "cause": change.cause, "at_ns": change.at_ns}
        found.append({"table": "coverage", "venue": str(change.venue), **values})
    return [*found, {"frames": batch.frames, "start": batch.start_offset, "end": batch.end_offset}]
