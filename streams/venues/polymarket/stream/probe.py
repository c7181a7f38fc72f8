"""Reads Polymarket's books over REST for the watch on silent tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streams.market.events import BookSnapshot
from streams.venues.polymarket.stream.feed import BookProbe
from streams.venues.polymarket.stream.silence import BookMark


class Books(Protocol):
    """The one call of the REST client that is needed here."""

    async def books(self, token_ids: Sequence[str]) -> list[BookSnapshot]:
        """Return the books of tokens; of those the venue does not know there is none."""


def rest_probe(client: Books) -> BookProbe:
    """Return a probe that asks for all tokens in one call; its errors are the client's."""

    async def probe(tokens: Sequence[str]) -> list[BookMark]:
        books = await client.books(tokens)
        return [
            BookMark(str(book.payload["asset_id"]), book.venue_sent_ms or 0, hash((*book.bids, "/", *book.asks)))
            for book in books
        ]

    return probe
