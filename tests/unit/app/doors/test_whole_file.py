"""A copy of the accounts while they are used, and what the doctor says of a file that cannot be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.doors.accounts import Accounts, accounts_path
from app.doors.roles import Act, Role
from app.doors.store.whole_file import accounts_trouble, copy_accounts
from streams.market.errors import ConfigurationError

PASSWORD = "correct horse battery"


def test_a_copy_has_people_and_tokens_and_signs_nobody_in(tmp_path: Path) -> None:
    home, new = tmp_path / "home", tmp_path / "new"
    accounts = Accounts(home)
    accounts.add_person("Ada", Role.OWNER, by="test", password=PASSWORD)
    session, code = accounts.open_session("Ada", "password"), accounts.make_link("Ada")
    _, token = accounts.add_token("bot", "Ada", [Act.VIEW])
    accounts_path(new).parent.mkdir(parents=True, mode=0o700)
    assert copy_accounts(home, accounts_path(new))
    assert sorted(path.name for path in accounts_path(new).parent.iterdir()) == ["accounts.sqlite"]
    restored = Accounts(new)
    assert restored.check_password("Ada", PASSWORD) is not None
    assert restored.find_token(token) is not None
    assert restored.find_session(session) is None
    assert restored.use_link(code) is None
    assert accounts.find_session(session) is not None


def test_a_copy_made_while_people_sign_in_is_whole(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add_person("Ada", Role.OWNER, by="test")
    is_over = threading.Event()

    def sign_in() -> None:
        while not is_over.is_set():
            accounts.open_session("Ada", "password")

    writer = threading.Thread(target=sign_in)
    writer.start()
    try:
        for number in range(5):
            copy_accounts(tmp_path, tmp_path / f"copy-{number}")
    finally:
        is_over.set()
        writer.join()


def test_no_accounts_are_no_trouble_and_no_copy(tmp_path: Path) -> None:
    assert not copy_accounts(tmp_path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert accounts_trouble(tmp_path) == ""
    assert not accounts_path(tmp_path).parent.exists()


def test_a_damaged_file_is_named_and_not_copied(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add_person("Ada", Role.OWNER, by="test")
    assert accounts_trouble(tmp_path) == ""
    accounts.close()
    content = bytearray(accounts_path(tmp_path).read_bytes())
    content[4096:12_288] = b"\xee" * 8192
    accounts_path(tmp_path).write_bytes(content)
    assert str(accounts_path(tmp_path)) in accounts_trouble(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be copied"):
        copy_accounts(tmp_path, tmp_path / "copy")
