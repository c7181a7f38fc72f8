"""One round of delivery: alerts that are due become messages, each goes through the first channel that takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.alerting.channels import Channel, channels_of
from streams.alerting.courier import Courier, Rests, try_channels
from streams.alerting.kinds import SEVERITIES, Severity
from streams.alerting.messages import DueAlert, Message, message_of, plan_messages
from streams.alerting.sending import Outcome
from streams.logs import get_logger
from streams.settings import Settings
from streams.storage.database import Connection, read_clock
from streams.storage.store.alerting import delivery
from streams.storage.store.alerting.delivery import UnsentAlert
from streams.storage.store.alerting.inbox import AlertState

log = get_logger(room="alerts")

SENDER = "sender"
"""Name under which the round says that it has looked."""


@dataclass(slots=True)
class Round:
    """What a round did, in alerts."""

    sent: int = 0
    failed: int = 0
    no_channel: int = 0


def send_alerts(connection: Connection, settings: Settings, rests: Rests, *, courier: Courier | None = None) -> Round:
    """Send every alert that is due, then one test that was asked for; the log has each, whatever becomes of it.

    Safe beside another sender, and to be broken off anywhere: an alert is claimed before it is sent, so one that was
    under way when its sender died is sent again after a while.

    Args:
        connection: To the warehouse, in autocommit mode.
        settings: With the channels.
        rests: Of this process.
        courier: Who carries; default: one over the channels of the settings.
    """
    channels = channels_of(settings)
    taken = [severity for severity in SEVERITIES if any(channel.takes(severity) for channel in channels)]
    result = Round()
    for alert in delivery.note_no_channel(connection, taken):
        _log(alert)
        result.no_channel += 1
    if taken:
        _send_due(connection, settings, courier or Courier(channels, settings.venues, rests), taken, result)
    test = delivery.take_test(connection)
    if test is not None:
        _test(connection, settings, channels, test)
    # A round that breaks off is no look: where each does, the supervisor tells that nobody sends alerts.
    delivery.note_look(connection, SENDER, [channel.kind for channel in channels])
    return result


def _send_due(
    connection: Connection, settings: Settings, courier: Courier, taken: Sequence[Severity], result: Round
) -> None:
    cooldown_s = settings.alert_cooldown_s
    due = {alert.alert_id: alert for alert in delivery.load_due_alerts(connection, taken, cooldown_s)}
    if not due:
        return
    last_sent = delivery.load_last_sent(connection, {alert.dedup_key for alert in due.values()})
    now = read_clock(connection)
    for message in plan_messages([_due(alert) for alert in due.values()], last_sent, now, cooldown_s):
        if courier.is_over:
            return
        for told in message.alerts:
            if not due[told.alert_id].attempts:
                _log(due[told.alert_id])
        _send(connection, courier, message, result)


def _test(connection: Connection, settings: Settings, channels: Sequence[Channel], test: UnsentAlert) -> None:
    errors = []
    for channel, outcome in try_channels(channels, message_of([_due(test)]), settings.venues):
        delivery.note_receipt(
            connection,
            [test.alert_id],
            place=channel.place,
            channel=channel.kind,
            error=outcome.error,
            took_ms=outcome.took_ms,
        )
        errors += [outcome.error] if outcome.error else []
    state: AlertState = "no channel" if not channels else "failed" if errors else "sent"
    delivery.end_test(connection, test.alert_id, state, "; ".join(errors))


def _send(connection: Connection, courier: Courier, message: Message, result: Round) -> None:
    claimed = delivery.claim_alerts(connection, [alert.alert_id for alert in message.alerts])
    if len(claimed) < len(message.alerts):
        # Somebody else sends some of them: what is left is told in the next round, if it is left.
        delivery.give_back(connection, sorted(claimed))
        return
    ids, errors = sorted(claimed), [""]

    def note(channel: Channel, outcome: Outcome) -> None:
        delivery.note_receipt(
            connection, ids, place=channel.place, channel=channel.kind, error=outcome.error, took_ms=outcome.took_ms
        )
        if not outcome.is_sent:
            errors.append(outcome.error)
            log.error("an alert was not sent", alerts=ids, channel=channel.place, reason=outcome.error)

    carried = courier.carry(message, note)
    if carried == "sent":
        delivery.mark_sent(connection, ids)
        result.sent += len(ids)
    elif carried == "failed":
        delivery.mark_failed(connection, ids, errors[-1])
        result.failed += len(ids)
    else:
        delivery.give_back(connection, ids)


def _log(alert: UnsentAlert) -> None:
    log.warning("alert", kind=alert.kind, severity=alert.severity, message=alert.message)


def _due(alert: UnsentAlert) -> DueAlert:
    return DueAlert(
        alert.alert_id,
        alert.raised_at,
        alert.kind,
        alert.severity,
        alert.dedup_key,
        alert.message,
        alert.detail,
        alert.is_over,
    )
