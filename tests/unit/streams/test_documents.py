"""People's files: whole and meant, or refused in one sentence with the place."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import cli
from streams.documents import BadDocument, load_document, parse_document, read_lines
from streams.inert import in_cell, in_markdown, one_line, several_lines
from streams.market.errors import InvalidAmount
from streams.market.units import size_e6

MARKET: dict[str, Any] = {
    "id": "A", "venue": "kalshi", "yes_asks": [["0.40", "10"]], "no_asks": [["0.50", "10"]], "size_step": "1",
}  # fmt: skip
SET: dict[str, Any] = {"markets": [MARKET], "outcomes": [["A"], []]}
LEGS: dict[str, Any] = SET | {"legs": [{"market": "A", "side": "yes", "size": "1", "price": "0.4"}]}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=given)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1"),
        ('{"a": 1,\n "b": }', "line 2, column 7"),
        ('{"a": 1,\n  "b": {"a": 1}, "a": 2}', "key 'a' stands twice in one object in line 2, column 18"),
        ('[{"x": 1}, {"x": 1, "y": 2, "x": 3}]', "column 29"),
        ("[" * 65 + "]" * 65, "deeper than 64 levels in line 1, column 65"),
        ("[" * 1_000_000, "deeper than 64"),
        ("NaN", "NaN"), ("[-Infinity]", "Infinity"), ("1e400", "out of range"), ("1e-999999", "out of range"),
        ("9" * 5000, "5000 digits"), ('"\\ud83d"', "not valid Unicode"), ('{"a": ["x\\u0000"]}', "a[0]"),
        ('{"a\\ud800": 1}', "not valid Unicode"), ("{'a': 1}", "column 2"), ('{"a": 1} x', "column 10"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_meant_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadDocument) as refused:
        parse_document(text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 300


def test_what_can_be_meant_is_read_as_it_stands() -> None:
    text = '\ufeff{"a": [1, 2.5, "\\ud83d\\ude00", "\\\\u0000", null, true], "b": {"a": 1}}'
    assert parse_document(text) == {"a": [1, 2.5, "😀", "\\u0000", None, True], "b": {"a": 1}}
    assert parse_document("[" * 64 + "]" * 64)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps(SET).encode("utf-16"), "UTF-16"), (b"\xff", "not UTF-8 in line 1, byte 1"), (b"", "is empty"),
        (b"\n\n{\xe9}", "line 3, byte 2"), (b" \r\n ", "is empty"), (b"null", "JSON object"), (b"[]", "JSON object"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["calc", "edges"])
def test_a_file_that_is_no_document_is_a_usage_error(home: Path, command: str, content: bytes, said: str) -> None:
    (home / "set.json").write_bytes(content)
    result = run(command, "set.json", "--json")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_folders_absent_files_and_endless_ones_are_usage_errors() -> None:
    for path in (".", "absent.json", "/dev/zero", "/dev/null"):
        result = run("edges", path)
        assert result.exit_code == 2, path
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_pipe_is_read_and_one_that_nobody_writes_to_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(home / "pipe")
    writer = threading.Thread(target=lambda: (home / "pipe").write_text(json.dumps(SET)))
    writer.start()
    assert load_document(home / "pipe") == SET
    writer.join()
    monkeypatch.setattr("streams.documents._WRITER_S", 0.05)
    with pytest.raises(BadDocument, match="nobody writes"):
        load_document(home / "pipe")


def changed(document: dict[str, Any], path: list[str | int], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


BOMBS = ["1e999999", "1e-999999", "inf", "nan", "-inf", "9" * 9000, "1_0", "", [], {}, True, [0, [1], 0], 1e300]


@pytest.mark.parametrize("value", BOMBS, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize(
    "path",
    [
        ["markets", 0, "yes_asks", 0, 0], ["markets", 0, "yes_asks", 0, 1], ["markets", 0, "size_step"],
        ["markets", 0, "min_size"], ["markets", 0, "settle_lag_s"], ["markets", 0, "price_ranges"],
        ["limits", "max_cost_usd"], ["limits", "min_annualised"], ["limits", "max_legs"], ["limits", "cost_by_account"],
        ["outcomes", 0], ["resolves_at"], ["legs", 0, "size"], ["legs", 0, "price"], ["markets", 0, "fee"],
        ["markets", 0, "id"], ["markets", 0, "venue"], ["markets"], ["outcomes"], ["limits"], ["legs"],
    ],
    ids=lambda path: ".".join(map(str, path)),
)  # fmt: skip
def test_no_value_anywhere_brings_a_traceback(path: list[str | int], value: Any) -> None:
    base = changed(LEGS | {"limits": {}, "resolves_at": "2027-01-01"}, path, value)
    edges = {name: item for name, item in base.items() if name != "legs"}
    for command, document in (("calc", base), ("edges", edges)):
        result = run(command, "-", "--json", given=json.dumps(document))
        assert result.exit_code in (0, 2), (result.output, result.exception)
        assert len(result.stderr.strip().splitlines()) == (1 if result.exit_code else 0)
        assert len(result.stderr) < 500


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (["outcome"], "outcome is not known"), (["markets", 0, "yes_ask"], "markets[0].yes_ask is not known"),
        (["legs", 0, "prise"], "legs[0].prise is not known"), (["limits", "max"], "limits.max is not known"),
        (["markets", 0, "fee", "rat"], "fee.rat is not known"),
    ],
)  # fmt: skip
def test_a_key_that_nobody_reads_is_refused_by_its_path(path: list[str | int], said: str) -> None:
    base = LEGS | {"limits": {}, "markets": [MARKET | {"fee": {}}]}
    result = run("calc", "-", given=json.dumps(changed(base, path, "1")))
    assert result.exit_code == 2
    assert said in result.stderr


def test_lines_are_read_one_by_one_whatever_stands_between_them(home: Path) -> None:
    (home / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n{"a"\n\xff\n' + b"9" * 5_000_000 + b'\n{"a": 2}')
    found = [(line.number, line.value, bool(line.problem)) for line in read_lines(home / "x.jsonl")]
    assert found == [
        (1, {"a": 1}, False), (3, None, True), (4, None, True), (5, None, True), (6, {"a": 2}, False),
    ]  # fmt: skip


def test_amounts_are_exact_to_the_last_digit() -> None:
    assert size_e6("0.000001") == 1
    assert size_e6("1e3") == 1_000_000_000
    for text in ("0.50000000000000000000000000000000001", "0.0000001"):
        with pytest.raises(InvalidAmount, match="finer"):
            size_e6(text)


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred", "\x9b31m", "\x1b]0;title\x07", "a\rb", "\u202egnp", "a\u200bb", "\u2066x", "\ud800", "\u2028"],
)
def test_nothing_in_an_inert_text_acts(text: str) -> None:
    for shown in (one_line(text), several_lines(text), in_markdown(text)):
        assert shown.isprintable()
        assert shown.encode()
    assert one_line("a\nb\tc") == "a\\nb\\tc"
    assert several_lines("a\r\nb") == "a\nb"
    assert one_line("Ünïcödé 日本 😀") == "Ünïcödé 日本 😀"


def test_markdown_of_outside_is_literal() -> None:
    shown = in_markdown("<b>*x*</b> $a$ ![i](http://e.vil/x) www.e.vil a@b.c :red[x] `c` | # t")
    for acting in ("<b>", "*x*", "$a$", "![", "](", "http:", "www.", "a@b", ":red", "`c`"):
        assert acting not in re.sub(r"\\.", "", shown)
    assert "://" not in shown
    assert "\n" not in in_markdown("a\n# b")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(1)", " =1", "\t=1", "＝1", "|x"])
def test_a_formula_becomes_a_text_in_a_cell(text: str) -> None:
    assert in_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+1.5", "-1e-3", "a=b", "", "0x1", "Will it? - yes"])
def test_other_texts_of_a_cell_stay(text: str) -> None:
    assert in_cell(text) == text
