"""`crossbook fee`: what one fill costs."""

from __future__ import annotations

from typing import Annotated

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
        str | None,
        typer.Option(
            help='JSON: {"fee_type","fee_multiplier","account"} or {"rate","exponent","taker_only"}; see the reference '
            "of documents. Without one Kalshi's usual curve holds; Polymarket needs one."
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Print the fee of one fill, bought in an order of its own, in dollars."""
    from orchestration.opportunities.document_schema import PRICE, SIZE, read_fee_schedule
    from orchestration.opportunities.outcomes import InvalidSet
    from streams.documents import BadDocument, parse_document, plain_decimal
    from streams.market.fees import maker_fee_e6, taker_fee_e6
    from streams.market.identity import Venue
    from streams.market.units import cash_decimal

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
        charged = read_fee_schedule(Venue(venue), None if schedule is None else parse_document(schedule), ("schedule",))
        fee_of = taker_fee_e6 if role == "taker" else maker_fee_e6
        fee_e6 = fee_of(PRICE.read(price, ("price",)), SIZE.read(size, ("size",)), charged)
    except BadDocument as error:
        fail(f"--schedule is not JSON that can be used: {error}.", ExitCode.USAGE)
    except InvalidSet as error:
        fail(f"--{error}", ExitCode.USAGE)
    emit_document({"fee_usd": cash_decimal(fee_e6)}, as_json=json_output)
