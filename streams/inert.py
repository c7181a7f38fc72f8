"""Text from outside made inert: it can be read, and does nothing to the terminal, page, table or log it is shown in.

Titles, rules and messages come from venues, people's files and servers. A sign that acts instead of being seen
(terminal escapes, a change of the writing direction, a sign without width, half of a surrogate pair) is written as its
code, `\\x1b` or `\\u202e`. JSON output keeps the exact text: its own escapes make it inert.
"""

from __future__ import annotations

import re

_ACTING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls of ASCII and Latin-1 (ESC, CSI, OSC, BEL, CR), apart from tab and newline
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
    "\u2028\u2029\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=\"'])")
_FORMULA = re.compile(r"[\s\x00-\x1f\u200b-\u200f\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LINKS = (
    (re.compile(r"(?<=\w):(?=//)"), "\uff1a"),
    (re.compile(r"(?i)(?<=www)\."), "\uff0e"),
    (re.compile("@"), "\uff20"),
)


def one_line(text: object, most: int | None = None) -> str:
    """Return a text as one line in which nothing acts: line breaks and tabs are written as `\\n` and `\\t`.

    Args:
        text: Any text; other objects by their `str`.
        most: Characters to keep; what was cut is marked with an ellipsis.
    """
    shown = str(text)
    if most is not None and len(shown) > most:
        shown = shown[: most - 1] + "…"
    return _without_acting(shown).replace("\n", "\\n").replace("\t", "\\t")


def several_lines(text: object) -> str:
    """Return a text in which nothing acts but line breaks and tabs, which stay as they are."""
    return _without_acting(str(text).replace("\r\n", "\n"))


def in_markdown(text: object) -> str:
    """Return a text for a place that reads Markdown: every sign literal, no HTML, no formula, no image, no link."""
    shown = one_line(text)
    for pattern, harmless in _LINKS:
        shown = pattern.sub(harmless, shown)
    return _MARKDOWN.sub(r"\\\1", shown)


def in_cell(text: str) -> str:
    """Return a text for a cell of a spreadsheet: one that a program would take for a formula gets a quote before it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text.strip()) else text


def _without_acting(text: str) -> str:
    return _ACTING.sub(lambda found: _code(found.group()), text)


def _code(sign: str) -> str:
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
