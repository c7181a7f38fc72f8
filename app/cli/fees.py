"""`crossbook fee`: what one fill costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.output import ExitCode, JsonOption, emit_document, fail


def register(cli: typer.Typer) -> None:
    """Add the command `fee`."""
    cli.command("fee")(fee)


def fee(
    venue: Annotated[str, typer.Option(help="kalshi or polymarket.")],
    price: Annotated[str, typer.Option(help="Dollars per contract of the outcome traded, strictly between 0 and 1.")],
    size: Annotated[str, typer.Option(help="Contracts filled.")],
    role: Annotated[str, typer.Option(help="taker or maker.")] = "taker",
    schedule: Annotated[
        str, typer.Option(help='JSON: {"fee_type","fee_multiplier","account"} or {"rate","exponent","taker_only"}.')
    ] = "{}",
    json_output: JsonOption = False,
) -> None:
    """Print the fee of one fill, bought in an order of its own, in dollars."""
    from streams.documents import plain_decimal
    from streams.market.errors import InvalidAmount
    from streams.market.fees import from_json, maker_fee_e6, taker_fee_e6
    from streams.market.units import cash_decimal, price_e4, size_e6

    if venue not in ("kalshi", "polymarket"):
        fail(f"--venue must be kalshi or polymarket, not {venue!r}.", ExitCode.USAGE)
    if role not in ("taker", "maker"):
        fail(f"--role must be taker or maker, not {role!r}.", ExitCode.USAGE)
    for option, text in (("--price", price), ("--size", size)):
        try:
            plain_decimal(text)
        except ValueError as error:
            fail(f"{option} cannot be used: {error}.", ExitCode.USAGE)
    try:
        charged = from_json(venue, _object(schedule, venue))
        fee_of = taker_fee_e6 if role == "taker" else maker_fee_e6
        fee_e6 = fee_of(price_e4(price), size_e6(size), charged)
    except InvalidAmount as error:
        fail(f"{str(error)[:1].upper()}{str(error)[1:]}.", ExitCode.USAGE)
    emit_document({"fee_usd": cash_decimal(fee_e6)}, as_json=json_output)


def _object(text: str, venue: str) -> dict[str, Any]:
    from streams.documents import BadDocument, check_keys, parse_document
    from streams.market.fees import FEE_KEYS
    from streams.market.identity import Venue

    try:
        document = parse_document(text)
        if isinstance(document, dict):
            check_keys(document, FEE_KEYS[Venue(venue)], "")
    except BadDocument as error:
        fail(f"--schedule is not JSON that can be used: {error}.", ExitCode.USAGE)
    if not isinstance(document, dict):
        fail("--schedule must be a JSON object.", ExitCode.USAGE)
    return {name: repr(value) if isinstance(value, float) else value for name, value in document.items()}
