"""A recorder in a process of its own, for tests that kill it: arguments are PORT RUN_ID MARKET..."""

from __future__ import annotations

import asyncio
import signal
import sys

from streams.recorder.service import RecorderRun, record
from streams.settings import load_settings
from tests.support.recorder_feed import line_source, wanted


async def run(port: int, run_id: str, markets: list[str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    source, universe = line_source(port), wanted(*markets)
    await record(
        load_settings(), RecorderRun(0, 1, run_id), [], stop, sources=[source], universe=lambda _connection: universe
    )


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
