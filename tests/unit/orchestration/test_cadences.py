"""From seconds to cron."""

import pytest

from orchestration.cadences import cadences, cron_every
from streams.settings import load_settings


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [(5, "* * * * *"), (60, "* * * * *"), (120, "*/2 * * * *"), (3600, "0 * * * *"), (7200, "0 */2 * * *")],
)
def test_an_interval_becomes_whole_minutes_or_hours(seconds: int, cron: str) -> None:
    assert cron_every(seconds) == cron


def test_the_full_build_keeps_off_the_full_hour() -> None:
    assert cadences(load_settings(warehouse_interval_s=600))["warehouse"] == "3-59/10 * * * *"
    assert cadences(load_settings(warehouse_interval_s=3600))["warehouse"] == "3 * * * *"
