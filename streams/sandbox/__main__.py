"""`python -m streams.sandbox`: the sandbox exchanges as a process of their own."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from streams.documents import plain_whole
from streams.logs import configure_logs
from streams.outermost import run_guarded
from streams.sandbox.process.options import options_from
from streams.sandbox.process.process import run
from streams.settings import load_settings


def announce(document: dict[str, Any]) -> None:
    """Print the ready line."""
    print(json.dumps(document), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, run until a signal, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m streams.sandbox", description="Both sandbox exchanges.")
    parser.add_argument("--kalshi-port", type=plain_whole)
    parser.add_argument("--polymarket-port", type=plain_whole)
    parser.add_argument("--seed", type=plain_whole)
    parser.add_argument("--admin-port", type=plain_whole)
    parser.add_argument("--admin-socket", action="store_true", help="admin interface on the home's Unix socket")
    parser.add_argument("--profile", help="latencies and failures: zero or realistic")
    parser.add_argument("--scenario", help="how makers and rivals react: calm, mild or harsh")
    parser.add_argument("--load", type=plain_whole, help="load mode: frames a second for every subscriber")
    parser.add_argument("--flow", default="", help="usual, quiet or busy")
    for name in ("catalogue", "truth", "replay", "faults", "behaviour", "home"):
        parser.add_argument(f"--{name}", type=Path)
    given = vars(parser.parse_args(arguments))
    flow, load, has_admin_socket = given.pop("flow"), given.pop("load"), given.pop("admin_socket")
    names = {"kalshi_port": "kalshi_sandbox_port", "polymarket_port": "polymarket_sandbox_port", "home": "home"}
    overrides = {names.get(name, f"sandbox_{name}"): value for name, value in given.items() if value is not None}
    settings = load_settings(**overrides)
    configure_logs(settings.log_level, as_json=True)
    run(options_from(settings, flow=flow, load=load, has_admin_socket=has_admin_socket), announce)
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
