"""From alerts that wait to the messages that tell of them: grave ones first, one for what flaps. PURE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streams.alerting.kinds import SEVERITIES, Severity, remedy_of
from streams.market.documents import JsonDocument

DIGEST_FROM = 6
"""So many subjects of one kind are told in one message."""
_NAMED = 10


@dataclass(frozen=True, slots=True)
class DueAlert:
    """An alert that is to be sent.

    Attributes:
        key: What it is about; one alert of a key is open at a time.
        is_over: Whether its cause is over by now.
    """

    alert_id: int
    raised_at: datetime
    kind: str
    severity: Severity
    key: str
    message: str
    detail: JsonDocument = field(default_factory=dict)
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent through one channel.

    Attributes:
        alerts: What it tells of, the newest last; at least one.
        text: One or several sentences.
        is_end: It only says that something is over.
    """

    alerts: tuple[DueAlert, ...]
    severity: Severity
    kind: str
    text: str
    is_end: bool = False

    @property
    def shown_severity(self) -> Severity:
        """What people read: an end is a notice. It takes the way of what it ends."""
        return "notice" if self.is_end else self.severity

    @property
    def newest(self) -> DueAlert:
        """The alert that was raised last."""
        return self.alerts[-1]

    @property
    def remedy(self) -> str:
        """The way out."""
        return remedy_of(self.kind)


def rank(severity: Severity) -> int:
    """Return how grave a severity is, from 0."""
    return SEVERITIES.index(severity)


LastSent = Mapping[tuple[str, Severity], datetime]
"""When an alert of a key and of a severity was sent last."""


def plan_messages(due: Sequence[DueAlert], last_sent: LastSent, now: datetime, cooldown_s: float) -> list[Message]:
    """Return the messages to send now, the gravest first, then the oldest.

    Where an alert of the same key, as grave or graver, was sent less than `cooldown_s` seconds ago, it waits; then all
    that happened meanwhile is one message. A last sending that lies in the future, because a clock was put back, holds
    nothing up.

    Args:
        due: Alerts that were not sent yet.
        last_sent: What was sent before.
        now: By the clock that wrote these times.
        cooldown_s: Seconds.
    """
    by_key: defaultdict[str, list[DueAlert]] = defaultdict(list)
    for alert in sorted(due, key=lambda alert: alert.alert_id):
        by_key[alert.key].append(alert)
    by_kind: defaultdict[str, list[list[DueAlert]]] = defaultdict(list)
    for key, alerts in by_key.items():
        as_grave = SEVERITIES[rank(_gravest(alerts)) :]
        sent = [last_sent[key, severity] for severity in as_grave if (key, severity) in last_sent]
        if not any(timedelta(0) <= now - at < timedelta(seconds=cooldown_s) for at in sent):
            by_kind[alerts[-1].kind].append(alerts)
    messages = []
    for subjects in by_kind.values():
        if len(subjects) >= DIGEST_FROM:
            messages.append(_digest(subjects))
        else:
            messages += [message_of(alerts) for alerts in subjects]
    return sorted(messages, key=lambda message: (-rank(message.severity), message.alerts[0].alert_id))


def message_of(alerts: Sequence[DueAlert]) -> Message:
    """Return the message about one subject: its newest alert, how often it was raised, and whether it is over."""
    return Message(tuple(alerts), _gravest(alerts), alerts[-1].kind, _sentence(alerts))


def _digest(subjects: Sequence[Sequence[DueAlert]]) -> Message:
    told = [_sentence(alerts) for alerts in subjects]
    more = f" And {len(told) - _NAMED} more: `crossbook alerts list`." if len(told) > _NAMED else ""
    alerts = sorted((alert for several in subjects for alert in several), key=lambda alert: alert.alert_id)
    kind = alerts[-1].kind
    text = f"{len(told)} alerts of the kind {kind}. {' '.join(told[:_NAMED])}{more}"
    return Message(tuple(alerts), _gravest(alerts), kind, text)


def _sentence(alerts: Sequence[DueAlert]) -> str:
    newest = alerts[-1]
    often = f" ({len(alerts)} times since {alerts[0].raised_at:%Y-%m-%d %H:%M} UTC)" if len(alerts) > 1 else ""
    return f"{newest.message}{often}{' It is over.' if newest.is_over else ''}"


def _gravest(alerts: Sequence[DueAlert]) -> Severity:
    return max((alert.severity for alert in alerts), key=rank)
