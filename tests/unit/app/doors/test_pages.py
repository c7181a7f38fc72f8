"""The doors' own pages as a browser meets them: links, passwords, forms of other sites, and where they lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.doors.accounts import Accounts, accounts_path
from app.doors.pages import sign_in_routes
from app.doors.roles import Act, Identity, Role
from app.doors.signed_in import COOKIE, bearer_of, session_of
from app.doors.site.forms import next_path
from streams.settings import Settings
from tests.support.clock import Clock

BASE = "http://127.0.0.1:8501"
ORIGIN = {"Origin": BASE}
OPENED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
PASSWORD = "correct horse battery"
HOME_TOKEN = "h" * 43


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Accounts:
    made = Accounts(tmp_path, clock)
    made.add_person("Ada", Role.OWNER, by="test", password=PASSWORD)
    made.add_person("Bob", Role.VIEWER, by="test")
    return made


@pytest.fixture
def browser(accounts: Accounts, clock: Clock, tmp_path: Path) -> Iterator[TestClient]:
    def who(request: Request) -> Response:
        found = session_of(request, accounts) or bearer_of(request, accounts, HOME_TOKEN)
        return JSONResponse(None if found is None else [found.name, found.how, found.is_confirmed(clock.now)])

    routes = [*sign_in_routes(accounts, Settings(home=tmp_path), clock), Route("/who", who)]
    with TestClient(
        Starlette(routes=routes), base_url=BASE, client=("127.0.0.1", 50_000), follow_redirects=False
    ) as client:
        yield client


def sign_in(browser: TestClient, **fields: str) -> Response:
    return browser.post("/-/sign-in", data={"name": "ada", "password": PASSWORD, **fields}, headers=ORIGIN)


def leads_to(answer: Response) -> str:
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', answer.text)
    return found[1] if found else ""


def test_a_link_signs_in_once_and_moves_on_by_a_page_of_ours(browser: TestClient, accounts: Accounts) -> None:
    code = accounts.make_link("Bob")
    answer = browser.get("/-/link", params={"code": code}, headers=OPENED)
    assert (answer.status_code, leads_to(answer)) == (200, "/")
    kept = answer.headers["set-cookie"]
    assert re.search(r"HttpOnly.*Path=/;.*SameSite=strict", kept)
    assert "Domain" not in kept
    assert browser.get("/who").json() == ["Bob", "link", True]
    assert browser.get("/-/link", params={"code": code}, headers=OPENED).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {**OPENED, "Sec-Fetch-Site": "cross-site"}, {**OPENED, "Sec-Fetch-Site": "same-site"},
        {**OPENED, "Sec-Purpose": "prefetch"}, {**OPENED, "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}, {},
    ],
)  # fmt: skip
def test_a_link_that_another_site_or_a_preview_opens_waits_for_a_person(
    browser: TestClient, accounts: Accounts, headers: dict[str, str]
) -> None:
    code = accounts.make_link("Bob")
    asked = browser.get("/-/link", params={"code": code}, headers=headers)
    assert "set-cookie" not in asked.headers
    assert f'name="code" value="{code}"' in asked.text
    assert browser.head("/-/link", params={"code": code}).status_code == 200
    assert browser.post("/-/link", data={"code": code}, headers={"Origin": "http://evil.test"}).status_code == 403
    browser.post("/-/link", data={"code": code}, headers=ORIGIN)
    assert browser.get("/who").json() == ["Bob", "link", True]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "crossbook.example"}, {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}, {"Via": "1.1 x"}],
)
def test_a_link_works_on_the_machine_itself_only(
    browser: TestClient, accounts: Accounts, headers: dict[str, str]
) -> None:
    code = accounts.make_link("Bob")
    assert browser.get("/-/link", params={"code": code}, headers=headers).status_code == 403
    assert browser.get("/-/link", params={"code": code}).status_code == 200


def test_a_password_signs_in_and_the_session_before_it_ends(browser: TestClient, accounts: Accounts) -> None:
    assert browser.get("/-/sign-in").status_code == 200
    sign_in(browser)
    first = browser.cookies[COOKIE]
    answer = sign_in(browser, next="/trades?id=1#x")
    assert (answer.status_code, answer.headers["location"]) == (303, "/trades?id=1#x")
    assert browser.get("/who").json() == ["Ada", "password", True]
    assert browser.cookies[COOKIE] != first
    assert accounts.find_session(first) is None
    assert browser.get("/-/sign-in?next=/x").headers["location"] == "/x"


def test_a_wrong_password_is_refused_and_the_sixth_one_waits(browser: TestClient) -> None:
    for name in ("<b>nobody", "bob", "ada", "ada", "ada", "ada", "ada"):
        answer = browser.post("/-/sign-in", data={"name": name, "password": "wrong password"}, headers=ORIGIN)
        assert answer.status_code == 403
        assert "<b>nobody" not in answer.text
        assert "wrong password" not in answer.text
    answer = sign_in(browser)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 301
    assert COOKIE not in browser.cookies


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": BASE}, 303),
        ({"Origin": BASE, "Sec-Fetch-Site": "same-origin"}, 303),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": BASE, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": BASE, "Content-Type": "text/plain"}, 403),
    ],
)
def test_a_form_is_taken_from_our_own_page_only(browser: TestClient, headers: dict[str, str], status: int) -> None:
    content = f"name=ada&password={PASSWORD.replace(' ', '+')}"
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    answer = browser.post("/-/sign-in", content=content, headers=sent)
    assert answer.status_code == status
    assert (COOKIE in browser.cookies) == (status == 303)


def test_a_form_that_is_too_long_or_no_text_is_refused(browser: TestClient) -> None:
    sent = {"Content-Type": "application/x-www-form-urlencoded", **ORIGIN}
    for content in (b"name=" + b"a" * 20_000, b"name=%ff%fe", b"\xff", b"&".join([b"a=b"] * 50)):
        assert browser.post("/-/sign-in", content=content, headers=sent).status_code == 403


def test_signing_out_is_a_form_and_ends_the_session(browser: TestClient, accounts: Accounts) -> None:
    sign_in(browser)
    session = browser.cookies[COOKIE]
    assert "Ada" in browser.get("/-/sign-out").text
    assert accounts.find_session(session) is not None
    assert browser.post("/-/sign-out", headers={"Origin": "http://evil.test"}).status_code == 403
    assert accounts.find_session(session) is not None
    answer = browser.post("/-/sign-out", data={"x": ""}, headers=ORIGIN)
    assert answer.headers["location"] == "/-/sign-in"
    assert accounts.find_session(session) is None
    assert COOKIE not in browser.cookies
    assert browser.get("/-/sign-out").headers["location"] == "/-/sign-in"


def test_being_asked_again_takes_the_password_of_the_same_person(browser: TestClient, clock: Clock) -> None:
    assert browser.get("/-/confirm?next=/risk").headers["location"] == "/-/sign-in?next=/-/confirm%3Fnext%3D/risk"
    sign_in(browser)
    clock.now += 301
    assert browser.get("/who").json() == ["Ada", "password", False]
    asked = browser.get("/-/confirm?next=/risk")
    assert 'type="password"' in asked.text
    wrong = browser.post("/-/confirm", data={"password": "wrong password", "next": "/risk"}, headers=ORIGIN)
    assert wrong.status_code == 403
    assert browser.get("/who").json() == ["Ada", "password", False]
    elsewhere = browser.post("/-/confirm", data={"password": PASSWORD}, headers={"Origin": "http://evil.test"})
    assert elsewhere.status_code == 403
    answer = browser.post("/-/confirm", data={"password": PASSWORD, "next": "/risk"}, headers=ORIGIN)
    assert answer.headers["location"] == "/risk"
    assert browser.get("/who").json() == ["Ada", "password", True]


def test_who_comes_from_another_site_is_led_through_a_page_of_ours(browser: TestClient) -> None:
    sign_in(browser)
    kept = browser.cookies[COOKIE]
    browser.cookies.clear()  # as a browser does with a cookie of SameSite=Strict
    answer = browser.get("/-/sign-in?next=/trades", headers={"Sec-Fetch-Site": "cross-site"})
    assert leads_to(answer) == "/-/sign-in?next=/trades"
    browser.cookies.set(COOKIE, kept)
    again = browser.get(leads_to(answer), headers={"Sec-Fetch-Site": "same-origin"})
    assert again.headers["location"] == "/trades"


def test_every_page_forbids_scripts_frames_and_anything_from_elsewhere(browser: TestClient) -> None:
    for path in ("/-/sign-in", "/-/link?code=x", "/-/sign-in?next=//evil.test"):
        answer = browser.get(path, headers=OPENED)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script|javascript:|https?://(?!www\.w3\.org/2000/svg)|evil", answer.text)


def test_a_bearer_is_the_home_s_token_or_one_of_a_person(browser: TestClient, accounts: Accounts) -> None:
    _, text = accounts.add_token("bot", "Bob", [Act.VIEW])
    for given_text, name in ((text, "Bob"), (HOME_TOKEN, None), ("x", ""), ("", "")):
        found = browser.get("/who", headers={"Authorization": f"Bearer {given_text}"}).json()
        if name == "":
            assert found is None
        else:
            assert found[1] == "token"
            assert name is None or found[0] == name
    assert browser.get("/who", headers={"Authorization": f"Basic {text}"}).json() is None


def test_accounts_that_cannot_be_read_are_one_sentence_without_a_path(
    browser: TestClient, accounts: Accounts, tmp_path: Path
) -> None:
    sign_in(browser)
    accounts.close()
    answer = browser.get("/-/confirm")
    assert answer.status_code == 503
    assert "crossbook doctor" in answer.text
    assert str(accounts_path(tmp_path)) not in answer.text


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "//evil.test", "/\\evil.test", "\\/evil.test", "http://evil.test", "javascript:x", "/\t/evil.test",
        "/\n/evil.test", "/.//evil.test", "/..//evil.test", "/x\x00", "/-/link?code=1", "/-/sign-out", "/%2d/link",
        "/" + "x" * 3_000, "/a b", "/-", "/\u2028/x", "/\ud800",
    ],
)  # fmt: skip
def test_what_is_no_page_of_this_site_leads_to_the_first_one(text: str) -> None:
    assert next_path(text) in ("/", "/%E2%80%A8/x")


@given(st.text(alphabet=st.sampled_from("/\\.:@evil%2f5c\t\n\r #?-&;é\u2028\x00"), max_size=20))
def test_where_to_go_next_is_always_on_this_site(text: str) -> None:
    path = next_path(text)
    assert path.isascii()
    assert path.isprintable()
    assert urlsplit(urljoin(BASE, path)).netloc == urlsplit(BASE).netloc
    assert not re.match(r"[/\\]{2}", path)


def test_the_paths_of_this_site_stay_as_they_are() -> None:
    for path in ("/", "/trades", "/runs/1?tab=a%20b#c", "/-/confirm?next=/risk", "/x?next=http://127.0.0.1/"):
        assert next_path(path) == path


def test_an_identity_without_a_password_has_nothing_to_confirm_with(browser: TestClient, accounts: Accounts) -> None:
    browser.get("/-/link", params={"code": accounts.make_link("Bob")}, headers=OPENED)
    assert "no password" in browser.get("/-/confirm").text
    assert isinstance(accounts.find_session(browser.cookies[COOKIE]), Identity)
