"""Polymarket as a gateway: fill-and-kill orders whose id is the hash of what was signed.

A match is provisional until its trade is CONFIRMED or FAILED.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson

from orchestration.execution.decide.gate.venue_states import AccountState, MarketState, SendingState
from orchestration.execution.venues.answers import of_polymarket
from orchestration.execution.venues.gateway import (
    AccountFill,
    AccountMove,
    AwaitedMarket,
    OpenOrder,
    OrderAnswer,
    OrderKey,
    OrderReading,
    OrderSpec,
    Payout,
    Payouts,
    PreparedOrder,
    budget_left,
    to_ask_by_name,
)
from orchestration.execution.venues.order_mode import OrderMode
from streams.market.errors import (
    AuthenticationFailed,
    IncompleteList,
    InvalidAmount,
    MalformedFrame,
    NotFound,
    Refused,
    StreamsError,
    Unavailable,
)
from streams.market.events import BookSnapshot
from streams.market.fees import maker_fee_e6, taker_fee_e6
from streams.market.identity import Outcome, Venue
from streams.market.trading import FillState, MarketInfo, NewFill, Siblings, Target
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.amounts import limit_amounts, spend_amounts
from streams.venues.polymarket.chain.calldata import (
    approve_all_call,
    is_position_condition,
    redeem_call,
    redeem_v2_call,
)
from streams.venues.polymarket.chain.relayer import Relayer
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.clob.account import asset_of
from streams.venues.polymarket.clob.market_data import TakerDelay
from streams.venues.polymarket.clob.orders import FillState as TokenFill
from streams.venues.polymarket.clob.orders import TradeState
from streams.venues.polymarket.contracts import COLLATERAL_ADAPTER, CONDITIONAL_TOKENS, NEG_RISK_COLLATERAL_ADAPTER
from streams.venues.polymarket.data.portfolio import ActivityState
from streams.venues.polymarket.gamma.listings import parse_market
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.signing import build_order

_HELD_MS = 250
"""The venue's usual delay of orders that take, where a market says only that it has one: 50 to 250 are known."""
_CLOCK_SLACK = timedelta(days=1)
"""Trades are read from this long before an order was sent: a clock that was set wrong then hides nothing."""
_LATELY = timedelta(days=1)
_TRADE_STATES: dict[str, FillState] = {"CONFIRMED": "confirmed", "FAILED": "failed"}
# UNMATCHED: marketable, found nothing after its delay, and rests since; it is cancelled like a LIVE one.
_RESTING = frozenset({"LIVE", "UNMATCHED"})
_WORTHLESS = frozenset({"REDEEMABLE_LOST", "CLOSED"})


class PolymarketGateway:
    """Polymarket through its REST client and the account's signing key; the relayer redeems for a smart wallet."""

    venue = Venue.POLYMARKET
    buys_spend_dollars = True
    is_simulated = False

    def __init__(
        self, client: PolymarketClient, credentials: PolymarketCredentials | None, relayer: Relayer | None = None
    ) -> None:
        self._client = client
        self._key = credentials
        self._relayer = relayer
        self._ticks: dict[str, int] = {}
        self._delays: dict[str, TakerDelay] = {}
        self._mode = OrderMode(lambda: datetime.now(UTC))

    @property
    def _credentials(self) -> PolymarketCredentials:
        if self._key is None:
            raise AuthenticationFailed("this needs a Polymarket key")
        return self._key

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        """Return the books of all targets in one call, asked by their YES tokens; each says its grid of today."""
        tokens = {t.terms.yes_token: TokenRef(t.market_id, "yes") for t in targets if t.terms.yes_token}
        books = await self._client.books(list(tokens), tokens)
        self._ticks |= {book.market_id: book.tick_e4 for book in books if book.tick_e4}
        return {book.market_id: book for book in books}

    async def taker_delay_ms(self, target: Target, held_ms: int) -> int:
        """Return how long a market holds back an order that takes; asked for once, as it is a market's own.

        Args:
            target: Which market.
            held_ms: The venue's usual time, of which a market only says whether it applies.
        """
        if target.market_id not in self._delays:
            self._delays[target.market_id] = await self._client.taker_delay(target.market_id)
        delay = self._delays[target.market_id]
        return delay.sports_s * 1_000 if delay.sports_s else held_ms if delay.is_held else 0

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        """Build and sign a fill-and-kill order; its id is the hash of what was signed."""
        terms = spec.target.terms
        # A grid becomes finer while a market is traded; the book knows before the catalogue does.
        tick = self._ticks.get(spec.target.market_id) or _tick_e4(spec)
        if spec.spend_e6 is not None:
            amounts = spend_amounts(spec.spend_e6, spec.limit_price_e4, tick)
        else:
            amounts = limit_amounts("BUY" if spec.action == "buy" else "SELL", spec.limit_price_e4, spec.size_e6, tick)
        signed = build_order(
            self._credentials,
            token_id=terms.yes_token if spec.outcome == "yes" else terms.no_token,
            side="BUY" if spec.action == "buy" else "SELL",
            amounts=amounts,
            order_type="FAK",
            is_neg_risk=terms.is_neg_risk,
            salt=secrets.randbits(52),
            timestamp_ms=time.time_ns() // 1_000_000,
        )
        return PreparedOrder(signed.order_id, {"body": signed.content().decode()}, spec=spec)

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        """Send the stored bytes once. That they are there already is no refusal: reads tell what became of them."""
        content = str(order.request["body"]).encode()
        try:
            answer = await self._client.send_order(content, order.last_check, order.deadline)
        except Refused as refused:
            if refused.code == "duplicate_order":
                return OrderAnswer(order.client_order_id)
            if refused.code == "insufficient_balance":
                await self._renew_balance(content)
            self._mode.note(refused)
            raise
        except Unavailable as error:
            self._mode.note(error)
            raise
        self._mode.note_taken()
        return of_polymarket(answer, order.client_order_id, order.spec)

    async def _renew_balance(self, content: bytes) -> None:
        """Have the venue read the chain: its checks go by a cache that a settlement does not empty."""
        order = orjson.loads(content)["order"]
        with suppress(StreamsError):
            if order["side"] == "BUY":
                await self._client.update_balance_allowance("COLLATERAL")
            else:
                await self._client.update_balance_allowance(asset_of(order["tokenId"]), order["tokenId"])

    async def read(self, key: OrderKey) -> OrderReading:
        """Read the order by its hash (or the id the venue gave it) and its trades by market."""
        return (await self._read(key, after=int((key.sent_at - _CLOCK_SLACK).timestamp())))[0]

    async def search(self, key: OrderKey, siblings: Siblings) -> OrderReading:
        """Look for the order by its hash and among all trades of its market, without a limit of time.

        They prove nothing where they lack a trade of an order that has filled. The venue does not say how far they
        reach; the waiting time stands for it.
        """
        reading, trades = await self._read(key)
        ids = {fill.order_id.lower() for trade in trades for fill in trade.fills}
        is_whole = {name.lower() for name in siblings.must_show} <= ids
        return replace(reading, behind_s=0.0 if is_whole and not reading.is_found else None)

    async def _read(self, key: OrderKey, **filters: Any) -> tuple[OrderReading, list[TradeState]]:
        """Return what the order and the trades of its market say, and these trades."""
        try:
            order = await self._client.order(_order_id(key))
        except NotFound:
            order = None
        incomplete: IncompleteList | None = None
        listed: Sequence[object]
        try:
            listed = await self._client.trades(market=key.target.market_id, **filters)
        except IncompleteList as error:
            listed, incomplete = error.items, error
        trades = [trade for trade in listed if isinstance(trade, TradeState)]
        fills = [fill for trade in trades for fill in _fills_of(trade, key)]
        if incomplete is not None and (order is None or sum(f.contracts_e6 for f in fills) < order.matched_e6):
            raise incomplete  # a trade that cannot be read may be one of ours
        if order is None:
            return OrderReading(is_found=False, fills=tuple(fills)), trades
        reading = OrderReading(
            is_found=True,
            is_final=_is_over(order.status),
            venue_order_id=order.order_id,
            filled_e6=order.matched_e6,
            fills=tuple(fills),
            status="resting" if order.status in _RESTING else order.status.lower(),
        )
        return reading, trades

    async def cancel(self, key: OrderKey) -> None:
        """Cancel what rests; ids that cannot be cancelled or are not known are left to the next reading."""
        with suppress(NotFound):
            await self._client.cancel(_order_id(key))

    async def cancel_all(self) -> None:
        """Cancel what rests under the API key."""
        await self._client.cancel_all()

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Return the resting orders; their ids are the hashes of what was signed."""
        return [
            OpenOrder(
                order.order_id, order.order_id, order.market_id, order.original_e6 - order.matched_e6, order.payload
            )
            for order in await self._client.open_orders()
        ]

    async def fills_since(self, since: datetime) -> Sequence[AccountFill]:
        """Return the wallet's fills since a time; the fee is not stated by the venue."""
        return [
            AccountFill(
                self.venue,
                fill.order_id,
                trade.market_id,
                None,
                fill.token_id,
                "buy" if fill.side == "BUY" else "sell",
                fill.is_taker,
                NewFill(
                    venue_fill_id=trade.trade_id,
                    contracts_e6=fill.size_e6,
                    cash_e6=fill.cash_e6,
                    fee_e6=0,
                    state=_TRADE_STATES.get(trade.status, "provisional"),
                    filled_at=trade.matched_at or datetime.now(UTC),
                    payload=orjson.loads(orjson.dumps(trade.payload)),
                    is_fee_stated=False,
                ),
            )
            for trade in await self._client.trades(after=int(since.timestamp()))
            for fill in trade.fills
        ]

    async def moves_since(self, since: datetime) -> Sequence[AccountMove]:
        """Return what the wallet's transactions have brought and taken, each named by its transaction."""
        kinds: dict[str, Literal["deposit", "withdrawal"]] = {"DEPOSIT": "deposit", "WITHDRAWAL": "withdrawal"}
        rows = await self._client.activity(
            self._credentials.wallet, exclude_deposits_withdrawals=False, start=int(since.timestamp())
        )
        found: dict[tuple[str, str], AccountMove] = {}
        for row in rows:
            if row.kind in kinds and row.transaction_hash and row.happened_at >= since:
                new = AccountMove(row.transaction_hash, kinds[row.kind], row.cash_e6, "done", row.happened_at)
                before = found.get((row.kind, row.transaction_hash))
                amount = new.amount_e6 + (0 if before is None else before.amount_e6)
                found[row.kind, row.transaction_hash] = replace(new, amount_e6=amount)
        return list(found.values())

    async def client_order_id(self, venue_order_id: str) -> str:
        """The id of an order is the hash of what was signed, which is our own name for it."""
        return venue_order_id

    async def positions(self) -> Mapping[tuple[str, Outcome], int]:
        """Return the wallet's tokens that are worth something or may be, by market and outcome."""
        rows = await self._client.positions(self._credentials.wallet)
        held: dict[tuple[str, Outcome], int] = {}
        for row in rows:
            if row.status not in _WORTHLESS and row.outcome_index in (0, 1):
                held[row.market_id, "yes" if row.outcome_index == 0 else "no"] = row.size_e6
        return held

    async def cash_e6(self) -> int:
        """Return the wallet's cash."""
        return await self._client.balance()

    async def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return the wallet's cash, which is one pot."""
        return {None: await self.cash_e6()}

    async def account_state(self) -> AccountState:
        """Return what the venue may take, and whether it serves this place and lets the account open; without a key
        the place alone.
        """
        place = await self._client.geoblock()
        if self._key is None:
            return AccountState(is_blocked=place.is_blocked)
        balance, is_closing_only = await asyncio.gather(
            self._client.balance_allowance("COLLATERAL"), self._client.closed_only()
        )
        allowances = balance.allowances_e6.values()
        return AccountState(
            allowance_e6=min(allowances) if allowances else None,
            is_blocked=place.is_blocked,
            is_closing_only=is_closing_only,
        )

    def sending_state(self) -> SendingState:
        """Return what the request budget leaves, and until when the venue takes no order that takes."""
        return SendingState(budget_left(self._client.orders_left), self._mode.closed_until)

    async def market_state(self, market: MarketInfo) -> MarketState:
        """Return what the venue's engine goes by for a market."""
        stated = await self._client.clob_market(market.market_id)
        held_ms = _HELD_MS if stated.delay.is_held else 0
        return MarketState(
            status="open" if stated.is_accepting else "paused",
            fee_schedule=stated.fees,
            tick_e4=stated.tick_e4,
            game_starts_at=stated.game_starts_at,
            delay_ms=stated.delay.sports_s * 1_000 or held_ms,
        )

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        """Return resolved markets with what their redemptions paid, all of them together; None where none was seen yet.

        One call reads what was redeemed lately, which names those that closed early; they and what is over are asked
        for by name, so that their age does not matter.
        """
        result = Payouts()
        since = int((datetime.now(UTC) - _LATELY).timestamp())
        recent = {row.market_id for row in await self._redemptions(result, "", start=since)}
        lately = [market for market in markets if market.market_id in recent]
        for market in [*lately, *to_ask_by_name(markets, recent)]:
            if result.is_away:
                break
            name = market.market_id
            rows = [row for row in await self._redemptions(result, name, condition=name) if row.market_id == name]
            if name in result.failed:
                continue  # one that cannot be read may be a part of the sum
            try:
                value = market.known_e4 if market.known_e4 is not None else await self._resolution(name, rows)
            except StreamsError as error:
                result.failed[name] = error
                continue
            if value is not None:
                paid = sum(row.cash_e6 for row in rows) if rows else None
                at = max((row.happened_at for row in rows), default=None)
                result.found.append(Payout(name, value, paid, at))
        return result

    async def _redemptions(self, result: Payouts, name: str, **filters: Any) -> list[ActivityState]:
        """Return the redemptions of the wallet that can be read; an error is noted under a name."""
        rows: Sequence[object] = []
        try:
            rows = await self._client.activity(self._credentials.wallet, type="REDEEM", **filters)
        except IncompleteList as error:
            result.failed[name], rows = error, error.items
        except StreamsError as error:
            result.failed[name] = error
        return [row for row in rows if isinstance(row, ActivityState) and row.kind == "REDEEM"]

    async def redeem(self, target: Target) -> str:
        """Have the relayer redeem all that the wallet holds of a market; it is asked once and not waited for."""
        if self._relayer is None:
            raise Refused("no_relayer", "the wallet has no key for the relayer: its owner redeems at the venue")
        is_neg_risk = target.terms.is_neg_risk
        if not is_position_condition(target.market_id):
            # The adapter takes the tokens, which a wallet that only trades has not allowed it.
            adapter = NEG_RISK_COLLATERAL_ADAPTER if is_neg_risk else COLLATERAL_ADAPTER
            allowed = approve_all_call(CONDITIONAL_TOKENS, adapter)
            calls = [allowed, redeem_call(target.market_id, is_neg_risk=is_neg_risk)]
        else:
            tokens = (target.terms.yes_token, target.terms.no_token)
            held = [await self._client.token_balance(token) for token in tokens]
            calls = [redeem_v2_call(target.market_id, n, size) for n, size in enumerate(held) if size]
            if not calls:
                raise Refused("nothing_held", "the wallet holds nothing of the market")
        return (await self._relayer.submit(calls, metadata="redeem")).transaction_id

    async def _resolution(self, market_id: str, redemptions: Sequence[ActivityState]) -> int | None:
        """Ask the catalogue what one YES pays, where a redemption says that it is decided."""
        if not redemptions:
            return None
        page = await self._client.gamma_markets_page(condition_ids=market_id, closed=True)
        for payload in page.items:
            try:
                market = parse_market(payload)
            except MalformedFrame:
                continue
            if market.listing.market_id == market_id:
                return market.settlement_e4
        return None


def _is_over(status: str) -> bool:
    """Whether no more of an order can fill; a killed one may carry the reason behind CANCELED_."""
    return status in ("MATCHED", "INVALID") or status.startswith("CANCELED")


def _order_id(key: OrderKey) -> str:
    return key.venue_order_id or key.client_order_id


def _tick_e4(spec: OrderSpec) -> int:
    """Return the step of the price grid at the order's price."""
    for start, end, step in spec.target.terms.price_ranges:
        if start <= spec.limit_price_e4 <= end:
            return step
    raise InvalidAmount(f"no price range holds {spec.limit_price_e4}")


def _fills_of(trade: TradeState, key: OrderKey) -> list[NewFill]:
    """Return our order's fills in a trade. The fee is not stated by the venue; it follows from the schedule."""
    ours = {name.lower() for name in (key.client_order_id, key.venue_order_id) if name}
    return [
        NewFill(
            venue_fill_id=trade.trade_id,
            contracts_e6=fill.size_e6,
            cash_e6=fill.cash_e6,
            fee_e6=_fee_e6(fill, key),
            state=_TRADE_STATES.get(trade.status, "provisional"),
            filled_at=trade.matched_at or datetime.now(UTC),
            payload=orjson.loads(orjson.dumps(trade.payload)),
            is_fee_stated=False,
        )
        for fill in trade.fills
        if fill.order_id.lower() in ours
    ]


def _fee_e6(fill: TokenFill, key: OrderKey) -> int:
    """Return the fee of a fill: a taker's is charged for each maker it met, at that maker's price."""
    fee_of = taker_fee_e6 if fill.is_taker else maker_fee_e6
    schedule, is_buy = key.target.schedule, key.action == "buy"
    return sum(fee_of(price, size, schedule, is_buy=is_buy) for price, size in fill.pieces)
