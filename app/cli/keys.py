"""`crossbook keys`: the encrypted keystore. Secrets come from a file, standard input or a hidden prompt, never argv."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail

_SIZE_MAX = 100_000
keys = typer.Typer(name="keys", help="The encrypted keystore of venue keys.", no_args_is_help=True)
_VENUES = ("kalshi", "kalshi-read", "polymarket")
"""Names that stand for the environment in force; `kalshi-read` is the recorder's key of scope `read`."""


def register(cli: typer.Typer) -> None:
    """Add the command group `keys`."""
    cli.add_typer(keys)


@keys.command("set")
def set_key(
    name: Annotated[
        str, typer.Argument(help="kalshi, kalshi-read, polymarket (of the environment in force), or a full name.")
    ],
    file: Annotated[
        Path | None, typer.Option(help="JSON object of the fields, or Kalshi's PEM file; - is standard input.")
    ] = None,
    key_id: Annotated[str, typer.Option(help="Kalshi's key id, where the file is only the PEM.")] = "",
    json_output: JsonOption = False,
) -> None:
    """Store a key. Without --file the fields are asked for, or read from standard input where it is a pipe."""
    from streams.settings import load_settings
    from streams.venues.credentials.keystore import Keystore

    settings = load_settings()
    full_name = f"{name}-{settings.venues}" if name in _VENUES else name
    fields = _read_fields(full_name, file, key_id)
    _check(full_name, fields)
    Keystore(settings).set(full_name, fields)
    emit_document({"name": full_name, "stored": True}, as_json=json_output)


@keys.command("list")
def list_keys(json_output: JsonOption = False) -> None:
    """Print the names of the stored keys; no other part of a key is shown."""
    from streams.settings import load_settings
    from streams.venues.credentials.keystore import Keystore

    emit_lines([{"name": name} for name in Keystore(load_settings()).list()], as_json=json_output)


@keys.command("remove")
def remove_key(name: Annotated[str, typer.Argument(help="As listed.")], json_output: JsonOption = False) -> None:
    """Remove a key."""
    from streams.settings import load_settings
    from streams.venues.credentials.keystore import Keystore

    if not Keystore(load_settings()).remove(name):
        fail(f"There is no key {name!r}.", ExitCode.ERROR)
    emit_document({"name": name, "removed": True}, as_json=json_output)


@keys.command("passphrase")
def change_passphrase(
    file: Annotated[Path | None, typer.Option(help="File with the new passphrase; - is standard input.")] = None,
    json_output: JsonOption = False,
) -> None:
    """Seal all keys anew under another passphrase: opened with CROSSBOOK_KEYSTORE_PASSPHRASE or the key file, as now.

    Stop what runs first, and set CROSSBOOK_KEYSTORE_PASSPHRASE to the new one afterwards.
    """
    from streams.settings import load_settings
    from streams.venues.credentials.keystore import Keystore

    keystore = Keystore(load_settings())
    if file is None and sys.stdin.isatty():
        new = str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True))
    else:
        new = _read_text(file, "the new passphrase").rstrip("\r\n")
    resealed = keystore.change_passphrase(new)
    emit_document({"resealed": resealed, "next": "set CROSSBOOK_KEYSTORE_PASSPHRASE to it"}, as_json=json_output)


def _read_text(file: Path | None, holds: str) -> str:
    from streams.documents import BadDocument, read_text

    try:
        return read_text(Path("-") if file is None else file, most=_SIZE_MAX, holds=holds)
    except BadDocument as error:
        fail(str(error), ExitCode.USAGE)


def _read_fields(name: str, file: Path | None, key_id: str) -> dict[str, str]:
    from streams.documents import BadDocument, parse_document

    if file is None and sys.stdin.isatty():
        return _ask(name)
    text = _read_text(file, "a JSON object of the key's fields, or a PEM")
    if "-----BEGIN" in text and not text.lstrip().startswith("{"):
        if not key_id:
            fail("A PEM needs its --key-id.", ExitCode.USAGE)
        return {"key_id": key_id, "private_key_pem": text}
    try:
        document = parse_document(text)
    except BadDocument:
        fail("What was given is neither a JSON object nor a PEM.", ExitCode.USAGE)
    if not isinstance(document, dict) or not all(isinstance(value, str | int) for value in document.values()):
        fail("The key must be a JSON object of texts.", ExitCode.USAGE)
    return {str(field): str(value) for field, value in document.items()}


def _ask(name: str) -> dict[str, str]:
    if name.startswith("kalshi-"):
        key_id = typer.prompt("Key id")
        path = Path(typer.prompt("File of the private key (PEM)")).expanduser()
        return _read_fields(name, path, key_id)
    if name.startswith("polymarket-"):
        names = ("private_key", "api_key", "secret", "passphrase")
        fields = {field: typer.prompt(field.replace("_", " ").capitalize(), hide_input=True) for field in names}
        kind = str(typer.prompt("Wallet: 0 the key's own account, 1 proxy, 2 Safe, 3 deposit wallet", default="0"))
        if kind != "0":
            fields |= {"signature_type": kind, "funder": typer.prompt("Address of the wallet that holds the funds")}
        return fields
    return {"value": typer.prompt("Value", hide_input=True)}


def _check(name: str, fields: dict[str, str]) -> None:
    """Refuse a key that could not sign, before it is stored; a wallet's address is derived where it is missing."""
    from streams.venues.credentials.keys import KalshiCredentials

    if name.startswith("kalshi-"):
        from streams.venues.kalshi.signing import KalshiSigner

        KalshiSigner(KalshiCredentials.from_fields(fields))
    if name.startswith("polymarket-"):
        from streams.venues.polymarket.ecdsa import address_of

        address = address_of(fields.get("private_key", ""))
        if fields.setdefault("address", address).lower() != address.lower():
            fail("The address does not belong to the private key.", ExitCode.USAGE)
