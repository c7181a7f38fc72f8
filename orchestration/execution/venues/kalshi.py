"""Kalshi as a gateway: immediate-or-cancel limits under our client_order_id.

What became of an order is read from the lists of orders and fills.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from orchestration.execution.decide.gate.venue_states import (
    AccountKind,
    AccountState,
    KeyState,
    MarketState,
    SendingState,
    account_kind,
    clock_ahead_ms,
)
from orchestration.execution.venues import kalshi_moves
from orchestration.execution.venues.answers import of_kalshi
from orchestration.execution.venues.gateway import (
    AccountFill,
    AccountMove,
    AwaitedMarket,
    OpenOrder,
    OrderAnswer,
    OrderExists,
    OrderKey,
    OrderReading,
    OrderSpec,
    Payout,
    Payouts,
    PreparedOrder,
    budget_left,
    to_ask_by_name,
)
from orchestration.execution.venues.order_groups import OrderGroups, says_tripped
from streams.market.errors import IncompleteList, NotFound, Refused, StreamsError
from streams.market.events import BookSnapshot
from streams.market.fees import KalshiFeeSchedule, KalshiOrderFees
from streams.market.identity import Outcome, Venue
from streams.market.trading import MarketInfo, NewFill, Siblings, Target
from streams.market.units import PRICE_ONE_E4, cash_e6_of
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types.listings import parse_market
from streams.venues.kalshi.types.orders import FillState as KalshiFill
from streams.venues.kalshi.types.orders import OrderState, order_request
from streams.venues.kalshi.types.portfolio import SettlementState

_CLOCK_SLACK = timedelta(days=1)
"""Lists are read from this long before an order was sent: a clock that was set wrong then hides nothing."""
_EXISTS = "order_already_exists"
# Ended orders stay in Kalshi's live list for two weeks, fills for two months or more; younger ones are never archived.
_ARCHIVED_AFTER = timedelta(days=1)
_LATELY = timedelta(days=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ENDED = frozenset({"executed", "canceled"})


class KalshiGateway:
    """Kalshi through its REST client."""

    venue = Venue.KALSHI
    buys_spend_dollars = False
    is_simulated = False

    def __init__(self, client: KalshiClient, groups: OrderGroups | None = None, *, is_fee_inside: bool = True) -> None:
        """Arguments.

        Args:
            client: Of the account.
            groups: Those in which orders that buy stand; without them they stand in none.
            is_fee_inside: Whether the amounts of deposits and withdrawals hold their fees.
        """
        self._client = client
        self._is_fee_inside = is_fee_inside
        self._groups = groups

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        """Return the books of all targets in one call."""
        asked = [target.market_id for target in targets]
        books = await self._client.order_books(asked)
        return {book.market_id: book for book in books if book.market_id in asked}

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        """Build an immediate-or-cancel order under a new client_order_id.

        Raises:
            HeldBack: If it buys and has no order group to stand in.
        """
        client_order_id = str(uuid.uuid4())
        request = order_request(
            spec.target.market_id,
            outcome=spec.outcome,
            action=spec.action,
            price_e4=spec.limit_price_e4,
            size_e6=spec.size_e6,
            client_order_id=client_order_id,
        )
        group = self._groups.group_of(spec.target) if self._groups is not None and spec.action == "buy" else ""
        request = replace(
            request, order_group_id=group, subaccount=self._client.subaccount, reduce_only=spec.is_reduce_only
        )
        return PreparedOrder(client_order_id, {"body": request.body().decode()}, spec=spec)

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        """Send the stored bytes once. That the id is taken is no refusal: an order of ours may be there under it."""
        try:
            body = str(order.request["body"]).encode()
            answer = await self._client.send_order(body, order.last_check, order.deadline)
        except Refused as refused:
            if refused.code == _EXISTS:
                raise OrderExists(str(refused), (order.client_order_id,)) from refused
            group = orjson.loads(str(order.request["body"])).get("order_group_id")
            if self._groups is not None and group and says_tripped(refused):
                self._groups.on_tripped(group, str(refused))
            raise
        return of_kalshi(answer, order.spec)

    async def read(self, key: OrderKey) -> OrderReading:
        """Find the order by its client id among those of its market, and its fills by its id.

        Only words that are known to end an order make the reading final.
        """
        found = await self._find(key)
        return OrderReading(is_found=False) if found is None else await self._reading(found, key)

    async def search(self, key: OrderKey, siblings: Siblings) -> OrderReading:
        """Look for the order among all orders and fills of its market, after asking how far these lists reach.

        They prove nothing where they lack an order that they must show, or show a fill of an order that is not known:
        fills do not carry our own id.
        """
        behind_s = await self._client.user_data_behind_s()
        listed = await self._listed_orders(key)
        for order in listed:
            if _is_ours(order, key):
                return await self._reading(order, key)
        fills = await self._client.fills(market_id=key.target.market_id, min_ts=_since(key))
        ids = {order.order_id for order in listed}
        is_whole = siblings.must_show <= ids and {fill.order_id for fill in fills} <= ids | siblings.known
        return OrderReading(is_found=False, behind_s=behind_s if is_whole else None)

    async def _listed_orders(self, key: OrderKey) -> list[OrderState]:
        """Return all orders of the market that are listed, the archived ones where ours may be among them.

        Raises:
            IncompleteList: If one of them cannot be read and ours is not among the others.
        """
        listed = await self._whole(key, self._client.orders(market_id=key.target.market_id))
        if not any(_is_ours(order, key) for order in listed) and _may_be_archived(key):
            listed += await self._whole(key, self._client.historical_orders(market_id=key.target.market_id))
        return listed

    async def _reading(self, found: OrderState, key: OrderKey) -> OrderReading:
        """Return what an order of the list says, with its fills."""
        fills = await self._fills(found, key)
        is_buy = key.action == "buy"
        computed = _computed_fees(fills, key)
        return OrderReading(
            is_found=True,
            is_final=found.status in _ENDED,
            venue_order_id=found.order_id,
            filled_e6=found.filled_e6,
            fills=tuple(
                NewFill(
                    venue_fill_id=fill.fill_id,
                    contracts_e6=fill.size_e6,
                    cash_e6=cash_e6_of(fill.price_of(key.outcome), fill.size_e6, paying=is_buy),
                    fee_e6=fill.fee_e6,
                    state="confirmed",
                    filled_at=fill.created_at or datetime.now(UTC),
                    payload=fill.payload,
                    computed_fee_e6=computed.get(fill.key),
                )
                for fill in fills
            ),
            status=found.status,
        )

    async def cancel(self, key: OrderKey) -> None:
        """Cancel what rests, found by its client id where ours is all we have; that there is nothing is no error."""
        order_id = key.venue_order_id
        if order_id is None:
            found = await self._find(key)
            order_id = found.order_id if found is not None and found.status == "resting" else None
        if order_id is None:
            return
        try:
            await self._client.cancel_order(order_id, key.target.market_id)
        except NotFound:
            return

    async def _find(self, key: OrderKey) -> OrderState | None:
        found = await self._among(key, self._client.orders(market_id=key.target.market_id, min_ts=_since(key)))
        if found is not None or not _may_be_archived(key):
            return found
        cutoff = (await self._client.historical_cutoff()).orders_at
        if cutoff is None or key.sent_at >= cutoff:
            return None
        return await self._among(key, self._client.historical_orders(market_id=key.target.market_id))

    async def _among(self, key: OrderKey, listed: Awaitable[Sequence[OrderState]]) -> OrderState | None:
        """Return our order among those of a list; errors as for `_whole`."""
        return next((order for order in await self._whole(key, listed) if _is_ours(order, key)), None)

    async def _whole(self, key: OrderKey, listed: Awaitable[Sequence[OrderState]]) -> list[OrderState]:
        """Return the orders of a list.

        Raises:
            IncompleteList: If ours is not among those that can be read, and others cannot: it may be one of them.
        """
        incomplete: IncompleteList | None = None
        orders: Sequence[object]
        try:
            orders = await listed
        except IncompleteList as error:
            orders, incomplete = error.items, error
        found = [order for order in orders if isinstance(order, OrderState)]
        if incomplete is not None and not any(_is_ours(order, key) for order in found):
            raise incomplete
        return found

    async def _fills(self, order: OrderState, key: OrderKey) -> list[KalshiFill]:
        """Return an order's fills, with those that the live list has given to the archive."""
        listed = await self._client.fills(order_id=order.order_id)
        fills = {fill.key: fill for fill in listed if fill.order_id == order.order_id}
        if sum(fill.size_e6 for fill in fills.values()) < order.filled_e6 and _may_be_archived(key):
            archived = await self._client.historical_fills(market_id=key.target.market_id)
            fills |= {fill.key: fill for fill in archived if fill.order_id == order.order_id}
        return list(fills.values())

    async def cancel_all(self) -> None:
        """Cancel what rests on all shards; what is sent within the next minute may die too."""
        await self._client.cancel_all()

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Return the orders listed as resting."""
        return [
            OpenOrder(order.order_id, order.client_order_id, order.market_id, order.remaining_e6, order.payload)
            for order in await self._client.orders(status="resting")
        ]

    async def fills_since(self, since: datetime) -> Sequence[AccountFill]:
        """Return the fills since a time, each as a purchase: a sale is none but one of the other side."""
        return [
            AccountFill(
                self.venue,
                fill.order_id,
                fill.market_id,
                fill.outcome,
                "",
                "buy",
                fill.is_taker,
                NewFill(
                    venue_fill_id=fill.fill_id,
                    contracts_e6=fill.size_e6,
                    cash_e6=cash_e6_of(fill.price_of(fill.outcome), fill.size_e6, paying=True),
                    fee_e6=fill.fee_e6,
                    state="confirmed",
                    filled_at=fill.created_at or datetime.now(UTC),
                    payload=fill.payload,
                ),
            )
            for fill in await self._client.fills(min_ts=int(since.timestamp()))
        ]

    async def moves_since(self, since: datetime) -> Sequence[AccountMove]:
        """Return the deposits, withdrawals and transfers of the client's subaccount, or of the whole account."""
        found = [kalshi_moves.of_shards(row) for row in await self._client.transfers()]
        own = self._client.subaccount or 0
        if own == 0:
            is_inside = self._is_fee_inside
            found += [kalshi_moves.of_deposit(row, is_inside) for row in await self._client.deposits()]
            found += [kalshi_moves.of_withdrawal(row, is_inside) for row in await self._client.withdrawals()]
        if self._client.subaccount is not None:
            found += [kalshi_moves.of_subaccounts(row, own) for row in await self._client.subaccount_transfers()]
        return [move for move in found if move is not None and move.at >= since]

    async def client_order_id(self, venue_order_id: str) -> str:
        """Ask for an order by the venue's id; fills carry no other."""
        try:
            return (await self._client.order(venue_order_id)).client_order_id
        except NotFound:
            return ""

    async def positions(self) -> Mapping[tuple[str, Outcome], int]:
        """Return what is held of markets that are not settled, YES less NO."""
        return {(held.market_id, "yes"): held.contracts_e6 for held in await self._client.positions()}

    async def cash_e6(self) -> int:
        """Return the account's cash."""
        return await self._client.balance()

    async def cash_by_shard(self) -> Mapping[int | None, int]:
        """Return each shard's cash; an order is only paid with its own market's."""
        balance = await self._client.account_balance()
        shards: dict[int | None, int] = dict(balance.by_shard.items())
        return shards or {None: balance.cash_e6}

    async def account_state(self) -> AccountState:
        """Return which exchange shards trade, announced maintenance, how far our clock is from the venue's, and what
        key and cash show of the account; a reader without a key has neither.
        """
        asked_at = datetime.now(UTC)
        dated_at = await self._client.venue_time()
        answered_at = datetime.now(UTC)
        status, schedule = await asyncio.gather(self._client.exchange_status(), self._client.exchange_schedule())
        key, kind = await self._key_and_kind() if self._client.key_id else (None, None)
        others = status.is_trading and status.is_active and not status.has_unreadable_shards
        return AccountState(
            trading_shards={
                "": others,
                **{str(shard.exchange_index): shard.is_trading and shard.is_active for shard in status.shards},
            },
            maintenance=schedule.maintenance,
            clock_ahead_ms=clock_ahead_ms(asked_at, dated_at, answered_at),
            key=key,
            kind=kind,
        )

    async def _key_and_kind(self) -> tuple[KeyState, AccountKind]:
        """Return what is known of the account; a key that the venue does not list may not trade."""
        balance = await self._client.account_balance()
        try:
            terms = await self._client.key_terms()
        except NotFound:
            return KeyState(may_trade=False), account_kind(balance.cash_e6, is_of_a_broker=False)
        kind = account_kind(balance.cash_e6, is_of_a_broker=terms.is_of_a_broker)
        return KeyState(terms.may_trade, terms.ends_at), kind

    def sending_state(self) -> SendingState:
        """Return what the request budget leaves; that orders are taken is read with the exchange's status."""
        return SendingState(budget_left(self._client.orders_left))

    async def market_state(self, market: MarketInfo) -> MarketState:
        """Return a market with the fees of its event and series."""
        stated, event, series = await asyncio.gather(
            self._client.market(market.market_id),
            self._client.event(market.event_id),
            self._client.series(market.terms.series_id),
        )
        found = parse_market(stated.payload, event.payload, series.payload, now=datetime.now(UTC))
        steps = {step for _, _, step in found.terms.price_ranges}
        return MarketState(
            status=found.status,
            fee_schedule=found.terms.fee_schedule,
            tick_e4=steps.pop() if len(steps) == 1 else None,
            closes_at=found.listing.close_time,
        )

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        """Return the settlements of markets. What was paid is only stated in whole cents, so it is left open.

        One call reads what settled lately, which is where nearly all of them stand, also those that closed early; what
        is over and not among them is asked for by its name, so that its age does not matter.
        """
        known = {market.market_id: market.known_e4 for market in markets}
        result, newest = Payouts(), dict[str, Payout]()
        since = int((datetime.now(UTC) - _LATELY).timestamp())
        await self._keep_newest(result, newest, await self._listed(result, "", min_ts=since), known)
        for market in to_ask_by_name(markets, newest.keys()):
            if result.is_away:
                break
            rows = await self._listed(result, market.market_id, market_id=market.market_id)
            await self._keep_newest(result, newest, rows, known)
        result.found += newest.values()
        return result

    async def _listed(self, result: Payouts, name: str, **filters: Any) -> Sequence[object]:
        """Return what can be read of a list; an error is noted under a name."""
        try:
            return await self._client.settlements(**filters)
        except IncompleteList as error:
            result.failed[name] = error
            return error.items
        except StreamsError as error:
            result.failed[name] = error
            return []

    async def _keep_newest(
        self, result: Payouts, newest: dict[str, Payout], rows: Sequence[object], known: dict[str, int | None]
    ) -> None:
        """Add the payouts of rows; of several rows of a market the one that settled last counts, as a correction would.

        What a scalar result pays the list says in whole cents only: where we do not know it, the market is asked.
        """
        for row in rows:
            if not isinstance(row, SettlementState) or row.market_id not in known:
                continue
            if row.result == "scalar" and known[row.market_id] is None:
                try:
                    known[row.market_id] = (await self._client.market(row.market_id)).settlement_e4
                except StreamsError as error:
                    result.failed[row.market_id] = error
                    continue
            value, before = _value_e4(row, known[row.market_id]), newest.get(row.market_id)
            if value is None:
                continue
            if before is None or (row.settled_at or _LONG_AGO) > (before.settled_at or _LONG_AGO):
                newest[row.market_id] = Payout(row.market_id, value, None, row.settled_at, row.payload)

    async def redeem(self, target: Target) -> str:
        """Nothing is owed: Kalshi pays by itself."""
        raise Refused("nothing_owed", "Kalshi pays by itself")


def _computed_fees(fills: Sequence[KalshiFill], key: OrderKey) -> dict[tuple[str, str], int]:
    """Return what our own arithmetic charges for each fill of an order; empty where the schedule is not known."""
    schedule = key.target.schedule
    if not isinstance(schedule, KalshiFeeSchedule):
        return {}
    fees, is_buy = KalshiOrderFees(schedule), key.action == "buy"
    return {
        fill.key: fees.fill(fill.price_of(key.outcome), fill.size_e6, is_taker=fill.is_taker, is_buy=is_buy).fee_e6
        for fill in sorted(fills, key=lambda fill: (fill.created_at or _LONG_AGO, fill.fill_id))
    }


def _is_ours(order: OrderState, key: OrderKey) -> bool:
    return order.client_order_id == key.client_order_id and order.market_id == key.target.market_id


def _since(key: OrderKey) -> int:
    return int((key.sent_at - _CLOCK_SLACK).timestamp())


def _may_be_archived(key: OrderKey) -> bool:
    return datetime.now(UTC) - key.sent_at > _ARCHIVED_AFTER


def _value_e4(row: SettlementState, known: int | None) -> int | None:
    """Return what one YES paid; for scalar results the market's own value is finer than the settlement's cents.

    A word that we do not know settles nothing.
    """
    if row.result in ("yes", "no"):
        return PRICE_ONE_E4 if row.result == "yes" else 0
    if row.result != "scalar":
        return None
    value = known if known is not None else row.value_e4
    return value if value is not None and 0 <= value <= PRICE_ONE_E4 else None
