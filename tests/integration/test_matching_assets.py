"""The assets of discovery and matching inside Dagster, against fake venues over HTTP and a real database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest

from orchestration.defs.discovery.assets import candle_history, kalshi_listings, polymarket_listings
from orchestration.defs.matching import assets as matching
from orchestration.defs.matching.checks import judge_is_within_budget, no_lapsed_pair_is_tradable
from orchestration.defs.matching.jobs import match_everything, refresh_pairs
from orchestration.defs.matching.sensors import pairs_refresh
from orchestration.resources import PlatformResource
from streams.storage.database import connect

NOW = datetime.now(UTC).replace(microsecond=0)
CLOSE = NOW + timedelta(days=40)
CHAIN = [
    kalshi_listings,
    polymarket_listings,
    matching.pair_candidates,
    matching.pair_verdicts,
    matching.pairs,
    matching.market_groups,
]


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


KALSHI_MARKET = {
    "ticker": "KXGOTHAM-30-ADA", "event_ticker": "KXGOTHAM-30", "title": "Will Ada win the Gotham mayoral election?",
    "rules_primary": "If Ada wins the 2030 Gotham mayoral election, then the market resolves to Yes.",
    "rules_secondary": "", "yes_sub_title": "Ada", "no_sub_title": "Ada", "status": "active", "market_type": "binary",
    "open_time": "2026-01-01T00:00:00Z", "close_time": stamp(CLOSE), "result": "", "settlement_timer_seconds": 300,
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
}  # fmt: skip
KALSHI_EVENT = {
    "event_ticker": "KXGOTHAM-30", "series_ticker": "KXGOTHAM", "title": "Gotham mayor", "category": "Politics",
    "mutually_exclusive": True, "markets": [KALSHI_MARKET],
}  # fmt: skip
SERIES = {"ticker": "KXGOTHAM", "title": "Gotham", "category": "Politics", "fee_type": "quadratic", "fee_multiplier": 1}
GAMMA_MARKET = {
    "id": "5", "conditionId": f"0x{5:064x}", "question": "Will Ada win the 2030 Gotham mayoral election?",
    "slug": "ada", "description": "Resolves to the winner of the 2030 Gotham mayoral election.",
    "outcomes": '["Yes", "No"]', "outcomePrices": '["0.41", "0.59"]', "clobTokenIds": '["51", "52"]', "active": True,
    "closed": False, "acceptingOrders": True, "startDate": "2026-01-01T00:00:00Z", "endDate": stamp(CLOSE),
    "orderPriceMinTickSize": 0.01, "orderMinSize": 5, "enableOrderBook": True,
    "events": [{"id": "e5", "slug": "gotham", "title": "Gotham mayor"}],
}  # fmt: skip


def answer(path: str, query: dict[str, list[str]]) -> dict[str, Any]:
    """What both fake venues answer."""
    hour = int((NOW - timedelta(hours=2)).timestamp()) // 3600 * 3600
    if path.endswith("/candlesticks"):
        sides = {name: {"open_dollars": "0.4", "high_dollars": "0.4", "low_dollars": "0.4", "close_dollars": "0.4"}
                 for name in ("yes_bid", "yes_ask")}  # fmt: skip
        return {"candlesticks": [{"end_period_ts": hour, "volume_fp": "1.00", "price": {}, **sides}]}
    if path.endswith("/prices-history"):
        return {"history": [{"t": hour, "p": 0.41}]}
    if path.endswith("/markets/keyset"):
        return {"markets": [] if "condition_ids" in query else [GAMMA_MARKET]}
    if path.endswith("/events"):
        return {"events": [KALSHI_EVENT] if query.get("status") == ["open"] else [], "cursor": ""}
    if path.endswith("/series"):
        return {"series": [SERIES]}
    return {"markets": [], "cursor": ""}


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            raw = json.dumps(answer(parts.path, parse_qs(parts.query))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def environment(database: str, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point the process at the fakes, as the code server's environment would."""
    values = {
        "DATABASE_URL": database, "CROSSBOOK_KALSHI_REST_URL": f"{address}/trade-api/v2",
        "CROSSBOOK_POLYMARKET_GAMMA_URL": f"{address}/gamma", "CROSSBOOK_POLYMARKET_CLOB_URL": f"{address}/clob",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return database


def count(dsn: str, query: str) -> int:
    with connect(dsn) as connection:
        row = connection.execute(f"SELECT count(*) AS n FROM {query}").fetchone()
    assert row is not None
    return int(row["n"])


def test_the_chain_goes_from_lists_to_a_tradable_group(environment: str) -> None:
    checks = [no_lapsed_pair_is_tradable, judge_is_within_budget]
    result = dg.materialize([*CHAIN, *checks], resources={"platform": PlatformResource()})
    assert result.success
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    assert count(environment, "trading.pair_states WHERE state = 'approved' AND decided_by = 'sandbox'") == 1
    assert count(environment, "trading.groups WHERE kind = 'pair' AND is_tradable") == 1


@pytest.mark.parametrize(("before", "is_whole"), [(2, True), (3, False)])
def test_less_than_half_a_full_list_keeps_everything_from_being_matched(
    environment: str, before: int, is_whole: bool
) -> None:
    with connect(environment) as connection:
        connection.execute(
            "INSERT INTO raw.discovery_sweeps (venue, kind, started_at, ended_at, markets_seen)"
            " VALUES ('polymarket', 'full', now(), now(), %s)",
            (before,),
        )
    everything = dg.Definitions(
        assets=CHAIN, jobs=[match_everything], resources={"platform": PlatformResource()}
    ).resolve_job_def("match_everything")
    result = everything.execute_in_process(raise_on_error=False)
    assert (result.success, count(environment, "trading.pair_candidates") > 0) == (is_whole, is_whole)


def test_history_without_a_partition_loads_both_venues_at_once(environment: str) -> None:
    dg.materialize(CHAIN, resources={"platform": PlatformResource()})
    result = dg.materialize([candle_history], resources={"platform": PlatformResource()})
    assert result.success
    assert count(environment, "raw.candles WHERE venue = 'kalshi' AND interval_s = 3600") == 1
    assert count(environment, "raw.candles WHERE venue = 'polymarket'") >= 1


def test_history_of_one_venue_and_day_is_a_partition(environment: str) -> None:
    dg.materialize(CHAIN, resources={"platform": PlatformResource()})
    key = dg.MultiPartitionKey({"venue": "kalshi", "day": NOW.strftime("%Y-%m-%d")})
    result = dg.materialize([candle_history], partition_key=key, resources={"platform": PlatformResource()})
    assert result.success
    assert count(environment, "raw.candles WHERE venue = 'polymarket'") == 0


def test_jobs_load_and_the_sensor_waits_for_the_first_pass(environment: str) -> None:
    definitions = dg.Definitions(
        assets=[*CHAIN, candle_history],
        jobs=[refresh_pairs, match_everything],
        sensors=[pairs_refresh],
        resources={"platform": PlatformResource()},
    )
    assert definitions.resolve_job_def("refresh_pairs").execute_in_process().success
    given = {"platform": PlatformResource()}
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources=given)
        assert isinstance(pairs_refresh(context), dg.RunRequest)
        recent = dg.build_sensor_context(instance=instance, resources=given, cursor=str(datetime.now(UTC).timestamp()))
        assert isinstance(pairs_refresh(recent), dg.SkipReason)


def test_one_job_without_partition_may_run_everything(environment: str) -> None:
    everything = dg.define_asset_job("everything", selection="*", executor_def=dg.in_process_executor)
    definitions = dg.Definitions(
        assets=[*CHAIN, candle_history], jobs=[everything], resources={"platform": PlatformResource()}
    )
    assert definitions.resolve_job_def("everything").execute_in_process().success
    assert count(environment, "raw.candles") >= 2
