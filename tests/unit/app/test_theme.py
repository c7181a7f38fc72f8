"""Words for numbers, and HTML that nothing from outside gets into."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dashboard import theme


@pytest.mark.parametrize(
    ("value", "signed", "shown"),
    [
        (Decimal("1234.5"), False, "$1,234.50"),
        (Decimal("-0.24"), True, "-$0.24"),
        (Decimal("2.14"), True, "+$2.14"),
        (Decimal(0), True, "$0.00"),
        (None, True, "–"),
    ],
)
def test_money_has_a_sign_and_two_digits(value: Decimal | None, signed: bool, shown: str) -> None:
    assert theme.money(value, signed=signed) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("0.42"), "42¢"),
        (Decimal("0.0164"), "1.64¢"),
        (Decimal("-0.1"), "-10¢"),
        (Decimal(1), "100¢"),
        (None, "–"),
    ],
)
def test_prices_are_shown_in_cents_without_needless_zeros(value: Decimal | None, shown: str) -> None:
    assert theme.cents(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "never"), (0, "0 s"), (0.4, "<1 s"), (59, "59 s"), (90, "1.5 min"), (7200, "2.0 h")]
)
def test_an_age_uses_the_largest_fitting_unit(seconds: float | None, shown: str) -> None:
    assert theme.age(seconds) == shown


@given(st.text())
def test_texts_from_outside_never_become_tags(words: str) -> None:
    made = theme.table([words], [[theme.text(words)]]) + theme.empty(words, words) + theme.chip(words)
    tags = {re.split(r"[\s>]", tag)[0].strip("</") for tag in re.findall(r"<[^>]*>", made)}
    assert tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "b", "br", "span"}


def test_markdown_signs_are_taken_literally() -> None:
    assert theme.plain("**a** [b](c)") == r"\*\*a\*\* \[b\]\(c\)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-5", "-5"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("**bold** words", "bold words"),
        (None, ""),
    ],
)
def test_a_cell_of_a_list_is_no_formula_and_nothing_in_it_acts(text: str | None, shown: str) -> None:
    assert theme.cell(text) == shown
