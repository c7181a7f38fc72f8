"""Lines of COPY: escapes, times, and JSON that jsonb would refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from streams.recorder.rows import TimeText, payload_json, text


def unescape(value: str) -> str:
    """What COPY reads from a column."""
    marks = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
    found, position = "", 0
    while position < len(value):
        step = 2 if value[position] == "\\" else 1
        found += marks.get(value[position : position + step], value[position : position + step])
        position += step
    return found


@given(value=st.text())
def test_text_comes_back_as_it_was(value: str) -> None:
    column = text(value)
    assert "\t" not in column
    assert "\n" not in column
    assert unescape(column) == value.replace("\x00", "\ufffd")


@given(value=st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_payload_stays_the_same_json(value: object) -> None:
    column = payload_json(json.dumps(value).encode())
    expected = json.loads(json.dumps(value, ensure_ascii=False).replace("\\u0000", "\ufffd"))
    assert json.loads(unescape(column)) == expected


def test_only_a_real_nul_is_replaced() -> None:
    raw = json.dumps({"a": "one\x00 two\\u0000 \\\x00"}).encode()
    assert json.loads(unescape(payload_json(raw)))["a"] == "one\ufffd two\\u0000 \\\ufffd"


def test_half_a_surrogate_pair_does_not_reach_jsonb() -> None:
    assert json.loads(unescape(payload_json(b'{"a": "x\\ud800y"}')))["a"] == "x\ufffdy"


@given(ns=st.integers(min_value=0, max_value=4_000_000_000_000_000_000))
def test_times_are_cut_to_microseconds(ns: int) -> None:
    expected = datetime.fromtimestamp(ns // 10**9, UTC).replace(microsecond=ns % 10**9 // 1000)
    assert datetime.fromisoformat(TimeText().of_ns(ns)) == expected
