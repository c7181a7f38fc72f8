"""The start refuses a Dagster whose private modules are not the ones we know."""

from __future__ import annotations

import re

import pytest

from orchestration.runtime import dagster_version
from orchestration.runtime.dagster_version import WRITTEN_FOR, check_version
from streams.market.errors import ConfigurationError
from streams.settings import PROJECT_ROOT


def test_the_locked_version_is_the_one_the_runtime_was_written_for() -> None:
    locked = re.search(r"^dagster==(\S+)", (PROJECT_ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert locked[1] == WRITTEN_FOR
    check_version()


def test_another_version_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagster_version, "version", lambda _: "1.14.0")
    with pytest.raises(ConfigurationError, match=r"Dagster 1\.13\.27, but 1\.14\.0 is installed"):
        check_version()
