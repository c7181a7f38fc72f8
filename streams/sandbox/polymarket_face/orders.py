"""The CLOB's orders: placing with full validation of what was signed, and cancelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from streams.market.errors import Refused
from streams.market.identity import Outcome, Side
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.accounts import Intent
from streams.sandbox.polymarket_face.auth import PolymarketKey, order_digest_and_signer
from streams.sandbox.polymarket_face.formats import PRICES, decimal_text, size
from streams.sandbox.records import ListedMarket, OrderRequest, Ticket
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.polymarket_face.face import PolymarketFace

_TIMES_IN_FORCE: dict[str, Any] = {"GTC": "gtc", "GTD": "gtd", "FOK": "fok", "FAK": "ioc"}
_FIELDS = (
    "salt", "maker", "signer", "tokenId", "makerAmount", "takerAmount", "side", "signatureType", "timestamp",
    "metadata", "builder", "signature", "expiration",
)  # fmt: skip
_UNMATCHED_FAK = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
_LEAST_GTD_S = 180
_GTD_EARLY_S = 60
_LEAST_NOTIONAL_E6 = 1_000_000
_MOST_IN_BATCH = 15


class Invalid(Exception):
    """An order the venue would refuse with this text."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An order's economics. `price_e4` is of its own token."""

    listed: ListedMarket
    outcome: Outcome
    is_buy: bool
    maker_e6: int
    taker_e6: int
    price_e4: int

    @property
    def shares_e6(self) -> int:
        """Shares bought or sold at the limit."""
        return self.taker_e6 if self.is_buy else self.maker_e6

    @property
    def side(self) -> Side:
        """Side in the YES book: buying NO is selling YES."""
        return "bid" if self.is_buy == (self.outcome == "yes") else "ask"

    @property
    def yes_price_e4(self) -> int:
        """The limit in YES terms."""
        return self.price_e4 if self.outcome == "yes" else PRICE_ONE_E4 - self.price_e4


class OrderRest:
    """Handlers that change orders. Every one carries L2 headers."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        signed = self._face.signed
        router.add("POST", "/clob/order", signed(self.create))
        router.add("POST", "/clob/orders", signed(self.create_batch))
        router.add("DELETE", "/clob/order", signed(self.cancel))
        router.add("DELETE", "/clob/orders", signed(self.cancel_several))
        router.add("DELETE", "/clob/cancel-all", signed(self.cancel_all))
        router.add("DELETE", "/clob/cancel-market-orders", signed(self.cancel_market))

    def create(self, request: Request, key: PolymarketKey) -> Response:
        """Place one order."""
        try:
            answer = self._place(_json(request.body), key)
        except Invalid as error:
            self._face.commit()
            return Response(400, {"error": str(error)})
        self._face.commit()
        return Response(200, answer)

    def create_batch(self, request: Request, key: PolymarketKey) -> Response:
        """Place up to 15; a refused one is success true with an empty id and its error."""
        bodies = _json(request.body)
        if not isinstance(bodies, list):
            return Response(400, {"error": "Invalid order payload"})
        if len(bodies) > _MOST_IN_BATCH:
            return Response(400, {"error": f"Too many orders in payload: {len(bodies)}, max allowed: {_MOST_IN_BATCH}"})
        answers = []
        for body in bodies:
            try:
                answers.append(self._place(body, key))
            except Invalid as error:
                answers.append(_answer("", "", error=str(error)))
        self._face.commit()
        return Response(200, answers)

    def cancel(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel one order."""
        body = _json(request.body)
        order_id = body.get("orderID") if isinstance(body, dict) else None
        if not isinstance(order_id, str):
            return Response(400, {"error": "Invalid order payload"})
        return self._cancel([order_id], key)

    def cancel_several(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel up to 1000 orders."""
        ids = _json(request.body)
        if not isinstance(ids, list) or len(ids) > 1000:
            return Response(400, {"error": "Invalid order payload"})
        return self._cancel([str(order_id) for order_id in ids], key)

    def cancel_all(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel everything that rests."""
        return self._cancel([ticket.order_id for ticket in self._exchange.open_tickets(key.account_id)], key)

    def cancel_market(self, request: Request, key: PolymarketKey) -> Response:
        """Cancel what rests in one market or on one token."""
        body = _json(request.body) if request.body else {}
        market, token = (body.get("market"), body.get("asset_id")) if isinstance(body, dict) else (None, None)
        found = [
            ticket.order_id
            for ticket in self._exchange.open_tickets(key.account_id)
            if (not market or ticket.request.market_id == market)
            and (not token or ticket.request.extra["token"] == token)
        ]
        return self._cancel(found, key)

    def _cancel(self, order_ids: list[str], key: PolymarketKey) -> Response:
        canceled: list[str] = []
        refused: dict[str, str] = {}
        for order_id in order_ids:
            if self._exchange.cancel(key.account_id, order_id, self._face.now_ms()) is None:
                refused[order_id] = "order can't be found - already canceled or matched"
            else:
                canceled.append(order_id)
        self._face.commit()
        return Response(200, {"canceled": canceled, "not_canceled": refused})

    # -- placing ----------------------------------------------------------------------------------------------------

    def _place(self, body: Any, key: PolymarketKey) -> dict[str, Any]:
        order = _order_fields(body, key)
        found = self._face.tokens.get(str(order["tokenId"]))
        if found is None:
            raise Invalid("Invalid order payload: unknown token")
        listed, outcome = found
        try:
            order_id, signer = order_digest_and_signer(order, is_neg_risk=listed.market.is_neg_risk)
        except (ValueError, TypeError, KeyError):
            raise Invalid("Invalid order payload") from None
        if signer is None or signer.lower() != str(order["signer"]).lower():
            raise Invalid("invalid signature")
        if order_id in self._exchange.tickets:
            raise Invalid(f"order {order_id} is invalid. Duplicated.")
        parsed = _economics(order, listed, outcome, order_id)
        request = self._request(body, order, parsed, key, order_id)
        try:
            ticket = self._exchange.place(request, self._face.now_ms())
        except Refused as error:
            raise Invalid(_refusal(error, parsed, order_id)) from None
        if request.tif == "ioc" and not ticket.filled_e6:
            raise Invalid(_UNMATCHED_FAK)
        return _placed(ticket)

    def _request(
        self, body: dict[str, Any], order: dict[str, Any], parsed: Parsed, key: PolymarketKey, order_id: str
    ) -> OrderRequest:
        kind = body.get("orderType", "GTC")
        tif = _TIMES_IN_FORCE.get(kind)
        if tif is None:
            raise Invalid("Invalid order payload")
        is_immediate = tif in ("fok", "ioc")
        if body.get("postOnly") and is_immediate:
            raise Invalid("invalid post-only order: only GTC and GTD orders can be post-only")
        _check_size(parsed, order_id, is_immediate=is_immediate)
        is_spending = parsed.is_buy and is_immediate
        return OrderRequest(
            key.account_id,
            parsed.listed.market_id,
            order_id,
            Intent(parsed.outcome, "buy" if parsed.is_buy else "sell"),
            parsed.side,
            parsed.yes_price_e4,
            parsed.shares_e6,
            tif,
            is_post_only=bool(body.get("postOnly")),
            expires_ms=self._expiry_ms(kind, str(order["expiration"])),
            spend_e6=parsed.maker_e6 if is_spending else None,
            extra={
                "token": str(order["tokenId"]),
                "price": parsed.price_e4,
                "kind": kind,
                "expiration": str(order["expiration"]),
                "maker": order["maker"],
                "owner": key.api_key,
            },
        )

    def _expiry_ms(self, kind: str, expiration: str) -> int | None:
        if kind != "GTD":
            if expiration != "0":
                raise Invalid("invalid expiration")
            return None
        if not expiration.isdigit() or int(expiration) < self._face.now_ms() // 1000 + _LEAST_GTD_S:
            raise Invalid("invalid expiration")
        return (int(expiration) - _GTD_EARLY_S) * 1000


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _order_fields(body: Any, key: PolymarketKey) -> dict[str, Any]:
    """Check the body's form and whose order it is."""
    order = body.get("order") if isinstance(body, dict) else None
    if not isinstance(order, dict):
        raise Invalid("Invalid order payload")
    if {"nonce", "feeRateBps", "taker"} & set(order):
        raise Invalid("order_version_mismatch")
    if any(name not in order for name in _FIELDS) or order["side"] not in ("BUY", "SELL"):
        raise Invalid("Invalid order payload")
    if not isinstance(order["salt"], int) or order["signatureType"] not in (0, 1, 2):
        raise Invalid("Invalid order payload")
    if body.get("owner") != key.api_key:
        raise Invalid("the order owner has to be the owner of the API KEY")
    if str(order["signer"]).lower() != key.address.lower():
        raise Invalid("the order signer address has to be the address of the API KEY")
    return order


def _economics(order: dict[str, Any], listed: ListedMarket, outcome: Outcome, order_id: str) -> Parsed:
    """Read price and size from the two amounts; the price is their ratio and must be a tick."""
    maker, taker = int(order["makerAmount"]), int(order["takerAmount"])
    is_buy = order["side"] == "BUY"
    dollars, shares = (maker, taker) if is_buy else (taker, maker)
    if dollars <= 0 or shares <= 0:
        raise Invalid("Invalid order payload")
    tick = listed.tick_e4
    ratio_e4 = dollars * PRICE_ONE_E4 / shares
    price = round(ratio_e4 / tick) * tick
    # Amounts carry 2 to 6 decimals, so their ratio may sit a hair off the tick.
    slack = 1_000_000 + price * 100
    if abs(dollars * PRICE_ONE_E4 - price * shares) > slack or not tick <= price <= PRICE_ONE_E4 - tick:
        shown = decimal_text(dollars * PRICE_ONE_E4 // shares, 4)
        raise Invalid(f"order {order_id} is invalid. Price ({shown}) breaks minimum tick size rule: {PRICES[tick]}")
    return Parsed(listed, outcome, is_buy, maker, taker, price)


def _check_size(parsed: Parsed, order_id: str, *, is_immediate: bool) -> None:
    book = parsed.listed.book
    if is_immediate:
        if parsed.maker_e6 % 10_000:
            raise Invalid("invalid amounts, the maker amount supports a max accuracy of 2 decimals")
    elif parsed.shares_e6 < parsed.listed.market.min_size_e6:
        shown, least = size(parsed.shares_e6), size(parsed.listed.market.min_size_e6)
        raise Invalid(f"order {order_id} is invalid. Size ({shown}) lower than the minimum: {least}")
    if parsed.side == "bid":
        is_marketable = book.best_ask is not None and parsed.yes_price_e4 >= book.best_ask
    else:
        is_marketable = book.best_bid is not None and parsed.yes_price_e4 <= book.best_bid
    if parsed.is_buy and (is_immediate or is_marketable) and parsed.maker_e6 < _LEAST_NOTIONAL_E6:
        shown = decimal_text(parsed.maker_e6, 6)
        raise Invalid(f"invalid amount for a marketable BUY order (${shown}), min size: $1")


def _refusal(error: Refused, parsed: Parsed, order_id: str) -> str:
    if error.code == "insufficient_balance":
        detail = str(error).partition(": ")[2]
        return f"not enough balance / allowance: the balance is not enough -> {detail}"
    if error.code == "fault":
        return str(error).partition(": ")[2]
    return {
        "market_closed": "the market is not yet ready to process new orders",
        "invalid_price": f"order {order_id} is invalid. Price ({PRICES[parsed.price_e4]}) breaks minimum tick size "
        f"rule: {PRICES[parsed.listed.tick_e4]}",
        "invalid_size": f"order {order_id} is invalid. Size ({size(parsed.shares_e6)}) lower than the minimum: "
        f"{size(parsed.listed.market.min_size_e6)}",
        "post_only_cross": "invalid post-only order: order crosses book",
        "fok_unfilled": "order couldn't be fully filled. FOK orders are fully filled or killed.",
        "duplicate": f"order {order_id} is invalid. Duplicated.",
    }.get(error.code, "could not insert order")


def _answer(order_id: str, status: str, *, making: str = "", taking: str = "", error: str = "") -> dict[str, Any]:
    return {
        "errorMsg": error,
        "orderID": order_id,
        "takingAmount": taking,
        "makingAmount": making,
        "status": status,
        "success": True,
    }


def _placed(ticket: Ticket) -> dict[str, Any]:
    if not ticket.filled_e6:
        return _answer(ticket.order_id, "live")
    dollars, shares = decimal_text(ticket.taker_cash_e6, 6), size(ticket.filled_e6)
    making, taking = (dollars, shares) if ticket.request.intent.action == "buy" else (shares, dollars)
    return {
        **_answer(ticket.order_id, "matched", making=making, taking=taking),
        "tradeIDs": list(ticket.trade_ids),
    }
