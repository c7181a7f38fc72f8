"""Operator actions: what people decide, behind the token."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from app.api.deps import MayWrite, Warehouse
from app.api.errors import ApiProblem
from app.api.schemas import DecisionAnswer, DecisionBody, MarketPair, SwitchAnswer, SwitchBody
from app.operator_actions import decide_pair, set_switch
from app.queries.pairs import load_pairs
from streams.market.trading import SwitchState
from streams.storage.store.risk import last_switch

router = APIRouter(tags=["acts"], dependencies=[MayWrite])
_STATES: dict[str, SwitchState] = {"pause": "pause", "reduce": "reduce", "resume": "run", "kill": "kill"}


@router.post("/pairs/{pair_id}/decision", status_code=201)
def post_decision(
    connection: Warehouse,
    pair_id: Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z_-]+$")],
    body: DecisionBody,
) -> DecisionAnswer:
    """Approve, reject or pause a pair. The decision binds to the texts of both markets as they are now."""
    if (body.kalshi_text_hash is None) != (body.polymarket_text_hash is None):
        raise ApiProblem(422, "invalid_request", "Give both text hashes or neither.")
    seen = None
    if body.kalshi_text_hash is not None and body.polymarket_text_hash is not None:
        seen = (body.kalshi_text_hash, body.polymarket_text_hash)
    decision_id = decide_pair(connection, pair_id, body.decision, who=body.who, reason=body.reason, seen_hashes=seen)
    pair = load_pairs(connection, pair_id=pair_id, limit=1).rows[0]
    return DecisionAnswer(decision_id=decision_id, pair=MarketPair.model_validate(pair))


@router.post("/trading/{act}", status_code=201)
def post_switch(
    connection: Warehouse, act: Literal["pause", "reduce", "resume", "kill"], body: SwitchBody
) -> SwitchAnswer:
    """Set the trading switch.

    pause: nothing new opens. reduce: only orders that lower exposure are sent. kill: no order is sent. resume: run.
    """
    switch_id = set_switch(connection, _STATES[act], who=body.who, reason=body.reason)
    current = last_switch(connection)
    assert current is not None
    return SwitchAnswer(switch_id=switch_id, state=current.state, set_by=current.set_by, set_at=current.set_at)
