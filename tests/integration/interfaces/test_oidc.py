"""Signing in with OpenID Connect against a provider on loopback: the way there and back, and every lie."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.doors import oidc
from app.doors.accounts import Accounts
from app.doors.pages import sign_in_routes
from app.doors.roles import Identity, Role
from app.doors.shell import shell_name
from app.doors.signed_in import COOKIE
from app.doors.subjects import subject_of, subject_of_email
from streams.market.errors import ConfigurationError
from streams.settings import Settings, load_settings
from tests.support.oidc_provider import OidcProvider

BASE = "http://127.0.0.1:8501"
Browse = Callable[..., TestClient]


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    made = OidcProvider()
    yield made
    made.close()


@pytest.fixture
def accounts(tmp_path: Path, provider: OidcProvider) -> Accounts:
    made = Accounts(tmp_path)
    made.add_person("Ada", Role.TRADER, by="test", subject=subject_of(provider.issuer, "u-1"))
    return made


@pytest.fixture
def browse(accounts: Accounts, provider: OidcProvider, tmp_path: Path) -> Iterator[Browse]:
    opened: list[TestClient] = []

    def browser(base: str = BASE, **more: Any) -> TestClient:
        fields = {
            "home": tmp_path, "oidc_issuer": provider.issuer, "oidc_client_id": provider.client_id,
            "oidc_client_secret": provider.secret, **more,
        }  # fmt: skip
        routes = sign_in_routes(accounts, Settings(**fields), time.time)
        client = TestClient(
            Starlette(routes=routes), base_url=base, client=("127.0.0.1", 50_000), follow_redirects=False
        )
        opened.append(client.__enter__())
        return client

    yield browser
    for client in opened:
        client.__exit__(None, None, None)


def sign_in(browser: TestClient, provider: OidcProvider, start: str = "/-/oidc?next=/trades") -> httpx.Response:
    there = browser.get(start)
    assert there.status_code == 303, there.text
    return browser.get(provider.authorize(there.headers["location"]))


def who(browser: TestClient, accounts: Accounts) -> Identity | None:
    return accounts.find_session(browser.cookies.get(COOKIE, ""))


def test_a_person_signs_in_and_arrives_signed_in_where_they_wanted(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    browser = browse()
    assert "127.0.0.1" in browser.get("/-/sign-in?next=/trades").text
    there = browser.get("/-/oidc?next=/trades")
    kept = there.headers["set-cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=lax" in kept
    assert "Path=/-/oidc" in kept
    back = browser.get(provider.authorize(there.headers["location"]))
    assert back.status_code == 200
    assert 'content="0;url=/trades"' in back.text
    assert "SameSite=strict" in back.headers["set-cookie"]
    identity = who(browser, accounts)
    assert identity is not None
    assert (identity.name, identity.role, identity.how) == ("Ada", Role.TRADER, "oidc")
    assert provider.forms[0]["redirect_uri"] == f"{BASE}/-/oidc/callback"


def test_from_another_port_the_way_leads_over_the_one_that_is_registered(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    other = browse("http://localhost:3000").get("/-/oidc?next=/runs")
    assert other.headers["location"] == f"{BASE}/-/oidc?next=/runs&port=3000"
    browser = browse()
    back = sign_in(browser, provider, other.headers["location"])
    assert 'content="0;url=http://127.0.0.1:3000/runs"' in back.text
    back = sign_in(browser, provider, "/-/oidc?next=/runs&port=9999")
    assert 'content="0;url=/runs"' in back.text
    assert browse("http://crossbook.example").get("/-/oidc").status_code == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"aud": ["another"]}, {"aud": None},
        {"iss": "http://127.0.0.1:1"}, {"exp": 1}, {"exp": None}, {"exp": "soon"}, {"iat": 9_999_999_999},
        {"sub": None}, {"sub": ""}, {"sub": "a\nb"}, {"azp": "another"}, {"aud": ["crossbook", "another"]},
    ],
)  # fmt: skip
def test_an_id_token_that_is_not_for_this_sign_in_opens_nothing(
    browse: Browse, provider: OidcProvider, accounts: Accounts, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    browser = browse(oidc_default_role="viewer")
    assert sign_in(browser, provider).status_code == 403
    assert who(browser, accounts) is None


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_the_provider_s_key_did_not_sign_opens_nothing(
    browse: Browse, provider: OidcProvider, accounts: Accounts, algorithm: str
) -> None:
    provider.algorithm = algorithm
    browser = browse()
    assert sign_in(browser, provider).status_code == 403
    assert who(browser, accounts) is None


def test_a_new_key_of_the_provider_is_fetched_and_an_old_one_counts_no_more(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    browser = browse()
    for _ in range(2):
        sign_in(browser, provider)
    assert provider.asked.count("/keys") == 1
    assert provider.asked.count("/.well-known/openid-configuration") == 1
    provider.change_key()
    browser.cookies.clear()
    sign_in(browser, provider)
    assert who(browser, accounts) is not None
    assert provider.asked.count("/keys") == 2
    provider.publish_another_key()
    browser = browse()
    browser.cookies.clear()
    assert sign_in(browser, provider).status_code == 403
    assert who(browser, accounts) is None


def test_a_sign_in_belongs_to_the_browser_that_began_it_and_is_used_once(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    victim, attacker = browse(), browse()
    there = attacker.get("/-/oidc")
    back = provider.authorize(there.headers["location"])
    victim.get("/-/oidc")
    assert victim.get(back).status_code == 403
    victim.cookies.clear()
    assert victim.get(back).status_code == 403
    assert who(victim, accounts) is None
    assert attacker.get(back, headers={"Sec-Purpose": "prefetch"}).status_code == 403
    assert attacker.get(back).status_code == 200
    attacker.cookies.delete(COOKIE)
    assert attacker.get(back).status_code == 403  # the code and the state a second time
    assert who(attacker, accounts) is None


def test_a_code_of_another_sign_in_opens_nothing(browse: Browse, provider: OidcProvider, accounts: Accounts) -> None:
    browser = browse()
    first, second = (browser.get("/-/oidc").headers["location"] for _ in range(2))
    code = parse_qs(urlsplit(provider.authorize(first)).query)["code"][0]
    state = parse_qs(urlsplit(second).query)["state"][0]
    assert browser.get("/-/oidc/callback", params={"code": code, "state": state}).status_code == 403
    assert who(browser, accounts) is None


@pytest.mark.parametrize(
    "query", ["", "state=x&code=y", "code=y", "state=%00&code=%ff", "error=access_denied&state=x", "state=é&code="]
)
def test_a_way_back_that_nobody_began_is_refused(browse: Browse, query: str) -> None:
    assert browse().get(f"/-/oidc/callback?{query}").status_code == 403


def test_a_provider_that_says_no_or_is_another_one(browse: Browse, provider: OidcProvider, accounts: Accounts) -> None:
    browser = browse()
    for more in ("&iss=http://evil.test", "error"):
        back = provider.authorize(browser.get("/-/oidc").headers["location"])
        parts = urlsplit(back)
        state = parse_qs(parts.query)["state"][0]
        if more == "error":
            back = f"{BASE}{parts.path}?error=access_denied&state={state}"
        else:
            back = back.partition("&iss=")[0] + more
        assert browser.get(back).status_code == 403
    assert who(browser, accounts) is None


# -- whose account


def test_who_has_no_account_is_refused_and_the_page_says_what_to_do(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    provider.who = {"sub": "u-2", "email": "bob@example.com", "email_verified": True}
    browser = browse()
    back = sign_in(browser, provider)
    assert back.status_code == 403
    assert "bob@example.com has no account here" in back.text
    assert [person.name for person in accounts.list_people()] == ["Ada"]


def test_a_verified_e_mail_finds_the_account_once_and_the_subject_from_then_on(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    accounts.add_person("Bob", Role.VIEWER, by="test", subject=subject_of_email(provider.issuer, "Bob@Example.com"))
    browser = browse()
    for who_else in (
        {"sub": "u-2", "email": "bob@example.com", "email_verified": False},
        {"sub": "u-2", "email": "bob@example.com"},
        {"sub": "mailto:bob@example.com"},
    ):
        provider.who = who_else
        assert sign_in(browser, provider).status_code == 403
    provider.who = {"sub": "u-2", "email": "BOB@example.com", "email_verified": True}
    assert sign_in(browser, provider).status_code == 200
    identity = who(browser, accounts)
    assert identity is not None
    assert identity.name == "Bob"
    provider.who = {"sub": "u-3", "email": "bob@example.com", "email_verified": True}
    assert sign_in(browse(), provider).status_code == 403  # the address was given to somebody else


def test_with_a_default_role_an_account_is_made_under_a_name_nobody_looks_like(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    browser = browse(oidc_default_role="viewer")
    provider.who = {"sub": "u-2", "email": "bob@example.com", "email_verified": True}
    assert sign_in(browser, provider).status_code == 200
    identity = who(browser, accounts)
    assert identity is not None
    assert (identity.name, identity.role) == ("bob@example.com", Role.VIEWER)
    for name in ("Ada", "аda", "supervisor", "a\u202eb", shell_name(), shell_name().upper()):
        provider.who = {"sub": f"x-{name}", "preferred_username": name}
        assert sign_in(browse(oidc_default_role="viewer"), provider).status_code == 403
    assert len(accounts.list_people()) == 2


def test_a_closed_account_stays_closed(browse: Browse, provider: OidcProvider, accounts: Accounts) -> None:
    accounts.set_active("Ada", is_active=False)
    browser = browse(oidc_default_role="viewer")
    assert sign_in(browser, provider).status_code == 403
    assert who(browser, accounts) is None


# -- being asked again


def test_confirming_asks_again_there_and_counts_for_the_same_person_only(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    browser = browse()
    sign_in(browser, provider)
    accounts.end_session(browser.cookies[COOKIE])
    session = accounts.use_link(accounts.make_link("Ada"))
    assert session is not None
    browser.cookies.clear()
    browser.cookies.set(COOKIE, session)
    start = "/-/oidc?next=/risk&confirm=1"
    assert start.replace("&", "&amp;") in browser.get("/-/confirm?next=/risk").text
    for claims in ({"auth_time": None}, {"auth_time": time.time() - 3_600}, {"auth_time": "now"}):
        provider.claims = claims
        assert sign_in(browser, provider, start).status_code == 403
        assert not accounts.find_session(session).is_confirmed(time.time())  # type: ignore[union-attr]
    provider.claims = {}
    accounts.add_person("Bob", Role.OWNER, by="test", subject=subject_of(provider.issuer, "u-2"))
    provider.who = {"sub": "u-2"}
    assert sign_in(browser, provider, start).status_code == 403
    assert not accounts.find_session(session).is_confirmed(time.time())  # type: ignore[union-attr]
    provider.who = {"sub": "u-1"}
    there = browser.get(start).headers["location"]
    assert "prompt=login" in there
    browser.cookies.delete(COOKIE)  # a browser does not send it along from another site
    back = browser.get(provider.authorize(there))
    assert 'content="0;url=/risk"' in back.text
    assert accounts.find_session(session).is_confirmed(time.time())  # type: ignore[union-attr]
    assert browse().get(start).headers["location"] == "/-/sign-in?next=/risk"


@pytest.mark.parametrize(
    ("asked_s_ago", "is_confirmed"), [(None, False), (3_600, False), (1, True), (-30, True)], ids=str
)
def test_signing_in_counts_as_being_asked_only_when_the_provider_has_just_asked(
    browse: Browse, provider: OidcProvider, accounts: Accounts, asked_s_ago: float | None, *, is_confirmed: bool
) -> None:
    provider.claims = {} if asked_s_ago is None else {"auth_time": time.time() - asked_s_ago}
    browser = browse()
    sign_in(browser, provider)
    identity = who(browser, accounts)
    assert identity is not None
    assert identity.is_confirmed(time.time()) == is_confirmed


# -- the provider is away


@pytest.mark.parametrize(
    ("path", "garbage"),
    [
        ("/.well-known/openid-configuration", (500, b"{}")),
        ("/.well-known/openid-configuration", (302, b"")),
        ("/.well-known/openid-configuration", (200, b"<html>")),
        ("/.well-known/openid-configuration", (200, b"[]")),
        ("/.well-known/openid-configuration", (200, b'{"issuer": 1}')),
        ("/.well-known/openid-configuration", (200, b"\xff\xfe")),
        ("/.well-known/openid-configuration", (200, b" " * 3_000_000)),
        ("/token", (500, b"")),
        ("/token", (200, b'{"id_token": 1}')),
        ("/token", (200, b'{"id_token": "a.b.c"}')),
        ("/token", (200, b'{"id_token": "' + b"x" * 100_000 + b'"}')),
        ("/keys", (200, b'{"keys": []}')),
        ("/keys", (200, b'{"keys": [{"kty": "RSA"}]}')),
        ("/keys", (200, b'{"keys": 1}')),
        ("/keys", (404, b"not found")),
    ],
)
def test_garbage_of_the_provider_is_one_sentence_and_opens_nothing(
    browse: Browse, provider: OidcProvider, accounts: Accounts, path: str, garbage: tuple[int, bytes]
) -> None:
    provider.garbage[path] = garbage
    browser = browse()
    there = browser.get("/-/oidc")
    if there.status_code == 303:
        there = browser.get(provider.authorize(there.headers["location"]))
    assert there.status_code in (403, 503)
    assert "Sign in another way" in there.text
    assert who(browser, accounts) is None


def test_a_provider_that_is_away_or_slow_leaves_signing_in_here_as_it_is(
    browse: Browse, provider: OidcProvider, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.set_password("Ada", "correct horse battery")
    monkeypatch.setattr(oidc, "_PATIENCE_S", 0.3)
    provider.slow_s = 2.0
    browser = browse()
    before = time.monotonic()
    slow = browser.get("/-/oidc")
    assert time.monotonic() - before < 1.5
    provider.close()
    away = browser.get("/-/oidc")
    for answer in (slow, away):
        assert answer.status_code == 503
        assert "works on" in answer.text
    form = {"name": "Ada", "password": "correct horse battery"}
    assert browser.post("/-/sign-in", data=form, headers={"Origin": BASE}).status_code == 303


@pytest.mark.parametrize("name", ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_a_provider_that_sends_secrets_elsewhere_in_the_clear_is_not_used(
    browse: Browse, provider: OidcProvider, name: str
) -> None:
    provider.discovery = {name: "http://collector.example/x"}
    assert browse().get("/-/oidc").status_code == 503


def test_the_client_s_secret_goes_to_the_token_endpoint_only_in_the_way_it_takes(
    browse: Browse, provider: OidcProvider, accounts: Accounts
) -> None:
    sign_in(browse(), provider)
    assert "client_secret" not in provider.forms[-1]
    provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    browser = browse()
    assert sign_in(browser, provider).status_code == 200
    assert provider.forms[-1]["client_secret"] == provider.secret
    provider.secret = None
    browser = browse()
    assert sign_in(browser, provider).status_code == 200
    assert who(browser, accounts) is not None


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ISSUER": "https://id.example"}, "need each other"),
        ({"CLIENT_ID": "x"}, "need each other"),
        ({"ISSUER": "http://id.example", "CLIENT_ID": "x"}, "https"),
        ({"ISSUER": "https://id.example/?a=b", "CLIENT_ID": "x"}, "ISSUER"),
        ({"DEFAULT_ROLE": "owner"}, "DEFAULT_ROLE"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(f"CROSSBOOK_OIDC_{name}", value)
    with pytest.raises(ConfigurationError, match=named):
        load_settings()
