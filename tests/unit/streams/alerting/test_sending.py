"""One message through real channels of this machine: what arrives, what an attempt says, and never the address."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from streams.alerting.channels import channels_of, unknown_severities
from streams.alerting.messages import DueAlert, Message, plan_messages
from streams.alerting.sending import TIMEOUT, Outcome, send
from streams.logs import configure_logs
from streams.settings import Settings, load_settings
from tests.support.alert_channels import How, local_channel, refused_port
from tests.support.waiting import eventually
from tests.unit.streams.alerting.test_messages import NOW


def message(detail: object = None) -> Message:
    alert = DueAlert(7, NOW, "kill", "critical", "kill", "Trading\nis killed.", {"a": detail})
    return plan_messages([alert], {}, NOW, 0)[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path)


def test_a_webhook_gets_json_of_the_same_shape_as_ever(tmp_path: Path) -> None:
    with local_channel() as local:
        (channel,) = channels_of(load_settings(home=tmp_path, alert_webhook_url=local.webhook))
        assert send(channel, message(1), "sandbox", 5).is_sent
    assert local.received == [
        {
            "alert_id": 7, "raised_at": "2026-05-01T12:00:00+00:00", "kind": "kill", "severity": "critical",
            "message": "Trading\\nis killed.", "detail": {"a": 1}, "environment": "sandbox",
            "remedy": "When the reason is over, `crossbook trade resume`; see docs/how-to/stop-trading.md.",
        }
    ]  # fmt: skip


def test_a_channel_of_apprise_gets_title_text_and_way_out(tmp_path: Path) -> None:
    with local_channel() as local:
        (channel,) = channels_of(load_settings(home=tmp_path, alert_channels=local.apprise))
        assert (channel.kind, channel.place) == ("json", 1)
        assert send(channel, message(), "sandbox", 10).is_sent
    (received,) = local.received
    assert received["title"] == "Crossbook (sandbox): critical, kill"
    assert received["message"].startswith("Trading\\nis killed.\nWay out: When the reason is over")
    assert received["type"] == "failure"


@pytest.mark.parametrize(
    ("how", "by_webhook", "by_apprise"),
    [
        ("HTTP 500", "HTTP 500", "HTTP 500"),
        ("garbage", "RemoteProtocolError", "ConnectError"),
        ("hangs", TIMEOUT, TIMEOUT),
        ("drips", TIMEOUT, TIMEOUT),
        ("sends elsewhere", "HTTP 302", "HTTP 302"),
    ],
)
def test_a_channel_that_fails_says_how_in_a_word_and_in_time(
    tmp_path: Path, how: How, by_webhook: str, by_apprise: str
) -> None:
    with local_channel(how) as local:
        channels = channels_of(
            load_settings(home=tmp_path, alert_webhook_url=local.webhook, alert_channels=local.apprise)
        )
        for channel, error in zip(channels, (by_webhook, by_apprise), strict=True):
            started = time.monotonic()
            assert send(channel, message(), "sandbox", 2.5).error == error, channel.kind
            assert time.monotonic() - started < 30
        assert len(local.received) == 2
        assert local.gets == [], "nobody follows it elsewhere: a page there is not somebody who was told"


def test_no_address_is_in_an_outcome_a_repr_or_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    configure_logs("DEBUG")
    caplog.set_level(logging.DEBUG)
    addresses = [
        f"json://127.0.0.1:{refused_port()}/sesame-opens-it", "mailto://sesame-opens-it", "sesame-opens-it://x",
        f"jsons://who:sesame-opens-it@127.0.0.1:{refused_port()}/", "://sesame-opens-it", "json://[::sesame-opens-it",
    ]  # fmt: skip
    settings = load_settings(
        home=tmp_path,
        alert_webhook_url=f"http://127.0.0.1:{refused_port()}/sesame-opens-it",
        alert_channels=" ".join(addresses),
    )
    channels = channels_of(settings)
    outcomes = [send(channel, message(), "sandbox", 5) for channel in channels]
    assert not any(outcome.is_sent for outcome in outcomes)
    said = capsys.readouterr()
    everything = f"{outcomes} {channels} {settings!r} {caplog.text} {said.out} {said.err}"
    assert "sesame" not in everything
    assert {outcome.error for outcome in outcomes} == {"ConnectError", "unusable address"}


@pytest.mark.parametrize(
    "address",
    [
        "nonsense", "http://", "https://[::1", "ftp://h/unlikely-hook", "http://h:99999/", "http://h:x/", "://",
        "http://a b/", "http://ü\ud7ff..x/", "http://" + "a" * 300 + ".x/", "127.0.0.1:1",
    ],
)  # fmt: skip
def test_a_malformed_address_costs_the_attempt_and_nothing_else(settings: Settings, address: str) -> None:
    (channel,) = channels_of(Settings(_env_file=None, home=settings.home, alert_webhook_url=address))  # type: ignore[call-arg, arg-type]
    outcome = send(channel, message(), "sandbox", 5)
    assert outcome.error
    assert address not in outcome.error


def test_an_alert_that_cannot_be_written_as_json_costs_only_itself(tmp_path: Path) -> None:
    with local_channel() as local:
        (channel,) = channels_of(load_settings(home=tmp_path, alert_webhook_url=local.webhook))
        assert send(channel, message(object()), "sandbox", 5).error == "TypeError"
        assert send(channel, message(), "sandbox", 5).is_sent


def test_a_channel_that_never_returns_keeps_only_its_own_thread(settings: Settings, tmp_path: Path) -> None:
    released = threading.Event()
    (channel,) = channels_of(load_settings(home=tmp_path, alert_channels="json://127.0.0.1"))
    started = time.monotonic()
    outcome = send(channel, message(), "sandbox", 0.1, lambda *_: str(released.wait(60)))
    assert (outcome.error, time.monotonic() - started < 5) == (TIMEOUT, True)
    released.set()


def test_a_channel_that_never_ends_is_asked_no_more_until_an_attempt_ends(tmp_path: Path) -> None:
    released, asked = threading.Event(), []
    (channel,) = channels_of(load_settings(home=tmp_path, alert_channels="json://127.0.0.1/never-ends"))

    def post(*_: object) -> str:
        asked.append(1)
        released.wait(60)
        return ""

    assert {send(channel, message(), "sandbox", 0.01, post).error for _ in range(50)} == {TIMEOUT}
    assert len(asked) == 4, "fifty messages do not cost fifty threads"
    released.set()
    eventually(lambda: send(channel, message(), "sandbox", 5, post).is_sent)


@pytest.mark.parametrize(
    ("error", "took_ms", "is_hung"),
    [(TIMEOUT, 10, True), ("HTTP 500", 9000, True), ("HTTP 500", 200, False), ("", 9000, False)],
)
def test_who_takes_long_to_fail_is_as_one_who_hangs(error: str, took_ms: int, is_hung: bool) -> None:
    assert Outcome(error, took_ms).is_hung is is_hung


def test_a_service_gets_no_more_than_it_takes_and_the_way_out_with_it(tmp_path: Path) -> None:
    text = "Trading is killed. \x1b[31m\u202e\x00<b>" + " The order of key_1 has not filled." * 500
    alert = DueAlert(7, NOW, "kill", "critical", "kill", text)
    with local_channel() as local:
        rocket = f"rocket://token%2Ftoken@127.0.0.1:{local.port}/%23room?mode=webhook"
        for channel in channels_of(
            load_settings(home=tmp_path, alert_webhook_url=local.webhook, alert_channels=f"{local.apprise} {rocket}")
        ):
            assert send(channel, plan_messages([alert], {}, NOW, 0)[0], "sandbox", 10).is_sent, channel.kind
    of_webhook, of_apprise, of_rocket = (
        str(received.get("message") or received["text"]) for received in local.received
    )
    assert (len(of_webhook), len(of_rocket) <= 1000) == (3000, True)
    for said in (of_webhook, of_apprise):
        assert "Trading is killed. \\x1b[31m\\u202e\\x00" in said
    for said in (of_apprise, of_rocket):
        assert said.replace("\\", "").endswith("see docs/how-to/stop-trading.md.")
    for said in (of_webhook, of_apprise, of_rocket):
        assert not any(sign in said for sign in "\x1b\u202e\x00")


def test_severities_are_given_by_place(tmp_path: Path) -> None:
    settings = load_settings(
        home=tmp_path, alert_channels="json://a json://b json://c json://d", alert_severities="critical, warning,,loud"
    )
    assert [channel.least for channel in channels_of(settings)] == ["critical", "warning", "notice", "notice"]
    assert unknown_severities(settings) == ["loud"]
