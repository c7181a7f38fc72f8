"""Real recorded books through the sandbox's sockets, the recorder and PostgreSQL, compared with an independent fold.

`python -m tests.proofs.recordings` plays every file of the folder `books` on the sandbox exchanges at once, faster than
it was recorded but frame after frame, records it as a run of the recorder does, and prints one JSON document: per
market whether each recorded book is among those the recorder's rows went through, in order, and whether the last one
is equal. Beside it stands the direct path: the files through the recorder's pipeline, each book classified.
`--unexplained FILE` writes the list of the unexplained ones.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration.defs.discovery.assets import kalshi_listings, polymarket_listings
from streams.logs import configure_logs
from streams.market.identity import Venue
from streams.recorder.rebuild.rebuild import rebuild
from streams.recorder.service import RecorderRun, RecorderSummary, record
from streams.sandbox.catalogue.truth import Truth
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import MarketAction, ParticipantFill
from streams.sandbox.process.process import FlowSource, Sandbox, SandboxOptions
from streams.sandbox.replay.recorded_books import RecordedMarket, read_recording
from streams.sandbox.replay.replay import ReplayFlow
from streams.settings import Settings, load_settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, connect, database_dsn, embedded_server
from streams.storage.schema import migrate
from streams.storage.store.wanted import WantedMarket, resolve_wanted
from streams.venues.credentials.keystore import ensure_sandbox_credentials
from tests.proofs.folding import (
    Fold,
    Told,
    compare,
    kalshi_frame_states,
    kalshi_row_states,
    polymarket_states,
    whole_book_states,
)
from tests.proofs.machine import own_environment, recordings_folder
from tests.proofs.universe import run_step

FRAMES_PER_STEP = 60
_QUIET_S = 2.0
_LIMIT_S = 240.0


class PacedReplay:
    """A replay that waits for its start and then plays a number of frames per step, whatever their recorded times."""

    def __init__(self, path: Path, frames_per_step: int) -> None:
        self._inner = ReplayFlow(path)
        self._times = [frame.at_ms for frame in read_recording(path).frames]
        self._frames_per_step = frames_per_step
        self._played = 0
        self.is_started = False
        self._clock_ms: int | None = None

    def step(self, now_ms: int, fills: Sequence[ParticipantFill]) -> list[MarketAction]:
        """See `FlowSource.step`; the replay's own clock jumps to the last frame that is due."""
        if self._clock_ms is None:
            self._clock_ms = now_ms
            return self._inner.step(now_ms, fills)  # lists the markets; the frames of the first moment come with it
        if self.is_started and not self.is_finished:
            self._played = min(self._played + self._frames_per_step, len(self._times))
        passed = self._times[max(self._played - 1, 0)] - self._times[0]
        return self._inner.step(self._clock_ms + passed, fills) if self.is_started else []

    @property
    def is_finished(self) -> bool:
        """Whether every frame was played."""
        return self._inner.is_finished

    @property
    def counts(self) -> Counter[str]:
        """See `ReplayFlow.counts`."""
        return self._inner.counts

    def snapshot(self) -> dict[str, Any]:
        """See `FlowSource.snapshot`."""
        return self._inner.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        """See `FlowSource.restore`."""
        self._inner.restore(state)


@dataclass
class Played:
    """What one run came to."""

    summary: RecorderSummary
    counts: Counter[str]
    seconds: float


async def play(settings: Settings, folder: Path, markets: list[RecordedMarket]) -> Played:
    """Run sandbox and recorder together until the recording is played and committed."""
    flows: list[PacedReplay] = []

    def make_flow(_anchor: datetime) -> tuple[FlowSource, Truth | None]:
        flows.append(PacedReplay(folder, FRAMES_PER_STEP))
        return flows[0], None

    ports = settings.kalshi_sandbox_port, settings.polymarket_sandbox_port
    home = settings.home_dir / "sandbox"
    exchange = Sandbox(SandboxOptions(*ports, home, make_flow, FaultPlan(seed=0), source="recordings"))
    ready, stop = asyncio.Event(), asyncio.Event()
    served = asyncio.create_task(exchange.run(lambda _document: ready.set()))
    await asyncio.wait([served, asyncio.ensure_future(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
    for asset in (kalshi_listings, polymarket_listings):
        await asyncio.to_thread(run_step, asset, full=True)
    wanted = await asyncio.to_thread(find_wanted, settings, markets)
    recording = asyncio.create_task(
        record(settings, RecorderRun(0, 1, "proof"), [], stop, universe=lambda _connection: wanted)
    )
    try:
        await until(lambda: count(settings, "SELECT count(*) AS n FROM raw.coverage WHERE state = 'covered'"), wanted)
        started = time.monotonic()
        flows[0].is_started = True
        while not flows[0].is_finished:
            await asyncio.sleep(0.1)
            assert time.monotonic() - started < _LIMIT_S, "the recording was not played in time"
        seconds = time.monotonic() - started
        await asyncio.sleep(_QUIET_S)
    finally:
        stop.set()
        summary = await recording
        exchange.stop()
        await served
    return Played(summary, flows[0].counts, seconds)


def find_wanted(settings: Settings, markets: list[RecordedMarket]) -> list[WantedMarket]:
    """Return the recorded markets as discovery found them."""
    with connect(database_dsn(settings, Login.OWNER)) as connection:
        found, unknown = resolve_wanted(connection, [market.ref.market_id for market in markets])
    assert not unknown, f"not discovered: {unknown}"
    return found


def count(settings: Settings, query: str) -> int:
    """Run a counting query."""
    with connect(database_dsn(settings, Login.OWNER)) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row["n"])


async def until(counted: Any, wanted: Sequence[WantedMarket]) -> None:
    """Wait until every wanted market is covered."""
    deadline = time.monotonic() + 60
    while await asyncio.to_thread(counted) < len(wanted):
        assert time.monotonic() < deadline, "not every market was covered in time"
        await asyncio.sleep(0.2)


def sequence_holes(connection: Connection) -> int:
    """Return how many of Kalshi's numbers between the first and the last are on no row."""
    row = connection.execute(
        """SELECT max(seq) - min(seq) + 1 - count(DISTINCT seq) AS holes FROM (
               SELECT venue_seq AS seq FROM raw.book_deltas WHERE venue = 'kalshi' UNION
               SELECT venue_seq FROM raw.book_snapshots WHERE venue = 'kalshi' AND reason = 'received') AS told"""
    ).fetchone()
    assert row is not None
    return int(row["holes"] or 0)


def compare_all(settings: Settings, folder: Path, markets: list[RecordedMarket]) -> dict[str, Any]:
    """Compare each market's rows with its recording."""
    found = {}
    with connect(database_dsn(settings, Login.OWNER)) as connection:
        for market in markets:
            told = Told(connection, market.ref.market_id)
            states = recorded_states(folder, market)
            differences = connection.execute(
                """SELECT coalesce(difference, 'first') AS d, count(*) AS n FROM raw.book_snapshots
                   WHERE market_id = %s AND reason = 'received' GROUP BY 1""",
                (market.ref.market_id,),
            ).fetchall()
            name = market.slug or market.ref.market_id
            found[name] = compare(states, told) | {"received": {row["d"]: row["n"] for row in differences}}
        found["_sequence_holes"] = sequence_holes(connection)
    return found


def recorded_states(folder: Path, market: RecordedMarket) -> Iterator[Fold]:
    """Fold a market's recording, whichever of the folder's files holds it."""
    frames, books = folder / "kalshi_ws_2026-08-07.json.gz", folder / "lol_both_venues_2026-07-23.jsonl.gz"
    if market.ref.market_id.startswith("KALSHI-"):
        [path] = [p for p in folder.rglob("Kalshi_*.csv.gz") if name_of(p) == market.ref.market_id]
        return kalshi_row_states(path)
    path = next((folder / "polymarket_mlb_2025").glob(f"{market.slug}*.csv.gz"), None)
    if market.ref.venue is Venue.POLYMARKET and path is not None:
        return polymarket_states(path, market.yes_token)
    if market.ref.venue is Venue.KALSHI and any(kalshi_frame_states(frames, market.ref.market_id)):
        return kalshi_frame_states(frames, market.ref.market_id)
    return whole_book_states(books, market.ref.market_id)


def name_of(path: Path) -> str:
    """Return the market id a replay gives to a file of level changes."""
    return path.name.removesuffix(".csv.gz").upper().replace("_", "-")


def direct(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rebuild the files without sockets; returns (a row per file, all unexplained books)."""
    rows, listed = [], []
    for path in [*sorted(folder.glob("polymarket_mlb_2025/*.csv.gz")), folder / "kalshi_ws_2026-08-07.json.gz"]:
        report = vars(rebuild(path))
        unexplained = report.pop("unexplained")
        names = ("line", "venue_sent_ms", "levels_changed", "reads_as")  # the levels stay with the recording
        listed += [{"file": path.name} | {name: entry[name] for name in names} for entry in unexplained]
        rows.append(report | {"unexplained_read_as": dict(Counter(entry["reads_as"] for entry in unexplained))})
    return rows, listed


def prove(folder: Path, home: Path) -> dict[str, Any]:
    """Play a folder of recordings, or one, in `home`; returns the document."""
    markets = list(read_recording(folder).markets.values())
    with own_environment(home, log_level="WARNING", recorder_shards="1"):
        settings = load_settings()
        configure_logs(settings.log_level)
        os.environ["CROSSBOOK_BOOK_VERIFY_INTERVAL_S"] = "3600"
        ensure_sandbox_credentials(settings)
        server = embedded_server(settings)
        server.start()
        try:
            server.create_logins()
            migrate(database_dsn(settings, Login.OWNER), settings.venues)
            played = asyncio.run(play(load_settings(), folder, markets))
            compared = compare_all(settings, folder if folder.is_dir() else folder.parent, markets)
        finally:
            server.destroy()
    holes = compared.pop("_sequence_holes")
    return {
        "played_in_s": round(played.seconds, 1),
        "replay": dict(played.counts),
        "recorder": played.summary.counters,
        "kalshi_sequence_holes": holes,
        "markets": compared,
    }


def is_right(document: dict[str, Any]) -> bool:
    """Whether every book was found, every last one is equal, and no number is missing."""
    counters = document["recorder"]
    is_whole = all(found["missing"] == 0 and found["final_equal"] for found in document["markets"].values())
    is_counted = not any(counters.get(name, 0) for name in ("holes", "negative_levels", "mismatches", "dead_letters"))
    return is_whole and is_counted and document["kalshi_sequence_holes"] == 0


def main() -> int:
    """Run the proof; exit code 1 when something was lost on the way."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.recordings")
    parser.add_argument("--unexplained", type=Path, help="write the unexplained books here, as JSON")
    given = parser.parse_args()
    folder = recordings_folder() / "books"
    with tempfile.TemporaryDirectory(prefix="recordings-") as home:
        document = prove(folder, Path(home))
    document["direct"], listed = direct(folder)
    if given.unexplained:
        lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in listed)
        given.unexplained.write_text(f"[\n{lines}\n]\n")
    print(json.dumps(document, indent=2, default=str))
    return 0 if is_right(document) else 1


if __name__ == "__main__":
    sys.exit(main())
