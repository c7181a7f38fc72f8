"""Acts: what people decide, each for who may do it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response

from app.account_actions import reopen_account
from app.act_rules import ItChanged
from app.api.acts import permit
from app.api.deps import ActingPerson, CurrentSettings, Warehouse, act_on
from app.api.errors import ApiProblem
from app.api.order_schemas import ResolveAnswer, ResolveBody
from app.api.routes.group_schemas import DecisionAnswer, DecisionBody, GroupState
from app.api.schemas import (
    AccountAnswer,
    AccountBody,
    FlattenAnswer,
    FlattenBody,
    FlattenOfferAnswer,
    MarketPair,
    OrderUnderWay,
    SwitchAnswer,
    SwitchBody,
)
from app.api.strict_body import StrictRoute
from app.doors.names import UnusableName, reason_for
from app.doors.permission import check
from app.doors.roles import Act, Identity
from app.doors.switch_act import act_of_switch
from app.kill import kill_first
from app.operator_actions import UnderWay, ask_flatten, decide_group, offer_flatten, switch_trading
from app.order_actions import resolve_order
from app.queries.pairs import load_pairs
from streams.logs import get_logger
from streams.market.identity import Venue
from streams.market.trading import SwitchState
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.kill_files import is_kill_on_disk
from streams.storage.store.decisions.group_decisions import GroupStateRow, find_group_state, pair_group_id
from streams.storage.store.risk import last_switch

router = APIRouter(tags=["acts"], route_class=StrictRoute)
_ID_MAX = 2**63 - 1
_STOP_TRIES = 5
"""How often a stop meets somebody else's switch before it gives up."""


@router.post("/pairs/{pair_id}/decision", status_code=201, dependencies=[permit(Act.DECIDE_PAIRS)])
async def post_decision(
    request: Request,
    person: ActingPerson,
    pair_id: Annotated[
        str, Path(max_length=300, pattern=r"^[0-9A-Za-z_.:-]+$", description="A pair's id, or the id of any group.")
    ],
    body: DecisionBody,
) -> DecisionAnswer:
    """Approve, reject or pause a pair or a group. It binds to the texts and dates of all markets as they are now."""
    if (body.kalshi_text_hash is None) != (body.polymarket_text_hash is None):
        raise ApiProblem(422, "invalid_request", "Give both text hashes or neither.")
    group_id = pair_id if ":" in pair_id else pair_group_id(pair_id)
    reason = reason_for(body.reason, person.name, body.who or "")

    def act(connection: Connection) -> DecisionAnswer:
        group = find_group_state(connection, group_id)
        decision_id = decide_group(
            connection,
            group_id,
            body.decision,
            who=person.name,
            reason=reason,
            seen_hashes=_seen_hashes(body, group),
            seen=_seen(group, body.seen_state),
        )
        found = find_group_state(connection, group_id)
        pairs = load_pairs(connection, pair_id=group_id.removeprefix("pair:"), limit=1).rows
        pair = MarketPair.model_validate(pairs[0]) if pairs else None
        return DecisionAnswer(decision_id=decision_id, pair=pair, group=GroupState.model_validate(found))

    return await act_on(request, act)


@router.post(
    "/trading/kill", status_code=201, dependencies=[permit(Act.STOP)], responses={202: {"model": SwitchAnswer}}
)
async def post_kill(
    request: Request, response: Response, settings: CurrentSettings, person: ActingPerson, body: SwitchBody
) -> SwitchAnswer:
    """Kill trading: no order is sent any more. In force at once, also while the database is away.

    The answer comes when nothing is under way any more, after at most two seconds, and names the orders that still are.
    202 while the warehouse does not answer: the kill lies on disk, in force for every order of this machine that has
    not left, and is recorded as soon as the warehouse is there.
    """
    reason = _reason_of_kill(person, body)

    def write_row() -> SwitchAnswer:
        with request.app.state.acts_pool().connection() as connection:
            switch_id, under_way = switch_trading(
                connection, "kill", who=person.name, reason=reason, wait_s=settings.kill_wait_s
            )
            return _switched(connection, switch_id, under_way)

    written = await anyio.to_thread.run_sync(
        lambda: kill_first(settings.home_dir, write_row, who=person.name, reason=reason),
        limiter=request.app.state.kills_limiter,
    )
    if written is not None:
        return written
    get_logger().warning("a kill lies on disk only", set_by=person.name)
    response.status_code = 202
    return SwitchAnswer(
        switch_id=None,
        state="kill",
        set_by=person.name,
        set_at=datetime.now(UTC),
        is_under_way_known=False,
        is_recorded=False,
    )


@router.post("/trading/resume", status_code=201, dependencies=[permit(Act.RESUME)])
async def post_resume(
    request: Request, settings: CurrentSettings, person: ActingPerson, body: SwitchBody
) -> SwitchAnswer:
    """Let trading run again. After a kill a person is asked again who they are; refused while one lies on disk."""
    reason = reason_for(body.reason, person.name, body.who or "")
    return await act_on(
        request, lambda connection: _switch(connection, settings, person, "run", reason, body.seen_state)
    )


@router.post("/accounts/{venue}/reopen", status_code=201, dependencies=[permit(Act.RESUME)])
async def post_reopen(
    request: Request, settings: CurrentSettings, person: ActingPerson, venue: Venue, body: AccountBody
) -> AccountAnswer:
    """Let an account that only reduces open again: acknowledges its breaks and what others did on it so far."""
    reason = reason_for(body.reason, person.name, body.who or "")

    def act(connection: Connection) -> AccountAnswer:
        switch_id = reopen_account(
            connection, venue.value, mode=settings.trading_mode, who=person.name, reason=reason, seen=body.seen
        )
        return AccountAnswer(switch_id=switch_id, venue=venue.value, state="run")

    return await act_on(request, act)


@router.post("/orders/{order_id}/resolve", status_code=201, dependencies=[permit(Act.RESUME)])
async def post_resolve(
    request: Request, person: ActingPerson, order_id: Annotated[int, Path(ge=1, le=_ID_MAX)], body: ResolveBody
) -> ResolveAnswer:
    """Say what became of an order of unknown fate; the next settlement cycle books it."""
    reason = reason_for(body.reason, person.name, body.who or "")

    def act(connection: Connection) -> ResolveAnswer:
        command_id = resolve_order(
            connection, order_id, filled=body.filled, price=body.price, who=person.name, reason=reason
        )
        return ResolveAnswer(command_id=command_id, order_id=order_id)

    return await act_on(request, act)


@router.post("/trading/{act}", status_code=201, dependencies=[permit(Act.STOP)])
async def post_switch(
    request: Request,
    settings: CurrentSettings,
    person: ActingPerson,
    act: Literal["pause", "reduce"],
    body: SwitchBody,
) -> SwitchAnswer:
    """Set the trading switch, in force at once. pause: nothing new opens. reduce: only orders that lower exposure.

    Under a kill this lifts the kill, and needs what `resume` needs.
    """
    reason = reason_for(body.reason, person.name, body.who or "")
    return await act_on(request, lambda connection: _stop(connection, settings, person, act, reason, body.seen_state))


@router.get("/trades/{execution_id}/flatten", dependencies=[permit(Act.FLATTEN)])
def get_flatten_offer(
    connection: Warehouse, settings: CurrentSettings, execution_id: Annotated[int, Path(ge=1, le=_ID_MAX)]
) -> FlattenOfferAnswer:
    """Return what a flatten of a trade would sell now and at worst for how much; read it before asking for it."""
    offer = offer_flatten(connection, execution_id, settings.flatten_slippage_usd)
    return FlattenOfferAnswer.model_validate(offer)


@router.post("/trades/{execution_id}/flatten", status_code=201, dependencies=[permit(Act.FLATTEN)])
async def post_flatten(
    request: Request,
    settings: CurrentSettings,
    person: ActingPerson,
    execution_id: Annotated[int, Path(ge=1, le=_ID_MAX)],
    body: FlattenBody,
) -> FlattenAnswer:
    """Ask for what a trade holds to be sold; asking again while it waits for its result is the same act."""
    reason = reason_for(body.reason, person.name, body.who or "")

    def ask(connection: Connection) -> FlattenAnswer:
        offer = offer_flatten(connection, execution_id, settings.flatten_slippage_usd)
        if offer.seen != body.seen:
            raise ItChanged(f"It changed: trade {execution_id} would sell {'; '.join(offer.sentences)}; look again.")
        command_id = ask_flatten(connection, execution_id, who=person.name, reason=reason, seen=offer)
        return FlattenAnswer(command_id=command_id, offer=FlattenOfferAnswer.model_validate(offer))

    return await act_on(request, ask)


def _reason_of_kill(person: Identity, body: SwitchBody) -> str:
    """Return why somebody kills; a kill is not refused because of a name that is sent along."""
    try:
        return reason_for(body.reason, person.name, body.who or "")
    except UnusableName:
        return body.reason


def _seen_hashes(body: DecisionBody, group: GroupStateRow | None) -> Mapping[str, str] | None:
    """Return the hashes that the caller read, by market; a pair's may come by venue."""
    if body.text_hashes is not None or group is None or body.kalshi_text_hash is None:
        return body.text_hashes
    given = {"kalshi": body.kalshi_text_hash, "polymarket": body.polymarket_text_hash or ""}
    return {market: given[market.partition(":")[0]] for market in group.market_hashes}


def _seen(group: GroupStateRow | None, state: str | None) -> str | None:
    """Return what names the group now, once it is seen to be in the state the caller saw."""
    if group is None or state is None:
        return None
    if group.state != state:
        raise ItChanged(f"It changed: {group.words}; look again.")
    return group.seen


def _stop(
    connection: Connection, settings: Settings, person: Identity, wanted: SwitchState, reason: str, state: str | None
) -> SwitchAnswer:
    """Pause or reduce; somebody else's switch at the same moment is no reason not to, unless it is a kill."""
    for left in reversed(range(_STOP_TRIES)):
        try:
            return _switch(connection, settings, person, wanted, reason, state)
        except ItChanged:
            current = last_switch(connection)
            if state is not None or left == 0 or current is None or current.state == "kill":
                raise
    raise AssertionError("unreachable")


def _switch(
    connection: Connection, settings: Settings, person: Identity, wanted: SwitchState, reason: str, state: str | None
) -> SwitchAnswer:
    """Set the switch, from what is read here: what the act is depends on it."""
    current = last_switch(connection)
    if current is not None and state not in (None, current.state):
        raise ItChanged(f"It changed: the switch is {current.state}, set by {current.set_by}; look again.")
    in_force = "kill" if current is None or is_kill_on_disk(settings.home_dir) else current.state
    act, lifts_kill = act_of_switch(wanted, in_force)
    check(person, act, now=time.time(), is_live=settings.is_live, lifts_kill=lifts_kill)
    seen = None if current is None else current.seen
    switch_id, under_way = switch_trading(
        connection, wanted, who=person.name, reason=reason, seen=seen, home=settings.home_dir
    )
    return _switched(connection, switch_id, under_way)


def _switched(connection: Connection, switch_id: int, under_way: UnderWay) -> SwitchAnswer:
    current = last_switch(connection)
    assert current is not None
    return SwitchAnswer(
        switch_id=switch_id,
        state=current.state,
        set_by=current.set_by,
        set_at=current.set_at,
        under_way=[OrderUnderWay.model_validate(order) for order in under_way.orders],
        is_intent_open=under_way.is_intent_open,
        is_under_way_known=under_way.is_known,
    )
