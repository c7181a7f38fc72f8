"""How Chromium is started for tests and screenshots: quiet, offline, without a profile."""

from __future__ import annotations

from typing import Any

EXECUTABLE = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


def launch(playwright: Any, *flags: str) -> Any:
    """Start the system's Chromium, with further flags."""
    return playwright.chromium.launch(executable_path=EXECUTABLE, args=[*FLAGS, *flags])
