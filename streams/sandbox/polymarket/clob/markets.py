"""The CLOB's market lists and market terms."""

from __future__ import annotations

from typing import Any

from streams.market.fees import PolymarketFeeSchedule
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.formats import clob_page, iso, number, price_number
from streams.sandbox.polymarket.objects import best, has_book, is_closed, neg_risk_id, question_id, tag_objects
from streams.sandbox.polymarket.venue import PolymarketVenue

_PAGE = 1_000


def list_markets(venue: PolymarketVenue, request: Request) -> Response:
    """All markets, closed ones included."""
    return clob_page(list(venue.exchange.state.markets.values()), request, _PAGE, full_market)


def list_simplified_markets(venue: PolymarketVenue, request: Request) -> Response:
    """All markets with few keys."""
    return clob_page(list(venue.exchange.state.markets.values()), request, _PAGE, simplified_market)


def list_sampling_markets(venue: PolymarketVenue, request: Request) -> Response:
    """Markets with rewards: those that take orders."""
    return clob_page(_open_markets(venue), request, _PAGE, full_market)


def list_sampling_simplified_markets(venue: PolymarketVenue, request: Request) -> Response:
    """The same with few keys."""
    return clob_page(_open_markets(venue), request, _PAGE, simplified_market)


def get_market(venue: PolymarketVenue, request: Request, condition: str) -> Response:
    """One market with every key."""
    return Response(200, full_market(_market(venue, condition)))


def get_market_by_token(venue: PolymarketVenue, request: Request, token: str) -> Response:
    """The market of a token."""
    found = venue.tokens.get(token)
    if found is None:
        return Response(404, {"error": "market not found"})
    market = found[0].market
    body = {
        "condition_id": market.market_id,
        "primary_token_id": market.yes_token,
        "secondary_token_id": market.no_token,
    }
    return Response(200, body)


def get_market_terms(venue: PolymarketVenue, request: Request, condition: str) -> Response:
    """What must be known to trade a market."""
    listed = _market(venue, condition)
    delay_s, is_held = venue.sports_delay_s(listed), venue.has_taker_delay(listed)
    return Response(200, clob_market(listed, delay_s=delay_s, has_taker_delay=is_held))


def _market(venue: PolymarketVenue, condition: str) -> ListedMarket:
    listed = venue.exchange.state.markets.get(condition)
    if listed is None:
        raise Rejected(Response(404, {"error": "market not found"}))
    return listed


def _open_markets(venue: PolymarketVenue) -> list[ListedMarket]:
    return [listed for listed in venue.exchange.state.markets.values() if listed.status == "open"]


def clob_market(listed: ListedMarket, *, delay_s: int, has_taker_delay: bool) -> dict[str, Any]:
    """`GET /clob-markets/{condition}`: short keys; those of fees, delays and negative risk only where they apply."""
    market, schedule = listed.market, listed.schedule
    assert isinstance(schedule, PolymarketFeeSchedule)
    body: dict[str, Any] = {
        "gst": _game_start(listed),
        "r": {"mi": 0, "ma": 0, "moas": 0, "e": False},
        "t": [
            {"t": market.yes_token, "o": market.outcomes[0]},
            {"t": market.no_token, "o": market.outcomes[1]},
        ],
        "c": market.market_id,
        "mos": market.min_size_e6 // 1_000_000,
        "mts": price_number(listed.tick_e4),
        "ao": listed.status == "open",
        "aot": iso(market.open_time),
        "cbos": bool(market.extra.get("clearBookOnStart", False)),
        "v": "v1",
    }
    if market.is_neg_risk:
        body["nr"] = True
    if delay_s:
        body["sd"] = delay_s
    if has_taker_delay:
        body["itode"] = True
    if schedule.rate_e6:
        fees = {"r": number(schedule.rate_e6), "e": schedule.exponent, "to": schedule.taker_only}
        body |= {"mbf": 1000, "tbf": 1000, "fd": fees}
    return body


def full_market(listed: ListedMarket) -> dict[str, Any]:
    """`GET /markets/{condition}`."""
    market, schedule = listed.market, listed.schedule
    has_fees = isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6
    is_neg = market.is_neg_risk
    return {
        "enable_order_book": has_book(listed),
        "active": True,
        "closed": is_closed(listed),
        "archived": False,
        "accepting_orders": listed.status == "open",
        "accepting_order_timestamp": iso(market.open_time),
        "minimum_order_size": market.min_size_e6 // 1_000_000,
        "minimum_tick_size": price_number(listed.tick_e4),
        "condition_id": market.market_id,
        "question_id": question_id(listed),
        "question": market.title,
        "description": market.rules,
        "market_slug": market.slug,
        "end_date_iso": iso(market.close_time),
        "game_start_time": _game_start(listed),
        "seconds_delay": int(market.extra.get("secondsDelay", 0)),
        "fpmm": "",
        "maker_base_fee": 1000 if has_fees else 0,
        "taker_base_fee": 1000 if has_fees else 0,
        "notifications_enabled": True,
        "neg_risk": is_neg,
        "neg_risk_market_id": neg_risk_id(listed) if is_neg else "",
        "neg_risk_request_id": question_id(listed) if is_neg else "",
        "icon": "",
        "image": "",
        "rewards": {"rates": None, "min_size": 0, "max_spread": 0},
        "is_50_50_outcome": listed.settlement_e4 == PRICE_ONE_E4 // 2,
        "tokens": _tokens(listed),
        "tags": [tag["label"] for tag in tag_objects(listed)],
    }


def simplified_market(listed: ListedMarket) -> dict[str, Any]:
    """A row of `GET /simplified-markets`."""
    return {
        "condition_id": listed.market_id,
        "rewards": {"rates": None, "min_size": 0, "max_spread": 0},
        "tokens": _tokens(listed),
        "active": True,
        "closed": is_closed(listed),
        "archived": False,
        "accepting_orders": listed.status == "open",
    }


def _tokens(listed: ListedMarket) -> list[dict[str, Any]]:
    market, settled = listed.market, listed.settlement_e4
    bid, ask = best(listed, "yes")
    # The middle may lie between two prices of four decimals.
    yes_e5 = (bid + ask) * 5 if settled is None else settled * 10
    return [
        {
            "token_id": token,
            "outcome": outcome,
            "price": price_e5 / 100_000,
            "winner": settled is not None and price_e5 == 10 * PRICE_ONE_E4,
        }
        for token, outcome, price_e5 in (
            (market.yes_token, market.outcomes[0], yes_e5),
            (market.no_token, market.outcomes[1], 10 * PRICE_ONE_E4 - yes_e5),
        )
    ]


def _game_start(listed: ListedMarket) -> str | None:
    """ "2026-10-02 18:00:00+00" becomes "2026-10-02T18:00:00Z"."""
    text = str(listed.market.extra.get("gameStartTime", ""))
    return f"{text[:19].replace(' ', 'T')}Z" if text else None


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/markets", list_markets),
    Route("GET", "/simplified-markets", list_simplified_markets),
    Route("GET", "/sampling-markets", list_sampling_markets),
    Route("GET", "/sampling-simplified-markets", list_sampling_simplified_markets),
    Route("GET", "/markets/{condition}", get_market),
    Route("GET", "/markets-by-token/{token}", get_market_by_token),
    Route("GET", "/clob-markets/{condition}", get_market_terms),
]
