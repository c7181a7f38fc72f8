"""What trading earns: `python -m tests.proofs.money`, or `make proof-money SCENARIO=mild SEED=101 MINUTES=20`.

Starts `crossbook up` from an empty home, in a scenario and with a seed of the sandbox, and judges afterwards from the
warehouse and the recorded books: what the trades locked against what they planned, their result, exposure, and the
share of what one execution per dislocation at its best instant would have earned. `--no-gaps` and `--mismatched` run a
market in which there is nothing to trade. `--judge HOME` judges a kept home again. Exit code 1 if anything fails.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from streams.settings import Settings
from streams.storage.database import Connection
from tests.proofs.money import reading
from tests.proofs.money.dislocations import DislocationFinder, Search
from tests.proofs.money.home import variables
from tests.proofs.money.judging import judge_capture, judge_control, judge_trades, leg_losses, usd
from tests.proofs.money.oracle import Means, Taking, capture, take_all
from tests.proofs.money.reading import ReadTrade
from tests.proofs.money.recording import replay
from tests.proofs.money.second_legs import LegPrices, by_offset
from tests.proofs.table import Table
from tests.support.whole_home import Home


def run(home: Home, minutes: float, table: Table) -> None:
    """Run the system for so long after it is ready."""
    started = home.start("--seconds", f"{minutes * 60:.0f}")
    table.same("exit code", started.wait(minutes * 60 + 420), 0)
    table.same("left behind after the stop", home.leavings(), [])


def judge(home: Home, table: Table, scenario: str, control: str) -> None:
    """Judge what a run has left."""
    settings = home.settings()
    with home.only_database() as connection:
        read = reading.read_trades(connection)
        trades = [each.trade for each in read]
        table.same("trades without an end", reading.count_open(connection), 0)
        if control:
            judge_control(table, trades)
            _add_signals(table, connection)
            return
        judge_trades(table, trades, scenario)
        _judge_recording(table, connection, settings, read)
        _add_times(table, read)


def _judge_recording(table: Table, connection: Connection, settings: Settings, read: Sequence[ReadTrade]) -> None:
    means, time_of_trading = reading.read_means(connection), reading.trading_time(connection)
    if means is None or time_of_trading is None:
        table.check("plans were made", ">= 1", 0, False)
        return
    playing = reading.read_playing(connection, settings, *time_of_trading)
    latency = reading.latency_ns(read, settings)
    finder = DislocationFinder(playing.watched, _search(settings, means, latency))
    prices = LegPrices(reading.read_looks(read))
    records = sum(replay(shard, [finder, prices]) for shard in reading.read_segments(connection))
    found = finder.found
    takings, refused = take_all(found, playing.requests, means)
    ours = [
        ((each.trade.group_id, each.trade.leg_set), reading.ns_of(each.decided_at), each.trade.result_e6)
        for each in read
        if each.trade.is_bought
    ]
    captured = capture(takings, ours)
    judge_capture(table, captured, _reasons(connection, captured.missed))
    late = sum(each.best_ns is not None for each in found)
    table.figures["recorded"] = f"{records:,} records, {len(playing.watched)} bundles that might be traded"
    table.figures["dislocations"] = (
        f"{len(found)}, {late} there after {latency / 1e6:.0f} ms; the oracle took {len(takings)},"
        f" may not take {len(refused)}"
    )
    reasons = Counter(missed.refusal.reason.value for missed in refused)
    table.figures["the oracle may not take"] = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
    _add_prices(table, prices)


def _search(settings: Settings, means: Means, latency: int) -> Search:
    return Search(
        entry_usd=settings.signal_entry_edge_usd,
        exit_usd=means.policy.exit_edge_usd,
        least_profit_e6=means.policy.min_profit_e6,
        clip_e6=means.limits.order_contracts_e6,
        most_edge_usd=reading.usd_of(means.limits.edge_e6),
        latency_ns=latency,
        disarm_ns=settings.signal_disarm_ms * 1_000_000,
    )


def _reasons(connection: Connection, missed: Sequence[Taking]) -> dict[int, str]:
    return {
        number: reading.refusals_of(
            connection, taking.dislocation.key, taking.dislocation.opened_ns, taking.dislocation.closed_ns
        )
        for number, taking in enumerate(missed)
    }


def _add_prices(table: Table, prices: LegPrices) -> None:
    """Add what the later legs would have cost at each moment, and what they did cost."""
    for row in by_offset(prices.answers):
        table.figures[f"later legs {row.offset_ms:,} ms after the first order was sent"] = (
            f"{usd(row.beyond_e6)} beyond plan, {row.dearer} of {row.legs} dearer; {row.unbuyable} not to be had"
        )


def _add_times(table: Table, read: Sequence[ReadTrade]) -> None:
    """Add when the legs were sent, and what each kind of purchase cost beyond the plan."""
    bought = [each for each in read if each.trade.is_bought]
    for loss in leg_losses([each.trade for each in bought]):
        table.figures[f"beyond plan: {loss.leg}"] = f"{usd(loss.beyond_e6)} by {loss.orders} orders"
    to_second = []
    for each in bought:
        sent = {leg.leg_no: None for leg in each.trade.plan.legs}
        for order in each.orders:
            if order.sent_at is not None and sent.get(order.leg_no) is None:
                sent[order.leg_no] = order.sent_at  # type: ignore[assignment]
        times = sorted(at for at in sent.values() if at is not None)
        to_second += [(times[1] - times[0]) / timedelta(milliseconds=1)] if len(times) > 1 else []
    table.figures["first leg sent to second leg sent"] = _spread(to_second)
    gaps = [float(each.leg_gap_s) * 1_000 for each in bought if each.leg_gap_s is not None]
    table.figures["first leg proved to last leg proved"] = _spread(gaps)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "nothing"
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95)]
    return f"p50 {at[0]:.0f} ms, p95 {at[1]:.0f} ms, most {ordered[-1]:.0f} ms of {len(ordered)}"


def _add_signals(table: Table, connection: Connection) -> None:
    row = connection.execute(
        """SELECT count(*) AS all_of_them, count(*) FILTER (WHERE is_tradable) AS tradable FROM trading.signals"""
    ).fetchone()
    assert row is not None
    table.figures["signals"] = f"{row['all_of_them']}, {row['tradable']} of groups that may be traded"
    pairs = connection.execute("SELECT state, count(*) AS n FROM trading.pair_states GROUP BY 1 ORDER BY 1").fetchall()
    table.figures["pairs"] = ", ".join(f"{row['n']} {row['state']}" for row in pairs) or "none"


def main() -> int:
    """Run the proof in a temporary home and print the table."""
    parser = argparse.ArgumentParser(description="Run trading in the sandbox and judge what it earns.")
    parser.add_argument("--scenario", choices=("calm", "mild", "harsh"), default="mild")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--minutes", type=float, default=20, help="how long it runs after everything is ready")
    controls = parser.add_mutually_exclusive_group()
    for name, what in (("no-gaps", "a market without dislocations"), ("mismatched", "a market of pairs that are none")):
        controls.add_argument(f"--{name}", dest="control", action="store_const", const=name, default="", help=what)
    parser.add_argument("--keep", action="store_true", help="keep the home, to look at it or judge it again")
    parser.add_argument("--judge", type=Path, help="judge this kept home; nothing is run")
    options = parser.parse_args()
    title = f"`{options.scenario}`, seed {options.seed}, {options.minutes:g} minutes"
    table = Table(f"What trading earns: {title}{', ' + options.control if options.control else ''}")
    folder = options.judge.parent if options.judge else Path(tempfile.mkdtemp(prefix="crossbook-money-"))
    home = Home.make(options.judge or folder / "home")
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} in {home.path}", file=sys.stderr, flush=True)
    try:
        if options.judge is None:
            home.environment |= variables(folder, options.scenario, options.seed, options.control)
            run(home, options.minutes, table)
        judge(home, table, options.scenario, options.control)
    finally:
        if options.judge is None and not options.keep:
            home.clear()
            shutil.rmtree(folder, ignore_errors=True)
    print(table.render())
    return 0 if table.is_ok else 1


if __name__ == "__main__":
    sys.exit(main())
