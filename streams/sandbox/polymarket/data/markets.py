"""The Data API's reads about markets: holders, open interest, live volume, tokens, price history, resolutions."""

from __future__ import annotations

from typing import Any

from streams.market.identity import Outcome, other_outcome
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.data.objects import NOBODY, present_price_e4
from streams.sandbox.polymarket.data.paging import BadParameter, conditions, data_page, moment
from streams.sandbox.polymarket.formats import number, price_number
from streams.sandbox.polymarket.objects import (
    event_number,
    event_slug,
    neg_risk_id,
    oriented,
    price_points,
    question_id,
    token_of,
)
from streams.sandbox.polymarket.own_objects import wallet_of
from streams.sandbox.polymarket.venue import PolymarketVenue

_OUTCOMES: tuple[Outcome, Outcome] = ("yes", "no")
_INTERVALS_S = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "1w": 604_800, "1m": 2_592_000, "max": 2**31, "all": 2**31}
_MOST_POINTS = 10_000


def list_holders(venue: PolymarketVenue, request: Request) -> Response:
    """Who holds the tokens of markets, largest first; simulated participants have no wallet and are left out."""
    found = _markets(venue, conditions(request))
    rows = [
        {"token_id": token_of(listed, outcome), "holders": _holders(venue, listed, outcome)}
        for listed in found
        for outcome in _OUTCOMES
    ]
    return data_page(rows, request)


def _holders(venue: PolymarketVenue, listed: ListedMarket, outcome: Outcome) -> list[dict[str, Any]]:
    rows = []
    for account in venue.exchange.state.accounts.accounts.values():
        position = account.positions.get(listed.market_id)
        if account.is_house or position is None or position.held_e6(outcome) <= 0:
            continue
        row = {
            "proxy_wallet": wallet_of(account.account_id),
            "token_id": token_of(listed, outcome),
            "amount": number(position.held_e6(outcome)),
            "outcome_index": 0 if outcome == "yes" else 1,
            "display_username_public": False,
            "verified": False,
            **NOBODY,
        }
        rows.append(row)
    return sorted(rows, key=lambda row: row["amount"], reverse=True)


def get_open_interest(venue: PolymarketVenue, request: Request) -> Response:
    """Dollars behind open contracts, per market or of the whole venue."""
    wanted = conditions(request)
    if wanted:
        rows = [{"condition_id": m.market_id, "value": number(m.interest_e6)} for m in _markets(venue, wanted)]
    else:
        total = sum(listed.interest_e6 for listed in venue.exchange.state.markets.values())
        rows = [{"condition_id": "GLOBAL", "value": number(total)}]
    return Response(200, {"data": rows})


def get_live_volume(venue: PolymarketVenue, request: Request) -> Response:
    """Taker volume of events, with their markets."""
    events = set(request.params("event_id"))
    found = [m for m in venue.exchange.state.markets.values() if event_number(m.event.event_id) in events]
    rows = [{"condition_id": m.market_id, "taker_volume": number(m.volume_e6)} for m in found]
    body = {"taker_volume_total": number(sum(m.volume_e6 for m in found)), "conditions": rows}
    return Response(200, {"data": body})


def list_tokens(venue: PolymarketVenue, request: Request) -> Response:
    """What tokens stand for and how they settled."""
    wanted = set(request.params("token_id"))
    pairs = [found for token in sorted(wanted) if (found := venue.tokens.get(token)) is not None]
    pairs += [(listed, outcome) for listed in _markets(venue, conditions(request)) for outcome in _OUTCOMES]
    return Response(200, {"data": [_token(listed, outcome) for listed, outcome in pairs]})


def list_prices(venue: PolymarketVenue, request: Request) -> Response:
    """Past prices of a token."""
    found = venue.tokens.get(request.param("token_id"))
    if found is None:
        return data_page([], request)
    listed, outcome = found
    now = venue.now_ms()
    end = moment(request, "end") or now // 1000
    span = _INTERVALS_S.get(request.param("interval") or "1d")
    step = moment(request, "bucket_seconds") or 60
    if span is None:
        raise BadParameter("invalid interval", "interval")
    start = moment(request, "start")
    points = price_points(venue.exchange, listed, max(0, end - span) if start is None else start, end, step // 60, now)
    rows = [
        {"timestamp": at, "price": oriented(mid, outcome), "resolution_seconds": max(step, 60)} for at, mid in points
    ]
    return data_page(rows, request, _MOST_POINTS)


def list_resolutions(venue: PolymarketVenue, request: Request) -> Response:
    """How markets resolve."""
    events = set(request.params("event_id"))
    questions = set(request.params("question_id"))
    wanted = set(request.params("condition_id"))
    rows = [
        _resolution(listed)
        for listed in venue.exchange.state.markets.values()
        if listed.market_id in wanted
        or question_id(listed) in questions
        or event_number(listed.event.event_id) in events
    ]
    return Response(200, {"data": rows})


def _markets(venue: PolymarketVenue, wanted: set[str]) -> list[ListedMarket]:
    return [venue.exchange.state.markets[name] for name in sorted(wanted) if name in venue.exchange.state.markets]


def _token(listed: ListedMarket, outcome: Outcome) -> dict[str, Any]:
    index = 0 if outcome == "yes" else 1
    is_resolved = listed.settlement_e4 is not None
    return {
        "token_id": token_of(listed, outcome),
        "condition_id": listed.market_id,
        "structural_condition_id": None,
        "module": "v1_ctf",
        "outcome_index": index,
        "clob_index": index,
        "outcome": listed.market.outcomes[index],
        "opposite_token_id": token_of(listed, other_outcome(outcome)),
        "resolved": is_resolved,
        "final_price": price_number(present_price_e4(listed, outcome)) if is_resolved else None,
        "title": listed.market.title,
        "market_slug": listed.market.slug,
        "closed": is_resolved,
        "neg_risk": listed.market.is_neg_risk,
        "neg_risk_market_id": neg_risk_id(listed) if listed.market.is_neg_risk else None,
        "question_index": None,
        "event_id": int(event_number(listed.event.event_id)),
        "event_slug": event_slug(listed),
    }


def _resolution(listed: ListedMarket) -> dict[str, Any]:
    settled = listed.settlement_e4
    status = "resolved" if settled is not None else "proposed" if listed.status == "closed" else "initialized"
    return {
        "question_id": question_id(listed),
        "condition_id": listed.market_id,
        "status": status,
        "extended_review": False,
        "was_disputed": False,
        "new_version_q": False,
        "proposed_price": None,
        "reproposed_price": None,
        "price": None if settled is None else price_number(settled),
        "transaction_hash": "",
        "log_index": None,
        "last_update_timestamp": str(listed.updated_ms // 1000),
        "market_type": "ATOMIC_NEGRISK" if listed.market.is_neg_risk else "BINARY",
        "payouts": None if settled is None else [settled * 100, (10_000 - settled) * 100],
    }


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/v2/holders", list_holders),
    Route("GET", "/v2/oi", get_open_interest),
    Route("GET", "/v2/live-volume", get_live_volume),
    Route("GET", "/v2/tokens", list_tokens),
    Route("GET", "/v2/prices-history", list_prices),
    Route("GET", "/v2/resolutions", list_resolutions),
]
