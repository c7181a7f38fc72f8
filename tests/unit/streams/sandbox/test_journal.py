"""The journal's files: a write that does not fit leaves nothing behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from streams.market.identity import Venue
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.exchange.journal import Journal
from streams.sandbox.process.process import Sandbox, SandboxOptions
from streams.sandbox.replay.replay import ReplayFlow
from tests.engine.quoted import NOW, exchange, request


def test_a_record_that_does_not_fit_leaves_no_half_line_that_would_hide_later_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.recover()
    journal.append({"number": 1})
    write, left = os.write, [5]

    def write_little(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "no space left")
        written = write(descriptor, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write_little)
    with pytest.raises(OSError, match="no space left"):
        journal.append({"number": 2})
    left[0] = 10_000
    journal.append({"number": 3})
    monkeypatch.undo()
    journal.close()
    again = Journal(tmp_path)
    assert [record["number"] for record in again.recover().tail] == [1, 3]
    again.close()


def test_a_record_that_is_written_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.recover()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    journal.append({"number": 1})
    monkeypatch.undo()
    journal.close()
    again = Journal(tmp_path)
    assert again.recover().tail == [{"number": 1}]
    again.close()


def test_what_could_not_be_written_is_written_with_the_next_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxOptions(0, 0, tmp_path, lambda anchor: (ReplayFlow(tmp_path), None), FaultPlan()))
    made = exchange(Venue.KALSHI)
    sandbox.exchanges[Venue.KALSHI] = made
    sandbox._journal.recover()
    made.place(request("a", "yes", "buy", 5_100, 1), NOW)
    append = Journal.append
    monkeypatch.setattr(Journal, "append", _full)
    with pytest.raises(OSError, match="no space left"):
        sandbox.commit()
    monkeypatch.setattr(Journal, "append", append)
    made.place(request("b", "yes", "buy", 5_100, 1), NOW)
    sandbox.commit()
    sandbox._journal.close()
    again = Journal(tmp_path / "journal")
    tail = again.recover().tail
    assert [ticket["request"]["order_id"] for record in tail for ticket in record["tickets"]] == ["a", "b"]
    again.close()


def _full(journal: Journal, record: dict[str, Any]) -> None:
    raise OSError(errno.ENOSPC, "no space left")
