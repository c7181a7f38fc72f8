"""The Calculator page: any legs and any set by hand, answered as the commands answer the same document."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from app.cli.main import cli
from app.doors.roles import Role
from orchestration.opportunities.documents import edges_answer
from tests.support.dashboard_pages import Pages

Opened = Callable[[], AppTest]


@pytest.fixture
def opened(pages: Pages, database: str) -> AppTest:
    """The page as it opens, for a viewer."""
    pages.sign_in("Vera", Role.VIEWER)
    shown = pages.open(database, "calculator")
    assert not shown.exception, shown.exception
    return shown


def _html(shown: AppTest) -> str:
    return "".join(element.proto.body for element in shown.get("html"))


def _words(shown: AppTest) -> str:
    found = [*shown.markdown, *shown.error, *shown.caption]
    return "\n".join(element.value for element in found).replace("\\", "")


def _compute(shown: AppTest) -> AppTest:
    shown.button(key="calc-compute").click().run()
    assert not shown.exception, shown.exception
    return shown


def _document(shown: AppTest) -> dict[str, Any]:
    """The document under the answer."""
    found: dict[str, Any] = json.loads(shown.code[0].value)
    return found


def _type(shown: AppTest, **fields: str) -> AppTest:
    for key, value in fields.items():
        shown.text_input(key=key.replace("__", "-")).set_value(value)
    return shown.run()


def test_the_example_opens_with_nothing_computed_and_is_answered_by_a_click(opened: AppTest) -> None:
    assert opened.title[0].value == "Calculator"
    assert "Nothing was computed yet" in _html(opened)
    shown = _compute(opened)
    answer = edges_answer(_document(shown), datetime.now(UTC))
    assert answer["legs"]
    html = _html(shown)
    for leg in answer["legs"]:
        assert leg["size"] in html
    assert "Certain profit" in html


@pytest.mark.parametrize("example", ["A pair", "A strike ladder", "An event"])
@pytest.mark.parametrize("question", ["Given legs", "Best portfolio of a set"])
def test_each_example_is_answered_as_the_command_answers_its_document(
    opened: AppTest, tmp_path: Path, example: str, question: str
) -> None:
    opened.selectbox(key="calc-example").set_value(example).run()
    opened.segmented_control(key="calc-question").set_value(question).run()
    shown = _compute(opened)
    assert not shown.error
    path = tmp_path / "document.json"
    path.write_text(json.dumps(_document(shown)))
    command = "calc" if question == "Given legs" else "edges"
    result = CliRunner().invoke(cli, [command, str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert shown.session_state["calc-answer"][2] == json.loads(result.stdout)
    if (example, command) == ("An event", "edges"):
        assert "What decides: what is offered" in _words(shown)


def test_fields_become_the_document(opened: AppTest) -> None:
    shown = _type(
        opened,
        **{
            "calc-market-0__tick": "0.01",
            "calc-market-0__size_step": "1",
            "calc-market-1__min_notional": "1",
            "calc-limit__max_cost_usd": "45",
            "calc-limit__polymarket": "30",
            "calc-date__resolves_at": "2099-01-01",
        },
    )
    document = _document(_compute(shown))
    first, second = document["markets"]
    assert first["price_ranges"] == [["0", "1", "0.01"]]
    assert (first["size_step"], second["min_notional"]) == ("1", "1")
    assert first["yes_asks"] == [["0.40", "100"], ["0.45", "50"]]
    assert document["limits"] == {"max_cost_usd": "45", "cost_by_account": {"polymarket": "30"}}
    assert document["resolves_at"] == "2099-01-01"
    assert document["outcomes"][:2] == [["Kalshi", "Polymarket"], []]
    assert document["outcomes"][2]["kind"] == "stress"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("calc-market-0__yes_asks", "0.40 x many", "markets[0].yes_asks[0][1] must be"),
        ("calc-market-0__yes_asks", "0.40", "markets[0].yes_asks[0] must be [price, size]"),
        ("calc-market-1__fee", "", "markets[1].fee.rate is missing"),
        ("calc-market-1__fee", "nan", "markets[1].fee.rate must be"),
        ("calc-market-0__id", "", "markets[0].id must be"),
        ("calc-market-0__id", "Polymarket", "which is in the set twice"),
        ("calc-market-0__tick", "0.03", "which is not on the grid of the market"),
        ("calc-date__resolves_at", "1999-01-01", "which is past"),
        ("calc-limit__max_cost_usd", "1e999999", "limits.max_cost_usd must be"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_meant_is_refused_with_its_place(
    opened: AppTest, field: str, value: str, said: str
) -> None:
    shown = _compute(_type(opened, **{field: value}))
    assert said in shown.error[0].value.replace("\\", "")


def test_legs_keep_to_the_rules_of_their_market(opened: AppTest) -> None:
    opened.segmented_control(key="calc-question").set_value("Given legs").run()
    shown = _compute(_type(opened, **{"calc-market-0__min_size": "500"}))
    assert "legs[0].size is 100, below the market's min_size 500" in shown.error[0].value.replace("\\", "")


def test_outcomes_are_written_by_hand(opened: AppTest) -> None:
    opened.selectbox(key="calc-relation").set_value("as written below").run()
    opened.checkbox(key="calc-void").uncheck().run()
    written = "Kalshi, Polymarket\n-\n\nstress half: Kalshi=0.5, Polymarket=1"
    opened.text_area(key="calc-written").set_value(written).run()
    document = _document(_compute(opened))
    assert document["outcomes"] == [
        ["Kalshi", "Polymarket"],
        [],
        {"kind": "stress", "name": "half", "settles": {"Kalshi": "0.5", "Polymarket": "1"}},
    ]
    assert "half" in _html(opened)


def test_markets_are_added_up_to_twenty_and_the_relation_fits_their_number(opened: AppTest) -> None:
    opened.number_input(key="calc-markets").set_value(3).run()
    third = {"id": "third", "fee": "1", "yes_asks": "0.1 x 9"}
    shown = _type(opened, **{f"calc-market-2__{name}": value for name, value in third.items()})
    assert "the second as the first does not" not in shown.selectbox(key="calc-relation").options
    assert [market["id"] for market in _document(_compute(shown))["markets"]] == ["Kalshi", "Polymarket", "third"]
    shown.number_input(key="calc-markets").set_value(1).run()
    assert not _compute(shown).error


def test_a_pasted_document_is_answered_or_refused_with_its_place(opened: AppTest) -> None:
    document = _document(_compute(opened))
    opened.segmented_control(key="calc-input").set_value("Document").run()
    opened.text_area(key="calc-document").set_value(json.dumps(document)).run()
    assert "The fields changed since" in _html(opened)
    assert not _compute(opened).error
    for text, said in (
        ("", "not JSON"),
        ("[" * 99, "deeper than 64"),
        ("[]", "The document must be a JSON object"),
        (json.dumps({**document, "unheard_of": 1}), "unheard_of is not known"),
        (json.dumps({**document, "markets": document["markets"] * 101}), "at most 200 markets"),
        (json.dumps({**document, "outcomes": [{"name": None, "kind": None, "settles": {}}]}), ""),
    ):
        opened.text_area(key="calc-document").set_value(text).run()
        shown = _compute(opened)
        assert bool(shown.error) == bool(said)
        assert said in _words(shown)


def test_what_was_typed_cannot_become_markup(opened: AppTest) -> None:
    bad = "<script>alert(1)</script>**x**"
    shown = _compute(_type(opened, **{"calc-market-0__id": bad}))
    assert not shown.error
    assert "<script" not in _html(shown)
    shown = _compute(_type(opened, **{"calc-market-0__fee": bad}))
    assert "\\<script" in shown.error[0].value


def test_a_set_that_nothing_fits_says_what_decides(opened: AppTest) -> None:
    opened.selectbox(key="calc-example").set_value("An event").run()
    shown = _type(opened, **{"calc-market-0__min_notional": "50"})
    html = _html(_compute(shown))
    assert "Nothing earns something for certain" in html
    assert "the least cost of an order" in _words(shown)


def test_what_was_typed_is_kept_while_another_question_or_the_document_is_shown(opened: AppTest) -> None:
    shown = _type(opened, **{"calc-market-0__yes_asks": "0.33 x 7", "calc-limit__max_legs": "2"})
    shown.segmented_control(key="calc-question").set_value("Given legs").run()
    shown.segmented_control(key="calc-input").set_value("Document").run()
    shown.run()
    shown.segmented_control(key="calc-input").set_value("Fields").run()
    shown.segmented_control(key="calc-question").set_value("Best portfolio of a set").run()
    document = _document(_compute(shown))
    assert document["markets"][0]["yes_asks"] == [["0.33", "7"]]
    assert document["limits"] == {"max_legs": "2"}
