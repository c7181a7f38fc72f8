"""Pages of other addresses in the browser of somebody who is signed in: nothing they send gets through any door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from app.doors.roles import Role
from tests.support.doors import DOORS, OpenDoors, Recorded, open_doors
from tests.support.hostile_page import ATTACK, EVIL, got_through, hostile_browser, page_of_somebody_else

MUTATION = '{"query": "mutation { stopSensor(id: 1) { __typename } }"}'
TARGETS = [
    (path, MUTATION)
    for path in (
        "/",
        "/graphql",
        f"/graphql?query={quote('mutation { stop }')}",
        "/api/trading/kill",
        "/flow",
        "/-/sign-out",
    )
]
LIMIT_MS = 60_000


@pytest.fixture(scope="module")
def browser_of_a_victim() -> Iterator[Any]:
    with hostile_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def behind() -> dict[str, Recorded]:
    return {name: Recorded(headers=[(b"content-type", b"text/html")], body=b"<p>ours</p>") for name in DOORS}


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, behind: dict[str, Recorded]) -> Iterator[OpenDoors]:
    with open_doors(tmp_path_factory.mktemp("doors") / "home", behind) as opened:
        opened.person("ann", Role.OWNER)
        yield opened


@pytest.fixture
def signed_in(browser_of_a_victim: Any, doors: OpenDoors, behind: dict[str, Recorded]) -> Iterator[Any]:
    """A page of the browser of somebody who is signed in."""
    context = browser_of_a_victim.new_context()
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    page.goto(doors.url("dashboard", f"/-/link?code={doors.accounts.make_link('ann')}"))
    page.get_by_text("ours").wait_for()
    for each in behind.values():
        each.requests.clear()
    yield page
    context.close()


def passed(behind: dict[str, Recorded]) -> set[tuple[str, str]]:
    """Return method and path of what got through any door, but for the picture a browser asks of our own page."""
    found = {request[:2] for each in behind.values() for request in each.requests}
    return found - {("GET", "/favicon.ico")}


@pytest.mark.browser
@pytest.mark.parametrize("door", DOORS)
def test_a_page_of_our_own_gets_through(
    signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded], door: str
) -> None:
    """What the others cannot do: without this, nothing that gets through would mean nothing."""
    signed_in.goto(doors.url(door))
    sent = "fetch('/graphql', {method: 'POST', body, headers: {'content-type': 'application/json'}})"
    assert signed_in.evaluate(f"body => {sent}.then(answer => answer.status)", MUTATION) == 200
    assert ("POST", "/graphql") in passed(behind)


@pytest.mark.browser
@pytest.mark.parametrize("host", [EVIL, "127.0.0.1", "localhost"])
def test_a_page_elsewhere_does_nothing(
    signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded], host: str
) -> None:
    with page_of_somebody_else() as port:
        for door in DOORS:
            signed_in.goto(f"http://{host}:{port}/")
            said = signed_in.evaluate(ATTACK, {"base": doors.url(door, ""), "targets": TARGETS})
            assert len(said) > 25, "the page has tried"
            assert got_through(said) == {}
    assert passed(behind) == set()
    signed_in.goto(doors.url("dashboard"))
    signed_in.get_by_text("ours").wait_for()  # nobody signed them out


@pytest.mark.browser
def test_a_name_that_was_bound_anew_does_nothing(signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    for door in DOORS:
        base = f"http://{EVIL}:{doors.port(door)}"
        signed_in.goto(f"{base}/")
        said = signed_in.evaluate(ATTACK, {"base": base, "targets": TARGETS})
        assert got_through(said) == {}
    assert passed(behind) == set()


@pytest.mark.browser
@pytest.mark.parametrize("host", [EVIL, "127.0.0.1"])
def test_a_link_elsewhere_opens_our_page_and_changes_nothing(
    signed_in: Any, doors: OpenDoors, behind: dict[str, Recorded], host: str
) -> None:
    with page_of_somebody_else() as port:
        for target in ("/", "/graphql?query=mutation%7Bstop%7D"):
            signed_in.goto(f"http://{host}:{port}/")
            # Not at once: the call itself must have answered before its page goes.
            signed_in.evaluate("to => { setTimeout(() => { location = to }) }", doors.url("dagster", target))
            signed_in.wait_for_url(lambda url: url.startswith(doors.url("dagster", "")))
            signed_in.wait_for_load_state()
    assert passed(behind) <= {("GET", "/"), ("GET", "/favicon.ico")}


@pytest.mark.browser
def test_our_pages_stand_in_no_frame_and_give_no_handle(signed_in: Any, doors: OpenDoors) -> None:
    with page_of_somebody_else() as port:
        signed_in.goto(f"http://127.0.0.1:{port}/")
        with signed_in.expect_popup() as opened:
            signed_in.evaluate("to => { window.handle = open(to) }", doors.url("dashboard"))
        opened.value.get_by_text("ours").wait_for()
        assert signed_in.evaluate("() => handle.closed"), "the opener has lost it"
        opened.value.goto(f"http://127.0.0.1:{port}/")
        opened.value.evaluate(
            "to => { const f = document.createElement('iframe'); f.src = to; document.body.append(f) }",
            doors.url("dashboard"),
        )
        opened.value.wait_for_timeout(1500)
        assert [frame for frame in opened.value.frames if "ours" in frame.content()] == []
