"""Takes tokens from a shared bucket and prints when it got each, for tests with several processes."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from streams.venues.common.token_buckets import FileLedger, TokenBucket


async def main(path: str, rate: float, capacity: float, times: int) -> None:
    """Take one token `times` times and print the monotonic second of each."""
    bucket = TokenBucket(rate, capacity, ledger=FileLedger(Path(path)))
    for _ in range(times):
        await bucket.acquire(1.0)
        sys.stdout.write(f"{time.monotonic():.6f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
