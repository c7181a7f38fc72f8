"""From settings to a running sandbox: which flow moves the markets, where the files are."""

from __future__ import annotations

from datetime import datetime

from streams.sandbox.service import FlowSource, SandboxOptions
from streams.sandbox.truth import Truth
from streams.settings import Settings


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
