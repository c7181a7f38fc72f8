"""Looks at whom we depend on outside: the webhook of the alerts, the judge's address, the venues and their clocks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from app.diagnosis.facts import OutsideFacts
from app.diagnosis.gathering import Failed, gather
from streams.alerting.channels import channels_of
from streams.alerting.sending import is_usable
from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints

_LIMIT_S = 4.0
_OPENAI = "https://api.openai.com/v1"
_GONE = (404, 410)
_BROKEN = (500, 502, 503, 504)


def look_outside(settings: Settings, *, ask_venues: bool) -> OutsideFacts:
    """Return who does not answer, each asked for at most four seconds.

    Args:
        settings: Which addresses.
        ask_venues: Also ask the venues; the sandbox's only answer while they run.
    """
    looks = gather(
        {
            "webhook": lambda: _webhook(settings),
            "judge": lambda: _judge(settings),
            "channels": lambda: _channels(settings),
            **({venue: _asker(settings, venue) for venue in ("kalshi", "polymarket")} if ask_venues else {}),
        },
        _LIMIT_S + 1,
    )
    venues, skews = {}, {}
    for venue in ("kalshi", "polymarket"):
        answer = looks.get(venue)
        if isinstance(answer, str):
            venues[venue] = answer
        elif isinstance(answer, float):
            skews[venue] = answer
        elif ask_venues:
            venues[venue] = f"{venue}: {_said(answer)}"
    return OutsideFacts(
        webhook=_said(looks.get("webhook")),
        judge=_said(looks.get("judge")),
        channels=_said(looks.get("channels")),
        venues=venues,
        skews_s=skews,
    )


def _said(found: object) -> str:
    """Return what a look said, or why it said nothing."""
    if isinstance(found, Failed):
        return f"it could not be asked ({found.error})"
    return found if isinstance(found, str) else "no answer in time"


def _webhook(settings: Settings) -> str:
    """Return why alerts cannot be posted. Nothing is posted to find out."""
    if settings.alert_webhook_url is None:
        return ""
    address = settings.alert_webhook_url.get_secret_value()
    if not _is_address(address):
        return "CROSSBOOK_ALERT_WEBHOOK_URL is not an http address"
    try:
        status = httpx.head(address, timeout=_LIMIT_S).status_code
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        return f"the webhook does not answer ({type(error).__name__})"
    if status in _BROKEN:
        return f"the webhook is broken (HTTP {status})"
    return f"the webhook is not there (HTTP {status})" if status in _GONE else ""


def _channels(settings: Settings) -> str:
    """Return which channels no alert can go through. Nothing is sent to find out."""
    places = [str(channel.place) for channel in channels_of(settings) if not is_usable(channel)]
    return f"the address of channel {', '.join(places)} names no service" if places else ""


def _judge(settings: Settings) -> str:
    if settings.openai_api_key is None:
        return ""
    base = settings.openai_base_url or _OPENAI
    if not _is_address(base):
        return "CROSSBOOK_OPENAI_BASE_URL is not an http address"
    headers = {"Authorization": f"Bearer {settings.openai_api_key.get_secret_value()}"}
    try:
        status = httpx.get(f"{base.rstrip('/')}/models", headers=headers, timeout=_LIMIT_S).status_code
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        return f"the judge's address does not answer ({type(error).__name__})"
    return f"the judge refuses the key (HTTP {status})" if status in (401, 403) else ""


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _asker(settings: Settings, venue: str):  # type: ignore[no-untyped-def]
    def ask() -> str | float:
        try:
            there = endpoints(settings)
        except ConfigurationError as error:
            return str(error)
        url = f"{there.kalshi_rest}/exchange/status" if venue == "kalshi" else f"{there.clob}/ok"
        try:
            answer = httpx.get(url, timeout=_LIMIT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{venue} does not answer ({type(error).__name__})"
        if answer.status_code >= 500:
            return f"{venue} answers HTTP {answer.status_code}"
        return skew_of(answer.headers, datetime.now(UTC))

    return ask


def skew_of(headers: Mapping[str, str], now: datetime) -> float:
    """Return by how many seconds the clock of an answer's `Date` is ahead of ours; 0.0 where it tells none."""
    try:
        told = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return 0.0
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() - now.timestamp()
