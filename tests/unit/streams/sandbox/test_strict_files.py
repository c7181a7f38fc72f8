"""People's files for the sandbox are read strictly: what cannot be meant is one sentence with its place."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams import documents
from streams.market.errors import ConfigurationError
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.core.faults import load_plan
from streams.sandbox.core.profile import named_profile
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.process.options import emulator_settings, load_profile
from streams.sandbox.process.process import load_accounts
from streams.sandbox.replay.recorded_books import read_recording
from streams.sandbox.simulation.parameters import FlowParameters

NOW = datetime(2026, 5, 1, tzinfo=UTC)
READERS: dict[str, Callable[[Path], Any]] = {
    "behaviour.json": lambda path: load_profile(path, named_profile("zero"), FlowParameters()),
    "emulator.json": lambda path: emulator_settings(path, "kalshi", KalshiVenueSettings),
    "faults.json": load_plan,
    "accounts.json": load_accounts,
    "catalogue.jsonl": lambda path: load_catalogue(path, NOW),
    "kalshi_events_raw.json": lambda path: load_catalogue(path, NOW),
    "kalshi_ws_books.json.gz": read_recording,
}
WRONG = {
    "twice": (b'{"seed": 1, "seed": 2}', "stands twice"),
    "NaN": (b'{"seed": NaN}', "NaN"),
    "infinity": (b'{"seed": -Infinity}', "Infinity"),
    "huge": (b'{"seed": 1e999}', "out of range"),
    "digits": (b'{"seed": 1' + b"0" * 5000 + b"}", "digits"),
    "deep": (b'{"seed": ' + b"[" * 3000 + b"]" * 3000 + b"}", "deeper"),
    "half of a pair": (b'{"seed": "\\ud800"}', "Unicode"),
    "zero": (b'{"seed": "\\u0000"}', "zero"),
    "cut": (b'{"seed": ', "column"),
    "Latin-1": ('{"seed": "é"}'.encode("latin-1"), "(?i)utf-?8"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", READERS)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, name: str, wrong: str) -> None:
    content, said = WRONG[wrong]
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(ConfigurationError, match=said) as refused:
        READERS[name](path)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            (name, content)
            for name in ("accounts.json", "kalshi_ws_books.json.gz")
            for content in (b"[]", b"7", b"null")
        ),
        ("accounts.json", b'{"kalshi": 7, "polymarket": 7}'),
        ("kalshi_events_raw.json", b'{"events": 5}'),
        ("kalshi_events_raw.json", b"7"),
        ("kalshi_ws_books.json.gz", b'{"frames": [7]}'),
    ],
)
def test_a_document_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(ConfigurationError):
        READERS[name](path)


@pytest.mark.parametrize("name", sorted(set(READERS) - {"kalshi_ws_books.json.gz", "kalshi_events_raw.json"}))
def test_a_pipe_that_nobody_writes_to_and_a_folder_are_refused_at_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_WRITER_S", 0.05)
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigurationError, match="nobody writes"):
        READERS[name](tmp_path / name)
    if name != "catalogue.jsonl":
        with pytest.raises(ConfigurationError, match="directory"):
            READERS[name](tmp_path)


def test_a_mark_at_the_beginning_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_bytes(b'\xef\xbb\xbf{"seed": 7}')
    assert load_plan(path).seed == 7
