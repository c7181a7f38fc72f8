"""The main journeys in a real browser, and that no page asks anything of another machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from streams.storage.database import connect
from tests.browser.conftest import Opened, eventually
from tests.browser.screenshots import PAGES
from tests.fixtures.seed_warehouse import PAIR_IDS

pytestmark = pytest.mark.browser
CONFIG = Path(__file__).resolve().parents[2] / "app" / "dashboard" / ".streamlit" / "config.toml"


def test_a_person_approves_a_pair(opened: Opened, warehouse: str) -> None:
    opened.go("pairs")
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

    eventually(approved)
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
    page.get_by_role("button", name="Confirm: kill").click()

    def killed() -> bool:
        with connect(warehouse) as connection:
            row = connection.execute(
                "SELECT state, set_by FROM trading.switches ORDER BY switch_id DESC LIMIT 1"
            ).fetchone()
        return row == {"state": "kill", "set_by": "Ada Lovelace"}

    eventually(killed)
    page.get_by_text("KILLED: nothing leaves").wait_for()


def test_a_person_flattens_the_trade_they_chose_once_whatever_arrives(opened: Opened, warehouse: str) -> None:
    page = opened.page
    page.goto(f"{opened.base}/trades?trade=4")
    page.get_by_role("heading", name="Trade 4", exact=True).wait_for()
    with connect(warehouse) as connection:
        connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, run_id, epoch,
                   edge_usd, contracts_e6, started_at, updated_at)
               SELECT signal_id, 9, group_id, environment, mode, 'HEDGED', '', 1, edge_usd, contracts_e6, now(), now()
               FROM trading.executions WHERE execution_id = 3"""
        )
    page.reload()
    page.get_by_role("heading", name="Trade 4", exact=True).wait_for()
    opened.settle()
    page.get_by_role("button", name=re.compile("Flatten trade 4")).first.click()
    page.get_by_text("50 contracts YES of kalshi:KXBTC-26DEC31-150K, at worst $0.25 each").wait_for()
    opened.settle()
    confirm = page.get_by_role("button", name="Confirm: flatten trade 4", disabled=False)
    confirm.wait_for()
    confirm.dblclick()

    def asked() -> list[int]:
        with connect(warehouse) as connection:
            rows = connection.execute("SELECT subject FROM trading.commands").fetchall()
        return [row["subject"]["execution_id"] for row in rows]

    eventually(lambda: bool(asked()))
    page.reload()
    page.get_by_role("heading", name="Trade 4", exact=True).wait_for()
    assert asked() == [4]


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
