"""One message through one channel, within a limit whatever the other side does; only a class of error comes back."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import orjson

from streams.alerting.channels import WEBHOOK, Channel
from streams.alerting.messages import Message
from streams.inert import one_line
from streams.venues.common.http import HttpRequest, whole_exchange

TEXT_MAX = 3000
"""Characters of a message; what is cut is in the inbox."""
_STATUS = re.compile(r"error=(\d{3})\b")
_RESERVE_S = 1.0
_SLOW_MS = 3000
_TEXT_LEAST = 40
_SLACK = 16
"""Characters that apprise may put between title and text."""
_ABANDONED_MAX = 4
"""So many attempts through a channel may go on without end before it is asked no more until one of them ends."""

Post = Callable[[Channel, Message, str, float], str]
"""(channel, message, environment, limit in seconds) -> class of the error, empty where it was sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt; `error` is a class such as "HTTP 500", "timeout" or "ConnectError"; empty: sent."""

    error: str
    took_ms: int

    @property
    def is_sent(self) -> bool:
        """Whether the channel took it."""
        return not self.error

    @property
    def is_hung(self) -> bool:
        """Whether the channel did not answer in time, or took long to fail: the next message would wait for it too."""
        return self.error == TIMEOUT or (bool(self.error) and self.took_ms >= _SLOW_MS)


TIMEOUT = "timeout"
_abandoned: defaultdict[Channel, list[threading.Thread]] = defaultdict(list)


def send(channel: Channel, message: Message, environment: str, limit_s: float, post: Post | None = None) -> Outcome:
    """Send a message through a channel; returns within `limit_s` seconds.

    A channel that hangs keeps its thread, a daemon, and nobody else; one that keeps several is not asked meanwhile.

    Args:
        channel: Where to.
        message: What.
        environment: The venues in force, said in each message.
        limit_s: Seconds.
        post: What does it; default: by the channel's kind.
    """
    started = time.monotonic()
    found: list[str] = []

    def work() -> None:
        try:
            found.append((post or _post)(channel, message, environment, limit_s))
        except BaseException as error:  # a message that cannot be written costs itself; its error may hold an address
            found.append(type(error).__name__)

    going_on = _abandoned[channel] = [thread for thread in _abandoned[channel] if thread.is_alive()]
    if len(going_on) >= _ABANDONED_MAX:
        return Outcome(TIMEOUT, 0)
    thread = threading.Thread(target=work, name=f"alert-{channel.place}", daemon=True)
    thread.start()
    thread.join(limit_s)
    if not found:
        going_on.append(thread)
    return Outcome(found[0] if found else TIMEOUT, round((time.monotonic() - started) * 1000))


def is_usable(channel: Channel) -> bool:
    """Whether the address of a channel names a service that is known; nothing is sent."""
    return channel.kind == WEBHOOK or _apprise().Apprise.instantiate(channel.address.get_secret_value()) is not None


def _post(channel: Channel, message: Message, environment: str, limit_s: float) -> str:
    address = channel.address.get_secret_value()
    if channel.kind == WEBHOOK:
        return _post_json(address, body_of(message, environment), max(limit_s - _RESERVE_S, limit_s / 2))
    return _notify(address, message, environment)


def body_of(message: Message, environment: str) -> dict[str, Any]:
    """Return the JSON document that a webhook gets; of several alerts the newest, with the ids of all."""
    newest = message.newest
    body: dict[str, Any] = {
        "alert_id": newest.alert_id or None,
        "raised_at": newest.raised_at.isoformat(),
        "kind": message.kind,
        "severity": message.shown_severity,
        "message": _within(message.text, TEXT_MAX),
        "remedy": message.remedy,
        "detail": newest.detail,
        "environment": environment,
    }
    if len(message.alerts) > 1:
        body["alert_ids"] = [alert.alert_id for alert in message.alerts]
    return body


def _within(text: str, most: int) -> str:
    """Return a text as one line of so many characters, those that came by writing signs as their codes too."""
    return one_line(one_line(text), most)


def _post_json(address: str, body: dict[str, Any], limit_s: float) -> str:
    try:
        answer = whole_exchange(HttpRequest("POST", address, body=orjson.dumps(body)), limit_s)
    except TimeoutError:
        return TIMEOUT
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return TIMEOUT if isinstance(error, httpx.TimeoutException) else type(error).__name__
    return "" if answer.is_success else f"HTTP {answer.status}"


def _notify(address: str, message: Message, environment: str) -> str:
    """Send by apprise. Its log lines, which may name hosts, are read for the class of the error and go nowhere."""
    apprise = _apprise()
    # Who is sent elsewhere has told nobody: a page to sign in at answers with 200.
    asset = apprise.AppriseAsset(async_mode=False, http_redirects=False)
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        return "unusable address"
    if service.overflow_mode == apprise.OverflowMode.UPSTREAM:
        # A service refuses what is longer than it takes, at each attempt: what there is no room for is left out.
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    title = f"Crossbook ({environment}): {message.shown_severity}, {message.kind}"
    way_out = "" if message.is_end else f"\nWay out: {message.remedy}"
    room = service.body_maxlen - len(title) - len(way_out) - _SLACK
    if service.notify_format != apprise.NotifyFormat.TEXT:
        room = room * 4 // 5  # signs that act in Markdown or HTML are written as several
    kind = {"critical": "failure", "warning": "warning", "notice": "info"}[message.shown_severity]
    result = sender.notify(
        title=title,
        body=_within(message.text, max(_TEXT_LEAST, min(room, TEXT_MAX))) + way_out,
        notify_type="success" if message.is_end else kind,
        body_format="text",
    )
    if result:
        return ""
    said = " ".join(entry.message for entry in result.logs())
    status = _STATUS.search(said)
    if status:
        return f"HTTP {status[1]}"
    return "ConnectError" if "onnection error" in said else "refused"


@cache
def _apprise() -> Any:
    """Load apprise, which takes its time and memory, where a channel needs it; nothing of its logs is written."""
    log = logging.getLogger("apprise")
    log.handlers[:] = [logging.NullHandler()]
    log.propagate = False
    import apprise

    return apprise
