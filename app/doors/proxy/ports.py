"""Which doors there are by the settings."""

from __future__ import annotations

from app.doors.proxy.decisions.asked import Door
from streams.settings import Settings

READY_PATH = "/-/ready"
"""Answers to anybody once the doors are open."""


def doors_of(settings: Settings) -> list[Door]:
    """Return the doors of these settings: that of the sandbox only where it runs here and its port is known."""
    doors = [
        Door("dagster", settings.dagster_port),
        Door("dashboard", settings.dashboard_port),
        Door("api", settings.api_port),
    ]
    if settings.venues == "sandbox" and settings.sandbox_admin_port:
        doors.append(Door("sandbox", settings.sandbox_admin_port))
    return doors
