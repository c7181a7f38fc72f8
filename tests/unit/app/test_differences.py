"""Marking what differs between two texts."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from app.dashboard.differences import mark_differences

TEXTS = st.text(alphabet="ab <>&'\"\n.$é", max_size=60)


def _unmarked(marked: str) -> str:
    return html.unescape(marked.replace("<mark>", "").replace("</mark>", ""))


@given(TEXTS, TEXTS)
def test_without_the_marks_both_texts_are_unchanged(left: str, right: str) -> None:
    marked_left, marked_right = mark_differences(left, right)
    assert _unmarked(marked_left) == left
    assert _unmarked(marked_right) == right


@given(TEXTS, TEXTS)
def test_no_markup_of_the_texts_survives(left: str, right: str) -> None:
    for marked in mark_differences(left, right):
        assert set(re.findall(r"<[^>]*>", marked)) <= {"<mark>", "</mark>"}


@given(TEXTS)
def test_equal_texts_have_no_marks(text: str) -> None:
    assert "<mark>" not in "".join(mark_differences(text, text))


def test_differing_words_are_marked_as_one_phrase() -> None:
    left, right = mark_differences("closes at 10:00 AM sharp", "closes at 11:59 PM sharp")
    assert left == "closes at <mark>10:00 AM</mark> sharp"
    assert right == "closes at <mark>11:59 PM</mark> sharp"


def test_case_and_spacing_do_not_count() -> None:
    assert "<mark>" not in "".join(mark_differences("Will It  Rain", "will it\nrain"))
