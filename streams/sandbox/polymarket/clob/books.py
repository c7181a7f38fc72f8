"""The CLOB's public reads: books, prices, market terms, history."""

from __future__ import annotations

from typing import Any

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.routes import Rejected, Route
from streams.sandbox.http.server import Request, Response
from streams.sandbox.polymarket.formats import PRICES, decimal_text, parsed, price_number
from streams.sandbox.polymarket.objects import best, book_object, has_book, oriented, price_points, token_of
from streams.sandbox.polymarket.venue import PolymarketVenue

_INTERVALS_S = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "1w": 604_800, "1m": 2_592_000, "max": 2**40, "all": 2**40}
_LEAST_FIDELITY = {"1w": 5, "1m": 10}
_MOST_POINTS = 4_300
_MOST_TOKENS = 500


def get_ok(venue: PolymarketVenue, request: Request) -> Response:
    """Whether the service runs."""
    return Response(200, "OK")


def get_time(venue: PolymarketVenue, request: Request) -> Response:
    """The venue's clock, seconds."""
    return Response(200, venue.now_ms() // 1000)


def get_version(venue: PolymarketVenue, request: Request) -> Response:
    """The version of orders that is taken."""
    return Response(200, {"version": 2})


# -- one token --------------------------------------------------------------------------------------------------------


def get_book(venue: PolymarketVenue, request: Request) -> Response:
    """One outcome's book."""
    return Response(200, book_object(*_token_with_book(venue, request), venue.now_ms()))


def get_price(venue: PolymarketVenue, request: Request) -> Response:
    """BUY is the lowest ask, SELL the highest bid."""
    bid, ask = best(*_token_with_book(venue, request))
    side = request.param("side").upper()
    if side not in ("BUY", "SELL"):
        return Response(400, {"error": "Invalid side"})
    return Response(200, {"price": PRICES[ask if side == "BUY" else bid]})


def get_midpoint(venue: PolymarketVenue, request: Request) -> Response:
    """The middle of the best prices."""
    return Response(200, {"mid": _middle(*_token_with_book(venue, request))})


def get_spread(venue: PolymarketVenue, request: Request) -> Response:
    """Ask minus bid."""
    return Response(200, {"spread": _spread(*_token_with_book(venue, request))})


def get_tick_size(venue: PolymarketVenue, request: Request, token_id: str = "") -> Response:
    """A JSON number, as at the venue."""
    listed, _ = _token(venue, request, token_id)
    return Response(200, {"minimum_tick_size": price_number(listed.tick_e4)})


def get_neg_risk(venue: PolymarketVenue, request: Request, token_id: str = "") -> Response:
    """Which exchange contract orders are signed for."""
    listed, _ = _token(venue, request, token_id)
    return Response(200, {"neg_risk": listed.market.is_neg_risk})


def get_fee_rate(venue: PolymarketVenue, request: Request, token_id: str = "") -> Response:
    """The legacy field: 1000 on markets with fees, which is not the rate."""
    schedule = _token(venue, request, token_id)[0].schedule
    has_fees = isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6
    return Response(200, {"base_fee": 1000 if has_fees else 0})


def get_last_trade_price(venue: PolymarketVenue, request: Request) -> Response:
    """0.5 and no side when nothing traded."""
    return Response(200, _last_trade_price(*_token(venue, request)))


def _token(venue: PolymarketVenue, request: Request, token_id: str = "") -> tuple[ListedMarket, Outcome]:
    """The market and outcome of the token that a request names.

    Raises:
        Rejected: If it is no token, or an unknown one.
    """
    token = token_id or request.param("token_id")
    if not token.isdecimal():
        raise Rejected(Response(400, {"error": "Invalid token id"}))
    found = venue.tokens.get(token)
    if found is None:
        raise _no_book()
    return found


def _token_with_book(venue: PolymarketVenue, request: Request) -> tuple[ListedMarket, Outcome]:
    """As `_token`, of a market that still has a book."""
    found = _token(venue, request)
    if not has_book(found[0]):
        raise _no_book()
    return found


def _no_book() -> Rejected:
    return Rejected(Response(404, {"error": "No orderbook exists for the requested token id"}))


# -- several tokens ---------------------------------------------------------------------------------------------------


def get_books(venue: PolymarketVenue, request: Request) -> Response:
    """Up to 500 books; tokens without one are left out."""
    now = venue.now_ms()
    return Response(200, [book_object(listed, outcome, now) for listed, outcome, _ in _tokens(venue, request)])


def get_prices(venue: PolymarketVenue, request: Request) -> Response:
    """{token: {side: price}}; without a side only SELL comes back."""
    body: dict[str, dict[str, str]] = {}
    for listed, outcome, entry in _tokens(venue, request):
        side = str(entry.get("side") or "SELL").upper()
        bid, ask = best(listed, outcome)
        body.setdefault(token_of(listed, outcome), {})[side] = PRICES[ask if side == "BUY" else bid]
    return Response(200, body)


def get_midpoints(venue: PolymarketVenue, request: Request) -> Response:
    """{token: middle}."""
    return Response(200, {token_of(m, o): _middle(m, o) for m, o, _ in _tokens(venue, request)})


def get_spreads(venue: PolymarketVenue, request: Request) -> Response:
    """{token: ask minus bid}."""
    return Response(200, {token_of(m, o): _spread(m, o) for m, o, _ in _tokens(venue, request)})


def get_last_trade_prices(venue: PolymarketVenue, request: Request) -> Response:
    """[{token_id, price, side}]; tokens that never traded are left out."""
    traded = [(listed, outcome) for listed, outcome, _ in _tokens(venue, request) if listed.last_price_e4]
    return Response(200, [{"token_id": token_of(m, o), **_last_trade_price(m, o)} for m, o in traded])


def refuse_get(venue: PolymarketVenue, request: Request) -> Response:
    """Reads of several tokens are posted."""
    return Response(400, {"error": "Invalid payload"})


def _tokens(venue: PolymarketVenue, request: Request) -> list[tuple[ListedMarket, Outcome, dict[str, Any]]]:
    """The known tokens of a POST body [{token_id, ...}], with their entries.

    Raises:
        Rejected: If the body is none, or too long.
    """
    entries = parsed(request.body)
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "token_id" in e for e in entries):
        raise Rejected(Response(400, {"error": "Invalid payload"}))
    if len(entries) > _MOST_TOKENS:
        raise Rejected(Response(400, {"error": "Payload exceeds the limit"}))
    known = ((venue.tokens.get(str(entry["token_id"])), entry) for entry in entries)
    return [(*found, entry) for found, entry in known if found is not None and has_book(found[0])]


def _middle(listed: ListedMarket, outcome: Outcome) -> str:
    """The middle may lie between two ticks: up to five decimals."""
    return decimal_text(sum(best(listed, outcome)) * 5, 5)


def _spread(listed: ListedMarket, outcome: Outcome) -> str:
    bid, ask = best(listed, outcome)
    return PRICES[ask - bid]


def _last_trade_price(listed: ListedMarket, outcome: Outcome) -> dict[str, str]:
    if not listed.last_price_e4:
        return {"price": "0.5", "side": ""}
    price = listed.last_price_e4 if outcome == "yes" else PRICE_ONE_E4 - listed.last_price_e4
    return {"price": PRICES[price], "side": "BUY"}


# -- the rest ---------------------------------------------------------------------------------------------------------


def get_builder_fees(venue: PolymarketVenue, request: Request, code: str) -> Response:
    """Additional fees of a builder code, in hundredths of a percent of the notional."""
    body = {
        "builder_maker_fee_rate_bps": venue.settings.builder_maker_bps,
        "builder_taker_fee_rate_bps": venue.settings.builder_taker_bps,
    }
    return Response(200, body)


def get_prices_history(venue: PolymarketVenue, request: Request) -> Response:
    """[{t, p}] of a token: an interval up to now, or startTs to endTs; one point with the present time is added."""
    found = venue.tokens.get(request.param("market"))
    if found is None:
        return Response(200, {"history": []})
    now_s = venue.now_ms() // 1000
    interval, fidelity = request.param("interval"), request.param("fidelity", "1")
    start, end = request.param("startTs"), request.param("endTs") or str(now_s)
    if not (fidelity.isdecimal() and end.isdecimal()) or int(fidelity) < _LEAST_FIDELITY.get(interval, 1):
        return Response(400, {"error": "invalid filters: 'fidelity' is too small for the interval"})
    if interval in _INTERVALS_S:
        start = str(max(0, now_s - _INTERVALS_S[interval]))
    if not start.isdecimal():
        return Response(400, {"error": "invalid filters: 'startTs' or 'interval' is needed"})
    listed, outcome = found
    points = price_points(venue.exchange, listed, int(start), int(end), int(fidelity), venue.now_ms())
    history = [{"t": at, "p": oriented(mid, outcome)} for at, mid in points[-_MOST_POINTS:]]
    bid, ask = best(listed, outcome)
    history.append({"t": now_s, "p": price_number((bid + ask) // 2)})
    return Response(200, {"history": history})


ROUTES: list[Route[PolymarketVenue]] = [
    Route("GET", "/ok", get_ok),
    Route("GET", "/", get_ok),
    Route("GET", "/time", get_time),
    Route("GET", "/version", get_version),
    Route("GET", "/book", get_book),
    Route("GET", "/price", get_price),
    Route("GET", "/midpoint", get_midpoint),
    Route("GET", "/spread", get_spread),
    Route("GET", "/tick-size", get_tick_size),
    Route("GET", "/tick-size/{token_id}", get_tick_size),
    Route("GET", "/neg-risk", get_neg_risk),
    Route("GET", "/neg-risk/{token_id}", get_neg_risk),
    Route("GET", "/fee-rate", get_fee_rate),
    Route("GET", "/fee-rate/{token_id}", get_fee_rate),
    Route("GET", "/last-trade-price", get_last_trade_price),
    Route("POST", "/books", get_books),
    Route("POST", "/prices", get_prices),
    Route("POST", "/midpoints", get_midpoints),
    Route("POST", "/spreads", get_spreads),
    Route("POST", "/last-trades-prices", get_last_trade_prices),
    Route("GET", "/books", refuse_get),
    Route("GET", "/prices", refuse_get),
    Route("GET", "/midpoints", refuse_get),
    Route("GET", "/spreads", refuse_get),
    Route("GET", "/last-trades-prices", refuse_get),
    Route("GET", "/fees/builder-fees/{code}", get_builder_fees),
    Route("GET", "/prices-history", get_prices_history),
]
