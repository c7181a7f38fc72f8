"""What legs cost, pay and lock in, and the best portfolio of a set: the arithmetic of hedges, by hand.

It asks the same functions as `crossbook calc` and `crossbook edges`, over the same documents, and touches nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import streamlit as st

from app.dashboard import theme
from app.dashboard.data import show_html
from app.dashboard.typed_sets import (
    ALIKE,
    EXACTLY_ONE,
    STRIKES,
    WRITTEN,
    TypedLeg,
    TypedMarket,
    TypedSet,
    document_of,
    relations_of,
)
from orchestration.opportunities.outcomes import InvalidSet, OutcomeCase
from streams.documents import BadDocument, parse_document

_LEGS, _SET = "Given legs", "Best portfolio of a set"
_FIELDS, _DOCUMENT = "Fields", "Document"
_MARKETS_MAX, _LEGS_MAX, _DOCUMENT_MAX = 20, 40, 200_000
_PASTED_MARKETS_MAX = 200
"""A larger set would keep the process of all pages busy."""

_FEE_TYPES = ("quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees", "flat")
_FIELD_KEYS = ("calc-market-", "calc-leg-", "calc-limit-", "calc-date-")
_FIRST = {"venue": "kalshi", "side": "yes", "fee_type": _FEE_TYPES[0], "account": "direct"}
"""What stands in a field at the beginning that is not empty then."""
_KEPT_KEYS = (*_FIELD_KEYS, "calc-markets", "calc-legs", "calc-relation", "calc-written", "calc-void", "calc-document")
_RULES = (
    ("size_step", "Size step", "contracts"),
    ("min_size", "Least size", "contracts"),
    ("min_notional", "Least cost", "dollars"),
    ("cost_step", "Cost step", "dollars"),
    ("resolves_at", "Resolves at", "where that is another time than the set's"),
    ("settle_lag_s", "Cash back after", "seconds"),
)
_BINDING = {
    "max_cost_usd": "the most it may cost",
    "max_legs": "the most legs",
    "depth": "what is offered",
    "min_notional": "the least cost of an order",
    "min_size": "the least size of an order",
    "size_step": "the size step",
}


@dataclass(frozen=True, slots=True)
class _Example:
    """What the fields begin with: (id, venue, fee, YES asks, NO asks) of each market, the relation, the legs."""

    markets: tuple[tuple[str, str, str, str, str], ...]
    relation: str
    legs: tuple[tuple[int, str, str, str], ...]


_EXAMPLES = {
    "A pair": _Example(
        (
            ("Kalshi", "kalshi", "1", "0.40 x 100, 0.45 x 50", "0.61 x 100"),
            ("Polymarket", "polymarket", "0.04", "0.52 x 100", "0.50 x 120, 0.58 x 100"),
        ),
        ALIKE,
        ((0, "yes", "100", "0.40"), (1, "no", "100", "0.50")),
    ),
    "A strike ladder": _Example(
        (
            ("over 50", "kalshi", "1", "0.50 x 40", "0.52 x 40"),
            ("over 60", "kalshi", "1", "0.60 x 40", "0.42 x 40"),
        ),
        STRIKES,
        ((0, "yes", "40", "0.50"), (1, "no", "40", "0.42")),
    ),
    "An event": _Example(
        tuple(
            (name, "polymarket", "0.04", asks, "")
            for name, asks in (
                ("Ann", "0.184 x 60"),
                ("Ben", "0.35 x 26"),
                ("Cid", "0.30 x 26"),
            )
        ),
        EXACTLY_ONE,
        ((0, "yes", "28", "0.184"), (1, "yes", "26", "0.35"), (2, "yes", "26", "0.30")),
    ),
}


def page() -> None:
    """Draw the fields, or the document, and what comes of it."""
    st.title("Calculator", anchor=False)
    st.caption("By hand: nothing here is stored, sent or traded. Numbers are decimals, in dollars and contracts.")
    question_column, input_column, example_column = st.columns([3, 2, 2], vertical_alignment="bottom")
    question = question_column.segmented_control("Question", [_LEGS, _SET], default=_SET, key="calc-question")
    given_as = input_column.segmented_control("Given as", [_FIELDS, _DOCUMENT], default=_FIELDS, key="calc-input")
    example_column.selectbox("Begin with", list(_EXAMPLES), key="calc-example", on_change=_begin)
    if "calc-market-0-id" not in st.session_state:
        _begin()
    _keep_fields()
    has_legs = question == _LEGS
    if given_as == _DOCUMENT:
        asked = _pasted(has_legs=has_legs)
    else:
        asked = json.dumps(_typed(has_legs=has_legs), indent=1, ensure_ascii=False)
    if st.button("Compute", type="primary", icon=":material/calculate:", key="calc-compute"):
        st.session_state["calc-answer"] = (asked, has_legs, *_computed(asked, has_legs=has_legs))
    _show_answer(asked, has_legs=has_legs)


def _keep_fields() -> None:
    """Keep what was typed in fields that are not drawn this time; Streamlit would forget it."""
    for key in [key for key in st.session_state if str(key).startswith(_KEPT_KEYS)]:
        st.session_state[key] = st.session_state[key]


def _begin() -> None:
    """Fill the fields with the chosen example."""
    example = _EXAMPLES[st.session_state.get("calc-example", next(iter(_EXAMPLES)))]
    state = st.session_state
    for key in [str(key) for key in state if str(key).startswith(_FIELD_KEYS)]:
        state[key] = _FIRST.get(key.rpartition("-")[2], "")
    state["calc-markets"], state["calc-legs"] = len(example.markets), len(example.legs)
    for number, (market, venue, fee, yes_asks, no_asks) in enumerate(example.markets):
        place = f"calc-market-{number}"
        state[f"{place}-id"], state[f"{place}-venue"], state[f"{place}-fee"] = market, venue, fee
        state[f"{place}-yes_asks"], state[f"{place}-no_asks"] = yes_asks, no_asks
    for number, (position, side, size, price) in enumerate(example.legs):
        place = f"calc-leg-{number}"
        state[f"{place}-market"] = example.markets[position][0]
        state[f"{place}-side"], state[f"{place}-size"], state[f"{place}-price"] = side, size, price
    state["calc-relation"], state["calc-written"], state["calc-void"] = example.relation, "", True
    state.pop("calc-answer", None)


def _typed(*, has_legs: bool) -> dict[str, Any]:
    """Draw the fields and return the document they mean."""
    st.subheader("Markets", anchor=False)
    count = int(st.number_input("How many markets", 1, _MARKETS_MAX, key="calc-markets"))
    markets = [_market(number, has_books=not has_legs) for number in range(count)]
    legs = _legs([market.id for market in markets]) if has_legs else None
    st.subheader("How they settle", anchor=False)
    relations = relations_of(count)
    if st.session_state.get("calc-relation") not in relations:
        st.session_state["calc-relation"] = relations[0]
    relation = st.selectbox("Outcomes", relations, key="calc-relation")
    written = ""
    if relation == WRITTEN:
        written = st.text_area("One outcome in each line", key="calc-written", max_chars=_DOCUMENT_MAX)
        st.caption(
            "The ids that settle yes, with commas; `-` for none of them; `NAME: A=0.5, B=1` for what each YES pays, "
            "and `stress NAME: ...` for an outcome that is only reported. One that is missing invents profit."
        )
    has_void = st.checkbox("Report also a void that pays half", key="calc-void")
    with st.expander("Limits and dates"):
        limits, dates = _limits()
    return document_of(TypedSet(markets, relation, written, has_void, limits, dates), legs)


def _market(number: int, *, has_books: bool) -> TypedMarket:
    place = f"calc-market-{number}"
    columns = st.columns([3, 2, 2, 4, 4] if has_books else [3, 2, 2], vertical_alignment="bottom")
    market = columns[0].text_input("Market", key=f"{place}-id", max_chars=200)
    names = theme.VENUE_NAMES
    venue = columns[1].selectbox("Venue", list(names), format_func=lambda name: names[name], key=f"{place}-venue")
    is_kalshi = venue == "kalshi"
    fee = columns[2].text_input(
        "Fee multiplier" if is_kalshi else "Fee rate",
        key=f"{place}-fee",
        help="M of Kalshi's curve; 1 is usual." if is_kalshi else "The rate of the market's fee schedule; 0 for none.",
    )
    asks = {
        name: columns[column].text_input(label, key=f"{place}-{name}", help="As 0.40 x 100, 0.45 x 50")
        for column, name, label in ((3, "yes_asks", "YES asks"), (4, "no_asks", "NO asks"))
        if has_books
    }
    with st.expander(f"Rules of {theme.plain(market)}"):
        schedule = _kalshi_fee(place, fee) if is_kalshi else _polymarket_fee(place, fee)
        tick = st.text_input("Price grid", key=f"{place}-tick", placeholder="0.01", help="Prices are multiples of it.")
        rules = {name: st.text_input(f"{label} ({unit})", key=f"{place}-{name}") for name, label, unit in _RULES}
    return TypedMarket(market, str(venue), schedule, asks.get("yes_asks", ""), asks.get("no_asks", ""), tick, rules)


def _kalshi_fee(place: str, multiplier: str) -> dict[str, str]:
    return {
        "fee_multiplier": multiplier,
        "fee_type": str(st.selectbox("Fee type", _FEE_TYPES, key=f"{place}-fee_type")),
        "account": str(st.selectbox("Account", ("direct", "fcm"), key=f"{place}-account")),
    }


def _polymarket_fee(place: str, rate: str) -> dict[str, str]:
    return {"rate": rate, "exponent": st.text_input("Fee exponent", key=f"{place}-exponent", placeholder="1")}


def _legs(ids: list[str]) -> list[TypedLeg]:
    st.subheader("Legs", anchor=False)
    count = int(st.number_input("How many legs", 1, _LEGS_MAX, key="calc-legs"))
    legs: list[TypedLeg] = []
    for number in range(count):
        place = f"calc-leg-{number}"
        columns = st.columns([3, 2, 2, 2], vertical_alignment="bottom")
        if st.session_state.get(f"{place}-market") not in ids:
            st.session_state[f"{place}-market"] = ids[0]
        legs.append(
            TypedLeg(
                str(columns[0].selectbox("Leg of", ids, key=f"{place}-market")),
                str(columns[1].selectbox("Side", ("yes", "no"), format_func=str.upper, key=f"{place}-side")),
                columns[2].text_input("Contracts", key=f"{place}-size"),
                columns[3].text_input("Price", key=f"{place}-price"),
            )
        )
    return legs


def _limits() -> tuple[dict[str, Any], dict[str, str]]:
    first, second, third = st.columns(3)
    limits: dict[str, Any] = {
        "max_cost_usd": first.text_input("Most it may cost (dollars)", key="calc-limit-max_cost_usd"),
        "max_legs": first.text_input("Most legs", key="calc-limit-max_legs"),
        "min_edge_usd": second.text_input("Least edge of a dollar paid", key="calc-limit-min_edge_usd"),
        "min_annualised": second.text_input("Least annual return (0.1 is 10 %)", key="calc-limit-min_annualised"),
        "cost_by_account": {
            venue: third.text_input(f"Most at {name} (dollars)", key=f"calc-limit-{venue}")
            for venue, name in theme.VENUE_NAMES.items()
        },
    }
    dates = {
        "as_of": first.text_input("Counted from", key="calc-date-as_of", placeholder="now"),
        "resolves_at": second.text_input("Resolves at", key="calc-date-resolves_at", placeholder="2030-12-31"),
    }
    return limits, dates


def _pasted(*, has_legs: bool) -> str:
    """Draw the document and return it as it was typed."""
    if "calc-document" not in st.session_state:
        st.session_state["calc-document"] = ""
    command = "calc" if has_legs else "edges"
    return st.text_area(
        "Document",
        key="calc-document",
        height=420,
        max_chars=_DOCUMENT_MAX,
        help=f"What `crossbook {command}` reads; docs/reference/documents.md names every key.",
    )


def _computed(asked: str, *, has_legs: bool) -> tuple[dict[str, Any] | None, str]:
    """Return the answer to a document, or none and why."""
    from orchestration.opportunities.documents import calc_answer, edges_answer

    compute = calc_answer if has_legs else edges_answer
    try:
        document = parse_document(asked)
        if _is_large(document):
            return None, f"A page answers at most {_PASTED_MARKETS_MAX} markets; the command answers larger sets."
        return compute(document, datetime.now(UTC)), ""
    except BadDocument as error:
        return None, f"The document is not JSON that can be used: {error}."
    except InvalidSet as error:
        return None, str(error)


def _is_large(document: Any) -> bool:
    markets = document.get("markets") if isinstance(document, dict) else None
    return isinstance(markets, list) and len(markets) > _PASTED_MARKETS_MAX


def _show_answer(asked: str, *, has_legs: bool) -> None:
    kept = st.session_state.get("calc-answer")
    if kept is None:
        show_html(theme.empty("Nothing was computed yet.", "Fill in the fields, or paste a document, and compute."))
    elif kept[:2] != (asked, has_legs):
        show_html(theme.empty("The fields changed since.", "Compute again to see what comes of them."))
    elif kept[2] is None:
        st.error(theme.plain(kept[3]), icon=":material/block:")
    else:
        _show_figures(kept[2], parse_document(asked))
    with st.expander("The document"):
        st.caption(f"Keep it in a file: `crossbook {'calc' if has_legs else 'edges'} FILE` answers the same.")
        st.code(asked, language="json")


def _show_figures(answer: dict[str, Any], document: Any) -> None:
    from orchestration.opportunities.documents import outcome_cases

    annualised = answer["annualised_return"]
    shown = "–" if annualised is None else f"{Decimal(annualised) * 100:,.1f} %"
    show_html(
        theme.tiles(
            [
                ("Certain profit", theme.pnl(Decimal(answer["locked_profit_usd"])), "in every normal outcome"),
                ("Cost", theme.money(Decimal(answer["cost_usd"])), "without fees"),
                (
                    "Fees",
                    theme.money(Decimal(answer["fees_usd"]), digits=4),
                    f"at most {theme.money(Decimal(answer['fees_bound_usd']), digits=4)}",
                ),
                ("Capital", theme.money(Decimal(answer["capital_usd"])), "until the last cash is back"),
                ("Return a year", shown, "simple" if annualised is not None else "needs a date"),
                (
                    "Stress loss",
                    theme.money(Decimal(answer["stress_loss_usd"])),
                    "the most it may lose beside them",
                ),
            ]
        )
    )
    binding = [_BINDING.get(name, name.replace("cost_by_account.", "the most at ")) for name in answer["binding"]]
    if binding:
        st.caption(theme.plain(f"What decides: {', '.join(binding)}."))
    if not answer["legs"]:
        show_html(
            theme.empty("Nothing earns something for certain.", "No portfolio that fits pays more than it costs.")
        )
        return
    legs, outcomes = st.columns(2, gap="large")
    with legs:
        st.subheader("Legs", anchor=False)
        show_html(_legs_table(answer))
    with outcomes:
        st.subheader("Outcomes", anchor=False)
        show_html(_outcomes_table(answer, outcome_cases(document)))


def _legs_table(answer: dict[str, Any]) -> str:
    rows = [
        [
            theme.text(leg["market"]),
            theme.chip(leg["side"].upper(), "mute"),
            theme.text(leg["size"]),
            theme.cents(Decimal(leg["limit_price"])),
        ]
        for leg in answer["legs"]
    ]
    return theme.table(["Market", "Side", "Contracts", "Limit"], rows, numeric=frozenset({"Contracts", "Limit"}))


def _outcomes_table(answer: dict[str, Any], cases: Sequence[OutcomeCase]) -> str:
    capital = Decimal(answer["capital_usd"])
    rows = [
        [
            theme.text(case.name),
            theme.chip(case.kind, "warn" if case.kind == "stress" else "mute"),
            theme.money(Decimal(pays)),
            theme.pnl(Decimal(pays) - capital),
        ]
        for case, pays in zip(cases, answer["payoffs_usd"], strict=True)
    ]
    return theme.table(["Outcome", "Kind", "Pays", "Result"], rows, numeric=frozenset({"Pays", "Result"}), is_long=True)
