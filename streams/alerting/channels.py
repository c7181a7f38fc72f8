"""The channels of the settings in their order. A channel is named by its place and kind; its address stays here."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from streams.alerting.kinds import SEVERITIES, Severity
from streams.alerting.messages import rank
from streams.settings import Settings

WEBHOOK = "webhook"
"""Kind of the channel that `alert_webhook_url` is: JSON of our own shape."""
_UNKNOWN_KIND = "unknown"


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to people.

    Attributes:
        place: From 1, in the order in which they are tried.
        kind: "webhook", or the word before "://" of the address.
        least: Least severity it takes.
        address: A secret.
    """

    place: int
    kind: str
    least: Severity
    address: SecretStr = field(repr=False)

    def takes(self, severity: Severity) -> bool:
        """Whether alerts of a severity go through it."""
        return rank(severity) >= rank(self.least)


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """Return the channels: `alert_webhook_url` first where it is set, then `alert_channels`.

    A word of `alert_severities` that is none counts as notice: an alert too many is better than one too few.
    """
    addresses = []
    if settings.alert_webhook_url is not None:
        addresses.append((WEBHOOK, settings.alert_webhook_url.get_secret_value()))
    if settings.alert_channels is not None:
        addresses += [(_kind(address), address) for address in settings.alert_channels.get_secret_value().split()]
    words = [word.strip() for word in settings.alert_severities.split(",")]
    return tuple(
        Channel(place, kind, _severity(words[place - 1 : place]), SecretStr(address))
        for place, (kind, address) in enumerate(addresses, start=1)
    )


def unknown_severities(settings: Settings) -> list[str]:
    """Return the words of `alert_severities` that are no severity."""
    words = [word.strip() for word in settings.alert_severities.split(",") if word.strip()]
    return [word for word in words if word not in SEVERITIES]


def _kind(address: str) -> str:
    kind, found, _ = address.partition("://")
    return kind.lower() if found and kind.isascii() and kind.isalnum() and len(kind) <= 20 else _UNKNOWN_KIND


def _severity(words: list[str]) -> Severity:
    return next((severity for severity in SEVERITIES if severity in words), "notice")
