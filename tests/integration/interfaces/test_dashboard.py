"""Every page of the dashboard runs without an exception: without a schema, empty, and seeded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.dashboard import theme
from streams.storage.database import connect
from tests.fixtures.seed_warehouse import PAIR_IDS

MAIN = Path(__file__).resolve().parents[3] / "app" / "dashboard" / "main.py"
PAGES = [
    "overview", "health", "markets", "pairs", "spreads", "depth", "opportunities", "trades", "portfolio", "risk",
]  # fmt: skip
Opener = Callable[[str, str], AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opener:
    """Run one page of the dashboard on the database of an address."""

    def run(dsn: str, page: str) -> AppTest:
        monkeypatch.setenv("DATABASE_URL", dsn)
        monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
        st.cache_data.clear()
        script = f"""
import streamlit as st
from app.dashboard import theme
from app.dashboard.banner import banner
from app.dashboard.data import read, show_html
from app.dashboard.views import {page} as view
from app.queries.health import load_ages
from streams.storage.store.warehouse import load_environment
from streams.storage.store.risk import last_switch
st.text_input("Your name", key="who")
show_html(theme.STYLE, banner(read(load_environment), read(last_switch), read(load_ages)))
view.page()
"""
        return AppTest.from_string(script, default_timeout=90).run()

    return run


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


def test_the_router_opens_on_the_overview(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seeded: str) -> None:
    monkeypatch.setenv("DATABASE_URL", seeded)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    shown = AppTest.from_file(str(MAIN), default_timeout=90).run()
    assert not shown.exception
    assert shown.title[0].value == "Overview"
    assert "SANDBOX" in "".join(element.proto.body for element in shown.get("html"))


def test_a_person_rejects_a_pair_under_their_name(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "pairs")
    assert shown.button(key=f"reject-{PAIR_IDS[2]}").disabled
    shown.text_input(key="who").set_value("Ada").run()
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
    shown.text_input(key="who").set_value("Ada").run()
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
    next(button for button in shown.button if button.label == "Save limits").click().run()
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
    shown.text_input(key="who").set_value("Ada").run()
    next(field for field in shown.text_input if field.label.startswith("Most in one market")).set_value("150.50")
    monkeypatch.setattr(theme, "datetime", Tomorrow)
    next(button for button in shown.button if button.label == "Save limits").click().run()
    with connect(seeded) as connection:
        row = connection.execute("SELECT * FROM trading.limits ORDER BY limit_id DESC LIMIT 1").fetchone()
    assert row is not None
    assert (row["name"], str(row["value"])) == ("market_usd", "150.50")


def test_a_limit_that_is_no_number_is_not_saved(open_page: Opener, seeded: str) -> None:
    shown = open_page(seeded, "risk")
    shown.text_input(key="who").set_value("Ada").run()
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
