"""A real browser on a real dashboard over a seeded warehouse, behind its doors, signed in as one of four people.

A missing browser skips these tests with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.doors.accounts import Accounts
from app.doors.roles import Role
from app.doors.signed_in import COOKIE
from tests.browser.chromium import EXECUTABLE, launch
from tests.browser.screenshots import SETTLED, path_of, sign_in
from tests.conftest import new_database
from tests.fixtures.seed_warehouse import seed
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 180
LIMIT_MS = 90_000


PASSWORD = "correct horse battery"
VIEWER, REVIEWER, TRADER, OWNER = "Vera", "Rhea", "Tom", "Ada Lovelace"
"""The people: of each role one. The trader alone has a password, so that the trader alone is asked again."""
OpenAs = Callable[[str], "Opened"]


@dataclass(frozen=True)
class Doors:
    """A dashboard behind its doors, and the accounts that open them."""

    base: str
    accounts: Accounts

    def link(self, name: str) -> str:
        """Return the address of a new link that signs a person in, as `crossbook login` prints it."""
        return f"{self.base}/-/link?code={self.accounts.make_link(name)}"


@dataclass
class Opened:
    """A browser page and every host it asked for anything."""

    page: Any
    base: str
    hosts: set[str] = field(default_factory=set)

    def go(self, path: str) -> None:
        """Open one page of the dashboard and wait until its title stands."""
        self.page.goto(f"{self.base}/{path_of(path)}")
        self.page.get_by_role("heading", name=path.capitalize(), exact=True).wait_for()

    def settle(self) -> None:
        """Wait until the page's script has run and nothing of an earlier run is left on the page."""
        self.page.wait_for_function(SETTLED, timeout=LIMIT_MS)

    def button(self, name: str, *, disabled: bool = False) -> Any:
        """Return a button that is there."""
        button = self.page.get_by_role("button", name=name, exact=True, disabled=disabled).first
        button.wait_for()
        return button

    def fill(self, label: str, text: str) -> None:
        """Type into a field and leave it, and wait until the page has taken it up."""
        entry = self.page.get_by_label(label, exact=True)
        entry.fill(text)
        entry.press("Tab")
        self.settle()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; the one place that decides what happens where there is none.

    Not for the whole session: while it is open an event loop runs in this thread, which other tests could not bear.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("the package playwright is not installed: `make setup` installs it")
    if not Path(EXECUTABLE).exists():
        pytest.skip(f"{EXECUTABLE} is not there: `apt-get install chromium` (or the like) installs it")
    with sync_playwright() as playwright:
        opened = launch(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def warehouse(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a seeded database; each test acts on rows of its own."""
    with new_database(postgres_dsn, warehouse_template) as address:
        seed(address)
        yield address


@pytest.fixture(scope="session")
def doors(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A dashboard over the seeded database, the doors in front of it, and the four people who may enter."""
    home = tmp_path_factory.mktemp("home")
    ports = {f"CROSSBOOK_{name}_PORT": str(free_port()) for name in ("DAGSTER", "API", "SANDBOX_ADMIN", "DASHBOARD")}
    environment = {**os.environ, **ports, "DATABASE_URL": warehouse, "CROSSBOOK_HOME": str(home)}
    accounts = Accounts(home)
    for name, role in zip((VIEWER, REVIEWER, TRADER, OWNER), Role, strict=True):
        accounts.add_person(name, role, by="test", password=PASSWORD if name == TRADER else None)
    with ExitStack() as stack:
        stack.callback(accounts.close)
        running = [
            stack.enter_context(_running(module, environment, home)) for module in ("app.dashboard", "app.doors")
        ]
        base = f"http://127.0.0.1:{ports['CROSSBOOK_DASHBOARD_PORT']}"
        session = accounts.open_session(OWNER, "link")
        _wait_until_ready(f"{base}/_stcore/health", {COOKIE: session}, running)
        accounts.end_session(session)
        yield Doors(base, accounts)


@contextmanager
def _running(module: str, environment: dict[str, str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (home / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=90)


@pytest.fixture
def open_tab(browser: Any, doors: Doors) -> Iterator[Callable[[], Opened]]:
    """What opens a fresh browser, in which nobody is signed in, and writes down which hosts it talks to."""
    contexts = []

    def open_() -> Opened:
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        context.set_default_timeout(LIMIT_MS)
        contexts.append(context)
        return watched_page(context, doors.base)

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def open_as(open_tab: Callable[[], Opened], doors: Doors) -> OpenAs:
    """What opens a fresh browser and signs a person in by a link."""

    def open_(name: str) -> Opened:
        opened = open_tab()
        sign_in(opened.page, doors.base, doors.link(name))
        return opened

    return open_


@pytest.fixture
def opened(open_as: OpenAs) -> Opened:
    """A fresh browser page on the dashboard of the owner."""
    return open_as(OWNER)


def watched_page(context: Any, base: str) -> Opened:
    """Return a new tab that writes down which hosts it talks to."""
    result = Opened(page=context.new_page(), base=base)

    def note(address: str) -> None:
        host = urlsplit(address).hostname
        if host:
            result.hosts.add(host)

    result.page.on("request", lambda request: note(request.url))
    result.page.on("websocket", lambda socket: note(socket.url))
    return result


def eventually(check: Callable[[], bool], within_s: float = 90) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, f"it did not happen in {within_s} s"
        time.sleep(0.05)


def _wait_until_ready(address: str, cookies: dict[str, str], running: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        for process in running:
            if process.poll() is not None:
                pytest.fail(f"{process.args} ended with {process.returncode}")
        try:
            if httpx.get(address, cookies=cookies, timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the dashboard was not ready in time")
