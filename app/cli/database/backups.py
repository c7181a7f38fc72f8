"""`crossbook backup FILE` and `crossbook restore FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import JsonOption, emit_document


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    cli.command("backup")(backup)
    cli.command("restore")(restore_command)


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write; must not be there yet. It will hold secrets.")],
    as_json: JsonOption = False,
) -> None:
    """Back up warehouse, sandbox, keystore and settings into one file, whether the system runs or not."""
    from app.backup.backup import back_up
    from app.stop_request import broken_off_by_signals
    from streams.settings import load_settings

    with broken_off_by_signals():
        manifest = back_up(load_settings(), file)
    emit_document(
        {
            "file": str(file),
            "environment": manifest.environment,
            "made_at": manifest.made_at,
            "members": {name: size for name, (size, _) in manifest.members.items()},
        },
        as_json=as_json,
    )


def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that `crossbook backup` made.")],
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into a CROSSBOOK_HOME without data. Trading stays paused until `crossbook trade resume`."""
    from app.backup.restore import restore
    from app.stop_request import broken_off_by_signals
    from streams.settings import load_settings

    settings = load_settings()
    with broken_off_by_signals():
        manifest, secrets = restore(settings, file)
    emit_document(
        {
            "home": str(settings.home_dir),
            "made_at": manifest.made_at,
            "settings": str(settings.home_dir / "restored.env"),
            "secrets_to_set": secrets,
            "trading": "paused; resume it with `crossbook trade resume`",
        },
        as_json=as_json,
    )
