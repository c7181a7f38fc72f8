"""The Polymarket emulator."""

from streams.documents import kept_recursion_limit

with kept_recursion_limit():  # before anything is read
    import eth_account  # noqa: F401
