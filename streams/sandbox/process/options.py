"""From settings to a running sandbox: which flow moves the markets, which faults occur, where the files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from streams.documents import BadDocument, load_document
from streams.market.errors import ConfigurationError
from streams.private_folders import home_socket
from streams.sandbox.catalogue.truth import Truth
from streams.sandbox.core.faults import FaultPlan, load_plan
from streams.sandbox.core.profile import Profile, adjusted, named_profile
from streams.sandbox.core.scenario import named_scenario
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from streams.sandbox.polymarket.settings import PolymarketVenueSettings
from streams.sandbox.process.process import FlowSource, SandboxOptions
from streams.sandbox.simulation.parameters import REALISTIC_FLOW, FlowParameters, adjusted_parameters
from streams.settings import Settings

ADMIN_SOCKET = "sandbox.sock"
EmulatorSettings = TypeVar("EmulatorSettings")


def options_from(
    settings: Settings, *, flow: str = "", load: int | None = None, has_admin_socket: bool = False
) -> SandboxOptions:
    """Build the options from the settings.

    Args:
        settings: Ports, seed, profile, scenario and files.
        flow: The flow's parameters by name (`named_flow`), empty for the usual ones.
        load: Frames a second for every subscriber in load mode.
        has_admin_socket: Whether the admin interface stands on the home's Unix socket, behind the doors.

    Raises:
        ConfigurationError: If a name is unknown or a file cannot be used.
    """
    parameters = named_flow(flow)
    kalshi, polymarket = KalshiVenueSettings(), PolymarketVenueSettings()
    profile = named_profile(settings.sandbox_profile)
    if profile.name == "realistic":
        parameters = replace(parameters, **REALISTIC_FLOW)
    scenario = named_scenario(settings.sandbox_scenario_in_force)
    profile, parameters = scenario.applied(profile), parameters.in_scenario(scenario)
    if settings.sandbox_behaviour is not None:
        profile, parameters = load_profile(settings.sandbox_behaviour, profile, parameters)
        kalshi = emulator_settings(settings.sandbox_behaviour, "kalshi", KalshiVenueSettings)
        polymarket = emulator_settings(settings.sandbox_behaviour, "polymarket", PolymarketVenueSettings)
    parameters = parameters.under(profile)

    def make_flow(anchor: datetime) -> tuple[FlowSource, Truth | None]:
        return build_flow(settings, anchor, parameters)

    moved_by = settings.sandbox_replay or settings.sandbox_catalogue or "bundled"
    return SandboxOptions(
        kalshi_port=settings.kalshi_sandbox_port,
        polymarket_port=settings.polymarket_sandbox_port,
        home=settings.home_dir / "sandbox",
        make_flow=make_flow,
        faults=FaultPlan(seed=settings.sandbox_seed)
        if settings.sandbox_faults is None
        else load_plan(settings.sandbox_faults),
        seed=settings.sandbox_seed,
        source=f"{moved_by} {settings.sandbox_seed} {flow or 'usual'}{' load' if load else ''}",
        profile=profile,
        scenario=scenario,
        admin_port=settings.sandbox_admin_port,
        admin_socket=home_socket(settings.home_dir, ADMIN_SOCKET) if has_admin_socket else None,
        load_frames_per_s=load,
        kalshi=kalshi,
        polymarket=polymarket,
    )


def load_profile(path: Path, profile: Profile, parameters: FlowParameters) -> tuple[Profile, FlowParameters]:
    """Apply a profile file: fields of `Behaviour` by name, and under `flow` those of `FlowParameters`.

    What it has under `kalshi` and `polymarket` is `load_face`'s.

    Raises:
        ConfigurationError: If it cannot be read or a figure cannot be meant.
    """
    try:
        document = load_document(path)
        if not isinstance(document, dict) or not isinstance(document.get("flow", {}), dict):
            raise ValueError("it must be a JSON object")
        flow = document.pop("flow", {})
        for face in ("kalshi", "polymarket"):
            document.pop(face, None)
        return adjusted(profile, document), adjusted_parameters(parameters, flow)
    except BadDocument as error:
        raise ConfigurationError(f"The behaviour file {error}") from None
    except ValueError as error:
        raise ConfigurationError(f"The behaviour file {path} cannot be used: {error}.") from None


def emulator_settings(path: Path, name: str, kind: type[EmulatorSettings]) -> EmulatorSettings:
    """The part of a profile file that says how a venue emulator answers open questions (`kalshi`, `polymarket`).

    Raises:
        ConfigurationError: If a setting cannot be meant.
    """
    try:
        return settings_of(kind, load_document(path).get(name, {}))
    except BadDocument as error:
        raise ConfigurationError(f"The behaviour file {error}") from None
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"The behaviour file {path} cannot be used: {error}.") from None


def build_flow(settings: Settings, anchor: datetime, parameters: FlowParameters) -> tuple[FlowSource, Truth | None]:
    """Return what moves the markets, and the truth of its catalogue (None for a replay).

    Raises:
        ConfigurationError: If a file cannot be used.
    """
    if settings.sandbox_replay is not None:
        from streams.sandbox.replay.replay import ReplayFlow

        return ReplayFlow(settings.sandbox_replay), None
    from streams.sandbox.catalogue.load import load_catalogue
    from streams.sandbox.simulation.flow import Flow

    catalogue = load_catalogue(settings.sandbox_catalogue, anchor, settings.sandbox_truth)
    return Flow(catalogue, settings.sandbox_seed, parameters), catalogue.truth


def named_flow(name: str) -> FlowParameters:
    """Return the parameters of a flow: empty or `usual`, `quiet` (few changes, few gaps), `busy` (many of both).

    Raises:
        ConfigurationError: If there is no such flow.
    """
    usual = FlowParameters()
    flows = {
        "usual": usual,
        "quiet": replace(usual, deltas_per_s=100.0, takers_per_s=1.0, gap_share=0.02, short_gaps_per_life=0.3),
        "busy": replace(usual, deltas_per_s=4_000.0, takers_per_s=40.0, gap_share=0.25, short_gaps_per_life=3.0),
    }
    if (name or "usual") not in flows:
        raise ConfigurationError(f"There is no sandbox flow {name!r}; known are {', '.join(flows)}.")
    return flows[name or "usual"]


def settings_of(kind: type[EmulatorSettings], changes: Mapping[str, Any]) -> EmulatorSettings:
    """Return the usual settings of a venue emulator with some of them changed.

    Args:
        kind: The dataclass of the emulator's settings; every field has a default.
        changes: New values by field name.

    Raises:
        ValueError: If there is no such setting or it cannot have that value; the message names it.
    """
    kinds = get_type_hints(kind)
    for name, value in changes.items():
        if name not in kinds:
            raise ValueError(f"{kind.__name__} has no {name!r}")
        if not _fits(kinds[name], value):
            raise ValueError(f"{name} cannot be {value!r}")
    return kind(**changes)


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    kinds = get_args(kind) or (kind,)
    if type(value) in (int, float):
        return value >= 0 and (type(value) in kinds or (float in kinds and type(value) is int))
    return type(value) in kinds or (value is None and NoneType in kinds)
