"""`crossbook sandbox`: only the two local exchanges, in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.documents import plain_whole

_LOAD_MAX = 1_000_000


def register(cli: typer.Typer) -> None:
    """Add the command."""
    cli.command("sandbox")(sandbox)


def _frames(text: str) -> int:
    count = plain_whole(text)
    if not 1 <= count <= _LOAD_MAX:
        raise typer.BadParameter(f"{count} is not in the range 1 to {_LOAD_MAX}.")
    return count


def sandbox(  # noqa: PLR0913 - typer reads each option from an argument
    kalshi_port: Annotated[int | None, typer.Option(help="Port of the Kalshi sandbox.", parser=plain_whole)] = None,
    polymarket_port: Annotated[
        int | None, typer.Option(help="Port of the Polymarket sandbox.", parser=plain_whole)
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(help="Port of the admin interface; 0: any free one.", parser=plain_whole),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the flow.", parser=plain_whole)] = None,
    profile: Annotated[str | None, typer.Option(help="Latencies and failures: zero or realistic.")] = None,
    scenario: Annotated[str | None, typer.Option(help="How makers and rivals react: calm, mild or harsh.")] = None,
    flow: Annotated[str, typer.Option(help="Flow: usual, quiet or busy.")] = "",
    load: Annotated[
        int | None,
        typer.Option(parser=_frames, help="Load mode: frames a second for every subscriber."),
    ] = None,
    catalogue: Annotated[Path | None, typer.Option(help="Catalogue file, or a folder of recorded lists.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Which markets of a recorded list settle alike.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Recorded books to replay instead of the flow.")] = None,
    faults: Annotated[Path | None, typer.Option(help="Fault file (JSON).")] = None,
    behaviour: Annotated[Path | None, typer.Option(help="Figures that differ from the profile's (JSON).")] = None,
) -> None:
    """Run both sandbox exchanges; prints one JSON line when they listen."""
    from streams.logs import configure_logs
    from streams.sandbox.process.options import options_from
    from streams.sandbox.process.process import run
    from streams.settings import load_settings

    given: dict[str, Any] = {
        "kalshi_sandbox_port": kalshi_port,
        "polymarket_sandbox_port": polymarket_port,
        "sandbox_admin_port": admin_port,
        "sandbox_seed": seed,
        "sandbox_profile": profile,
        "sandbox_scenario": scenario,
        "sandbox_behaviour": behaviour,
        "sandbox_catalogue": catalogue,
        "sandbox_truth": truth,
        "sandbox_replay": replay,
        "sandbox_faults": faults,
    }
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logs(settings.log_level, as_json=True)
    run(options_from(settings, flow=flow, load=load), lambda document: print(json.dumps(document), flush=True))
