"""The Polymarket emulator."""

from streams.recursion_limit import kept_recursion_limit

with kept_recursion_limit():  # before anything is read
    import eth_account  # noqa: F401
