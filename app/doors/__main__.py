"""Serve the doors: `python -m app.doors`."""

from __future__ import annotations

import sys

from app.doors.proxy.server import serve
from streams.logs import configure_logs
from streams.outermost import run_guarded
from streams.settings import load_settings


def main() -> int:
    """Serve until a signal; return the exit code."""
    settings = load_settings()
    configure_logs(settings.log_level)
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
