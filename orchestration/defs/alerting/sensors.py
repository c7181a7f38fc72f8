"""Looks for what is wrong, and tells people of it."""

import time
from collections.abc import Callable

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
        try:
            alarm_kill(connection, platform.settings())
        finally:  # a switch that cannot be read keeps no alert back
            done = send_alerts(connection, platform.settings(), _RESTS)
    return dg.SkipReason(
        f"{done.sent} alerts sent, {done.failed} to be tried again, {done.no_channel} without a channel"
    )


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def alert_watcher(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Compare what Dagster and the tables say with what should be; open alerts, and close those that are over.

    Where one of the two cannot be looked at, the other is judged all the same, and the tick fails: as long as that
    lasts the supervisor tells that nobody looks for alerts.
    """
    repository = context.repository_def
    watched_s, opened, closed, failed = time.monotonic() - _LOOKING_SINCE, 0, 0, None
    with platform.connect() as connection:
        looks: list[Callable[[], Facts]] = [lambda: Facts(watched_s, None, load_table_facts(connection))]
        if repository is not None:
            looks.append(lambda: Facts(watched_s, look_at_dagster(context.instance, repository), None))
        for look in looks:
            try:
                now_open, now_closed = apply(connection, due_alerts(look(), limits_of(platform.settings())))
            except Exception as error:  # whatever it is, what the other look finds is told
                failed = error
            else:
                opened, closed = opened + now_open, closed + now_closed
        if failed is not None:
            raise failed
        note_look(connection, WATCHER)
    return dg.SkipReason(f"{opened} alerts opened, {closed} closed")
