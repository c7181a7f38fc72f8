"""One of the connections that share Polymarket's tokens: what it follows and how that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from streams.venues.common.socket import Socket, TextHeartbeat
from streams.venues.polymarket.stream import commands

_HEARTBEAT_S = 10.0
_TOKENS_PER_COMMAND = 500


class MarketConnection:
    """A market socket with some markets, each with both of its tokens.

    Attributes:
        opened_ns: When it was opened last, monotonic.
        has_settled: Whether it is known that it was not closed for what it asked for.
    """

    def __init__(self, url: str, silence_timeout_s: float) -> None:
        self._url = url
        self.opened_ns = 0
        self.has_settled = False
        heartbeat = TextHeartbeat(min(_HEARTBEAT_S, silence_timeout_s / 3), silence_timeout_s)
        self.socket = Socket(silence_timeout_s, heartbeat)
        self.markets: dict[str, tuple[str, str]] = {}
        self._has_subscribed = False

    @property
    def tokens(self) -> list[str]:
        """All tokens followed here."""
        return [token for pair in self.markets.values() for token in pair]

    async def connect(self) -> None:
        """Open the connection and ask for what is followed here; errors as for `Feed.connect`."""
        self._has_subscribed = self.has_settled = False
        await self.socket.connect(self._url)
        self._ask(self.tokens)

    def add(self, markets: dict[str, tuple[str, str]]) -> None:
        """Follow more markets; asks for them when the connection is open, else with the next `connect`."""
        self.markets |= markets
        if self.socket.is_open:
            self._ask([token for pair in markets.values() for token in pair])

    def remove(self, market_ids: Sequence[str]) -> None:
        """Follow fewer markets."""
        tokens = [token for name in market_ids for token in self.markets.pop(name, ())]
        if self.socket.is_open:
            self._operate("unsubscribe", tokens)

    def ask_again(self, market_ids: Sequence[str]) -> None:
        """Leave and join: joining is what makes the venue send a whole book.

        Each market is joined by a command of its own: what is joined together is answered in one frame, and one book
        that cannot be read would take the others with it.
        """
        pairs = [list(self.markets[name]) for name in market_ids if name in self.markets]
        if self.socket.is_open:
            self._operate("unsubscribe", [token for pair in pairs for token in pair])
            for pair in pairs:
                self._operate("subscribe", pair)

    def _ask(self, tokens: list[str]) -> None:
        if tokens and not self._has_subscribed:
            self._has_subscribed = True
            first, tokens = tokens[:_TOKENS_PER_COMMAND], tokens[_TOKENS_PER_COMMAND:]
            self.socket.send(orjson.dumps(commands.market_hello(first)))
        self._operate("subscribe", tokens)

    def _operate(self, operation: commands.Operation, tokens: list[str]) -> None:
        for start in range(0, len(tokens), _TOKENS_PER_COMMAND):
            chunk = tokens[start : start + _TOKENS_PER_COMMAND]
            self.socket.send(orjson.dumps(commands.market_operation(operation, chunk)))
