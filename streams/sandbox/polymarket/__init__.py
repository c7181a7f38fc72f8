"""The Polymarket emulator.

A library under `eth_account` lifts Python's limit of recursion for the whole process, after which deeply nested JSON
overflows the stack instead of raising RecursionError. The limit is put back here, before anything is read.
"""

import sys

_LIMIT = sys.getrecursionlimit()
import eth_account  # noqa: E402, F401 - for what it does to the limit

sys.setrecursionlimit(_LIMIT)
