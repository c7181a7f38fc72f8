"""From settings to a running sandbox: which flow moves the markets, which faults occur, where the files are."""

from __future__ import annotations

from datetime import datetime

from streams.market.errors import ConfigurationError
from streams.sandbox.faults import FaultPlan, default_plan, load_plan
from streams.sandbox.service import FlowSource, SandboxOptions
from streams.sandbox.truth import Truth
from streams.settings import Settings

PROFILES = ("standard", "quiet")
"""`standard`: makers sometimes pull their quotes before an immediate order arrives. `quiet`: nothing goes wrong."""


def options_from(settings: Settings, *, profile: str = "") -> SandboxOptions:
    """Build the options from the settings.

    Args:
        settings: Ports, seed and files.
        profile: One of `PROFILES`, empty for the first; a fault file in the settings goes before it.

    Raises:
        ConfigurationError: If the profile is unknown or the fault file cannot be used.
    """
    if profile and profile not in PROFILES:
        raise ConfigurationError(f"--profile is one of {', '.join(PROFILES)}.")

    def make_flow(anchor: datetime) -> tuple[FlowSource, Truth | None]:
        return build_flow(settings, anchor)

    moved_by = settings.sandbox_replay or settings.sandbox_catalogue or "bundled"
    return SandboxOptions(
        kalshi_port=settings.kalshi_sandbox_port,
        polymarket_port=settings.polymarket_sandbox_port,
        home=settings.home_dir / "sandbox",
        make_flow=make_flow,
        faults=_faults(settings, profile),
        seed=settings.sandbox_seed,
        source=f"{moved_by} {settings.sandbox_seed}",
    )


def _faults(settings: Settings, profile: str) -> FaultPlan:
    if settings.sandbox_faults is not None:
        return load_plan(settings.sandbox_faults)
    return FaultPlan(seed=settings.sandbox_seed) if profile == "quiet" else default_plan(settings.sandbox_seed)


def build_flow(settings: Settings, anchor: datetime) -> tuple[FlowSource, Truth | None]:
    """Return what moves the markets, and the truth of its catalogue (None for a replay).

    Raises:
        ConfigurationError: If a file cannot be used.
    """
    if settings.sandbox_replay is not None:
        from streams.sandbox.replay import ReplayFlow

        return ReplayFlow(settings.sandbox_replay), None
    from streams.sandbox.catalogue import load_catalogue
    from streams.sandbox.flow import Flow

    catalogue = load_catalogue(settings.sandbox_catalogue, anchor, settings.sandbox_truth)
    return Flow(catalogue, settings.sandbox_seed), catalogue.truth
