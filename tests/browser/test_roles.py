"""What each role sees and may do in a real browser, being asked again, and how a session ends in an open page."""

from __future__ import annotations

import re
import time

import pytest

from app.doors.roles import Role
from streams.storage.database import connect
from streams.storage.store.alerts import raise_alert
from tests.browser.conftest import (
    OWNER,
    PASSWORD,
    REVIEWER,
    TRADER,
    VIEWER,
    Doors,
    OpenAs,
    Opened,
    eventually,
    watched_page,
)
from tests.browser.screenshots import PAGES, path_of
from tests.fixtures.seed_warehouse import PAIR_IDS

pytestmark = pytest.mark.browser
ENDS_WITHIN_S = 2.0


def _last(warehouse: str, table: str, column: str) -> dict[str, object]:
    with connect(warehouse) as connection:
        row = connection.execute(f"SELECT * FROM {table} ORDER BY {column} DESC LIMIT 1").fetchone()
    assert row is not None
    return dict(row)


def _watch_stream(opened: Opened) -> list[float]:
    """Return a list that gets the time (monotonic seconds) at which the page's live connection closes."""
    closed: list[float] = []
    opened.page.on("websocket", lambda socket: socket.on("close", lambda _: closed.append(time.monotonic())))
    return closed


def test_nobody_is_sent_to_the_sign_in_page_and_back(open_tab, doors: Doors) -> None:  # type: ignore[no-untyped-def]
    opened = open_tab()
    page = opened.page
    page.goto(f"{doors.base}/risk")
    page.get_by_role("heading", name="Sign in").wait_for()
    page.get_by_label("Name").fill(TRADER)
    page.get_by_label("Password").fill("wrong horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("The name or the password is wrong.").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Risk", exact=True).wait_for()
    assert page.url == f"{doors.base}/risk"
    assert page.locator(".cb-person").inner_text().split("\n")[0].startswith(TRADER)


def test_a_viewer_sees_every_page_and_can_click_no_act(open_as: OpenAs, warehouse: str) -> None:
    with connect(warehouse) as connection:
        raise_alert(connection, "sensor_stopped", "warning", "sensor_stopped:edges", "The sensor edges is stopped.")
    opened = open_as(VIEWER)
    acts = {"pairs": 3, "risk": 4, "trades?trade=4": 1, "alerts": 1}
    for name in (*PAGES, "trades?trade=4"):
        opened.page.goto(f"{opened.base}/{path_of(name)}")
        opened.page.get_by_role("heading", name=name.partition("?")[0].capitalize(), exact=True).wait_for()
        opened.settle()
        buttons = opened.page.get_by_role(
            "button", name=re.compile("Approve|Reject|Pause|Reduce|Kill|Resume|Save limits|Flatten|Acknowledge|Watch")
        )
        found = [button for button in buttons.all() if button.is_visible()]
        assert len(found) >= acts.get(name, 0), name
        assert not [button.inner_text() for button in found if button.is_enabled()], name
    opened.go("pairs")
    opened.settle()
    opened.button("Approve", disabled=True).hover(force=True)
    opened.page.get_by_text(re.compile("Deciding on pairs is for reviewers")).first.wait_for()


def test_a_reviewer_decides_on_a_pair_and_stops_nothing(open_as: OpenAs, warehouse: str) -> None:
    opened = open_as(REVIEWER)
    opened.page.goto(f"{opened.base}/pairs?pair={PAIR_IDS[1]}")
    opened.page.get_by_role("heading", name=f"Review of pair {PAIR_IDS[1]}").wait_for()
    opened.settle()
    opened.button("Pause").click()

    def decided() -> bool:
        row = _last(warehouse, "trading.group_decisions", "decision_id")
        return (row["group_id"], row["decision"], row["decided_by"]) == (f"pair:{PAIR_IDS[1]}", "pause", REVIEWER)

    eventually(decided)
    opened.go("risk")
    opened.button("Kill", disabled=True)


def test_a_trader_kills_at_once_and_is_asked_before_lifting_it(open_as: OpenAs, warehouse: str) -> None:
    with connect(warehouse) as connection:
        connection.execute("INSERT INTO trading.switches (state, set_by, set_at) VALUES ('run', 'test', now())")
    opened = open_as(TRADER)  # by a link: the password was not said yet
    page = opened.page
    opened.go("risk")
    opened.settle()
    page.get_by_role("button", name=re.compile("Kill"), disabled=False).first.click()
    opened.button("Confirm: kill")
    opened.settle()
    assert page.get_by_label(f"Password of {TRADER}", exact=True).count() == 0
    opened.button("Confirm: kill").click()

    def switch() -> tuple[object, object, object]:
        row = _last(warehouse, "trading.switches", "switch_id")
        return row["state"], row["set_by"], row["reason"]

    eventually(lambda: switch() == ("kill", TRADER, ""))
    page.get_by_text("KILLED: nothing leaves").wait_for()
    opened.settle()
    page.get_by_role("button", name=re.compile("Resume"), disabled=False).first.click()
    opened.button("Confirm: resume")
    opened.settle()
    reason = page.get_by_test_id("stDialog").get_by_label("Reason", exact=True)
    reason.fill("all clear")
    reason.press("Tab")
    opened.settle()
    page.get_by_label(f"Password of {TRADER}", exact=True).fill("wrong horse battery")
    opened.button("Confirm: resume").click()
    page.get_by_text("That is not your password; nothing was written.").wait_for()
    opened.settle()
    assert reason.input_value() == "all clear"
    assert page.get_by_label(f"Password of {TRADER}", exact=True).input_value() == ""
    page.get_by_label(f"Password of {TRADER}", exact=True).fill(PASSWORD)
    opened.button("Confirm: resume").click()
    eventually(lambda: switch() == ("run", TRADER, "all clear"))


def test_an_owner_sets_a_limit(opened: Opened, warehouse: str) -> None:
    opened.go("risk")
    opened.settle()
    opened.fill("Most in one pair or set (dollars)", "321")
    opened.button("Save limits").click()
    opened.button("Confirm: change this limit").click()

    def limit() -> tuple[object, object, str]:
        row = _last(warehouse, "trading.limits", "limit_id")
        return row["name"], row["set_by"], f"{row['value']:.0f}"

    eventually(lambda: limit() == ("pair_usd", OWNER, "321"))


def test_signing_out_in_one_tab_ends_the_other_within_two_seconds(open_as: OpenAs) -> None:
    opened = open_as(REVIEWER)
    closed = _watch_stream(opened)
    opened.go("pairs")
    opened.settle()
    other = watched_page(opened.page.context, opened.base)
    other.go("overview")
    other.settle()
    closed.clear()
    other.button("Sign out").click()
    other.page.get_by_role("heading", name="Sign in").wait_for()
    signed_out = time.monotonic()
    while not closed and time.monotonic() < signed_out + 30:
        opened.page.wait_for_timeout(50)
    assert closed
    assert closed[0] <= signed_out + ENDS_WITHIN_S
    opened.page.goto(f"{opened.base}/pairs")
    opened.page.get_by_role("heading", name="Sign in").wait_for()


def test_a_role_that_is_lowered_meanwhile_ends_the_rights_of_an_open_page(
    open_as: OpenAs, doors: Doors, warehouse: str
) -> None:
    opened = open_as(TRADER)
    opened.go("risk")
    opened.settle()
    before = _last(warehouse, "trading.switches", "switch_id")["switch_id"]
    opened.page.get_by_role("button", name=re.compile("Reduce"), disabled=False).first.wait_for()
    doors.accounts.set_role(TRADER, Role.VIEWER)
    try:
        opened.page.get_by_role("button", name=re.compile("Reduce"), disabled=True).first.wait_for()
        assert VIEWER not in opened.page.locator(".cb-person").inner_text()
        opened.page.locator(".cb-person").get_by_text("viewer").wait_for()
    finally:
        doors.accounts.set_role(TRADER, Role.TRADER)
    assert _last(warehouse, "trading.switches", "switch_id")["switch_id"] == before
