"""From settings to a running sandbox: which flow moves the markets, which faults occur, where the files are."""

from __future__ import annotations

from datetime import datetime

from streams.sandbox.faults import default_plan, load_plan
from streams.sandbox.parameters import FlowParameters
from streams.sandbox.parameters import profile as named_profile
from streams.sandbox.service import FlowSource, SandboxOptions
from streams.sandbox.truth import Truth
from streams.settings import Settings


def options_from(settings: Settings, *, profile: str = "") -> SandboxOptions:
    """Build the options from the settings.

    Args:
        settings: Ports, seed and files.
        profile: The flow's parameters by name (`streams.sandbox.parameters.profile`), empty for the usual ones.

    Raises:
        ConfigurationError: If the profile is unknown or the fault file cannot be used.
    """
    parameters = named_profile(profile)

    def make_flow(anchor: datetime) -> tuple[FlowSource, Truth | None]:
        return build_flow(settings, anchor, parameters)

    moved_by = settings.sandbox_replay or settings.sandbox_catalogue or "bundled"
    return SandboxOptions(
        kalshi_port=settings.kalshi_sandbox_port,
        polymarket_port=settings.polymarket_sandbox_port,
        home=settings.home_dir / "sandbox",
        make_flow=make_flow,
        faults=default_plan(settings.sandbox_seed)
        if settings.sandbox_faults is None
        else load_plan(settings.sandbox_faults),
        seed=settings.sandbox_seed,
        source=f"{moved_by} {settings.sandbox_seed} {profile or 'usual'}",
    )


def build_flow(settings: Settings, anchor: datetime, parameters: FlowParameters) -> tuple[FlowSource, Truth | None]:
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
    return Flow(catalogue, settings.sandbox_seed, parameters), catalogue.truth
