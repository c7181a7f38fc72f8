"""`crossbook match` and `crossbook judge` on small files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from app.cli import match

A = {"market_id": "KX-1", "title": "Will Ada visit Iran before Jul 1, 2026?", "close_time": "2026-07-01T14:00:00Z"}
B = {"market_id": "0x1", "title": "Will Ada enter Iran by June 30?", "close_time": "2026-06-30T00:00:00Z"}


@pytest.fixture(autouse=True)
def without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(*arguments: str) -> Result:
    cli = typer.Typer()
    match.register(cli)
    return CliRunner().invoke(cli, list(arguments))


def write(path: Path, *rows: Any) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def test_judge_prints_one_line_per_pair(tmp_path: Path) -> None:
    result = run("judge", write(tmp_path / "pairs.jsonl", {"pair_id": "p", "a": A, "b": B}))
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert set(answer) == {
        "pair_id", "relation", "same_contract", "polarity", "confidence", "judge", "differences", "basis_risk",
    }  # fmt: skip
    assert (answer["pair_id"], answer["relation"], answer["judge"]) == ("p", "equivalent", "rules")


def test_judge_prints_one_array_with_json(tmp_path: Path) -> None:
    row = {"pair_id": "p", "a": A, "b": B}
    result = run("judge", write(tmp_path / "pairs.jsonl", row, "", row), "--json")
    assert [answer["relation"] for answer in json.loads(result.stdout)] == ["equivalent", "equivalent"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ('{"pair_id": "x"}', 'line 2: a pair needs the objects "a" and "b"'),
        ('{"a": {"title": "t"}, "b": {}}', "line 2: a listing needs market_id and title"),
        ('{"a": {"market_id": "m", "title": ["t"]}, "b": {}}', "line 2: title is not a text"),
        ('{"pair_id": "x", "pair_id": "y"}', "line 2: not JSON (the key 'pair_id' stands twice"),
        ('{"pair_id": "x", "a": {}, "b": {}, "c": 1}', "line 2: 'c' is not known"),
        ('{"a": {"market_id": "m", "title": "\\ud800"}, "b": {}}', "line 2: not JSON (the text at a.title"),
        ('{"a": {"market_id": "m", "title": "\\u0000"}, "b": {}}', "line 2: not JSON (the text at a.title"),
        ("[" * 5000, "line 2: not JSON (it nests deeper than 64 levels"),
        ('{"pair_id": 1e999999}', "line 2: not JSON (the number"),
        ('{"pair_id": NaN}', "line 2: not JSON (NaN"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(tmp_path: Path, line: str, words: str) -> None:
    good = {"pair_id": "p", "a": A, "b": B}
    result = run("judge", write(tmp_path / "pairs.jsonl", good, line, good))
    assert result.exit_code == 1
    assert words in result.stderr
    assert [json.loads(answer)["relation"] for answer in result.stdout.splitlines()] == ["equivalent"] * 2


def test_the_language_model_needs_a_key(tmp_path: Path) -> None:
    result = run("judge", write(tmp_path / "p.jsonl", {"a": A, "b": B}), "--judge", "llm")
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.output


def test_match_reads_gzip_and_the_names_of_recorded_lists(tmp_path: Path) -> None:
    kalshi = tmp_path / "kalshi.jsonl.gz"
    row = {"ticker": "KX-1", "event_ticker": "KX", "title": A["title"], "rules_primary": "", "subtitle": ""}
    with gzip.open(kalshi, "wt") as lines:
        lines.write(json.dumps(row | {"close_time": A["close_time"]}))
    gamma = {"id": "562802", "title": B["title"], "description": "d", "end_date": B["close_time"]}
    result = run("match", "--kalshi", str(kalshi), "--polymarket", write(tmp_path / "p.jsonl", gamma))
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["kalshi_id"], answer["polymarket_id"], answer["rank"]) == ("KX-1", "562802", 1)
    assert answer["verdict"]["relation"] == "equivalent"


def test_bytes_that_are_no_text_cost_their_line(tmp_path: Path) -> None:
    good = json.dumps({"pair_id": "p", "a": A, "b": B}).encode()
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n\xff\xfe\n" + good + b"\n\x00\n" + good)
    result = run("judge", str(path), "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)) == 3
    assert ["line 2" in result.stderr, "line 4" in result.stderr] == [True, True]


def test_match_names_a_bad_listing_and_goes_on(tmp_path: Path) -> None:
    kalshi = write(tmp_path / "k.jsonl", A, {"title": "no id"}, "{")
    result = run("match", "--kalshi", kalshi, "--polymarket", write(tmp_path / "p.jsonl", B | {"anything": 1}))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["kalshi_id"] == "KX-1"
    assert "k.jsonl line 2" in result.stderr
    assert "k.jsonl line 3" in result.stderr


@pytest.mark.parametrize("name", ["", "cut.jsonl.gz", "none.gz"])
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 9000)[:40])
    (tmp_path / "none.gz").write_bytes(b"no gzip")
    result = run("judge", str(tmp_path / name))
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr.strip().splitlines()[-1]


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    result = run("judge", str(tmp_path / "none.jsonl"))
    assert result.exit_code == 2
    assert "cannot be read" in result.output
