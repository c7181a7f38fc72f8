"""Polymarket over REST, all of it: the groups of calls on one transport.

Gamma (catalogue), CLOB (public data, orders, account) and the Data API (positions, activity). Reads return dataclasses
in integer units; errors are the house's tree. A write is sent once: what becomes of it when the answer is lost is
`OutcomeUnknown`, and the order's id, known beforehand, finds it.
"""

from __future__ import annotations

from streams.venues.polymarket.clob.account import AccountCalls
from streams.venues.polymarket.clob.public import PublicReads
from streams.venues.polymarket.clob.trading import Trading
from streams.venues.polymarket.data.client import DataReads
from streams.venues.polymarket.gamma.client import GammaReads


class PolymarketClient(GammaReads, PublicReads, AccountCalls, Trading, DataReads):
    """Polymarket's HTTP services for one wallet, or for a reader without one; arguments as for the transport."""
