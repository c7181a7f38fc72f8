"""A venue's routes: which function answers which method and path, and what a request must bring to reach it.

Each routes file of a venue ends in a list of `Route` rows; the venue's app binds them all at its start, so that nothing
is looked up or wrapped anew while a request is answered.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Concatenate, Generic, TypeVar
from urllib.parse import unquote

from streams.sandbox.http.server import Request, Response

VenueT = TypeVar("VenueT")
PROFILE_CACHE_MS = 2**31
"""`Route.cache_ms` of a response that is cached for as long as the profile says."""
_PART = re.compile(r"\{(\w+)\}")
Handler = Callable[..., Response]


class Access(Enum):
    """What a request must bring."""

    OPEN = auto()
    """Nothing, and it pays nothing."""
    PUBLIC = auto()
    """Nothing; it pays with the tokens of its caller where the venue has rate limits."""
    KEYED = auto()
    """Any proof of a known key; the handler does not get the key."""
    SIGNED = auto()
    """A signature by a known key, which the handler gets as `key`."""
    WALLET = auto()
    """A signature by a wallet, known or not, which the handler gets as `proof`."""


_GIVEN = {Access.SIGNED: "key", Access.WALLET: "proof"}
"""What a handler gets beside the parts of its path, by access."""


class Rejected(Exception):
    """A request is answered with this response and goes no further."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body)
        self.response = response


@dataclass(frozen=True, slots=True)
class Route(Generic[VenueT]):
    """One row of a venue's routes.

    Attributes:
        method: Of HTTP, upper case.
        path: Without the prefix of the venue's app; `{name}` becomes the handler's argument of that name.
        handler: Takes venue, request, for `Access.SIGNED` the `key`, for `Access.WALLET` the `proof`, and the path's
            parts by name.
        access: What a request must bring.
        cache_ms: Longest age of a cached response, milliseconds; 0 is never cached. The profile may set less.
        pays_itself: The handler charges the rate limits, because the cost depends on what is asked for.
    """

    method: str
    path: str
    handler: Callable[Concatenate[VenueT, Request, ...], Response]
    access: Access = Access.PUBLIC
    cache_ms: int = 0
    pays_itself: bool = False

    @property
    def parts(self) -> list[str]:
        """The names in the path, in their order."""
        return _PART.findall(self.path)


class Router:
    """Handlers by method and path; `{name}` in a path becomes an argument."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Handler] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Register a handler. Patterns are tried in the order of their registration, after exact paths."""
        if "{" not in path:
            self._exact[method, path] = handler
            return
        pattern = re.compile(_PART.sub(r"(?P<\1>[^/]+)", path))
        self._patterns.append((method, pattern, handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """Return the handler with its arguments, None when there is none."""
        handler = self._exact.get((method, path))
        if handler is not None:
            return handler, {}
        for known, pattern, candidate in self._patterns:
            if known == method and (match := pattern.fullmatch(path)):
                return candidate, {name: unquote(value) for name, value in match.groupdict().items()}
        return None


def router_of(routes: Iterable[Route[VenueT]], bind: Callable[[Route[VenueT]], Handler], prefix: str = "") -> Router:
    """Return the router of a venue's routes; patterns are tried in the order of their routes, after exact paths.

    Args:
        routes: All of a venue's routes.
        bind: Makes of a route what answers a request: the handler with its venue, behind access, limits and cache.
        prefix: Goes before every path.

    Raises:
        ValueError: If two routes have the same method and path, or a handler does not take the parts of its path.
    """
    router, known = Router(), set[tuple[str, str]]()
    for route in routes:
        if (route.method, route.path) in known:
            raise ValueError(f"{route.method} {route.path} has two routes.")
        known.add((route.method, route.path))
        _check_arguments(route)
        router.add(route.method, prefix + route.path, bind(route))
    return router


def _check_arguments(route: Route[VenueT]) -> None:
    given: dict[str, str | None] = dict.fromkeys(route.parts, "")
    if route.access in _GIVEN:
        given[_GIVEN[route.access]] = None
    try:
        inspect.signature(route.handler).bind(None, None, **given)
    except TypeError as error:
        raise ValueError(f"The handler of {route.method} {route.path} does not fit: {error}.") from None
