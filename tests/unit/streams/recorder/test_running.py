"""A recorder's process ends by signal and leaves the handlers as they were."""

from __future__ import annotations

import asyncio
import os
import signal

from streams.recorder.running import run_until_signalled


def test_a_signal_lets_the_work_drain_and_is_reported() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def work(stop: asyncio.Event) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 60)
        return "drained"

    assert run_until_signalled(work) == ("drained", True)
    assert signal.getsignal(signal.SIGTERM) is before


def test_work_that_ends_by_itself_was_not_signalled() -> None:
    async def work(_stop: asyncio.Event) -> int:
        return 3

    assert run_until_signalled(work) == (3, False)
