"""The Data API, version 2: positions, activity and trades of a wallet. Numbers are JSON numbers, as at the venue."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from streams.market.identity import Outcome, other_outcome
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.accounts import Account, Position
from streams.sandbox.polymarket_face.formats import number, price_number
from streams.sandbox.polymarket_face.ledger import own_side
from streams.sandbox.polymarket_face.objects import best, event_slug, token_of
from streams.sandbox.records import ListedMarket, Payout, Trade, TradeSide
from streams.sandbox.server import Request, Response, Router

if TYPE_CHECKING:
    from streams.sandbox.polymarket_face.face import PolymarketFace

_NOBODY = {"name": "", "pseudonym": "", "bio": "", "profile_image": "", "profile_image_optimized": ""}


class DataRest:
    """Handlers of public wallet data; nothing here is signed, and unknown wallets are empty pages."""

    def __init__(self, face: PolymarketFace) -> None:
        self._face = face
        self._exchange = face.exchange

    def register(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/data/v2/positions", self.positions)
        router.add("GET", "/data/v2/activity", self.activity)
        router.add("GET", "/data/v2/trades", self.trades)
        router.add("GET", "/data/v2/value", self.value)

    def positions(self, request: Request) -> Response:
        """One row per token the wallet holds or held."""
        account = self._account(request)
        rows: list[dict[str, Any]] = []
        wanted, condition = request.param("status"), request.param("condition")
        for market_id, position in account.positions.items() if account is not None else ():
            if condition and market_id != condition:
                continue
            listed = self._exchange.markets[market_id]
            outcomes: tuple[Outcome, Outcome] = ("yes", "no")
            shown = (
                o for o in outcomes if position.held_e6(o) or (position.volume_e6 and o == _main_outcome(position))
            )
            rows.extend(self._position(request.param("user"), listed, position, outcome) for outcome in shown)
        return _page([row for row in rows if not wanted or row["status"] == wanted], request)

    def activity(self, request: Request) -> Response:
        """Trades and redemptions, newest first."""
        account = self._account(request)
        if account is None:
            return _page([], request)
        kinds, condition = set(request.params("type")), request.param("condition")
        rows = [
            *(self._trade_activity(trade, side) for trade, side in self._own_trades(account)),
            *(self._redemption(payout) for payout in self._exchange.payouts if payout.account_id == account.account_id),
        ]
        rows = [
            row
            for row in rows
            if (not kinds or row["type"] in kinds) and (not condition or row["condition_id"] == condition)
        ]
        rows.sort(key=lambda row: row["timestamp"], reverse=True)
        user = request.param("user")
        return _page([{"proxy_wallet": user, **row} for row in rows], request)

    def trades(self, request: Request) -> Response:
        """Trades of a wallet, or all public ones, newest first."""
        user = request.param("user")
        if user:
            account = self._account(request)
            own = self._own_trades(account) if account is not None else []
            rows = [self._trade(trade, side, user) for trade, side in reversed(own)]
        else:
            rows = [self._trade(trade, trade.taker, _wallet(trade)) for trade in reversed(self._exchange.public_trades)]
        condition = request.param("condition")
        return _page([row for row in rows if not condition or row["condition_id"] == condition], request)

    def value(self, request: Request) -> Response:
        """What a wallet's positions are worth."""
        account = self._account(request)
        total = 0
        for market_id, position in account.positions.items() if account is not None else ():
            yes = _price_e4(self._exchange.markets[market_id], "yes")
            total += (position.yes_e6 * yes + position.no_e6 * (PRICE_ONE_E4 - yes)) // PRICE_ONE_E4
        return Response(200, {"data": {"proxy_wallet": request.param("user"), "value": number(total)}})

    def _account(self, request: Request) -> Account | None:
        return self._exchange.accounts.accounts.get(f"polymarket:{request.param('user').lower()}")

    def _own_trades(self, account: Account) -> list[tuple[Trade, TradeSide]]:
        found = ((trade, own_side(trade, account.account_id)) for trade in self._exchange.trades.values())
        return [(trade, side) for trade, side in found if side is not None and trade.status != "FAILED"]

    def _position(self, user: str, listed: ListedMarket, position: Position, outcome: Outcome) -> dict[str, Any]:
        market = listed.market
        held, cost = position.held_e6(outcome), position.cost_e6(outcome)
        price = _price_e4(listed, outcome)
        value = held * price // PRICE_ONE_E4
        index = 0 if outcome == "yes" else 1
        average = cost * 1_000_000 // held if held else 0
        return {
            "proxy_wallet": user,
            "token_id": token_of(listed, outcome),
            "condition_id": market.market_id,
            "current_size": number(held),
            "avg_price": number(average),
            "entry_cost_usdc": number(cost),
            "entry_fees_usdc": number(position.fees_e6),
            "total_cost_usdc": number(cost + position.fees_e6),
            "current_price": price_number(price),
            "current_value": number(value),
            "total_size": number(position.volume_e6),
            "realized_pnl": number(position.realized_e6),
            "unrealized_pnl": number(value - cost),
            "total_pnl": number(position.realized_e6 + value - cost),
            "status": _status(listed, held, price),
            "redeemable": listed.settlement_e4 is not None and held > 0,
            "mergeable": position.yes_e6 > 0 and position.no_e6 > 0,
            "negative_risk": market.is_neg_risk,
            "archived": False,
            "title": market.title,
            "slug": market.slug,
            "icon": "",
            "event_id": listed.event.event_id,
            "event_slug": event_slug(listed),
            "outcome": market.outcomes[index],
            "outcome_index": index,
            "opposite_outcome": market.outcomes[1 - index],
            "opposite_token_id": token_of(listed, other_outcome(outcome)),
            "end_date": f"{market.close_time:%Y-%m-%d}",
            "last_event_at": position.updated_ms // 1000,
            "first_entry_at": position.opened_ms // 1000,
            "name": "",
            "profile_image": "",
            "verified": False,
        }

    def _trade(self, trade: Trade, side: TradeSide, user: str) -> dict[str, Any]:
        listed = self._exchange.markets[trade.market_id]
        price = trade.price_e4 if side.intent.outcome == "yes" else PRICE_ONE_E4 - trade.price_e4
        index = 0 if side.intent.outcome == "yes" else 1
        return {
            "proxy_wallet": user,
            "token_id": token_of(listed, side.intent.outcome),
            "condition_id": trade.market_id,
            "side": side.intent.action.upper(),
            "size": number(trade.size_e6),
            "price": price_number(price),
            "timestamp": trade.at_ms // 1000,
            "transaction_hash": transaction_hash(trade.trade_id),
            **_titles(listed),
            "outcome": listed.market.outcomes[index],
            "outcome_index": index,
            **_NOBODY,
        }

    def _trade_activity(self, trade: Trade, side: TradeSide) -> dict[str, Any]:
        row = self._trade(trade, side, "")
        del row["proxy_wallet"]
        paid = abs(side.charge.cash_change_e6 + side.charge.fee_e6) if side.charge is not None else 0
        return {**row, "type": "TRADE", "usdc_size": number(paid)}

    def _redemption(self, payout: Payout) -> dict[str, Any]:
        listed = self._exchange.markets[payout.market_id]
        return {
            "timestamp": payout.at_ms // 1000,
            "condition_id": payout.market_id,
            "type": "REDEEM",
            "size": number(payout.payout_e6),
            "usdc_size": number(payout.payout_e6),
            "transaction_hash": payout.transaction_id,
            "price": 0.0,
            "token_id": "",
            "side": "",
            "outcome_index": 999,
            **_titles(listed),
            "outcome": "",
            **_NOBODY,
        }


def transaction_hash(trade_id: str) -> str:
    """A trade's transaction, derived from its id."""
    return f"0x{hashlib.sha256(trade_id.encode()).hexdigest()}"


def _wallet(trade: Trade) -> str:
    account = trade.taker.account_id
    return account.removeprefix("polymarket:") if account.startswith("polymarket:0x") else house_wallet(account)


def house_wallet(account_id: str) -> str:
    """A house account's wallet address, derived from its name."""
    return f"0x{hashlib.sha256(account_id.encode()).hexdigest()[:40]}"


def _titles(listed: ListedMarket) -> dict[str, str]:
    slug = listed.market.slug
    return {"title": listed.market.title, "slug": slug, "icon": "", "event_slug": event_slug(listed)}


def _price_e4(listed: ListedMarket, outcome: Outcome) -> int:
    if listed.settlement_e4 is not None:
        return listed.settlement_e4 if outcome == "yes" else PRICE_ONE_E4 - listed.settlement_e4
    return sum(best(listed, outcome)) // 2


def _status(listed: ListedMarket, held_e6: int, price_e4: int) -> str:
    if not held_e6:
        return "CLOSED"
    if listed.settlement_e4 is None:
        return "OPEN"
    return "REDEEMABLE" if price_e4 else "REDEEMABLE_LOST"


def _main_outcome(position: Position) -> Outcome:
    """The outcome under which a flat position is shown."""
    return "no" if position.no_e6 > position.yes_e6 else "yes"


def _page(rows: list[dict[str, Any]], request: Request) -> Response:
    if request.param("offset"):
        return _refused("offset is not supported, use cursor", "offset")
    limit = request.param("limit", "100")
    if not limit.isdigit() or not 1 <= int(limit) <= 1000:
        return _refused("limit must be between 1 and 1000", "limit")
    start = _position(request.param("cursor") or request.param("next_cursor"))
    end = start + int(limit)
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(rows) else None
    pagination = {"has_more": following is not None, "next_cursor": following}
    return Response(200, {"data": rows[start:end], "pagination": pagination})


def _position(cursor: str) -> int:
    try:
        return max(0, int(base64.urlsafe_b64decode(cursor).decode())) if cursor else 0
    except (ValueError, binascii.Error):
        return 0


def _refused(message: str, parameter: str) -> Response:
    body = {"error": message, "code": "bad_request", "retryable": False, "trace_id": "0" * 32, "parameter": parameter}
    return Response(400, body)
