"""A process that hangs between the legs is overtaken within seconds, and sends nothing when it wakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.execution.decide.plan import plan_from_json
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.storage.database import connect
from streams.storage.store import executions
from streams.storage.store.hedges.abandoned import load_abandoned
from streams.storage.store.hedges.fences import take_over
from tests.support.fake_venue import fake_settings, rows, seed_group

_TAKEN_OVER_WITHIN_S = 7.0
_ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("place", ["before its intent", "before the last look"])
def test_a_run_that_hangs_between_the_legs_is_overtaken_within_seconds_and_sends_nothing_on_waking(
    database: str, tmp_path: Path, place: str
) -> None:
    with connect(database) as connection:
        seed_group(connection)
        command = [sys.executable, "-m", "tests.support.hanging_run", database, str(tmp_path), place]
        child = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        try:
            _, status = os.waitpid(child.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), "it has ended"
            stopped_at = time.monotonic()
            (execution,) = rows(connection, "SELECT execution_id, state FROM trading.executions")
            number = execution["execution_id"]
            context = TradingContext(fake_settings(home=tmp_path), "live", {})
            heir = SignalTrader(connection, context, "heir")
            plan = executions.load_execution(connection, number).detail["plan"]
            while not load_abandoned(connection, "live"):
                assert time.monotonic() - stopped_at < _TAKEN_OVER_WITHIN_S
                time.sleep(0.05)
            leases = heir.acquire(plan_from_json(plan))
            assert leases is not None
            take_over(connection, number, leases[0].epoch)
            assert time.monotonic() - stopped_at < _TAKEN_OVER_WITHIN_S
            before = rows(connection, "SELECT count(*) AS n FROM trading.intents")
            child.send_signal(signal.SIGCONT)
            said, _ = child.communicate(timeout=60)
        finally:
            child.kill()
            child.wait()
        woken = json.loads(said.splitlines()[-1])
        assert (woken["first"], woken["second"]) == (1, 0), woken
        assert "the lease" in woken["why"] or "worked on by somebody else" in woken["why"]
        assert rows(connection, "SELECT count(*) AS n FROM trading.intents") == before
