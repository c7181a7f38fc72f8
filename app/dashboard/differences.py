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
    for is_same, a_start, a_end, b_start, b_end in _runs(matcher, a):
        marked_left.append(_html(a[a_start:a_end], is_marked=not is_same))
        marked_right.append(_html(b[b_start:b_end], is_marked=not is_same))
    return "".join(marked_left), "".join(marked_right)


def _runs(matcher: SequenceMatcher[str], words: list[str]) -> list[tuple[bool, int, int, int, int]]:
    # A space or sign alone between two differences is no common ground: it joins them into one mark.
    runs: list[tuple[bool, int, int, int, int]] = []
    codes = matcher.get_opcodes()
    for place, (tag, a_start, a_end, b_start, b_end) in enumerate(codes):
        is_bridge = 0 < place < len(codes) - 1 and not any(word[0].isalnum() for word in words[a_start:a_end])
        is_same = tag == "equal" and not is_bridge
        if runs and runs[-1][0] == is_same:
            _, a_first, _, b_first, _ = runs.pop()
            runs.append((is_same, a_first, a_end, b_first, b_end))
        else:
            runs.append((is_same, a_start, a_end, b_start, b_end))
    return runs


def _key(word: str) -> str:
    return " " if word.isspace() else word.casefold()


def _html(words: list[str], *, is_marked: bool) -> str:
    shown = escape("".join(words))
    return f"<mark>{shown}</mark>" if is_marked and shown.strip() else shown
