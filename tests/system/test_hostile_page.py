"""A page of somebody else against every port of the running system, in the browser of its signed-in owner: 0 acts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.homes.dagster_page import sensor_states, stops_of_everything
from tests.support.hostile_page import ATTACK, EVIL, got_through, hostile_browser, page_of_somebody_else
from tests.support.whole_home import Home, wait_for

PORTS = ("DAGSTER_PORT", "DASHBOARD_PORT", "API_PORT", "SANDBOX_ADMIN_PORT")
LIMIT_MS = 120_000
_POST = """
([path, body]) => fetch(path, {method: 'POST', body, headers: {'content-type': 'application/json'}})
  .then(answer => answer.status)
"""


@pytest.fixture(scope="module")
def victim() -> Iterator[Any]:
    """A page of a browser for which the hostile name leads to this machine."""
    with hostile_browser() as opened:
        context = opened.new_context()
        context.set_default_timeout(LIMIT_MS)
        yield context.new_page()


@pytest.fixture
def home(victim: Any, tmp_path: Path) -> Iterator[Home]:
    made = Home.make(tmp_path / "home")
    yield made
    made.clear()


@pytest.mark.timeout(900)
def test_a_page_of_somebody_else_changes_nothing_and_the_owners_own_page_does(victim: Any, home: Home) -> None:
    started = home.start()
    state = home.path / "run" / "state.json"
    assert wait_for(lambda: started.poll() is not None or state.exists(), 300) is not None, home.output()
    assert wait_for(lambda: "RUNNING" in sensor_states(home).values(), 120) is not None
    _sign_in(victim, home)
    stops = json.dumps({"query": stops_of_everything(home)})
    targets = [
        ("/graphql", stops),
        (f"/graphql?query={quote(stops_of_everything(home))}", stops),
        ("/api/trading/kill", json.dumps({"who": "evil", "reason": "evil"})),
        ("/flow", json.dumps({"running": False})),
        ("/mode", json.dumps({"venue": "kalshi", "mode": "maintenance"})),
        ("/-/sign-out", json.dumps({"all": "yes"})),
    ]
    before = _facts(home)
    with page_of_somebody_else() as port:
        for name in PORTS:
            for host in (EVIL, "127.0.0.1"):
                victim.goto(f"http://{host}:{port}/")
                _attack(victim, home.address(name, ""), targets)
            bound_anew = home.address(name, "").replace("127.0.0.1", EVIL)
            victim.goto(bound_anew)
            _attack(victim, bound_anew, targets)
    assert _facts(home) == before

    # What the owner's own pages can do: without this, nothing that was refused would mean nothing.
    victim.goto(home.address("DAGSTER_PORT", "/overview"))
    assert victim.evaluate(_POST, ["/graphql", stops]) == 200, "nobody signed the owner out"
    assert sensor_states(home) != before["sensors"]
    for name, (path, body) in (("API_PORT", targets[2]), ("SANDBOX_ADMIN_PORT", targets[3])):
        headers = home.bearer() | {"Content-Type": "application/json"}
        answer = httpx.post(home.address(name, path), content=body, headers=headers, timeout=60)
        assert answer.is_success, answer.text
    assert _facts(home)["switch"] == "kill"
    started.terminate()
    assert started.wait(240) == 0, home.output()


def _sign_in(page: Any, home: Home) -> None:
    code, document = home.ask("login")
    assert code == 0, document
    page.goto(document["link"])
    page.wait_for_url(home.address("DASHBOARD_PORT"))


def _attack(page: Any, base: str, targets: list[tuple[str, str]]) -> None:
    said = page.evaluate(ATTACK, {"base": base, "targets": targets})
    assert len(said) > 7 * len(targets), "the page has tried"
    assert got_through(said) == {}, base


def _facts(home: Home) -> dict[str, Any]:
    """Return what an act would change: sensors, the switch and how often it was set, whether a venue is open."""
    venue = httpx.get(home.address("KALSHI_SANDBOX_PORT", "/trade-api/v2/exchange/status"), timeout=60)
    status = home.ask("trade", "status")[1]
    with home.connect() as connection:
        switches = connection.execute("SELECT count(*) AS n FROM trading.switches").fetchone()
    return {
        "sensors": sensor_states(home),
        "switch": status["switch"],
        "switches": switches,
        "venue": venue.json(),
    }
