"""The API's token: made once for its owner, and whatever is wrong with its file is one sentence."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.api_token import ensure_token, token_path
from app.diagnosis.files import look_at_files
from streams.market.errors import ConfigurationError
from streams.settings import load_settings


def test_a_token_is_made_once_for_its_owner_only_whoever_asks_first(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: ensure_token(settings), range(16)))) == 1
    assert stat.S_IMODE(token_path(settings).stat().st_mode) == 0o600
    assert [path.name for path in settings.home_dir.iterdir()] == ["api_token"]


def _folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def _text(text: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.write_text(text)
        path.chmod(0o600)

    return write


@pytest.mark.parametrize(
    "make",
    [
        _folder,
        lambda path: path.symlink_to(path.with_name("gone")),
        lambda path: path.symlink_to(path),
        _text(""),
        _text("short"),
        _text("ä" * 40),
        _text("a" * 40 + "\n" + "b" * 40),
    ],
)
def test_a_file_that_holds_no_token_is_one_sentence_that_the_doctor_says_too(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    settings = load_settings(home=tmp_path)
    make(token_path(settings))
    with pytest.raises(ConfigurationError, match=r"api_token .*\.$"):
        ensure_token(settings)
    assert "api_token" in look_at_files(settings, opens_keys=False).token


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigurationError, match="api_token cannot be"):
        ensure_token(load_settings(home=tmp_path / "home"))


def test_a_read_only_home_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    settings = load_settings(home=tmp_path)
    monkeypatch.setattr("streams.venues.credentials.private_files.os.fsync", refuse)
    with pytest.raises(ConfigurationError, match="api_token cannot be written: Read-only file system"):
        ensure_token(settings)
    assert list(tmp_path.iterdir()) == []
