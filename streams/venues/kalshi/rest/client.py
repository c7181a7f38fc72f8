"""Kalshi over REST, all of it: the groups of calls on one transport.

Reads return dataclasses in integer units with the payload kept; errors are the house's tree. A write is sent once: what
becomes of it when the answer is lost is `OutcomeUnknown`, never a retry.
"""

from __future__ import annotations

from streams.venues.kalshi.rest.account import AccountReads
from streams.venues.kalshi.rest.public import PublicReads
from streams.venues.kalshi.rest.trading import Trading


class KalshiClient(PublicReads, AccountReads, Trading):
    """Kalshi's REST API for one key, or for a reader without one. Arguments: see `KalshiTransport`."""
