"""Whether the socket still speaks of a token: single subscriptions fall silent on connections that live.

Pure: times come in, whoever owns it asks the venue over REST. A token that was silent for a while is read twice; when
its book changed between the readings and the socket sent nothing before or soon after, the subscription is dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class BookMark(NamedTuple):
    """A book over REST, reduced to what distinguishes two.

    The venue's hash covers the time of the response as well, so levels are what is compared.

    Attributes:
        timestamp_ms: The venue's time of the book.
        digest: Equal for equal levels.
    """

    token: str
    timestamp_ms: int
    digest: int


class _Token:
    __slots__ = ("asked_ns", "heard_ns", "mark", "moved_ns")

    def __init__(self, now_ns: int) -> None:
        self.heard_ns = now_ns
        self.asked_ns = 0
        self.mark: BookMark | None = None
        self.moved_ns: int | None = None


class TokenSilence:
    """What is known of each followed token.

    Args:
        silence_ns: A token is left alone until it was silent this long: REST answers come from a cache that lags.
        patience_ns: How long the socket has for a change that REST already shows.
    """

    def __init__(self, silence_ns: int, patience_ns: int) -> None:
        self._silence_ns = silence_ns
        self._patience_ns = patience_ns
        self._tokens: dict[str, _Token] = {}

    def follow(self, tokens: Iterable[str], now_ns: int) -> None:
        """Begin to watch tokens; those watched already begin anew."""
        for token in tokens:
            self._tokens[token] = _Token(now_ns)

    def forget(self, tokens: Iterable[str]) -> None:
        """Watch tokens no more."""
        for token in tokens:
            self._tokens.pop(token, None)

    def heard(self, token: str, now_ns: int) -> None:
        """The socket spoke of a token, so everything suspected of it is void."""
        state = self._tokens.get(token)
        if state is not None:
            state.heard_ns = now_ns
            state.mark = None
            state.moved_ns = None

    def due(self, now_ns: int, count: int) -> list[str]:
        """Return at most `count` silent tokens to read over REST now, those first that were not read for longest."""
        silent = [
            (state.asked_ns, token)
            for token, state in self._tokens.items()
            if now_ns - state.heard_ns >= self._silence_ns and state.moved_ns is None
        ]
        chosen = [token for _, token in sorted(silent)[:count]]
        for token in chosen:
            self._tokens[token].asked_ns = now_ns
        return chosen

    def read(self, mark: BookMark, now_ns: int) -> None:
        """Note a book read over REST."""
        state = self._tokens.get(mark.token)
        if state is None or now_ns - state.heard_ns < self._silence_ns:
            return
        if state.mark is None:
            state.mark = mark
        elif mark.timestamp_ms > state.mark.timestamp_ms and mark.digest != state.mark.digest:
            if state.moved_ns is None:
                state.moved_ns = now_ns
            state.mark = mark

    def stale(self, now_ns: int) -> list[str]:
        """Return tokens whose subscription is dead; each is reported once and then watched from the beginning."""
        found = [
            token
            for token, state in self._tokens.items()
            if state.moved_ns is not None and now_ns - state.moved_ns >= self._patience_ns
        ]
        self.follow(found, now_ns)
        return found
