"""Both faces on real ports, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.fixtures.sandbox_world import World, sandbox_world


@pytest.fixture
def open_world() -> Callable[..., AbstractAsyncContextManager[World]]:
    """`async with open_world(plan?) as world`: both exchanges, listening."""
    return sandbox_world
