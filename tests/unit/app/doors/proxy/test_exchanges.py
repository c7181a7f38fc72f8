"""What is under way is looked at again and again, and ends with the session it began in."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.doors.accounts import SESSION_IDLE_S, Accounts, accounts_path
from app.doors.proxy import exchanges
from app.doors.proxy.decisions.asked import Credential
from app.doors.proxy.exchanges import Exchanges, NotTheirs
from app.doors.proxy.identities import Identities
from app.doors.roles import Role
from streams.settings import load_settings


def test_a_page_that_is_only_left_open_ends_a_day_after_it_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "_LOOK_S", 0.01)
    monkeypatch.setattr(exchanges, "_LOOK_ANYWAY_S", 0.0)
    with closing(Accounts(tmp_path)) as accounts, closing(sqlite3.connect(accounts_path(tmp_path))) as file:
        accounts.add_person("ann", Role.OWNER, by="test")
        credential = Credential("session", accounts.open_session("ann", "link"))

        def seen_at() -> float:
            return float(file.execute("SELECT seen_at FROM sessions").fetchone()[0])

        def age(seconds: float) -> None:
            file.execute("UPDATE sessions SET seen_at = seen_at - ?", (seconds,))
            file.commit()

        async def leave_open() -> None:
            identities = Identities(load_settings(home=tmp_path))
            caller = await identities.find(credential)
            looked = asyncio.Event()
            look = identities.look

            async def look_and_tell(asked: Credential) -> object:
                found = await look(asked)
                looked.set()
                return found

            monkeypatch.setattr(identities, "look", look_and_tell)
            watched = Exchanges(identities)

            async def stay() -> None:
                with watched.under_way(caller):
                    age(SESSION_IDLE_S / 2)
                    before = seen_at()
                    looked.clear()
                    await asyncio.wait_for(looked.wait(), 20)
                    assert seen_at() == before
                    age(SESSION_IDLE_S / 2)
                    await asyncio.sleep(20)  # it is cut off long before

            watcher = asyncio.create_task(watched.look_after())
            with pytest.raises(NotTheirs):
                await stay()
            watcher.cancel()
            identities.close()

        asyncio.run(leave_open())
