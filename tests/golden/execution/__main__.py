"""`python -m tests.golden.execution --write`: store what the code answers now. Without it, say what differs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.storage.schema import migrate
from streams.storage.server.embedded import EmbeddedServer
from tests.conftest import new_database
from tests.golden.execution import goldens, lives
from tests.golden.execution.answers import PURE
from tests.golden.execution.stage import Plain
from tests.support.ports import free_port


def main() -> int:
    """Write or compare every golden; returns how many differ."""
    is_writing, wrong = "--write" in sys.argv[1:], 0
    for name, rows in _everything():
        if is_writing:
            print(f"{name}: {goldens.write(name, rows)} bytes")
        elif difference := goldens.first_difference(name, rows):
            print(difference)
            wrong += 1
    return wrong


def _everything() -> Iterator[tuple[str, Iterable[Plain]]]:
    for name, answers in PURE.items():
        yield name, answers()
    with tempfile.TemporaryDirectory() as home:
        server = EmbeddedServer(home=Path(home) / "postgres", port=free_port())
        server.start()
        try:
            with new_database(server.dsn("postgres")) as template:
                migrate(template, "sandbox")
                for name in lives.NAMES:
                    with new_database(server.dsn("postgres"), template) as address:
                        yield f"rows/{name}", lives.play(name, address)
        finally:
            server.destroy()


if __name__ == "__main__":
    raise SystemExit(main())
