"""Every page of the dashboard runs without an exception: without a schema, empty, and seeded."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
import streamlit as st
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.testing.v1 import AppTest

from app.dashboard import theme
from app.operator_actions import decide_group
from streams.storage.database import connect
from streams.storage.store.decisions.group_decisions import pair_group_id
from tests.fixtures.seed_warehouse import PAIR_IDS
from tests.support.dashboard_pages import Pages

MAIN = Path(__file__).resolve().parents[3] / "app" / "dashboard" / "main.py"
PAGES = [
    "overview", "alerts", "health", "markets", "pairs", "spreads", "depth", "opportunities", "trades", "execution",
    "portfolio",    "risk", "calculator",
]  # fmt: skip
Opener = Callable[[str, str], AppTest]


@pytest.fixture
def open_page(pages: Pages) -> Opener:
    """Run one page of the dashboard on the database of an address, for Ada, an owner."""
    return pages.open


def _html(shown: AppTest) -> str:
    return "".join(element.proto.body for element in shown.get("html"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_is_seeded(open_page: Opener, seeded: str, page: str) -> None:
    shown = open_page(seeded, page)
    assert not shown.exception, shown.exception
    assert page == "overview" or not shown.error or page == "trades"
    assert shown.title[0].value.casefold() == page


@pytest.mark.parametrize("page", ["health", "depth", "spreads"])
def test_polled_books_are_marked_on_the_page(open_page: Opener, seeded: str, page: str) -> None:
    assert ">polled<" not in _html(open_page(seeded, page))
    with connect(seeded) as connection:
        for table in ("raw.connections", "raw.book_snapshots", "analytics.pair_spreads_1m"):
            connection.execute(f"UPDATE {table} SET is_polled = true")
    assert ">polled<" in _html(open_page(seeded, page))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_an_empty_database_says_what_to_do(open_page: Opener, database: str, page: str) -> None:
    shown = open_page(database, page)
    assert not shown.exception, shown.exception
    assert not shown.error
    assert page == "risk" or "cb-empty" in "".join(element.proto.body for element in shown.get("html"))


def test_a_database_without_a_schema_is_explained(open_page: Opener, empty_database: str) -> None:
    shown = open_page(empty_database, "overview")
    assert not shown.exception
    assert "no Crossbook schema" in shown.error[0].value


def test_the_router_opens_on_the_overview(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seeded: str
) -> None:
    pages.sign_in()
    monkeypatch.setenv("DATABASE_URL", seeded)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    shown = AppTest.from_file(str(MAIN), default_timeout=90).run()
    assert not shown.exception
    assert shown.title[0].value == "Overview"
    assert "SANDBOX" in "".join(element.proto.body for element in shown.get("html"))


def test_a_person_rejects_a_pair_under_their_name(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "pairs")
    shown.text_input(key=f"reason-{PAIR_IDS[2]}").set_value("hours differ").run()
    shown.button(key=f"reject-{PAIR_IDS[2]}").click().run()
    assert not shown.exception
    with connect(seeded) as connection:
        row = connection.execute("SELECT * FROM trading.pair_decisions ORDER BY decision_id DESC LIMIT 1").fetchone()
    assert row is not None
    assert (row["pair_id"], row["decision"], row["decided_by"]) == (PAIR_IDS[2], "reject", "Ada")
    assert (row["reason"], row["environment"]) == ("hours differ", "sandbox")


def test_a_difference_that_decides_is_called_out(open_page: Opener, seeded: str) -> None:
    html = "".join(element.proto.body for element in open_page(seeded, "pairs").get("html"))
    assert "may settle differently" in html
    assert "<mark>" in html


def test_a_limit_is_saved_with_who_set_it(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "risk")
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
    next(button for button in shown.button if button.label == "Save limits").click().run()
    assert not shown.exception
    assert "Most in one market: **200** → **150.5** dollars" in [text.value for text in shown.markdown]
    shown.button(key="limits-confirm").click().run()
    assert not shown.exception
    with connect(seeded) as connection:
        row = connection.execute("SELECT * FROM trading.limits ORDER BY limit_id DESC LIMIT 1").fetchone()
    assert row is not None
    assert (row["name"], str(row["value"]), row["set_by"]) == ("market_usd", "150.50", "Ada")


def test_a_typed_limit_is_kept_however_long_the_typing_takes(
    open_page: Opener, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=1)

    shown = open_page(seeded, "risk")
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
    monkeypatch.setattr(theme, "datetime", Tomorrow)
    next(button for button in shown.button if button.label == "Save limits").click().run()
    shown.button(key="limits-confirm").click().run()
    with connect(seeded) as connection:
        row = connection.execute("SELECT * FROM trading.limits ORDER BY limit_id DESC LIMIT 1").fetchone()
    assert row is not None
    assert (row["name"], str(row["value"])) == ("market_usd", "150.50")


def test_a_limit_that_is_no_number_is_not_saved(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "risk")
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("lots")
    next(button for button in shown.button if button.label == "Save limits").click().run()
    assert "not a number" in shown.error[0].value


@pytest.mark.parametrize("page", ["markets", "pairs", "overview", "opportunities", "portfolio", "depth"])
def test_market_texts_cannot_become_markup(open_page: Opener, seeded: str, page: str) -> None:
    with connect(seeded) as connection:
        connection.execute("UPDATE trading.groups SET title = '<script>alert(1)</script>'")
    shown = open_page(seeded, page)
    html = _html(shown)
    assert "<script" not in html
    assert "<img" not in html


def _click_row(shown: AppTest, place: int) -> AppTest:
    """Click a row of the table on the page, as a browser tells it: by its place."""
    states = shown._tree.get_widget_states()
    table = shown.dataframe[0].proto.id
    kept = [state for state in states.widgets if state.id != table]
    clicked = WidgetState(
        id=table, string_value=json.dumps({"selection": {"rows": [place], "columns": [], "cells": []}})
    )
    return shown._run(WidgetStates(widgets=[*kept, clicked]))


def _new_trade(dsn: str) -> None:
    """Let another trade arrive: it stands above all others."""
    with connect(dsn) as connection:
        connection.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, run_id, epoch,
                   edge_usd, contracts_e6, started_at, updated_at)
               SELECT signal_id, 9, group_id, environment, mode, 'HEDGED', '', 1, edge_usd, contracts_e6, now(), now()
               FROM trading.executions WHERE execution_id = 3"""
        )
    st.cache_data.clear()


def _commands(dsn: str) -> list[dict[str, Any]]:
    with connect(dsn) as connection:
        return connection.execute("SELECT subject, asked_by FROM trading.commands ORDER BY command_id").fetchall()


def _texts(shown: AppTest) -> str:
    """Return the words on the page, without the signs that keep them from becoming markup."""
    return "\n".join(text.value for text in [*shown.markdown, *shown.error]).replace("\\", "")


def test_a_trade_that_arrives_does_not_change_which_one_is_flattened(open_page: Opener, seeded: str) -> None:
    shown = _click_row(open_page(seeded, "trades"), 2)
    assert shown.subheader[0].value == "Trade 4"
    _new_trade(seeded)
    shown.run()
    assert shown.subheader[0].value == "Trade 4"
    shown.button(key="flatten-4").click().run()
    assert "**Trade 4**, escalated" in _texts(shown)
    assert "50 contracts YES of kalshi:KXBTC-26DEC31-150K, at worst" in _texts(shown)
    assert _commands(seeded) == []
    shown.button(key="flatten-confirm").click().run()
    assert not shown.exception
    written = _commands(seeded)
    assert [(row["subject"]["execution_id"], row["asked_by"]) for row in written] == [(4, "Ada")]
    assert written[0]["subject"]["worst_prices"][0]["price"] == "0.2500"


def test_a_click_on_a_list_that_changed_meanwhile_chooses_what_stood_there(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "trades")
    _new_trade(seeded)
    assert _click_row(shown, 2).subheader[0].value == "Trade 4"


def test_a_trade_that_changed_since_it_was_shown_is_not_flattened(open_page: Opener, seeded: str) -> None:
    shown = _click_row(open_page(seeded, "trades"), 2)
    shown.button(key="flatten-4").click().run()
    with connect(seeded) as connection:
        connection.execute("UPDATE trading.fills SET state = 'failed' WHERE venue_fill_id = 'f-4-0'")
    shown.button(key="flatten-confirm").click().run()
    assert "It changed: trade 4" in _texts(shown)
    assert _commands(seeded) == []


def test_the_first_trade_stays_shown_when_another_arrives(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "trades")
    assert shown.subheader[0].value == "Trade 6"
    _new_trade(seeded)
    assert shown.run().subheader[0].value == "Trade 6"


def test_a_chosen_trade_that_leaves_the_list_stays_chosen(open_page: Opener, seeded: str) -> None:
    shown = _click_row(open_page(seeded, "trades"), 3)
    assert shown.subheader[0].value == "Trade 3"
    shown.segmented_control(key="trade-state").set_value("ESCALATED").run()
    assert shown.subheader[0].value == "Trade 3"
    assert any("not in this list" in caption.value for caption in shown.caption)


def test_a_pair_that_arrives_does_not_change_which_one_is_decided_on(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "pairs")
    with connect(seeded) as connection:
        connection.execute(
            """INSERT INTO trading.pairs SELECT (jsonb_populate_record(p, '{"pair_id": "0000000000000000",
                   "kalshi_market_id": "KXTEMP-1", "polymarket_market_id": "0xtemp1"}')).*
               FROM trading.pairs AS p WHERE pair_id = %s""",
            (PAIR_IDS[2],),
        )
    st.cache_data.clear()
    shown.run()
    shown.button(key=f"approve-{PAIR_IDS[2]}").click().run()
    assert not shown.exception
    with connect(seeded) as connection:
        row = connection.execute(
            "SELECT pair_id FROM trading.pair_decisions ORDER BY decision_id DESC LIMIT 1"
        ).fetchone()
    assert row == {"pair_id": PAIR_IDS[2]}
    # the pair that was decided on stays on the page: a second click finds nothing to decide
    assert shown.button(key=f"approve-{PAIR_IDS[2]}").disabled


@pytest.mark.parametrize("page", ["depth", "spreads"])
def test_a_chosen_pair_stays_chosen_when_the_order_changes_or_it_leaves_the_list(
    open_page: Opener, seeded: str, page: str
) -> None:
    shown = open_page(seeded, page)
    box = next(box for box in shown.selectbox if box.label == "Pair")
    ids = [pair for pair in PAIR_IDS if pair != box.value]
    shown = box.set_value(ids[0]).run()
    assert next(box for box in shown.selectbox if box.label == "Pair").value == ids[0]
    with connect(seeded) as connection:
        connection.execute("DELETE FROM analytics.pair_spreads_1m WHERE pair_id = %s", (ids[0],))
        decide_group(connection, pair_group_id(ids[0]), "reject", who="Ada")
    st.cache_data.clear()
    shown.run()
    assert not shown.exception
    assert next(box for box in shown.selectbox if box.label == "Pair").value is None
    assert any("not in this list" in caption.value for caption in shown.caption)


@pytest.mark.parametrize(
    ("page", "name", "value"),
    [
        ("trades", "trade", "9" * 40), ("trades", "trade", "\x00"), ("pairs", "pair", "\x00"),
        ("markets", "market", "kalshi:\x00"), ("markets", "market", "nowhere:x"), ("depth", "pair", "\x00"),
    ],
)  # fmt: skip
def test_an_address_that_names_nothing_is_no_error_of_the_page(
    open_page: Opener, seeded: str, page: str, name: str, value: str
) -> None:
    shown = open_page(seeded, page)
    for slot in [slot for slot in ("chosen-trade", "chosen-pair", "chosen-market") if slot in shown.session_state]:
        del shown.session_state[slot]
    shown.query_params[name] = value
    shown.run()
    assert not shown.exception, shown.exception


def test_texts_that_change_between_reading_and_clicking_refuse_the_decision(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "pairs")
    with connect(seeded) as connection:
        connection.execute("UPDATE trading.pairs SET kalshi_text_hash = 'new' WHERE pair_id = %s", (PAIR_IDS[2],))
    shown.button(key=f"approve-{PAIR_IDS[2]}").click().run()
    assert "changed since you read them" in _texts(shown)


def test_a_market_is_watched_by_its_id(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "markets")
    shown = _click_row(shown, 3)
    key = next(button.key for button in shown.button if button.label.startswith("Watch"))
    with connect(seeded) as connection:
        connection.execute("UPDATE raw.market_state SET market_id = 'A-FIRST' WHERE market_id = 'KXTEMP-9'")
    st.cache_data.clear()
    shown.run()
    shown.button(key=key).click().run()
    with connect(seeded) as connection:
        row = connection.execute("SELECT venue || ':' || market_id AS key FROM trading.watch_list").fetchone()
    assert row is not None
    assert f"watch-{row['key']}" == key


def test_a_switch_that_another_person_set_is_not_undone_unseen(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "risk")
    shown.button(key="switch-pause").click().run()
    with connect(seeded) as connection:
        connection.execute("INSERT INTO trading.switches (state, set_by, set_at) VALUES ('kill', 'Bob', now())")
    shown.button(key="switch-confirm").click().run()
    assert "the switch is kill, set by Bob" in _texts(shown)


def test_the_health_page_shows_what_the_doctor_finds(open_page: Opener, seeded: str) -> None:
    html = _html(open_page(seeded, "health"))
    assert "Trade 4 is escalated" in html
    assert "The dashboard&#x27;s health page lists them" in html or "health page lists them" in html
