"""Two texts side by side with what differs marked, word by word. Pure; the result is escaped HTML."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from html import escape

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def mark_differences(left: str, right: str) -> tuple[str, str]:
    """Return both texts as HTML with the words that the other one lacks in `<mark>`.

    Case and spacing do not count as differences. Everything from the texts is escaped.
    """
    a, b = _WORDS.findall(left), _WORDS.findall(right)
    matcher = SequenceMatcher(a=[_key(word) for word in a], b=[_key(word) for word in b], autojunk=False)
    marked_left: list[str] = []
    marked_right: list[str] = []
    for tag, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        marked_left.append(_html(a[a_start:a_end], is_marked=tag != "equal"))
        marked_right.append(_html(b[b_start:b_end], is_marked=tag != "equal"))
    return "".join(marked_left), "".join(marked_right)


def _key(word: str) -> str:
    return " " if word.isspace() else word.casefold()


def _html(words: list[str], *, is_marked: bool) -> str:
    shown = escape("".join(words))
    return f"<mark>{shown}</mark>" if is_marked and shown.strip() else shown
