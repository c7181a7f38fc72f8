"""Python's limit of recursion, kept while a library is imported that lifts it.

`py_ecc`, which `eth_account` imports, lifts it for the whole process. Deeply nested JSON then overflows the stack and
ends the process instead of raising RecursionError.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_recursion_limit() -> Iterator[None]:
    """Put the limit back to what it was before the block."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
