"""What a process has loaded is left out of garbage collections, and weighs on none of them.

CPython's full collection waits until what has survived the younger ones is a quarter of what the last full one found
(`long_lived_total` in Modules/gcmodule.c). After loading our libraries that is over a million objects: a process, or
a fork of one, would keep a quarter of a million dead objects, tens of megabytes, before it looks. Freezing alone does
not change that figure; a collection after it does.
"""

from __future__ import annotations

import gc

from streams.processes.interned_strings import settle_interned_strings


def settle_loaded_memory() -> None:
    """Call once everything is loaded, before anything is forked: what is there now stays, and garbage is found soon."""
    settle_interned_strings()
    gc.collect()
    gc.freeze()
    gc.collect()
