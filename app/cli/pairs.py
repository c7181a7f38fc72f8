"""`crossbook pairs`: what the judges proposed, and what people decide on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.operator_actions import ByOption, ReasonOption, acting, refusals_as_exit_codes
from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.warehouse import open_warehouse

if TYPE_CHECKING:
    from streams.storage.store.pairs import PairDecision, PairRow

PairIdArgument = Annotated[str, typer.Argument(help="Pair id, or any id of a market that stands in exactly one pair.")]
StateOption = Annotated[
    Literal["proposed", "approved", "rejected", "paused", "lapsed"] | None, typer.Option("--state", help="Only these.")
]
SeenOption = Annotated[
    Literal["proposed", "approved", "rejected", "paused", "lapsed"] | None,
    typer.Option("--seen-state", help="The state it was read in; refused if it is another one by now."),
]
MarketOption = Annotated[str, typer.Option("--market", help="Only pairs of this market (id of any kind).")]


def register(cli: typer.Typer) -> None:
    """Add `pairs list`, `approve`, `reject` and `pause`."""
    group = typer.Typer(help="List pairs and decide on them.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("approve")(approve)
    group.command("reject")(reject)
    group.command("pause")(pause)
    cli.add_typer(group, name="pairs")


def list_all(state: StateOption = None, market: MarketOption = "", as_json: JsonOption = False) -> None:
    """List pairs, most confident first."""
    from streams.settings import load_settings
    from streams.storage.store.pairs import find_pairs, list_pairs

    with open_warehouse(load_settings()) as connection:
        rows = find_pairs(connection, market) if market else list_pairs(connection, state=state)
    emit_lines((_document(row) for row in rows if state in (None, row.state)), as_json=as_json)


def approve(
    pair: PairIdArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    seen_state: SeenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Allow a pair to be traded, as its texts are now."""
    _decide(pair, "approve", reason, by, seen_state, as_json=as_json)


def reject(
    pair: PairIdArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    seen_state: SeenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a pair is none; it is not proposed again."""
    _decide(pair, "reject", reason, by, seen_state, as_json=as_json)


def pause(
    pair: PairIdArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    seen_state: SeenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop trading a pair until it is approved again."""
    _decide(pair, "pause", reason, by, seen_state, as_json=as_json)


def _decide(
    any_id: str, decision: PairDecision, reason: str, by: str, seen_state: str | None, *, as_json: bool
) -> None:
    from app.operator_actions import decide_pair
    from streams.settings import load_settings
    from streams.storage.store.pairs import find_pairs, find_subject

    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        found = find_pairs(connection, any_id)
        if not found:
            fail(f"There is no pair for {any_id}.", ExitCode.ERROR)
        if len(found) > 1:
            ids = ", ".join(row.pair_id for row in found)
            fail(f"{any_id} stands in {len(found)} pairs; name one of {ids}.", ExitCode.USAGE)
        pair_id = found[0].pair_id
        subject = find_subject(connection, pair_id)
        if subject is not None and seen_state is not None and subject.state != seen_state:
            fail(f"It changed: {subject.words}; look again.", ExitCode.REFUSED)
        seen = None if subject is None or seen_state is None else subject.seen
        who, why = acting(by, reason)
        decide_pair(connection, pair_id, decision, who=who, reason=why, seen=seen)
        row = find_pairs(connection, pair_id)[0]
    emit_document(_document(row), as_json=as_json)


def _document(row: PairRow) -> dict[str, Any]:
    names = (
        "pair_id", "state", "kalshi_market_id", "polymarket_market_id", "kalshi_title", "polymarket_title", "relation",
        "polarity", "confidence", "judge", "basis_risk", "decided_by", "decided_at", "decision_reason", "environment",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}
