"""`crossbook pairs`: pairs and other groups of markets, and what people decide on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.operator_actions import ByOption, ReasonOption, acting, refusals_as_exit_codes
from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail
from app.cli.warehouse import open_warehouse

if TYPE_CHECKING:
    from streams.storage.database import Connection
    from streams.storage.store.decisions.group_decisions import GroupDecision, GroupStateRow
    from streams.storage.store.pairs import PairRow

PairIdArgument = Annotated[
    str, typer.Argument(help="Pair id, id of a market that stands in exactly one pair, or id of a group.")
]
StateOption = Annotated[
    Literal["proposed", "approved", "rejected", "paused", "lapsed"] | None, typer.Option("--state", help="Only these.")
]
SeenOption = Annotated[
    Literal["proposed", "approved", "rejected", "paused", "lapsed"] | None,
    typer.Option("--seen-state", help="The state it was read in; refused if it is another one by now."),
]
KindOption = Annotated[
    Literal["pair", "ladder", "event", "set"], typer.Option("--kind", help="Groups of this kind in place of pairs.")
]
MarketOption = Annotated[str, typer.Option("--market", help="Only pairs of this market (id of any kind).")]


def register(cli: typer.Typer) -> None:
    """Add `pairs list`, `show`, `approve`, `reject` and `pause`."""
    group = typer.Typer(help="List pairs and other groups of markets, and decide on them.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("reject")(reject)
    group.command("pause")(pause)
    cli.add_typer(group, name="pairs")


def list_all(
    state: StateOption = None, market: MarketOption = "", kind: KindOption = "pair", as_json: JsonOption = False
) -> None:
    """List pairs, most confident first, or groups of another kind in the order of their id."""
    from streams.settings import load_settings
    from streams.storage.store.decisions.group_decisions import list_group_states
    from streams.storage.store.pairs import find_pairs, list_pairs

    with open_warehouse(load_settings()) as connection:
        if kind != "pair":
            groups = list_group_states(connection, kind=kind, state=state, market_id=market or None)
            emit_lines((_group_document(group) for group in groups), as_json=as_json)
            return
        rows = find_pairs(connection, market) if market else list_pairs(connection, state=state)
    emit_lines((_document(row) for row in rows if state in (None, row.state)), as_json=as_json)


def show(group: PairIdArgument, as_json: JsonOption = False) -> None:
    """Show a pair or a group with its state and the texts of all its markets."""
    from app.queries.pairs import load_group_detail
    from streams.settings import load_settings

    with open_warehouse(load_settings()) as connection:
        group_id = _group_id(connection, group)
        detail = load_group_detail(connection, group_id)
        if detail is None:
            fail(f"There is no group {group}.", ExitCode.ERROR)
    names = ("venue", "market_id", "title", "event_title", "rules", "yes_means", "close_time", "text_hash")
    texts = [{name: getattr(text, name) for name in names} for text in detail.texts]
    emit_document({**_group_document(detail.group), "terms": detail.group.terms, "texts": texts}, as_json=as_json)


def approve(
    pair: PairIdArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    seen_state: SeenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Allow a pair or group to be traded, as the texts and dates of all its markets are now."""
    _decide(pair, "approve", reason, by, seen_state, as_json=as_json)


def reject(
    pair: PairIdArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    seen_state: SeenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a pair or group is none; it is not proposed again."""
    _decide(pair, "reject", reason, by, seen_state, as_json=as_json)


def pause(
    pair: PairIdArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    seen_state: SeenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop trading a pair or group until it is approved again."""
    _decide(pair, "pause", reason, by, seen_state, as_json=as_json)


def _decide(
    any_id: str, decision: GroupDecision, reason: str, by: str, seen_state: str | None, *, as_json: bool
) -> None:
    from app.operator_actions import decide_group
    from streams.settings import load_settings
    from streams.storage.store.decisions.group_decisions import find_group_state
    from streams.storage.store.pairs import find_pairs

    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        group_id = _group_id(connection, any_id)
        group = find_group_state(connection, group_id)
        if group is not None and seen_state is not None and group.state != seen_state:
            fail(f"It changed: {group.words}; look again.", ExitCode.REFUSED)
        seen = None if group is None or seen_state is None else group.seen
        who, why = acting(by, reason)
        decide_group(connection, group_id, decision, who=who, reason=why, seen=seen)
        pairs = find_pairs(connection, group_id.removeprefix("pair:")) if group_id.startswith("pair:") else []
        now = find_group_state(connection, group_id)
    emit_document(_document(pairs[0]) if pairs else _group_document(now), as_json=as_json)


def _group_id(connection: Connection, any_id: str) -> str:
    """Return the group that an id means: a group's own, that of a pair, or of the one pair a market stands in."""
    from streams.storage.store.decisions.group_decisions import find_group_state, pair_group_id
    from streams.storage.store.pairs import find_pairs

    if find_group_state(connection, any_id) is not None:
        return any_id
    found = find_pairs(connection, any_id)
    if not found:
        fail(f"There is no pair for {any_id}.", ExitCode.ERROR)
    if len(found) > 1:
        ids = ", ".join(row.pair_id for row in found)
        fail(f"{any_id} stands in {len(found)} pairs; name one of {ids}.", ExitCode.USAGE)
    return pair_group_id(found[0].pair_id)


def _group_document(group: GroupStateRow | None) -> dict[str, Any]:
    names = ("group_id", "kind", "title", "state", "text_hashes", "decided_by", "decided_at", "decision_reason",
             "environment", "is_tradable", "reason")  # fmt: skip
    return {} if group is None else {name: getattr(group, name) for name in names}


def _document(row: PairRow) -> dict[str, Any]:
    names = (
        "pair_id", "state", "kalshi_market_id", "polymarket_market_id", "kalshi_title", "polymarket_title", "relation",
        "polarity", "confidence", "judge", "basis_risk", "decided_by", "decided_at", "decision_reason", "environment",
    )  # fmt: skip
    return {name: getattr(row, name) for name in names}
