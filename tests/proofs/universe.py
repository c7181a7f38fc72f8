"""The main job on real input: both lists of 2026-03-24 through sandbox, discovery, matching and groups.

`python -m tests.proofs.universe` prints one JSON document; `--up SECONDS` afterwards starts the whole system on the
same lists for so long and adds its closing summary. The labels say which markets are one contract; they tie the
sandbox's prices together and score the verdicts. No profit is claimed: prices are a seeded walk from recorded ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from orchestration.defs.discovery.assets import kalshi_listings, polymarket_listings
from orchestration.defs.matching.assets import market_groups, pair_candidates, pair_verdicts, pairs
from orchestration.resources import PlatformResource
from streams.logs import configure_logs
from streams.settings import load_settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, connect, database_dsn, embedded_server
from streams.storage.schema import migrate
from tests.proofs.machine import ROOT, measured, own_environment, recordings_folder, sandbox

STEPS = (kalshi_listings, polymarket_listings, pair_candidates, pair_verdicts, pairs, market_groups)
UNIVERSE = "universe_2026-03-24"
LABELS = Path("labels") / "pairs_sklekng.jsonl"


def read_labels(folder: Path) -> list[dict[str, Any]]:
    """Return the labelled pairs of this universe that may be scored."""
    with (folder / LABELS).open() as lines:
        return [row for row in map(json.loads, lines) if row["same_contract"] is not None]


def write_truth(labels: Sequence[dict[str, Any]], path: Path) -> int:
    """Write the labels as a truth file for the sandbox; returns how many pairs are one contract."""
    true = [row for row in labels if row["same_contract"]]
    names = ("kalshi_ticker", "polymarket_id", "relation")
    path.write_text("".join(json.dumps({name: row[name] for name in names}) + "\n" for row in true))
    return len(true)


def plain(value: Any) -> Any:
    """Return a metadata value as JSON."""
    found = getattr(value, "value", value)
    return found if isinstance(found, int | float | str) else str(found)


def run_step(asset: dg.AssetsDefinition, *, full: bool) -> dict[str, Any]:
    """Materialize one asset in this process; returns its metadata."""
    name = asset.key.path[-1]
    fields = {"kalshi_listings": {"full": full}, "polymarket_listings": {"full": full}}
    fields |= {"pair_candidates": {"only_new": not full}, "pair_verdicts": {"only_new": not full}}
    config = {"ops": {name: {"config": fields[name]}}} if name in fields else {}
    result = dg.materialize([asset], resources={"platform": PlatformResource()}, run_config=config)
    [event] = result.get_asset_materialization_events()
    return {key: plain(value) for key, value in event.materialization.metadata.items()}


def run_steps(exchange: psutil.Process, *, full: bool) -> dict[str, Any]:
    """Run the chain; returns metadata, seconds and peak memory per step."""
    found = {}
    for asset in STEPS:
        watched = {"step": psutil.Process(), "sandbox": exchange}
        metadata, cost = measured(lambda asset=asset: run_step(asset, full=full), watched)
        found[asset.key.path[-1]] = cost | metadata
    return found


def kept(connection: Connection) -> dict[str, Any]:
    """Return what is in the database after discovery."""
    query = """
        SELECT venue, count(*) AS markets,
            (SELECT count(*) FROM raw.market_versions AS v WHERE v.venue = s.venue) AS versions,
            (SELECT count(*) FROM raw.events AS e WHERE e.venue = s.venue) AS events,
            (SELECT count(*) FROM raw.dead_letters AS d WHERE d.venue = s.venue) AS dead_letters
        FROM raw.market_state AS s GROUP BY venue ORDER BY venue"""
    return {row.pop("venue"): row for row in connection.execute(query).fetchall()}


def recorded_ids(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (venue, id as recorded) of every market of the lists."""
    from streams.sandbox.catalogue.catalogue import read_lines

    for venue, key in (("kalshi", "ticker"), ("polymarket", "id")):
        for _, row in read_lines(folder / UNIVERSE / f"{venue}_markets.jsonl.gz"):
            yield venue, str(row[key])


def missing(connection: Connection, folder: Path) -> dict[str, int]:
    """Count the recorded markets the database does not have."""
    rows = connection.execute(
        """SELECT i.venue, i.id FROM raw.market_ids AS i
           JOIN raw.market_state AS s ON s.venue = i.venue AND s.market_id = i.market_id"""
    )
    known = {(row["venue"], row["id"]) for row in rows}
    lost = {"kalshi": 0, "polymarket": 0}
    for venue, identity in recorded_ids(folder):
        lost[venue] += (venue, identity) not in known
    return lost


def score(connection: Connection, labels: Sequence[dict[str, Any]], threshold: Decimal) -> dict[str, Any]:
    """Compare the verdicts with the labels: what would be approved automatically, and what was never a candidate."""
    ids = connection.execute("SELECT id, market_id FROM raw.market_ids WHERE venue = 'polymarket'").fetchall()
    condition = {row["id"]: row["market_id"] for row in ids}
    rows = connection.execute(
        """SELECT DISTINCT ON (v.candidate_id) c.kalshi_market_id, c.polymarket_market_id, v.same_contract, v.polarity,
               v.confidence FROM trading.pair_verdicts AS v JOIN trading.pair_candidates AS c USING (candidate_id)
           ORDER BY v.candidate_id, v.verdict_id DESC"""
    ).fetchall()
    verdicts = {(row["kalshi_market_id"], row["polymarket_market_id"]): row for row in rows}
    counts = dict.fromkeys(("right", "wrong", "wrong_polarity", "missed", "missed_not_candidate", "rejected"), 0)
    wrong, missed = [], []
    for label in labels:
        verdict = verdicts.get((label["kalshi_ticker"], condition.get(str(label["polymarket_id"]), "")))
        called = bool(verdict and verdict["same_contract"] and verdict["confidence"] >= threshold)
        name = f"{label['kalshi_ticker']} / {label['polymarket_slug']}"
        if called and verdict is not None and label["same_contract"]:
            counts["right" if verdict["polarity"] == label["polarity"] else "wrong_polarity"] += 1
        elif called:
            counts["wrong"] += 1
            wrong.append(f"{name} ({label['relation']})")
        elif label["same_contract"]:
            counts["missed"] += 1
            counts["missed_not_candidate"] += verdict is None
            missed.append(name + (" (no candidate)" if verdict is None else ""))
        else:
            counts["rejected"] += 1
    approved = {key for key, row in verdicts.items() if row["same_contract"] and row["confidence"] >= threshold}
    scored = {(label["kalshi_ticker"], condition.get(str(label["polymarket_id"]), "")) for label in labels}
    calls = counts["right"] + counts["wrong"] + counts["wrong_polarity"]
    real = sum(label["same_contract"] for label in labels)
    return counts | {
        "labelled": len(labels),
        "same_contract": real,
        "precision": round(counts["right"] / max(calls, 1), 4),
        "recall": round(counts["right"] / max(real, 1), 4),
        "approved_in_all": len(approved),
        "approved_without_label": len(approved - scored),
        "wrong_ones": wrong,
        "missed_ones": missed,
    }


def run_up(environment: dict[str, str], seconds: int, log: Path) -> dict[str, Any]:
    """Start the whole system on the lists; returns its exit code, cost and closing summary."""
    command = [sys.executable, "-m", "app.cli.main", "up", "--seconds", str(seconds), "--json"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        out, _ = process.communicate(timeout=seconds + 300)
    summary = json.loads(out) if out.strip() else {}
    trades = summary.pop("trades", [])
    return {
        "exit_code": process.returncode,
        "said": log.read_text().splitlines()[-30:],
        "trades": len(trades),
    } | summary


def prove(folder: Path, home: Path, up_seconds: int) -> dict[str, Any]:
    """Run everything in `home` and return the document."""
    labels = read_labels(folder)
    true = write_truth(labels, home / "truth.jsonl")
    given = {"sandbox_catalogue": str(folder / UNIVERSE), "sandbox_truth": str(home / "truth.jsonl")}
    document: dict[str, Any] = {"labels": {"scored": len(labels), "same_contract": true}}
    (home / "chain").mkdir()
    with own_environment(home / "chain", log_level="WARNING", **given):
        settings = load_settings()
        configure_logs(settings.log_level)
        server = embedded_server(settings)
        server.start()
        try:
            server.create_logins()
            migrate(database_dsn(settings, Login.OWNER), settings.venues)
            started = time.monotonic()
            with sandbox(home / "sandbox.log") as (process, ready):
                document["sandbox"] = {
                    "ready_after_s": round(time.monotonic() - started, 1),
                    "markets": ready["markets"],
                }
                exchange = psutil.Process(process.pid)
                document["first"] = run_steps(exchange, full=True)
                with connect(database_dsn(settings, Login.OWNER)) as connection:
                    document["kept"] = kept(connection)
                    document["missing"] = missing(connection, folder)
                    document["score"] = score(connection, labels, settings.sandbox_auto_approve_confidence)
                document["second"] = run_steps(exchange, full=False)
        finally:
            server.destroy()
    if up_seconds:
        (home / "up").mkdir()
        with own_environment(home / "up", **given) as environment:
            document["up"] = run_up(environment, up_seconds, home / "up.log")
    return document


def main() -> int:
    """Run the proof; exit code 1 when a recorded market is missing or the system did not end well."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.universe", description=__doc__)
    parser.add_argument("--up", type=int, default=0, metavar="SECONDS", help="run the whole system as well")
    parser.add_argument("--keep", type=Path, help="folder to work in and keep; default: a temporary one")
    given = parser.parse_args()
    folder = recordings_folder()
    if given.keep:
        given.keep.mkdir(parents=True)
        document = prove(folder, given.keep, given.up)
    else:
        with tempfile.TemporaryDirectory(prefix="universe-") as home:
            document = prove(folder, Path(home), given.up)
    print(json.dumps(document, indent=2, default=str))
    is_whole = not any(document["missing"].values())
    return 0 if is_whole and document.get("up", {}).get("exit_code", 0) == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
