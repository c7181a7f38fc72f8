"""Which messages tell of which alerts: grave ones first, one for what flaps, one for many of a kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.alerting.kinds import KINDS, SEVERITIES, Severity, remedy_of
from streams.alerting.messages import DIGEST_FROM, DueAlert, plan_messages

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def due(number: int, severity: Severity = "warning", key: str = "", kind: str = "child", **named: bool) -> DueAlert:
    at = NOW - timedelta(minutes=30) + timedelta(seconds=number)
    return DueAlert(number, at, kind, severity, key or f"key {number}", f"Number {number} is wrong.", {}, **named)


def test_critical_ones_go_first_then_the_oldest() -> None:
    alerts = [due(1, "notice"), due(2), due(3, "critical", kind="kill"), due(4), due(5, "critical", kind="disk")]
    assert [message.newest.alert_id for message in plan_messages(alerts, {}, NOW, 300)] == [3, 5, 2, 4, 1]


def test_what_was_sent_a_moment_ago_waits_and_is_told_at_once_later() -> None:
    flaps = [due(number, key="api") for number in range(1, 101)]
    sent = NOW - timedelta(seconds=299)
    assert plan_messages(flaps, {("api", "warning"): sent}, NOW, 300) == []
    (message,) = plan_messages(flaps, {("api", "warning"): sent}, NOW + timedelta(seconds=1), 300)
    assert len(message.alerts) == 100
    assert message.text == "Number 100 is wrong. (100 times since 2026-05-01 11:30 UTC)"


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=-1), timedelta(microseconds=-1)])
def test_a_clock_that_was_put_back_holds_nothing_up(jump: timedelta) -> None:
    assert len(plan_messages([due(1, key="api")], {("api", "warning"): NOW}, NOW + jump, 300)) == 1


def test_what_has_become_graver_since_it_was_sent_does_not_wait() -> None:
    sent = {("disk", "notice"): NOW, ("pairs", "critical"): NOW, ("late", "warning"): NOW}
    alerts = [due(1, "notice", "disk"), due(2, "critical", "disk"), due(3, "warning", "pairs"), due(4, key="late")]
    (message,) = plan_messages(alerts, sent, NOW + timedelta(seconds=1), 300)
    assert (message.severity, [alert.alert_id for alert in message.alerts]) == ("critical", [1, 2])


def test_another_subject_of_the_same_kind_does_not_wait() -> None:
    (message,) = plan_messages([due(1, key="api"), due(2, key="daemon")], {("api", "warning"): NOW}, NOW, 300)
    assert message.newest.key == "daemon"


def test_many_of_a_kind_are_one_message_with_the_gravest_severity() -> None:
    few = [due(number, kind="run_failed") for number in range(1, DIGEST_FROM)]
    assert len(plan_messages(few, {}, NOW, 300)) == DIGEST_FROM - 1
    many = [due(number, kind="run_failed") for number in range(1, 40)] + [due(40, "critical", kind="run_failed")]
    (message,) = plan_messages(many, {}, NOW, 300)
    assert (message.severity, len(message.alerts)) == ("critical", 40)
    assert message.text.startswith("40 alerts of the kind run_failed. Number 1 is wrong. Number 2")
    assert message.text.endswith("And 30 more: `crossbook alerts list`.")


def test_what_is_over_by_now_says_so() -> None:
    assert plan_messages([due(1, is_over=True)], {}, NOW, 300)[0].text == "Number 1 is wrong. It is over."


def test_every_kind_has_its_sentences() -> None:
    for name, kind in KINDS.items():
        assert name == kind.name
        assert kind.severity in SEVERITIES
        assert all(text.endswith(".") for text in (kind.meaning, kind.remedy, kind.clears)), name
    assert remedy_of("never heard of") == "See docs/how-to/alerts.md."
