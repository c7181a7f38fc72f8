"""The stage of a test file: one sandbox process for all its drivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.stage import Stage, open_stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running sandbox with empty books."""
    with open_stage(tmp_path_factory.mktemp("stage")) as opened:
        yield opened
