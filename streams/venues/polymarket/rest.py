"""Polymarket over REST: Gamma (catalogue), CLOB (books, orders, account) and the Data API (positions, activity).

Reads return dataclasses in integer units or the venue's JSON; errors are the house's tree. A write is sent once: what
becomes of it when the answer is lost is `OutcomeUnknown`, and the order's id, known beforehand, finds it.
"""

from __future__ import annotations

from streams.venues.polymarket.rest_account import AccountCalls
from streams.venues.polymarket.rest_books import BookCalls
from streams.venues.polymarket.rest_data import DataCalls
from streams.venues.polymarket.rest_gamma import GammaCalls
from streams.venues.polymarket.rest_orders import OrderCalls


class PolymarketClient(GammaCalls, BookCalls, OrderCalls, AccountCalls, DataCalls):
    """Polymarket's HTTP services for one wallet, or for a reader without one; arguments as for `Transport`."""
