"""A real browser on a real dashboard over a seeded warehouse.

A missing browser skips these tests with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.browser.chromium import EXECUTABLE, launch
from tests.browser.screenshots import SETTLED, path_of
from tests.conftest import new_database
from tests.fixtures.seed_warehouse import seed
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 180
LIMIT_MS = 90_000


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


@pytest.fixture(scope="module")
def warehouse(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a seeded database; each test acts on rows of its own."""
    with new_database(postgres_dsn, warehouse_template) as address:
        seed(address)
        yield address


@pytest.fixture(scope="module")
def dashboard(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard that runs over the seeded database."""
    home = tmp_path_factory.mktemp("dashboard")
    port = free_port()
    log = (home / "dashboard.log").open("wb")
    environment = {**os.environ, "DATABASE_URL": warehouse, "CROSSBOOK_HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app/dashboard/main.py", "--server.port", str(port),
         "--server.address", "127.0.0.1", "--server.headless", "true"],
        cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=90)
        log.close()


@pytest.fixture
def opened(browser: Any, dashboard: str) -> Iterator[Opened]:
    """A fresh browser page on the dashboard that writes down which hosts it talks to."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(LIMIT_MS)
    result = Opened(page=context.new_page(), base=dashboard)

    def note(address: str) -> None:
        host = urlsplit(address).hostname
        if host:
            result.hosts.add(host)

    context.on("request", lambda request: note(request.url))
    result.page.on("websocket", lambda socket: note(socket.url))
    yield result
    context.close()


def _wait_until_ready(base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the dashboard ended with {process.returncode}")
        try:
            if httpx.get(f"{base}/_stcore/health", timeout=10).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the dashboard was not ready in time")
