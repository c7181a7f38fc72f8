"""What each role may do on the pages, checked at the act: whatever a page showed, and whatever message arrives."""

from __future__ import annotations

import dataclasses
import inspect
import time
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from psycopg.conninfo import make_conninfo
from streamlit.testing.v1 import AppTest

from app import account_actions, alert_actions, operator_actions, order_actions
from app.dashboard import acts, identity
from app.dashboard.acts import Outcome
from app.doors.accounts import Accounts, accounts_path
from app.doors.roles import CONFIRMED_FOR_S, IDENTITY_HEADER, Identity, Role, to_header
from app.operator_actions import set_switch
from streams.storage.database import connect
from streams.storage.kill_files import is_kill_on_disk, record_kills
from streams.storage.store.decisions.group_decisions import pair_group_id
from tests.fixtures.seed_warehouse import PAIR_IDS
from tests.support.dashboard_pages import PASSWORD, Pages
from tests.support.ports import free_port

MAIN = Path(__file__).resolve().parents[3] / "app" / "dashboard" / "main.py"
PAIR = PAIR_IDS[2]
_WRITTEN = ("trading.group_decisions", "trading.switches", "trading.limits", "trading.commands", "trading.watch_list")


def _written(dsn: str) -> dict[str, int]:
    """Return how many rows there are of each kind that an act writes."""
    with connect(dsn) as connection:
        return {
            table: int(connection.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])  # type: ignore[index]
            for table in _WRITTEN
        }


def _last(dsn: str, table: str, column: str) -> dict[str, Any]:
    with connect(dsn) as connection:
        row = connection.execute(f"SELECT * FROM {table} ORDER BY {column} DESC LIMIT 1").fetchone()
    assert row is not None
    return dict(row)


def _words(shown: AppTest) -> str:
    return "\n".join(text.value for text in [*shown.markdown, *shown.error, *shown.caption]).replace("\\", "")


def _click_disabled(shown: AppTest, key: str) -> None:
    """Send the message that a click on a button makes, which a browser does not send of a disabled one."""
    button = shown.button(key=key)
    assert button.disabled
    button.proto.disabled = False
    button.click().run()


def _html(shown: AppTest) -> str:
    return "".join(element.proto.body for element in shown.get("html"))


def _age_confirmation(pages: Pages, seconds: float) -> None:
    """Let the last time that people were asked lie so long ago."""
    import sqlite3

    with sqlite3.connect(accounts_path(pages.home)) as file:
        file.execute("UPDATE sessions SET confirmed_at = ?", (time.time() - seconds,))
    file.close()


def test_a_viewer_sees_buttons_that_are_disabled_with_the_reason(pages: Pages, seeded: str) -> None:
    pages.sign_in("Vera", Role.VIEWER)
    risk, pairs, trades = (pages.open(seeded, page) for page in ("risk", "pairs", "trades"))
    buttons = [
        *(button for button in risk.button if button.label in ("Pause", "Reduce", "Kill", "Save limits")),
        *(button for button in pairs.button if button.label in ("Approve", "Reject", "Pause")),
        *(button for button in trades.button if button.label.startswith("Flatten")),
    ]
    assert len(buttons) >= 7
    for button in buttons:
        assert button.disabled, button.label
        assert "viewer" in button.help, button.label


@pytest.mark.parametrize(
    ("page", "key"),
    [
        ("pairs", f"approve-{PAIR}"), ("pairs", f"reject-{PAIR}"), ("risk", "switch-pause"), ("risk", "switch-kill"),
    ],
)  # fmt: skip
def test_a_message_that_clicks_a_disabled_button_does_nothing(pages: Pages, seeded: str, page: str, key: str) -> None:
    pages.sign_in("Vera", Role.VIEWER)
    shown, before = pages.open(seeded, page), _written(seeded)
    _click_disabled(shown, key)
    assert not shown.exception
    assert not [button for button in shown.button if button.key == "switch-confirm"]
    assert _written(seeded) == before


def test_a_viewer_can_do_nothing_at_the_level_of_the_acts_either(
    pages: Pages, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.sign_in("Vera", Role.VIEWER)
    pages.open(seeded, "overview")
    before = _written(seeded)
    state: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", state)
    market = ("kalshi", "KXBTC-26DEC31-150K")
    for function, arguments in (
        (operator_actions.decide_group, (pair_group_id(PAIR), "approve")),
        (operator_actions.switch_trading, ("kill",)),
        (operator_actions.switch_trading, ("run",)),
        (operator_actions.set_limits, ([("total_usd", 1, 2)],)),
        (operator_actions.ask_flatten, (4,)),
        (operator_actions.watch_market, market),
        (operator_actions.unwatch_market, market),
    ):
        acts.act_on_click("anywhere", function, *arguments, done="Done.")
        outcome: Outcome = state["outcome-anywhere"]
        assert not outcome.is_done, function
        assert "viewer" in outcome.words, function
    assert _written(seeded) == before


def test_every_act_of_people_says_what_it_is() -> None:
    writes = {
        function
        for module in (operator_actions, alert_actions, account_actions, order_actions)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    read_only = {operator_actions.offer_flatten, operator_actions.await_orders}
    within = {operator_actions.set_switch, operator_actions.set_limit}  # of `switch_trading` and `set_limits`
    assert writes - read_only - within == {*acts._ACTS, operator_actions.switch_trading}


def test_a_reviewer_decides_on_pairs_and_stops_nothing(pages: Pages, seeded: str) -> None:
    pages.sign_in("Rhea", Role.REVIEWER)
    pairs = pages.open(seeded, "pairs")
    pairs.button(key=f"reject-{PAIR}").click().run()
    row = _last(seeded, "trading.group_decisions", "decision_id")
    assert (row["group_id"], row["decision"], row["decided_by"]) == (f"pair:{PAIR}", "reject", "Rhea")
    risk = pages.open(seeded, "risk")
    assert all(risk.button(key=f"switch-{state}").disabled for state in ("pause", "reduce", "kill"))
    assert "trader" in risk.button(key="switch-kill").help


def test_a_trader_stops_without_being_asked_and_sets_no_limit(pages: Pages, seeded: str) -> None:
    pages.sign_in("Tom", Role.TRADER, "password")
    _age_confirmation(pages, CONFIRMED_FOR_S + 60)
    shown = pages.open(seeded, "risk")
    assert next(button for button in shown.button if button.label == "Save limits").disabled
    shown.button(key="switch-kill").click().run()
    assert not [field for field in shown.text_input if field.label.startswith("Password")]
    shown.button(key="switch-confirm").click().run()
    row = _last(seeded, "trading.switches", "switch_id")
    assert (row["state"], row["set_by"]) == ("kill", "Tom")


def test_a_kill_is_lifted_after_the_password_alone(pages: Pages, seeded: str) -> None:
    pages.sign_in("Tom", Role.TRADER, "password")
    _age_confirmation(pages, CONFIRMED_FOR_S + 60)
    with connect(seeded) as connection:
        set_switch(connection, "kill", who="Bob")

    def lift(password: str) -> AppTest:
        # a dialog stands for one run here
        shown = pages.open(seeded, "risk")
        shown.button(key="switch-run").click().run()
        shown.text_input(key="switch-reason").set_value("all clear")
        shown.text_input(key="password-switch").set_value(password)
        return shown.button(key="switch-confirm").click().run()

    assert "Type your password" in _words(lift(""))
    assert "not your password" in _words(lift("wrong horse battery"))
    assert _last(seeded, "trading.switches", "switch_id")["state"] == "kill"
    assert lift(PASSWORD).session_state["password-switch"] == ""
    row = _last(seeded, "trading.switches", "switch_id")
    assert (row["state"], row["set_by"], row["reason"]) == ("run", "Tom", "all clear")


def test_too_many_passwords_are_said_to_be_too_many(pages: Pages, seeded: str) -> None:
    session = pages.sign_in("Tom", Role.TRADER, "password").session
    _age_confirmation(pages, CONFIRMED_FOR_S + 60)
    for _ in range(5):
        assert pages.accounts.check_password("Tom", "wrong horse battery", session=session) is None
    before = _written(seeded)
    shown = pages.open(seeded, "trades")
    shown.session_state["chosen-trade"] = "4"
    shown.run()
    shown.button(key="flatten-4").click().run()
    shown.text_input(key="password-flatten-dialog").set_value(PASSWORD)
    shown.button(key="flatten-confirm").click().run()
    assert "Too many wrong passwords" in _words(shown)
    assert _written(seeded) == before


def test_who_was_asked_within_five_minutes_is_not_asked_again(pages: Pages, seeded: str) -> None:
    pages.sign_in("Olga", Role.OWNER, "password")
    shown = pages.open(seeded, "risk")
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
    next(button for button in shown.button if button.label == "Save limits").click().run()
    assert not [field for field in shown.text_input if field.label.startswith("Password")]
    shown.button(key="limits-confirm").click().run()
    assert _last(seeded, "trading.limits", "limit_id")["set_by"] == "Olga"


def test_who_came_by_oidc_is_sent_to_say_it_again_and_acts_here_afterwards(pages: Pages, seeded: str) -> None:
    who = pages.sign_in("Olga", Role.OWNER, "oidc")
    _age_confirmation(pages, CONFIRMED_FOR_S + 60)

    def ask() -> AppTest:
        shown = pages.open(seeded, "risk")
        next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
        return next(button for button in shown.button if button.label == "Save limits").click().run()

    before, shown = _written(seeded), ask()
    assert "/-/confirm?next=" in "".join(element.proto.body for element in shown.get("html"))
    shown.button(key="limits-confirm").click().run()
    assert "Say who you are again" in _words(shown)
    assert _written(seeded) == before
    shown = ask()
    pages.accounts.confirm_session(who.session)  # in the other tab
    shown.button(key="limits-confirm").click().run()
    assert _last(seeded, "trading.limits", "limit_id")["set_by"] == "Olga"


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_who_came_by_a_link_is_asked_for_the_password_they_have(
    pages: Pages, seeded: str, password: str | None
) -> None:
    pages.accounts.add_person("Olga", Role.OWNER, by="test", password=password)
    pages.sign_in("Olga")
    shown = pages.open(seeded, "risk")
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
    next(button for button in shown.button if button.label == "Save limits").click().run()
    assert bool([field for field in shown.text_input if field.label.startswith("Password")]) is (password is not None)
    shown.button(key="limits-confirm").click().run()
    assert (_last(seeded, "trading.limits", "limit_id")["set_by"] == "Olga") is (password is None)


def test_a_role_that_was_lowered_since_the_page_was_drawn_has_no_rights(pages: Pages, seeded: str) -> None:
    pages.sign_in("Tom", Role.TRADER)
    shown = pages.open(seeded, "risk")
    shown.button(key="switch-pause").click().run()
    pages.accounts.set_role("Tom", Role.VIEWER)
    before = _written(seeded)
    shown.button(key="switch-confirm").click().run()
    assert "viewer" in _words(shown)
    assert _written(seeded) == before


def test_who_signed_out_elsewhere_acts_no_more(pages: Pages, seeded: str) -> None:
    pages.sign_in("Rhea", Role.REVIEWER)
    shown, before = pages.open(seeded, "pairs"), _written(seeded)
    pages.accounts.end_session(pages.sessions["Rhea"])
    shown.button(key=f"approve-{PAIR}").click().run()
    assert "Nobody is signed in" in _words(shown)
    assert _written(seeded) == before


def test_accounts_that_were_put_in_place_anew_are_found_without_a_new_start(pages: Pages, seeded: str) -> None:
    pages.sign_in("Tom", Role.TRADER)
    assert not pages.open(seeded, "risk").button(key="switch-kill").disabled
    folder = accounts_path(pages.home).parent
    folder.rename(folder.with_name("away"))
    dataclasses.replace(pages, accounts=Accounts(pages.home)).sign_in("Tess", Role.TRADER)
    shown = pages.open(seeded, "risk")
    shown.button(key="switch-kill").click().run()
    shown.button(key="switch-confirm").click().run()
    row = _last(seeded, "trading.switches", "switch_id")
    assert (row["state"], row["set_by"]) == ("kill", "Tess")


def test_while_the_accounts_cannot_be_read_an_open_page_stops_and_does_nothing_else(
    pages: Pages, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.sign_in("Tom", Role.TRADER)
    monkeypatch.setenv("DATABASE_URL", seeded)
    monkeypatch.setenv("CROSSBOOK_HOME", str(pages.home))
    pages.accounts.close()
    st.cache_resource.clear()
    for file in accounts_path(pages.home).parent.glob("accounts.sqlite*"):
        file.write_bytes(b"this is no database" * 300)
    router = AppTest.from_file(str(MAIN), default_timeout=90).run()
    assert "crossbook trade kill" in _words(router)
    assert "crossbook doctor" in _words(router)
    pairs = pages.open(seeded, "pairs")
    before = _written(seeded)
    _click_disabled(pairs, f"approve-{PAIR}")
    assert _written(seeded) == before
    risk = pages.open(seeded, "risk")
    risk.button(key="switch-kill").click().run()
    risk.button(key="switch-confirm").click().run()
    row = _last(seeded, "trading.switches", "switch_id")
    assert (row["state"], row["set_by"]) == ("kill", "Tom")
    risk = pages.open(seeded, "risk")
    assert risk.button(key="switch-run").disabled
    assert risk.button(key="switch-reduce").disabled  # lifting a kill is no stop


def test_a_kill_needs_no_warehouse(pages: Pages, seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pages.sign_in("Vera", Role.VIEWER)
    monkeypatch.setenv("DATABASE_URL", make_conninfo(seeded, port=free_port()))
    monkeypatch.setenv("CROSSBOOK_HOME", str(pages.home))
    assert AppTest.from_file(str(MAIN), default_timeout=90).run().button(key="kill-now").disabled
    pages.sign_in("Tom", Role.TRADER)
    shown = AppTest.from_file(str(MAIN), default_timeout=90).run()
    shown.button(key="kill-now").click().run()
    assert is_kill_on_disk(pages.home)
    assert "KILLED" in _html(pages.open(seeded, "overview"))
    with connect(seeded) as connection:
        assert record_kills(connection, pages.home) == 1
    row = _last(seeded, "trading.switches", "switch_id")
    assert (row["state"], row["set_by"]) == ("kill", "Tom")


def test_nobody_sees_no_page(pages: Pages, seeded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    monkeypatch.setenv("CROSSBOOK_HOME", str(pages.home))
    shown = AppTest.from_file(str(MAIN), default_timeout=90).run()
    html = "".join(element.proto.body for element in shown.get("html"))
    assert not shown.exception
    assert 'href="/-/sign-in"' in html
    assert not shown.title
    assert "SANDBOX" not in html


def test_the_header_is_believed_behind_the_proxy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = Identity("Ada", Role.OWNER, "link", session="s1")

    class Context:
        headers = {IDENTITY_HEADER: to_header(ada)}  # noqa: RUF012

    monkeypatch.setattr(st, "context", Context)
    assert identity.carried_identity() is None
    monkeypatch.setattr(identity, "_is_behind_proxy", False)  # put back afterwards
    identity.believe_proxy()
    assert identity.carried_identity() == ada


def test_a_token_opens_no_page(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    token = Identity("Ada", Role.OWNER, "token")
    monkeypatch.setattr(identity, "carried_identity", lambda: token)
    assert identity.find_signed_in() is None
