"""The main journeys in a real browser, and that no page asks anything of another machine."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.storage.database import connect
from tests.browser.conftest import Opened
from tests.browser.screenshots import PAGES
from tests.fixtures.seed_warehouse import PAIR_IDS

pytestmark = pytest.mark.browser
CONFIG = Path(__file__).resolve().parents[2] / "app" / "dashboard" / ".streamlit" / "config.toml"


def _say_name(opened: Opened, name: str) -> None:
    field = opened.page.get_by_label("Your name", exact=True)
    field.fill(name)
    field.press("Enter")


def _eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not check():
        assert time.monotonic() < deadline, "it did not happen in 90 s"
        time.sleep(0.1)


def test_a_person_approves_a_pair(opened: Opened, warehouse: str) -> None:
    opened.go("pairs")
    _say_name(opened, "Ada Lovelace")
    page = opened.page
    page.locator("mark").first.wait_for()
    button = page.get_by_role("button", name="Approve", disabled=False)
    button.wait_for()
    opened.settle()
    button.click()

    def approved() -> bool:
        with connect(warehouse) as connection:
            row = connection.execute(
                "SELECT state, decided_by FROM trading.pair_states WHERE pair_id = %s", (PAIR_IDS[2],)
            ).fetchone()
        return row == {"state": "approved", "decided_by": "Ada Lovelace"}

    _eventually(approved)
    page.get_by_text("approved (3)").wait_for()


def test_a_person_sees_a_trade_with_its_orders(opened: Opened) -> None:
    opened.go("trades")
    page = opened.page
    page.get_by_role("heading", name="Trade 6", exact=True).wait_for()
    page.get_by_role("heading", name="Timeline", exact=True).wait_for()
    opened.settle()
    assert page.get_by_text("passed the gate").count() == 1
    assert page.get_by_text("+$2.14").count() >= 1


def test_a_person_stops_trading(opened: Opened, warehouse: str) -> None:
    opened.go("risk")
    page = opened.page
    opened.settle()
    page.get_by_role("button", name=re.compile("Kill")).first.click()
    who = page.get_by_label("Who", exact=True)
    who.fill("Ada Lovelace")
    who.press("Tab")
    page.get_by_role("button", name="Confirm: kill").click()

    def killed() -> bool:
        with connect(warehouse) as connection:
            row = connection.execute(
                "SELECT state, set_by FROM trading.switches ORDER BY switch_id DESC LIMIT 1"
            ).fetchone()
        return row == {"state": "kill", "set_by": "Ada Lovelace"}

    _eventually(killed)
    page.get_by_text("KILLED: nothing leaves").wait_for()


def test_no_page_fails_runs_hostile_text_or_connects_beyond_loopback(opened: Opened) -> None:
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for name in PAGES:
        opened.go(name)
        opened.settle()
        assert opened.page.get_by_test_id("stException").count() == 0, name
        assert "Traceback" not in opened.page.content(), name
    assert opened.hosts == {"127.0.0.1"}
    assert dialogs == []


def test_usage_statistics_are_off() -> None:
    config = tomllib.loads(CONFIG.read_text())
    assert config["browser"]["gatherUsageStats"] is False
