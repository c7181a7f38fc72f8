"""Deeply nested JSON ends no process, whichever library has lifted Python's limit of recursion."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIFTED = """
import sys
sys.setrecursionlimit(100_000)
from app.doors.proxy.decisions.graphql import Ambiguous, check_body, check_message
for check, text in ((check_body, b"[" * 200_000), (check_body, b'{"a":' * 200_000), (check_message, "[" * 200_000)):
    try:
        check(text)
    except Ambiguous:
        continue
    raise SystemExit("it was taken")
"""
IMPORTS = {
    "the sandbox's Polymarket": "import streams.sandbox.polymarket.wallets",
    "the first keys of a home": (
        "from streams.venues.credentials.keystore import _new_polymarket_key; _new_polymarket_key()"
    ),
}


def test_the_doors_refuse_it_under_any_limit() -> None:
    done = subprocess.run([sys.executable, "-c", LIFTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("what", IMPORTS)
def test_what_is_imported_leaves_the_limit_as_it_was(what: str) -> None:
    code = f"import sys; limit = sys.getrecursionlimit(); {IMPORTS[what]}; sys.exit(sys.getrecursionlimit() != limit)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
