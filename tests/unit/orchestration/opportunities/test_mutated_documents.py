"""Every place of every sample document spoiled in every way: a result, or one sentence that names the place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from app.cli.main import cli
from orchestration.opportunities.document_schema import (
    KALSHI_FEE,
    LEGS,
    POLYMARKET_FEE,
    SET,
    json_schema,
    read_fee_schedule,
)
from orchestration.opportunities.documents import calc_answer, edges_answer
from orchestration.opportunities.outcomes import InvalidSet
from streams.market.identity import Venue
from tests.unit.orchestration.opportunities.mutations import Mutation, mutations

NOW = datetime(2026, 11, 20, tzinfo=UTC)
KALSHI = {"fee_type": "quadratic", "fee_multiplier": "1", "account": "direct"}
POLYMARKET = {"rate": "0.05", "exponent": "1", "taker_only": True}
PAIR: dict[str, Any] = {
    "as_of": "2026-11-20T00:00:00Z",
    "markets": [
        {
            "id": "A", "venue": "kalshi", "fee": KALSHI, "yes_asks": [["0.40", "100"], ["0.45", "50"]],
            "no_asks": [["0.61", "100"]], "size_step": "0.01", "min_size": "0.01",
            "price_ranges": [{"start": "0", "end": "1", "step": "0.01"}], "resolves_at": "2026-12-01T00:00:00Z",
        },
        {
            "id": "B", "venue": "polymarket", "fee": POLYMARKET, "no_asks": [["0.50", "120"]], "size_step": "0.01",
            "min_size": "5", "min_notional": "1", "price_ranges": [["0.01", "0.99", "0.01"]], "cost_step": "0.01",
            "settle_lag_s": "7200",
        },
    ],
    "outcomes": [["A", "B"], [], {"name": "void", "kind": "stress", "settles": {"A": "0.5", "B": "0.5"}}],
    "resolves_at": "2026-11-30T00:00:00Z",
    "limits": {
        "max_cost_usd": "60", "cost_by_account": {"kalshi": "30", "polymarket": "40"}, "min_edge_usd": "0.01",
        "min_annualised": "0.10", "max_legs": 3,
    },
}  # fmt: skip
LADDER: dict[str, Any] = {
    "markets": [
        {"id": "over50", "venue": "kalshi", "yes_asks": [["0.50", "40"]]},
        {"id": "over60", "venue": "kalshi", "no_asks": [["0.42", "40"]]},
    ],
    "outcomes": [[], ["over50"], ["over50", "over60"]],
}
GIVEN = {
    **PAIR,
    "legs": [
        {"market": "A", "side": "yes", "size": "10", "price": "0.40"},
        {"market": "B", "side": "no", "size": "10", "price": "0.50"},
    ],
}
SAMPLES: dict[str, tuple[Callable[[Any, datetime], dict[str, Any]], dict[str, Any]]] = {
    "edges of a pair": (edges_answer, PAIR),
    "edges of a ladder": (edges_answer, LADDER),
    "calc": (calc_answer, GIVEN),
}
SENTENCE = re.compile(r"[^\x00-\x1f]{1,400}\.")
PLACE = re.compile(
    r"(as_of|markets|outcomes|resolves_at|limits|legs|The set has|The document|Outcome |\S+ is not known)"
)
FEES = {
    Venue.KALSHI: {**KALSHI, "scales_makers": True, "rebate_when": "reached"},
    Venue.POLYMARKET: {**POLYMARKET, "rounding": "half_up", "rebate_rate": "0.25"},
}


def spoiled(name: str) -> Iterator[tuple[Mutation, Callable[[], object]]]:
    """The mutations of a sample, and what asks for each answer."""
    compute, sample = SAMPLES[name]
    for mutation in mutations(sample):
        yield mutation, lambda mutation=mutation: compute(mutation.document, NOW)


def refusal(ask: Callable[[], object], mutation: Mutation) -> str:
    """Return the sentence of a refusal, empty for a result."""
    try:
        ask()
    except InvalidSet as error:
        return str(error)
    except Exception as error:  # a traceback for a person
        pytest.fail(f"{mutation}: {error!r}")
    return ""


@cache
def validator(name: str) -> Draft202012Validator:
    document = {"calc": LEGS, "kalshi": KALSHI_FEE, "polymarket": POLYMARKET_FEE}.get(name, SET)
    return Draft202012Validator(json_schema(document))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_itself_is_accepted(name: str) -> None:
    compute, sample = SAMPLES[name]
    assert compute(sample, NOW)["legs"]
    assert not list(validator(name).iter_errors(sample))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_spoiled_document_ends_in_a_result_or_in_one_sentence_that_names_the_place(name: str) -> None:
    for mutation, ask in spoiled(name):
        said = refusal(ask, mutation)
        if said:
            assert SENTENCE.fullmatch(said), f"{mutation}: {said}"
            assert PLACE.match(said), f"{mutation}: {said}"
        else:
            wrong = [error.message for error in validator(name).iter_errors(mutation.document)]
            assert not wrong, f"the reader accepts, the published schema does not: {mutation}: {wrong}"


@pytest.mark.parametrize("venue", list(Venue))
def test_a_spoiled_fee_schedule_ends_in_a_result_or_in_one_sentence(venue: Venue) -> None:
    for mutation in mutations(FEES[venue]):
        if mutation.document is None:
            continue
        said = refusal(lambda mutation=mutation: read_fee_schedule(venue, mutation.document, ("schedule",)), mutation)  # type: ignore[misc]
        assert said == "" or said.startswith("schedule"), f"{mutation}: {said}"
        if not said:
            assert validator(venue.value).is_valid(mutation.document), mutation


@pytest.mark.parametrize("command", ["calc", "edges"])
def test_the_command_leaves_with_two_and_one_line(command: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    sample = GIVEN if command == "calc" else PAIR
    every = [mutation for mutation in mutations(sample) if mutation.document is not sample]
    for mutation in every[::97]:
        result = CliRunner().invoke(cli, [command, "-", "--json"], input=json.dumps(mutation.document))
        assert result.exit_code in (0, 2), (str(mutation), result.output, result.exception)
        assert len(result.stderr.strip().splitlines()) == (1 if result.exit_code else 0), (str(mutation), result.stderr)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resolves_at": "2026-11-19"}, "resolves_at is 2026-11-19T00:00:00Z, which is past"),
        ({"as_of": "2027-01-01"}, "which is past at 2027-01-01"),
        ({"limits": {"cost_by_account": {"bank": "5"}}}, "limits.cost_by_account.bank is not known"),
        ({"limits": {"max_cost_usd": "-1"}}, "limits.max_cost_usd must be"),
        ({"limits": {"max_cost_usd": "1e9"}}, "limits.max_cost_usd must be"),
        ({"limits": {"max_cost_usd": 0.5}}, "limits.max_cost_usd must be"),
        ({"limits": {"max_legs": "1.5"}}, "limits.max_legs must be a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_both_commands(change: dict[str, Any], said: str) -> None:
    for compute, sample in ((edges_answer, PAIR), (calc_answer, GIVEN)):
        with pytest.raises(InvalidSet, match=re.escape(said)):
            compute({**sample, **change}, NOW)


@pytest.mark.parametrize(
    ("fee", "said"),
    [
        (None, "markets[1].fee is missing"),
        ({}, "markets[1].fee.rate is missing"),
        ({"exponent": "1"}, "markets[1].fee.rate is missing"),
        ({"rate": None}, "markets[1].fee.rate is missing"),
        ({"fee_rate_bps": 1000}, "markets[1].fee.fee_rate_bps is not known"),
        ({"rate": "0.05", "r": "0"}, "markets[1].fee.rate and r say the same thing"),
        ({"rate": "5"}, "markets[1].fee.rate must be"),
    ],
)
def test_a_polymarket_fee_that_is_not_stated_is_refused_and_not_zero(fee: Any, said: str) -> None:
    second = {**PAIR["markets"][1], "fee": fee}
    for compute, sample in ((edges_answer, PAIR), (calc_answer, GIVEN)):
        with pytest.raises(InvalidSet, match=re.escape(said)):
            compute({**sample, "markets": [PAIR["markets"][0], second]}, NOW)


@pytest.mark.parametrize(
    ("leg", "said"),
    [
        ({"market": "A", "side": "yes", "size": "10", "price": "0.405"}, "legs[0] has the price 0.405"),
        (
            {"market": "A", "side": "yes", "size": "0.001", "price": "0.4"},
            "legs[0].size is 0.001, which is not",
        ),
        (
            {"market": "B", "side": "no", "size": "4", "price": "0.5"},
            "legs[0].size is 4, below the market's min_size",
        ),
        ({"market": "B", "side": "no", "size": "6", "price": "0.1"}, "legs[0] costs 0.6 dollars, below"),
        ({"market": "C", "side": "no", "size": "6", "price": "0.1"}, "legs[0].market is 'C'"),
    ],
)
def test_a_given_leg_keeps_to_the_grid_and_the_minimums_of_its_market(leg: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidSet, match=re.escape(said)):
        calc_answer({**PAIR, "legs": [leg]}, NOW)


def test_a_grid_that_cannot_be_one_is_refused_even_where_no_price_asks_for_it() -> None:
    bad = {**PAIR["markets"][0], "price_ranges": [["0", "1", "0.01"], ["0.9", "0.1", "0.01"]], "yes_asks": []}
    with pytest.raises(InvalidSet, match=re.escape("markets[0].price_ranges[1]")):
        edges_answer({**PAIR, "markets": [bad, PAIR["markets"][1]]}, NOW)
