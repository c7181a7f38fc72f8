"""Times as the venues write them, as aware UTC datetimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from streams.market.errors import InvalidAmount
from streams.venues.common.decimals import wire_ms, wire_seconds

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"\s*(?:Z|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?)?",
    re.IGNORECASE,
)


def parse_time(text: object) -> datetime | None:
    """Return a venue's time, None where it is empty, absent or cannot be read.

    Understands RFC 3339 with any number of fractional digits (kept to the microsecond), a space for the T, offsets
    like `+00` and `+00:00:00`, a missing offset (taken as UTC) and a bare date. The year 0001 is no date.
    """
    if not isinstance(text, str):
        return None
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute, off_second = match.groups()
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
            UTC,
        )
        offset = timedelta(hours=int(off_hour or 0), minutes=int(off_minute or 0), seconds=int(off_second or 0))
        found = local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None
    # Go writes a time that was never set as the first of the year 0001.
    return found if found.year > 1 else None


def at_seconds(value: object) -> datetime | None:
    """Return a time that is only shown and given in seconds since the epoch; None where it cannot be one."""
    try:
        return datetime.fromtimestamp(wire_seconds(value), UTC)
    except InvalidAmount:
        return None


def at_ms(value: object) -> datetime | None:
    """Return a time that is only shown and given in milliseconds since the epoch; None where it cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        at = wire_ms(value)
    except InvalidAmount:
        return None
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC)
