"""Letting an account open again: from the command line, the API and the dashboard, always with a reason."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.account_actions import reopen_account
from app.act_rules import ActRefused, ItChanged, UnknownSubject, UnusableReason
from app.cli.main import cli
from app.doors.roles import Role
from app.queries.accounts import load_accounts
from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.store.accounting.breaks import NewDifference, open_break, watch_difference
from streams.storage.store.accounting.switches import account_switches, set_account
from streams.storage.store.risk import set_switch
from tests.support.api import api_client, token_of
from tests.support.dashboard_pages import Pages

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def broken(connection: Connection, what: str = "cash") -> None:
    """An account with a break."""
    new = NewDifference(what, 90_000_000, 100_000_000, 100_000_000, 80_000_000, NOW, 2)
    number = watch_difference(connection, "live", Venue.KALSHI, new, "sandbox")
    assert open_break(connection, number, NOW)
    set_account(connection, "live", Venue.KALSHI, "reduce", "reconciliation", f"{what} differs", NOW)


def test_an_account_is_shown_with_what_differs_and_opens_again_by_a_person(connection: Connection) -> None:
    broken(connection)
    view, other = load_accounts(connection, "live")
    assert (view.venue, view.state, other.state) == ("kalshi", "reduce", "run")
    assert [(d.what, str(d.low), str(d.venue), d.state) for d in view.differences] == [
        ("cash", "90.000000", "80.000000", "open")
    ]
    reopen_account(connection, "kalshi", mode="live", who="Ada", reason="I withdrew it", seen=view.seen)
    found = account_switches(connection, "live")[Venue.KALSHI]
    assert (found.state, found.set_by, found.reason) == ("run", "Ada", "I withdrew it")


def test_a_restored_account_is_shown_as_one_that_opens_by_itself(connection: Connection) -> None:
    set_switch(connection, "pause", "restore", "restored from a backup")
    assert [view.state for view in load_accounts(connection, "live")] == ["reduce", "reduce"]
    with pytest.raises(ActRefused, match="by itself"):
        reopen_account(connection, "kalshi", mode="live", who="Ada", reason="why not")


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 1001, "a\x00b"])
def test_an_account_opens_again_only_with_a_reason(connection: Connection, reason: str) -> None:
    broken(connection)
    with pytest.raises(UnusableReason):
        reopen_account(connection, "kalshi", mode="live", who="Ada", reason=reason)
    assert account_switches(connection, "live")[Venue.KALSHI].state == "reduce"


def test_what_came_to_light_since_somebody_looked_is_not_let_be_unseen(connection: Connection) -> None:
    broken(connection)
    seen = load_accounts(connection, "live")[0].seen
    broken(connection, "position:K:yes")
    with pytest.raises(ItChanged):
        reopen_account(connection, "kalshi", mode="live", who="Ada", reason="I withdrew it", seen=seen)
    assert account_switches(connection, "live")[Venue.KALSHI].state == "reduce"


def test_an_account_that_opens_and_one_that_is_none_are_refused(connection: Connection) -> None:
    with pytest.raises(ActRefused, match="opens already"):
        reopen_account(connection, "kalshi", mode="live", who="Ada", reason="why not")
    with pytest.raises(UnknownSubject):
        reopen_account(connection, "bank", mode="live", who="Ada", reason="why not")


def test_two_people_at_once_open_it_once(seeded: str, connection: Connection) -> None:
    broken(connection)

    def act(who: str) -> str:
        with connect(seeded) as own:
            try:
                reopen_account(own, "kalshi", mode="live", who=who, reason="I withdrew it")
            except ActRefused as error:
                return type(error).__name__
            return "done"

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(act, ["Ada", "Ben"]))
    assert "done" in results
    assert account_switches(connection, "live")[Venue.KALSHI].state == "run"


def test_over_the_api(seeded: str, connection: Connection, tmp_path: Path) -> None:
    client, headers = api_client(tmp_path, seeded, behind_doors=True), token_of(tmp_path, "Ada", Role.TRADER)
    broken(connection)
    (kalshi, _) = client.get("/api/accounts", headers=headers).json()
    assert (kalshi["state"], kalshi["differences"][0]["what"]) == ("reduce", "cash")
    url = "/api/accounts/kalshi/reopen"
    assert client.post(url, json={"reason": ""}, headers=headers).status_code == 422
    assert client.post(url, json={"reason": "x", "seen": "0-run"}, headers=headers).status_code == 409
    answer = client.post(url, json={"reason": "I withdrew it", "seen": kalshi["seen"]}, headers=headers)
    assert (answer.status_code, answer.json()["state"]) == (201, "run")


def test_from_the_command_line(seeded: str, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    broken(connection)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["trade", *arguments, "--json"])

    assert json.loads(run("accounts").stdout)[0]["state"] == "reduce"
    assert run("reopen", "kalshi").exit_code == 2
    assert run("reopen", "bank", "--reason", "x").exit_code == 1
    assert run("reopen", "kalshi", "--reason", "I withdrew it").exit_code == 0
    assert run("reopen", "kalshi", "--reason", "I withdrew it").exit_code == 4
    assert account_switches(connection, "live")[Venue.KALSHI].state == "run"


def test_on_the_risk_page(seeded: str, connection: Connection, pages: Pages) -> None:
    assert not [button for button in pages.open(seeded, "risk").button if button.label == "Reopen"]
    broken(connection)
    risk = pages.open(seeded, "risk")
    risk.button(key="reopen-kalshi").click().run()
    risk.text_input(key="account-reason").input("I withdrew it")
    risk.button(key="account-confirm").click().run()
    assert not risk.exception
    assert account_switches(connection, "live")[Venue.KALSHI].reason == "I withdrew it"


def test_the_page_says_what_differs_in_words_and_keeps_orders_on_their_way_out_of_it(
    seeded: str, connection: Connection, pages: Pages
) -> None:
    broken(connection)
    broken(connection, "position:K1:yes")
    sent = """WITH sent AS (UPDATE trading.orders SET state = 'sent', sent_at = %s
        WHERE order_id = (SELECT max(o.order_id) FROM trading.orders AS o JOIN trading.intents USING (intent_id)
            JOIN trading.executions USING (execution_id) WHERE mode = 'live') RETURNING order_id)
        SELECT order_id FROM sent"""
    found = connection.execute(sent, (datetime.now(UTC) + timedelta(minutes=1),)).fetchone()  # a clock that is behind
    assert found is not None
    about = f"Order {found['order_id']} of trade"
    shown = pages.open(seeded, "risk")
    said = [caption.value for caption in shown.caption]
    assert any("The venue shows 80 dollars, our books allow 90 to 100; a break" in words for words in said)
    assert any("The venue shows 80 contracts of yes of K1" in words for words in said)
    assert not any(about in words.value for words in shown.markdown)
    connection.execute(sent, (datetime.now(UTC) - timedelta(seconds=6),))
    assert any(about in words.value for words in pages.open(seeded, "risk").markdown)
