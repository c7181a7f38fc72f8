"""`crossbook login`, `users` and `tokens`: documents, exit codes, and no password or token where it does not belong."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import cli
from app.doors.accounts import Accounts, accounts_path
from app.doors.links import first_link
from app.doors.roles import Act, Role
from streams.settings import load_settings

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    monkeypatch.setenv("CROSSBOOK_DASHBOARD_PORT", "18501")
    monkeypatch.setattr(getpass, "getuser", lambda: "mara")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, given: str | None = None, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [*arguments, "--json"], input=given)
    assert result.exit_code == code, result.output
    assert PASSWORD not in result.output
    return result


def code_of(link: str) -> str:
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("http", "127.0.0.1:18501", "/-/link")
    return parse_qs(parts.query)["code"][0]


def test_login_prints_a_link_for_the_shell_s_user_as_owner_without_any_set_up(home: Path) -> None:
    links = [json.loads(run("login").stdout)["link"] for _ in range(2)]
    accounts = Accounts(home)
    for link in links:
        session = accounts.use_link(code_of(link))
        assert session is not None
        identity = accounts.find_session(session)
        assert identity is not None
        assert (identity.name, identity.role, identity.how) == ("mara", Role.OWNER, "link")
    assert [person.name for person in accounts.list_people()] == ["mara"]


def test_the_first_link_of_a_start_makes_the_account_and_opens_no_closed_one(home: Path) -> None:
    accounts = Accounts(home)
    assert accounts.use_link(code_of(first_link(load_settings()))) is not None
    accounts.add_person("Olga", Role.OWNER, by="test")
    accounts.set_active("mara", is_active=False)
    assert first_link(load_settings()) == ""
    assert run("login", code=4).stderr.count("users open") == 1


def test_login_as_another_takes_an_account_that_is_there(home: Path) -> None:
    run("users", "add", "Bob", "--role", "viewer")
    session = Accounts(home).use_link(code_of(json.loads(run("login", "--as", "bob").stdout)["link"]))
    assert session is not None
    identity = Accounts(home).find_session(session)
    assert identity is not None
    assert (identity.name, identity.role) == ("Bob", Role.VIEWER)
    run("login", "--as", "nobody", code=1)


def test_an_account_through_its_life(home: Path) -> None:
    added = json.loads(
        run("users", "add", "Ada", "--role", "reviewer", "--with-password", given=f"{PASSWORD}\n").stdout
    )
    assert {name: added[name] for name in ("name", "role", "is_active", "has_password", "added_by")} == {
        "name": "Ada", "role": "reviewer", "is_active": True, "has_password": True, "added_by": "mara",
    }  # fmt: skip
    accounts = Accounts(home)
    assert accounts.check_password("ada", PASSWORD) is not None
    assert json.loads(run("users", "role", "ada", "trader").stdout)["role"] == "trader"
    session = accounts.open_session("Ada", "password")
    assert json.loads(run("users", "sign-out", "ada").stdout) == {"name": "Ada", "sessions_ended": 1}
    assert accounts.find_session(session) is None
    run("users", "password", "Ada", given="another long password\r\n")
    assert accounts.check_password("ada", "another long password") is not None
    assert json.loads(run("users", "close", "Ada").stdout)["is_active"] is False
    assert accounts.check_password("ada", "another long password") is None
    assert json.loads(run("users", "open", "Ada").stdout)["is_active"] is True
    listed = json.loads(run("users", "list").stdout)
    assert [row["name"] for row in listed] == ["Ada"]
    assert "another long password" not in accounts_path(home).read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        (["users", "add", "supervisor", "--role", "owner"], None, 2),
        (["users", "add", "аdа", "--role", "owner"], None, 2),
        (["users", "add", "Ada", "--role", "king"], None, 2),
        (["users", "add", "OIga", "--role", "viewer"], None, 4),
        (["users", "add", "Ada", "--role", "owner", "--with-password"], "short\n", 2),
        (["users", "add", "Ada", "--role", "owner", "--with-password"], "", 2),
        (["users", "add", "Ada", "--role", "owner", "--subject", "x"], None, 2),
        (["users", "role", "nobody", "owner"], None, 1),
        (["users", "password", "nobody"], f"{PASSWORD}\n", 1),
        (["users", "sign-out", "nobody"], None, 1),
        (["users", "close", "Olga"], None, 4),
        (["users", "role", "Olga", "viewer"], None, 4),
        (["tokens", "add", "bot", "--scopes", "fly"], None, 2),
        (["tokens", "add", "bot", "--scopes", " , "], None, 2),
        (["tokens", "add", "bot", "--scopes", "view", "--days", "0"], None, 2),
        (["tokens", "add", "bot", "--scopes", "view", "--days", "1e9"], None, 2),
        (["tokens", "add", "", "--scopes", "view"], None, 4),
        (["tokens", "add", "bot", "--scopes", "view", "--for", "nobody"], None, 1),
        (["tokens", "revoke", "7"], None, 4),
        (["tokens", "revoke", "9" * 30], None, 4),
        (["tokens", "revoke", "0"], None, 4),
    ],
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(
    home: Path, arguments: list[str], given: str | None, code: int
) -> None:
    Accounts(home).add_person("Olga", Role.OWNER, by="test")
    result = run(*arguments, given=given, code=code)
    assert result.stdout == ""
    assert [person.name for person in Accounts(home).list_people() if person.name != "mara"] == ["Olga"]
    assert Accounts(home).list_tokens() == []


def test_a_token_is_printed_once_and_does_what_it_is_for(home: Path) -> None:
    added = json.loads(run("tokens", "add", "bot", "--scopes", "view,stop", "--days", "2").stdout)
    assert added["name"] == "mara"
    assert added["scopes"] == ["stop", "view"]
    identity = Accounts(home).find_token(added["token"])
    assert identity is not None
    assert identity.scopes == {Act.VIEW, Act.STOP}
    listed = run("tokens", "list")
    assert added["token"] not in listed.output
    assert json.loads(listed.stdout)[0]["label"] == "bot"
    run("tokens", "revoke", str(added["token_id"]))
    assert Accounts(home).find_token(added["token"]) is None


def test_without_json_a_token_stands_alone_on_stdout(home: Path) -> None:
    run("users", "add", "Bob", "--role", "viewer")
    result = CliRunner().invoke(cli, ["tokens", "add", "bot", "--scopes", "view,limits", "--for", "Bob"])
    assert Accounts(home).find_token(result.stdout.strip()) is not None
    assert "does not grant limits" in result.stderr


def test_accounts_that_cannot_be_read_are_one_sentence(home: Path) -> None:
    accounts_path(home).parent.mkdir(mode=0o700)
    accounts_path(home).write_bytes(b"garbage " * 200)
    for arguments in (["users", "list"], ["tokens", "list"], ["login"]):
        result = run(*arguments, code=2)
        assert "cannot be used" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
