"""Cursors: what a page gives out comes back, and nothing else is accepted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.queries.rows import InvalidCursor, decode_cursor, encode_cursor, page_of


@dataclass
class Row:
    number: int


@given(st.text().filter(lambda text: "\x00" not in text), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_gives_back_its_key(text: str, number: int) -> None:
    assert decode_cursor(encode_cursor([text, number]), (str, int)) == (text, number)


@given(st.text(max_size=80))
def test_any_other_text_is_refused_and_never_crashes(text: str) -> None:
    try:
        decoded = decode_cursor(text, (str, int))
    except InvalidCursor:
        return
    assert decoded is not None


def test_a_cursor_of_other_kinds_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor(["a"]), (int,))


@pytest.mark.parametrize(("count", "has_more"), [(0, False), (3, False), (4, True)])
def test_the_last_page_has_no_cursor(count: int, has_more: bool) -> None:
    page = page_of([Row(number) for number in range(count)], 3, ("number",))
    assert len(page.rows) == min(count, 3)
    assert (page.next_cursor is not None) is has_more
