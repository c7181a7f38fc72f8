"""Clients of the HTTP API as somebody: the home's own token, or a person of a role with a token of some scopes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastapi.testclient import TestClient

from app.api.main import create_app
from app.api_token import ensure_token
from app.doors.accounts import Accounts
from app.doors.roles import IDENTITY_HEADER, Act, Identity, Role, to_header
from streams.settings import Settings, load_settings

BASE = "http://127.0.0.1:8000"
Headers = dict[str, str]


def api_client(home: Path, dsn: str | None = None, *, behind_doors: bool = False, **more: object) -> TestClient:
    """Return a client of a new API of a home; without an address no database is ever there."""
    app = create_app(api_settings(home, dsn, **more), behind_doors=behind_doors)
    return TestClient(app, base_url=BASE, raise_server_exceptions=False)


def api_settings(home: Path, dsn: str | None = None, **more: object) -> Settings:
    """Return settings of a home and a database."""
    return load_settings(home=home, **({} if dsn is None else {"database_url": dsn}), **more)


def home_token(home: Path) -> Headers:
    """Return the headers of who reads the file api_token of a home."""
    return {"Authorization": f"Bearer {ensure_token(load_settings(home=home))}"}


def token_of(home: Path, name: str, role: Role, scopes: Iterable[Act] = Act) -> Headers:
    """Return the headers of a token of a person, who is added with that role where they are new."""
    accounts = Accounts(home)
    try:
        if accounts.find_person(name) is None:
            accounts.add_person(name, role, by="tests")
        wanted = sorted(scopes)
        _, text = accounts.add_token(f"{name} {len(accounts.list_tokens())}", name, wanted)
    finally:
        accounts.close()
    return {"Authorization": f"Bearer {text}"}


def by_the_doors(identity: Identity) -> Headers:
    """Return the headers that the doors set for somebody."""
    return {IDENTITY_HEADER: to_header(identity)}
