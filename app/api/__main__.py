"""Serve the API: `python -m app.api` on its port of 127.0.0.1, with `--socket` on its Unix socket, behind the doors."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from app.api.main import create_app
from streams.outermost import run_guarded
from streams.private_folders import home_socket
from streams.processes.unix_server import serve_on_socket
from streams.settings import load_settings

SOCKET = "api.sock"


def main() -> int:
    """Serve until a signal; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.api", description="The HTTP API.")
    parser.add_argument("--socket", action="store_true", help="serve on the home's Unix socket, not on a port")
    is_behind_doors: bool = parser.parse_args().socket
    settings = load_settings()
    app, level = create_app(settings, behind_doors=is_behind_doors), settings.log_level.lower()
    if is_behind_doors:
        serve_on_socket(app, home_socket(settings.home_dir, SOCKET), log_level=level)
    else:
        uvicorn.run(app, host="127.0.0.1", port=settings.api_port, log_level=level, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
