"""Which routes and refusals a recording has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tests.golden.stage import KALSHI, KALSHI_PREFIX

Route = tuple[str, str, str]
"""(port, method, path), `{name}` for an argument."""


def routes_asked(routes: Iterable[Route], lines: Iterable[dict[str, Any]]) -> set[Route]:
    """The routes that the requests of a recording lead to; exact paths come before patterns."""
    exact = {route for route in routes if "{" not in route[2]}
    patterns = [
        (route, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route[2])))) for route in set(routes) - exact
    ]
    found: set[Route] = set()
    for line in lines:
        if "status" not in line or line["ask"].endswith(" RAW"):
            continue
        port, method, target = line["ask"].split(" ", 2)
        path = target.partition("?")[0]
        asked = (port, method, path.removeprefix(KALSHI_PREFIX) if port == KALSHI else path)
        if asked in exact:
            found.add(asked)
        else:
            found |= {r for r, p in patterns if (r[0], r[1]) == asked[:2] and p.fullmatch(asked[2])}
    return found
