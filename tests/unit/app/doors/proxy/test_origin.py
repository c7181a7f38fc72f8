"""Which pages may ask: by Host, Origin and Sec-Fetch."""

from __future__ import annotations

import pytest

from app.doors.proxy.decisions.asked import Asked, Door
from app.doors.proxy.decisions.origin import foreign, parse_names

DOOR = Door("dagster", 3000)
OTHERS = parse_names("box.lan:3000, proxy.lan")
OPENED = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FRAMED = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
PICTURE = {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}


def code(method: str, headers: dict[str, str], *, is_socket: bool = False, has_bearer: bool = False) -> str:
    given = {"host": "127.0.0.1:3000", **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value]
    refusal = foreign(Asked(DOOR, method, "/", b"", raw, is_socket), OTHERS, has_bearer=has_bearer)
    return "" if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:3000", ""),
        ("localhost:3000", ""),
        ("LOCALHOST:3000", ""),
        ("[::1]:3000", ""),
        ("box.lan:3000", ""),
        ("proxy.lan", ""),
        ("127.0.0.1", "forbidden_host"),
        ("127.0.0.1:8501", "forbidden_host"),
        ("127.0.0.2:3000", "forbidden_host"),
        ("0.0.0.0:3000", "forbidden_host"),
        ("box.lan", "forbidden_host"),
        ("proxy.lan:3000", "forbidden_host"),
        ("evil.test:3000", "forbidden_host"),
        ("127.0.0.1.evil.test:3000", "forbidden_host"),
        ("localhost.:3000", "forbidden_host"),
        ("localhost:3000@evil.test", "forbidden_host"),
        ("evil.test/127.0.0.1:3000", "forbidden_host"),
        ("127.0.0.1:3000:3000", "forbidden_host"),
        ("127.0.0.1:03000", ""),
        ("", "forbidden_host"),
    ],
)
def test_a_name_that_is_not_ours_is_refused_whatever_leads_here(host: str, expected: str) -> None:
    assert code("GET", {"host": host}) == expected


def test_two_hosts_are_none() -> None:
    hosts = [(b"host", b"127.0.0.1:3000"), (b"host", b"127.0.0.1:3000")]
    refusal = foreign(Asked(DOOR, "GET", "/", b"", hosts), OTHERS, has_bearer=True)
    assert refusal is not None
    assert refusal.code == "forbidden_host"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:3000", ""),
        ("http://localhost:3000", "forbidden_origin"),
        ("http://127.0.0.1:8501", "forbidden_origin"),
        ("https://127.0.0.1:3000", "forbidden_origin"),
        ("http://127.0.0.1", "forbidden_origin"),
        ("http://evil.test", "forbidden_origin"),
        ("null", "forbidden_origin"),
        ("http://127.0.0.1:3000, http://evil.test", "forbidden_origin"),
    ],
)
def test_only_a_page_of_the_same_address_may_ask(method: str, origin: str, expected: str) -> None:
    assert code(method, {"origin": origin}) == expected
    assert code(method, {"origin": origin}, has_bearer=True) == expected
    assert code("GET", {"origin": origin}, is_socket=True) == expected


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("proxy.lan", "https://proxy.lan", ""),
        ("proxy.lan", "http://proxy.lan", ""),
        ("proxy.lan", "https://127.0.0.1:3000", "forbidden_origin"),
        ("box.lan:3000", "http://box.lan:3000", ""),
        ("box.lan:3000", "http://box.lan", "forbidden_origin"),
    ],
)
def test_another_name_of_this_machine_has_its_own_origin(host: str, origin: str, expected: str) -> None:
    assert code("POST", {"host": host, "origin": origin}) == expected


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "same-origin", "SAME-ORIGIN", "other"])
@pytest.mark.parametrize(("kind", "opens_a_page"), [(OPENED, True), (FRAMED, False), (PICTURE, False), ({}, False)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_of_other_sites_only_a_page_that_is_opened_passes(
    method: str, kind: dict[str, str], site: str, *, opens_a_page: bool
) -> None:
    passes = site == "same-origin" or (method == "GET" and (site == "none" or opens_a_page))
    assert (code(method, {"sec-fetch-site": site, **kind}) == "") == passes


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_bearer_does_not_open_for_another_site(site: str) -> None:
    assert code("POST", {"sec-fetch-site": site}, has_bearer=True) == "forbidden_origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_that_does_not_say_where_it_comes_from_needs_a_bearer(method: str) -> None:
    assert code(method, {}) == "forbidden_origin"
    assert code(method, {}, has_bearer=True) == ""
    assert code("GET", {}) == code("HEAD", {}) == ""


def test_a_socket_needs_an_origin_or_a_bearer() -> None:
    assert code("GET", {}, is_socket=True) == "forbidden_origin"
    assert code("GET", {"sec-fetch-site": "none"}, is_socket=True) == "forbidden_origin"
    assert code("GET", {}, is_socket=True, has_bearer=True) == ""
    assert code("GET", {"sec-fetch-site": "same-site", **OPENED}, is_socket=True) == "forbidden_origin"


@pytest.mark.parametrize("text", ["http://a", "a b", "a:b", "a/b", "*", "a:123456"])
def test_a_setting_that_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no host's name"):
        parse_names(text)
