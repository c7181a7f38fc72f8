"""Python's table of interned strings, brought to the size it comes to anyway, before processes are forked.

An interned string that is gone leaves its place in the table taken. When no place is left, CPython builds the table
anew for three times as many strings as there are (`GROWTH_RATE` in Objects/dictobject.c), for a process with all our
libraries 8 MB in the place of 4. Each fork would come to that by itself after some time; done before, they share it.
A fork learns more strings than its parent had, so that it may come to the next size alone: the table is made with room
for them.
"""

from __future__ import annotations

import sys

_PLACES = 400_000
"""More than such a table has: 350,000 with 2^19 slots."""
_ROOM = 20_000
"""Strings that a fork may add before its table would be built for more."""


def settle_interned_strings() -> None:
    """Take every place of the table once, so that it is built anew now. From Python 3.12 on such strings stay."""
    if sys.version_info >= (3, 12):
        return
    room = [sys.intern(f"a string to come: {number}") for number in range(_ROOM)]
    for number in range(_PLACES):
        sys.intern(f"a string that is gone at once: {number}")
    del room
