"""The look at the system is one for all who ask at the same time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from app.api.routes import health
from streams.settings import load_settings


def test_many_who_ask_at_once_cost_one_look_and_the_next_one_asks_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[dict[str, object]] = []
    begun, may_end = threading.Event(), threading.Event()

    def gather(*_: object) -> dict[str, object]:
        looks.append({"counts": len(looks)})
        begun.set()
        may_end.wait(20)
        return looks[-1]

    async def ask() -> None:
        look = health.HealthLook(load_settings(home=tmp_path))
        asking = [asyncio.create_task(look()) for _ in range(100)]
        assert await asyncio.to_thread(begun.wait, 20)
        asking[0].cancel()  # who leaves ends it for nobody
        may_end.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [{"counts": 0}] * 99
        assert await look() == {"counts": 1}

    monkeypatch.setattr(health, "gather", gather)
    asyncio.run(ask())
