"""The CLOB's public reads: books, prices, market terms, history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.records import ListedMarket
from streams.sandbox.http.server import Handler, Request, Response, Router
from streams.sandbox.polymarket.formats import PRICES, decimal_text, parsed, price_number
from streams.sandbox.polymarket.objects import best, book_object, has_book, oriented, price_points, token_of

if TYPE_CHECKING:
    from streams.sandbox.polymarket.app import PolymarketFace

_INTERVALS_S = {"1h": 3_600, "6h": 21_600, "1d": 86_400, "1w": 604_800, "1m": 2_592_000, "max": 2**40, "all": 2**40}
_LEAST_FIDELITY = {"1w": 5, "1m": 10}
_MOST_POINTS = 4_300
_MOST_TOKENS = 500
_BOOK_READS = frozenset({"book", "price", "midpoint", "spread"})
TokenRead = Callable[[ListedMarket, Outcome, Request], Any]


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
        single: dict[str, TokenRead] = {
            "book": self.book,
            "price": self.price,
            "midpoint": self.midpoint,
            "spread": self.spread,
            "tick-size": self.tick_size,
            "neg-risk": self.neg_risk,
            "fee-rate": self.fee_rate,
            "last-trade-price": self.last_trade_price,
        }
        for name, read in single.items():
            router.add("GET", f"/clob/{name}", self._of_token(read, needs_book=name in _BOOK_READS))
            if name in ("tick-size", "neg-risk", "fee-rate"):
                router.add("GET", f"/clob/{name}/{{token_id}}", self._of_token(read))
        router.add("POST", "/clob/books", self.books)
        router.add("POST", "/clob/prices", self.prices)
        router.add("POST", "/clob/midpoints", self.midpoints)
        router.add("POST", "/clob/spreads", self.spreads)
        router.add("POST", "/clob/last-trades-prices", self.last_trades_prices)
        router.add("GET", "/clob/fees/builder-fees/{code}", self.builder_fees)
        for name in ("books", "prices", "midpoints", "spreads", "last-trades-prices"):
            router.add("GET", f"/clob/{name}", lambda request: Response(400, {"error": "Invalid payload"}))
        router.add("GET", "/clob/prices-history", self.prices_history)

    def book(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """One outcome's book."""
        return book_object(listed, outcome, self._face.now_ms())

    def price(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """BUY is the lowest ask, SELL the highest bid."""
        side = request.param("side").upper()
        if side not in ("BUY", "SELL"):
            return Response(400, {"error": "Invalid side"})
        bid, ask = best(listed, outcome)
        return {"price": PRICES[ask if side == "BUY" else bid]}

    def midpoint(self, listed: ListedMarket, outcome: Outcome, request: Request) -> Any:
        """The middle of the best prices."""
        return {"mid": _middle(listed, outcome)}

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
        wanted = self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        now = self._face.now_ms()
        return Response(200, [book_object(listed, outcome, now) for listed, outcome, _ in wanted])

    def prices(self, request: Request) -> Response:
        """{token: {side: price}}; without a side only SELL comes back."""
        wanted = self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        body: dict[str, dict[str, str]] = {}
        for listed, outcome, entry in wanted:
            side = str(entry.get("side") or "SELL").upper()
            bid, ask = best(listed, outcome)
            body.setdefault(token_of(listed, outcome), {})[side] = PRICES[ask if side == "BUY" else bid]
        return Response(200, body)

    def midpoints(self, request: Request) -> Response:
        """{token: middle}."""
        wanted = self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        return Response(200, {token_of(m, o): _middle(m, o) for m, o, _ in wanted})

    def spreads(self, request: Request) -> Response:
        """{token: ask minus bid}."""
        wanted = self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        body = {}
        for listed, outcome, _ in wanted:
            bid, ask = best(listed, outcome)
            body[token_of(listed, outcome)] = PRICES[ask - bid]
        return Response(200, body)

    def last_trades_prices(self, request: Request) -> Response:
        """[{token_id, price, side}]; tokens that never traded are left out."""
        wanted = self._wanted(request)
        if isinstance(wanted, Response):
            return wanted
        traded = [(listed, outcome) for listed, outcome, _ in wanted if listed.last_price_e4]
        rows = [{"token_id": token_of(m, o), **self.last_trade_price(m, o, request)} for m, o in traded]
        return Response(200, rows)

    def builder_fees(self, request: Request, code: str) -> Response:
        """Additional fees of a builder code, in hundredths of a percent of the notional."""
        settings = self._face.settings
        body = {
            "builder_maker_fee_rate_bps": settings.builder_maker_bps,
            "builder_taker_fee_rate_bps": settings.builder_taker_bps,
        }
        return Response(200, body)

    def _wanted(self, request: Request) -> list[tuple[ListedMarket, Outcome, dict[str, Any]]] | Response:
        """The known tokens of a POST body [{token_id, ...}], or its refusal."""
        entries = parsed(request.body)
        if not isinstance(entries, list) or not all(isinstance(e, dict) and "token_id" in e for e in entries):
            return Response(400, {"error": "Invalid payload"})
        if len(entries) > _MOST_TOKENS:
            return Response(400, {"error": "Payload exceeds the limit"})
        known = ((self._face.tokens.get(str(entry["token_id"])), entry) for entry in entries)
        return [(*found, entry) for found, entry in known if found is not None and has_book(found[0])]

    def prices_history(self, request: Request) -> Response:
        """[{t, p}] of a token: an interval up to now, or startTs to endTs; one point with the present time is added."""
        found = self._face.tokens.get(request.param("market"))
        if found is None:
            return Response(200, {"history": []})
        now_s = self._face.now_ms() // 1000
        interval, fidelity = request.param("interval"), request.param("fidelity", "1")
        start, end = request.param("startTs"), request.param("endTs") or str(now_s)
        if not (fidelity.isdecimal() and end.isdecimal()) or int(fidelity) < _LEAST_FIDELITY.get(interval, 1):
            return Response(400, {"error": "invalid filters: 'fidelity' is too small for the interval"})
        if interval in _INTERVALS_S:
            start = str(max(0, now_s - _INTERVALS_S[interval]))
        if not start.isdecimal():
            return Response(400, {"error": "invalid filters: 'startTs' or 'interval' is needed"})
        listed, outcome = found
        points = price_points(self._exchange, listed, int(start), int(end), int(fidelity), self._face.now_ms())
        history = [{"t": at, "p": oriented(mid, outcome)} for at, mid in points[-_MOST_POINTS:]]
        bid, ask = best(listed, outcome)
        history.append({"t": now_s, "p": price_number((bid + ask) // 2)})
        return Response(200, {"history": history})

    def _of_token(self, handler: TokenRead, *, needs_book: bool = False) -> Handler:
        """Wrap a handler of one token; 404 when it is unknown, or has no book any more and one is asked for."""

        def found(request: Request, token_id: str = "") -> Response:
            token = token_id or request.param("token_id")
            if not token.isdecimal():
                return Response(400, {"error": "Invalid token id"})
            known = self._face.tokens.get(token)
            if known is None or (needs_book and not has_book(known[0])):
                return Response(404, {"error": "No orderbook exists for the requested token id"})
            body = handler(known[0], known[1], request)
            return body if isinstance(body, Response) else Response(200, body)

        return found


def _middle(listed: ListedMarket, outcome: Outcome) -> str:
    """The middle may lie between two ticks: up to five decimals."""
    return decimal_text(sum(best(listed, outcome)) * 5, 5)
