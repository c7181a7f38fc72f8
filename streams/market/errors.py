"""The error tree of `streams`.

    StreamsError
    ├── TransientError          try again later; nothing happened
    │   ├── RateLimited         wait at least `retry_after_s`
    │   ├── Unavailable         the venue restarts or pauses; wait at least `retry_after_s`
    │   ├── TooLate             its turn would come after the time by which it had to leave; nothing left
    │   └── UnreadableAnswer    also a MalformedFrame: a whole answer that is not what was asked for
    │       └── IncompleteList  a list with items that cannot be read; what it lacks is not known to be absent
    ├── PermanentError          stop and report; trying again cannot help
    │   ├── AuthenticationFailed
    │   ├── NotFound
    │   └── Refused             the venue understood and refused; `code` says why
    ├── OutcomeUnknown          a write whose effect is not known; only reads (by `order_ids`) may follow
    ├── IntegrityError          a book can no longer be trusted; resync it
    ├── MalformedFrame          bytes that do not parse; `raw` goes to dead letters with `reason`
    ├── InvalidAmount           a price, size or amount outside its grid or range
    └── ConfigurationError      a setting, file or environment that stops the start; one sentence

Callers branch on the class (the consequence), never on a message.
"""

from __future__ import annotations

from collections.abc import Sequence


class StreamsError(Exception):
    """Root of everything this package raises on purpose."""


class TransientError(StreamsError):
    """A failure that may be gone at the next attempt; nothing happened at the venue."""


class RateLimited(TransientError):
    """The venue asked us to slow down."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(TransientError):
    """The venue takes no request of this kind for a while: it restarts, or its engine is paused."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLate(TransientError):
    """A call's turn would come after the time by which it has to leave: it was not made."""


class PermanentError(StreamsError):
    """A failure that stays when the call is repeated."""


class AuthenticationFailed(PermanentError):
    """The venue did not accept the key, the signature or the clock."""


class NotFound(PermanentError):
    """The venue does not know the thing asked for."""


class Refused(PermanentError):
    """The venue understood a request and refused it.

    Attributes:
        code: Why, in one word of the venue's or ours.
        status: The HTTP status, 200 where the refusal stood in a good response.
        retry_after_s: How long the venue says that it will go on refusing, None where it does not.
    """

    def __init__(self, code: str, message: str = "", status: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class OutcomeUnknown(StreamsError):
    """A write was sent and its effect is not known. It must not be sent again; read to find out.

    Attributes:
        order_ids: The orders it may have made or ended, where their ids were known before it was sent.
    """

    def __init__(self, message: str = "", order_ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.order_ids = order_ids


class IntegrityError(StreamsError):
    """A book is no longer known to be right and must be resynchronised."""


class MalformedFrame(StreamsError):
    """Bytes from outside that do not parse.

    Attributes:
        raw: The bytes as received.
        reason: What is wrong with them, in a few words.
    """

    def __init__(self, raw: bytes, reason: str) -> None:
        super().__init__(reason)
        self.raw = raw
        self.reason = reason


class UnreadableAnswer(TransientError, MalformedFrame):
    """The answer of a read that came whole and is not what the call gives: a page, nothing, an error, another thing.

    A later attempt may find the venue behind its proxy again, so it is tried again like a failure of the venue.

    Attributes:
        next_cursor: Where the list goes on, if it is a page of one and says so all the same, empty on the last; None
            where it does not say.
    """

    def __init__(self, raw: bytes, reason: str, next_cursor: str | None = None) -> None:
        super().__init__(raw, reason)
        self.next_cursor = next_cursor


class IncompleteList(UnreadableAnswer):
    """A list that decides about money has items that cannot be read. That something is not in it proves nothing.

    `raw` is the list with these items alone.

    Attributes:
        items: What could be read of it.
        unreadable: The rest, each with its bytes and reason.
    """

    def __init__(self, name: str, items: Sequence[object], unreadable: Sequence[MalformedFrame]) -> None:
        raw = b'{"%s":[%s]}' % (name.encode(), b",".join(item.raw for item in unreadable))
        super().__init__(raw, f"{len(unreadable)} of the {name} cannot be read, the first: {unreadable[0].reason}")
        self.items = tuple(items)
        self.unreadable = tuple(unreadable)


class InvalidAmount(StreamsError, ValueError):
    """A price, size or amount that is outside its grid or range."""


class ConfigurationError(StreamsError):
    """A setting, file or environment that stops the start. The message is one sentence that names it."""
