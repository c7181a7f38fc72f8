"""Take a picture of every page of a running dashboard: `python -m tests.browser.screenshots --out DIR --base URL`.

It signs in by a link that it makes in CROSSBOOK_HOME for the user of this shell, or by `--link URL`. With
`--dagster URL` of Dagster's asset lineage and runs too. Chromium must be installed.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from app.doors.links import link_for
from streams.settings import load_settings
from tests.browser.chromium import launch

PAGES = (
    "overview", "alerts", "markets", "pairs", "spreads", "depth", "opportunities", "trades", "execution", "portfolio",
    "risk", "health", "calculator",
)  # fmt: skip
_DAGSTER_DRAWS_MS = 10_000
_LINEAGE = "assets/analytics/pair_spreads_1m?view=lineage&lineageScope=upstream&lineageDepth=3"
SETTLED = (
    "() => document.querySelector('[data-testid=\"stApp\"]')?.matches('[data-test-script-state=\"notRunning\"]')"
    " && !document.querySelector('[data-testid=\"stSkeleton\"]')"
    " && !document.querySelector('[data-stale=\"true\"]')"
    " && [...document.querySelectorAll('.stPlotlyChart')].every(chart => chart.querySelector('.main-svg'))"
)
_FIT_HEIGHT = """() => {
    const main = document.querySelector('[data-testid="stMainBlockContainer"]');
    return Math.ceil(main ? main.getBoundingClientRect().height : 900) + 20;
}"""


def path_of(name: str) -> str:
    """Return the path of a page; the first one lives at the root."""
    return "" if name == PAGES[0] else name


def sign_in(page: Page, base: str, link: str) -> None:
    """Open a link that signs in, and wait for the dashboard it leads to."""
    page.goto(link)
    page.wait_for_url(f"{base}/", timeout=60_000)


def take_sign_in(page: Page, base: str, out: Path, *, width: int) -> Path:
    """Save the page on which people sign in."""
    page.set_viewport_size({"width": width, "height": 760})
    page.goto(f"{base}/")
    page.get_by_role("heading", name="Sign in").wait_for(timeout=60_000)
    path = out / "sign-in.png"
    page.screenshot(path=path)
    return path


def take(page: Page, base: str, name: str, out: Path, *, width: int, height_max: int) -> Path:
    """Open one page, wait until nothing loads any more, and save it as tall as it is (within `height_max`)."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{base}/{path_of(name)}")
    page.get_by_role("heading", name=name.capitalize(), exact=True).wait_for(timeout=60_000)
    if name == "markets":
        _choose_recorded(page)
    if name == "trades":
        _choose_settled(page)
    _settle(page)
    height = min(max(int(page.evaluate(_FIT_HEIGHT)), 700), height_max)
    page.set_viewport_size({"width": width, "height": height})
    _settle(page)
    path = out / f"{name}.png"
    page.screenshot(path=path)
    return path


def _choose_recorded(page: Page) -> None:
    # The table is a canvas: its first row is found by position.
    page.get_by_text("Recorded", exact=True).first.click()
    _settle(page)
    box = page.get_by_test_id("stDataFrame").bounding_box()
    if box is not None:
        page.mouse.click(box["x"] + 20, box["y"] + 55)
        page.locator(".cb-card").first.wait_for(timeout=15_000)


def _choose_settled(page: Page) -> None:
    settled = page.get_by_role("radio", name=re.compile(r"^settled \("))
    if settled.count():
        settled.first.click()
        _settle(page)


def take_dagster(page: Page, base: str, out: Path, *, width: int) -> list[Path]:
    """Save where one mart comes from and the list of runs of a Dagster webserver."""
    page.set_viewport_size({"width": width, "height": 1200})
    paths = []
    for name, path, landmark in (("lineage", _LINEAGE, "Lineage"), ("runs", "runs", "Target")):
        page.goto(f"{base}/{path}")
        page.get_by_text(landmark, exact=True).first.wait_for(timeout=60_000)
        page.wait_for_timeout(_DAGSTER_DRAWS_MS)
        paths.append(out / f"dagster-{name}.png")
        page.screenshot(path=paths[-1])
    return paths


def _settle(page: Page) -> None:
    page.wait_for_timeout(400)
    page.wait_for_function(SETTLED, timeout=60_000)
    page.wait_for_timeout(600)


def _own_link(base: str) -> str:
    link = urlsplit(link_for(load_settings()))
    return f"{base}{link.path}?{link.query}"


def main() -> None:
    """Take all pictures and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--base", default="http://127.0.0.1:8501", help="address of the dashboard")
    parser.add_argument("--link", default="", help="address of a link that signs in; default: one is made")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height-max", type=int, default=1800)
    parser.add_argument("--dagster", default="", help="address of Dagster's webserver")
    parser.add_argument("--only", choices=PAGES, action="append")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    base = options.base.rstrip("/")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_context(device_scale_factor=1.0).new_page()
        if not options.only:
            print(take_sign_in(page, base, options.out, width=options.width))
        sign_in(page, base, options.link or _own_link(base))
        for name in options.only or PAGES:
            print(take(page, base, name, options.out, width=options.width,
                       height_max=options.height_max))  # fmt: skip
        if options.dagster:
            for path in take_dagster(page, options.dagster.rstrip("/"), options.out, width=options.width):
                print(path)
        browser.close()


if __name__ == "__main__":
    main()
