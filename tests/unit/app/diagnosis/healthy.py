"""The facts of a system in which nothing is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from app.diagnosis.facts import (
    DagsterFacts,
    DatabaseFacts,
    Facts,
    FileFacts,
    OutsideFacts,
    ProcessFacts,
    SoftwareFacts,
    WarehouseFacts,
)
from app.diagnosis.processes import wanted_processes
from app.queries.health import MartRow, ViewRow
from app.supervisor.last_start import LastStart
from streams.settings import Settings
from streams.storage.recording_status import DeadLetters, Gaps
from streams.storage.schema_version import code_schema_version
from streams.storage.store.warehouse import TradingPulse

PARTS = ("files", "software", "processes", "database", "dagster", "trading", "warehouse", "outside")


def healthy(**changes: Any) -> Facts:
    """Return the facts of a running sandbox, with fields of its parts ("files__free_mb") or of itself changed."""
    settings = Settings.model_construct(home=Path("/nowhere"), **changes.pop("settings", {}))
    facts = Facts(
        settings=settings,
        supervisor_pid=4711,
        files=FileFacts(
            platform="", home="", home_rights="", free_mb=90_000, binaries="", token="", open_token=False,
            open_files=(), env_file="", keystore="", key_names=("kalshi-sandbox", "polymarket-sandbox"),
            short_passphrase=False, late_segments=0, last_start=LastStart("2026-11-29T20:00:00+00:00", ""),
            kill_on_disk=False,
        ),
        software=SoftwareFacts("", ()),
        processes=ProcessFacts(wanted_processes(settings), "", is_abandoned=False),
        database=DatabaseFacts("", grown_mb_per_day=900),
        dagster=DagsterFacts(12.0, (), 300),
        trading=TradingPulse(
            schema_version=code_schema_version(), environment="sandbox", switch="run", switched_by="supervisor",
            switch_age_s=9_000.0, recorder_age_s=2.0, recorders=1, armed_age_s=1.0, balances_age_s=60.0,
            unknown_orders=0, escalated=0, stuck_executions=0, waiting_commands=0, critical_alerts=[], unsent_alerts=1,
            unsent_age_s=3.0,
            send_error=None, no_channel_alerts=0, expired_leases=[], changed_pairs=[], judged_today_usd=0.4,
        ),
        warehouse=WarehouseFacts(
            marts=(MartRow("quotes_1m", 5000, 130.0), MartRow("volume_1m", 9, 5000.0)),
            views=(ViewRow("trades", 900.0),),
            failed_tests=(), gaps=Gaps(0, 4), dead_letters=DeadLetters(0, ""), stale_books=0, quote_age_s=0.5,
            sweep_age_s=20.0, failed_sweeps=(), ledger_differences_e6={"kalshi": 3_000, "polymarket": -1},
        ),
        outside=OutsideFacts(venues={}, skews_s={"kalshi": -1.0, "polymarket": 0.8}),
    )  # fmt: skip
    for name, value in changes.items():
        part, _, field = name.partition("__")
        changed = dataclasses.replace(getattr(facts, part), **{field: value}) if field else value
        facts = dataclasses.replace(facts, **{part: changed})
    return facts
