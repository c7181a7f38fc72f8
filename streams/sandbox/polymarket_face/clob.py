"""The CLOB's public reads: books, prices, market terms, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.history import Candle, past_candles
from streams.sandbox.polymarket_face.formats import PRICES, price_number
from streams.sandbox.polymarket_face.objects import best, book_object, clob_market
from streams.sandbox.records import ListedMarket
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.polymarket_face.face import PolymarketFace

_INTERVALS_S = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "1w": 604_800, "1m": 2_592_000, "max": 2**40, "all": 2**40}
_LEAST_FIDELITY = {"1w": 5, "1m": 10}
_MOST_POINTS = 4_300


class ClobRest:
    """Handlers that need no signature."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/clob/ok", lambda request: Response(200, "OK"))
        router.add("GET", "/clob/", lambda request: Response(200, "OK"))
        router.add("GET", "/clob/time", lambda request: Response(200, self._face.now_ms() // 1000))
        router.add("GET", "/clob/version", lambda request: Response(200, {"version": 2}))
        for name in ("book", "price", "midpoint", "spread", "tick-size", "neg-risk", "fee-rate", "last-trade-price"):
            router.add("GET", f"/clob/{name}", self._of_token(getattr(self, name.replace("-", "_"))))
        router.add("POST", "/clob/books", self.books)
        for name in ("books", "prices", "midpoints", "last-trades-prices"):
            router.add("GET", f"/clob/{name}", lambda request: Response(400, {"error": "Invalid payload"}))
        router.add("GET", "/clob/markets-by-token/{token}", self.market_by_token)
        router.add("GET", "/clob/clob-markets/{condition}", self.market)
        router.add("GET", "/clob/prices-history", self.prices_history)

    def book(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """One outcome's book."""
        return book_object(listed, outcome, self._face.now_ms())

    def price(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """BUY is the lowest ask, SELL the highest bid."""
        bid, ask = best(listed, outcome)
        return {"price": PRICES[ask if request.param("side") == "BUY" else bid]}

    def midpoint(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """The middle of the best prices."""
        return {"mid": PRICES[sum(best(listed, outcome)) // 2]}

    def spread(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """Ask minus bid."""
        bid, ask = best(listed, outcome)
        return {"spread": PRICES[ask - bid]}

    def tick_size(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """A JSON number, as at the venue."""
        return {"minimum_tick_size": price_number(listed.tick_e4)}

    def neg_risk(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """Which exchange contract orders are signed for."""
        return {"neg_risk": listed.market.is_neg_risk}

    def fee_rate(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """The legacy field: 1000 on markets with fees, which is not the rate."""
        schedule = listed.schedule
        return {"base_fee": 1000 if isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6 else 0}

    def last_trade_price(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """0.5 and no side when nothing traded."""
        if not listed.last_price_e4:
            return {"price": "0.5", "side": ""}
        price = listed.last_price_e4 if outcome == "yes" else PRICE_ONE_E4 - listed.last_price_e4
        return {"price": PRICES[price], "side": "BUY"}

    def books(self, request: Request) -> Response:
        """Up to 500 books; tokens without one are left out."""
        try:
            wanted = [str(entry["token_id"]) for entry in orjson.loads(request.body)]
        except (ValueError, TypeError, KeyError):
            return Response(400, {"error": "Invalid payload"})
        if len(wanted) > 500:
            return Response(400, {"error": "Payload exceeds the limit"})
        found = [self._face.tokens[token] for token in wanted if token in self._face.tokens]
        now = self._face.now_ms()
        return Response(200, [book_object(listed, outcome, now) for listed, outcome in found])

    def market_by_token(self, request: Request, token: str) -> Response:
        """The market of a token."""
        found = self._face.tokens.get(token)
        if found is None:
            return Response(404, {"error": "market not found"})
        market = found[0].market
        return Response(
            200,
            {
                "condition_id": market.market_id,
                "primary_token_id": market.yes_token,
                "secondary_token_id": market.no_token,
            },
        )

    def market(self, request: Request, condition: str) -> Response:
        """What must be known to trade a market."""
        listed = self._exchange.markets.get(condition)
        return Response(404, {"error": "market not found"}) if listed is None else Response(200, clob_market(listed))

    def prices_history(self, request: Request) -> Response:
        """[{t, p}] of a token: an interval up to now, or startTs to endTs; one point with the present time is added."""
        found = self._face.tokens.get(request.param("market"))
        if found is None:
            return Response(200, {"history": []})
        now_s = self._face.now_ms() // 1000
        interval, fidelity = request.param("interval"), request.param("fidelity", "1")
        start, end = request.param("startTs"), request.param("endTs") or str(now_s)
        if not (fidelity.isdigit() and end.isdigit()) or int(fidelity) < _LEAST_FIDELITY.get(interval, 1):
            return Response(400, {"error": "invalid filters: 'fidelity' is too small for the interval"})
        if interval in _INTERVALS_S:
            start = str(max(0, now_s - _INTERVALS_S[interval]))
        if not start.isdigit():
            return Response(400, {"error": "invalid filters: 'startTs' or 'interval' is needed"})
        listed, outcome = found
        points = self._points(listed, int(start), int(end), int(fidelity))[-_MOST_POINTS:]
        history = [{"t": at, "p": _oriented(mid, outcome)} for at, mid in points]
        bid, ask = best(listed, outcome)
        history.append({"t": now_s, "p": price_number((bid + ask) // 2)})
        return Response(200, {"history": history})

    def _points(self, listed: ListedMarket, start_s: int, end_s: int, fidelity: int) -> list[tuple[int, int]]:
        """[(time in s, mid price_e4 of YES)] every `fidelity` minutes: the made-up past, then what was quoted."""
        start = max(start_s * 1000, int(listed.market.open_time.timestamp() * 1000))
        step = max(fidelity, 1)
        key = self._exchange.past_key(listed.market_id)
        past = past_candles(
            key, listed.market_id, listed.market.start_price_e4, listed.listed_ms, start, end_s * 1000, step
        )
        points = [((candle.minute + step) * 60, _mid(candle)) for candle in past]
        recent = listed.history.between(max(start, listed.listed_ms), end_s * 1000)
        if not recent:
            return points
        by_minute = {candle.minute: _mid(candle) for candle in recent}
        mid = _mid(recent[0])
        for minute in range(recent[0].minute, min(end_s // 60, self._face.now_ms() // 60_000)):
            mid = by_minute.get(minute, mid)
            if minute % step == 0:
                points.append(((minute + 1) * 60, mid))
        return points

    def _of_token(self, handler: Any) -> Any:
        """Wrap a handler of one token; 404 when the token has no book."""

        def found(request: Request) -> Response:
            known = self._face.tokens.get(request.param("token_id"))
            if known is None:
                return Response(404, {"error": "No orderbook exists for the requested token id"})
            return Response(200, handler(known[0], known[1], request))

        return found


def _mid(candle: Candle) -> int:
    return (candle.bid_close + candle.ask_close) // 2


def _oriented(mid_e4: int, outcome: Outcome) -> float:
    return price_number(mid_e4 if outcome == "yes" else PRICE_ONE_E4 - mid_e4)
