"""The link of a start: on the terminal, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.supervisor.service import Supervisor
from streams.settings import load_settings


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_link_is_shown_on_the_terminal_and_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_terminal: bool
) -> None:
    said: list[str] = []
    supervisor = Supervisor(load_settings(home=tmp_path), said.append)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    supervisor._show_link()
    shown = capsys.readouterr().out
    if not is_terminal:
        assert shown == ""
        assert "crossbook login" in said[0]
        return
    code = shown.partition("/-/link?code=")[2].split()[0]
    assert len(code) > 40
    assert said == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and code.encode() in path.read_bytes()]


def test_accounts_that_cannot_be_used_keep_nothing_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "doors").mkdir(mode=0o700)
    (tmp_path / "doors" / "accounts.sqlite").write_bytes(b"this is no database" * 1000)
    said: list[str] = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Supervisor(load_settings(home=tmp_path), said.append)._show_link()
    assert said[0].startswith("nobody can sign in")
