"""Times as the venues write them, as aware UTC datetimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

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
