"""Serve the dashboard on its Unix socket: `python -m app.dashboard`. Streamlit's own command knows no such socket."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from streams.outermost import run_guarded
from streams.private_folders import home_socket
from streams.processes.unix_server import serve_on_socket
from streams.settings import load_settings

SOCKET = "dashboard.sock"
_OPTIONS = {
    "STREAMLIT_SERVER_HEADLESS": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none",
}


def main() -> int:
    """Serve until a signal; return the exit code."""
    path = home_socket(load_settings().home_dir, SOCKET)
    os.environ |= _OPTIONS  # before Streamlit is imported: it reads them once
    from streamlit.starlette import App

    from app.dashboard.identity import believe_proxy

    believe_proxy()
    serve_on_socket(App(Path(__file__).with_name("main.py")), path, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
