"""The stage of a test file: one sandbox process for all its drivers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.stage import Stage, open_stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running sandbox with empty books that adds no delays."""
    with open_stage(tmp_path_factory.mktemp("stage")) as opened:
        yield opened


@pytest.fixture(scope="module", params=["zero", "realistic"])
def any_stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A running sandbox with empty books, once at once and once with the venues' delays and lags."""
    with open_stage(tmp_path_factory.mktemp("stage"), request.param) as opened:
        yield opened
