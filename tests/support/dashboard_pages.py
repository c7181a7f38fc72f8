"""Pages of the dashboard without server and proxy, for a person who is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.dashboard import identity
from app.doors.accounts import Accounts
from app.doors.roles import How, Identity, Role

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Pages:
    """Opens pages of the dashboard in this process.

    Attributes:
        accounts: Those of the home.
        sessions: What browsers hold, by name of the person who signed in last.
    """

    monkeypatch: pytest.MonkeyPatch
    home: Path
    accounts: Accounts
    sessions: dict[str, str]

    def sign_in(self, name: str = "Ada", role: Role = Role.OWNER, how: How = "link") -> Identity:
        """Sign a person in, with an account if they have none; pages are theirs from now on."""
        if self.accounts.find_person(name) is None:
            self.accounts.add_person(name, role, by="test", password=PASSWORD if how == "password" else None)
        self.sessions[name] = self.accounts.open_session(name, how)
        found = self.accounts.find_session(self.sessions[name])
        assert found is not None
        self.monkeypatch.setattr(identity, "carried_identity", lambda: found)
        return found

    def open(self, dsn: str, page: str) -> AppTest:
        """Run one page on the database of an address; Ada the owner is signed in where nobody was."""
        if not self.sessions:
            self.sign_in()
        self.monkeypatch.setenv("DATABASE_URL", dsn)
        self.monkeypatch.setenv("CROSSBOOK_HOME", str(self.home))
        st.cache_data.clear()
        script = f"""
from app.dashboard import theme
from app.dashboard.banner import alert_banner, banner
from app.dashboard.data import read, show_html
from app.dashboard.views import {page} as view
from app.queries.alerts import load_banner
from app.queries.health import load_ages
from streams.storage.store.warehouse import load_environment
from streams.storage.store.risk import last_switch
mode = banner(read(load_environment), read(last_switch), read(load_ages))
show_html(theme.STYLE, mode, alert_banner(read(load_banner)))
view.page()
"""
        return AppTest.from_string(script, default_timeout=90).run()
