"""`python -m streams.sandbox`: the sandbox exchanges as a process of their own."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from streams.logs import configure_logs
from streams.market.errors import ConfigurationError
from streams.sandbox.service import FlowSource, SandboxOptions, run
from streams.sandbox.truth import Truth
from streams.settings import Settings, load_settings


def options_from(settings: Settings, *, profile: str = "") -> SandboxOptions:
    """Build the options from the settings; `profile` names the flow's parameters, empty for the usual ones."""

    def make_flow(anchor: datetime) -> tuple[FlowSource, Truth | None]:
        return build_flow(settings, anchor, profile)

    return SandboxOptions(
        settings.kalshi_sandbox_port,
        settings.polymarket_sandbox_port,
        settings.home_dir / "sandbox",
        make_flow,
        settings.sandbox_seed,
        settings.sandbox_faults,
    )


def build_flow(settings: Settings, anchor: datetime, profile: str) -> tuple[FlowSource, Truth | None]:
    """Return what moves the markets, and the truth of its catalogue (None for a replay).

    Raises:
        ConfigurationError: If a file cannot be used or the profile is unknown.
    """
    from streams.sandbox.catalogue import load_catalogue
    from streams.sandbox.flow import Flow
    from streams.sandbox.parameters import FlowParameters

    catalogue = load_catalogue(settings.sandbox_catalogue, anchor, settings.sandbox_truth)
    return Flow(catalogue, settings.sandbox_seed, FlowParameters()), catalogue.truth


def announce(document: dict[str, Any]) -> None:
    """Print the ready line."""
    print(json.dumps(document), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, run until a signal, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m streams.sandbox", description="Both sandbox exchanges.")
    parser.add_argument("--kalshi-port", type=int)
    parser.add_argument("--polymarket-port", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--profile", default="")
    for name in ("catalogue", "truth", "replay", "faults", "home"):
        parser.add_argument(f"--{name}", type=Path)
    given = vars(parser.parse_args(arguments))
    profile = given.pop("profile")
    names = {"kalshi_port": "kalshi_sandbox_port", "polymarket_port": "polymarket_sandbox_port", "home": "home"}
    overrides = {names.get(name, f"sandbox_{name}"): value for name, value in given.items() if value is not None}
    try:
        settings = load_settings(**overrides)
        configure_logs(settings.log_level, as_json=True)
        run(options_from(settings, profile=profile), announce)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
