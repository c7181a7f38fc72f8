"""Looks for what is wrong, and tells people of it."""

import time

import dagster as dg

from orchestration.alerting.facts import Facts
from orchestration.alerting.rules import due_alerts
from orchestration.alerting.sender import send_alerts
from orchestration.alerting.watcher import WATCHER, apply, limits_of
from orchestration.execution.settlement_cycle import alarm_kill
from orchestration.resources import PlatformResource
from orchestration.runtime.failures.alert_facts import look_at_dagster
from streams.alerting.courier import Rests
from streams.storage.store.alerting.delivery import note_look
from streams.storage.store.alerting.facts import load_table_facts

_RESTS = Rests()
_LOOKING_SINCE = time.monotonic()


@dg.sensor(minimum_interval_seconds=5, default_status=dg.DefaultSensorStatus.RUNNING)
def alert_sender(platform: PlatformResource) -> dg.SkipReason:
    """Write each new alert to the log and send it through the first channel that takes it."""
    with platform.connect() as connection:
        alarm_kill(connection, platform.settings())
        done = send_alerts(connection, platform.settings(), _RESTS)
    return dg.SkipReason(
        f"{done.sent} alerts sent, {done.failed} to be tried again, {done.no_channel} without a channel"
    )


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def alert_watcher(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Compare what Dagster and the tables say with what should be; open alerts, and close those that are over."""
    repository = context.repository_def
    dagster = None if repository is None else look_at_dagster(context.instance, repository)
    with platform.connect() as connection:
        facts = Facts(time.monotonic() - _LOOKING_SINCE, dagster, load_table_facts(connection))
        opened, closed = apply(connection, due_alerts(facts, limits_of(platform.settings())))
        note_look(connection, WATCHER)
    return dg.SkipReason(f"{opened} alerts opened, {closed} closed")
