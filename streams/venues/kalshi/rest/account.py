"""What a Kalshi account holds and has done, and cash moved between its shards. Reads lag writes by some 400 ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from streams.venues.common.decimals import wire_size_e6
from streams.venues.common.listed_fields import id_of
from streams.venues.common.paging import Items, Page, all_items
from streams.venues.common.responses import cursor_of, page_of, read_done, read_page
from streams.venues.kalshi.rest.transport import (
    LIST_LIMIT,
    Filter,
    KalshiRequest,
    KalshiTransport,
    named_part,
    path_part,
)
from streams.venues.kalshi.types.orders import FillState, OrderState, parse_fill, parse_order
from streams.venues.kalshi.types.portfolio import (
    Balance,
    CashMovement,
    KeyTerms,
    Positions,
    PositionState,
    QueuePosition,
    RestingValue,
    SettlementState,
    ShardTransfer,
    SubaccountTransfer,
    allocation_body,
    parse_allocation,
    parse_balance,
    parse_cash_movement,
    parse_event_position,
    parse_key_terms,
    parse_position,
    parse_queue_position,
    parse_resting_value,
    parse_settlement,
    parse_subaccount_transfer,
    parse_transfer,
    transfer_body,
)

_POSITIONS = "/portfolio/positions"


class AccountReads(KalshiTransport):
    """Orders, fills, cash, positions and settlements of the key's account; times in Unix seconds.

    A list of which an item cannot be read is an `IncompleteList`: what it does not show may be there all the same.

    Where the client names no subaccount, orders, fills and settlements are those of all, positions those of the primary
    one alone.
    """

    async def orders(
        self,
        *,
        market_id: str | None = None,
        event_tickers: Sequence[str] = (),
        status: str | None = None,
        min_ts: int | None = None,
        max_ts: int | None = None,
    ) -> list[OrderState]:
        """Return our orders, newest first. There is no filter by client_order_id."""
        filters: dict[str, Filter] = {
            "ticker": market_id,
            "event_ticker": ",".join(event_tickers) or None,
            "status": status,
            "min_ts": min_ts,
            "max_ts": max_ts,
        }
        return await self._all_once("/portfolio/orders", "orders", parse_order, lambda o: o.order_id, **filters)

    async def order(self, order_id: str) -> OrderState:
        """Return one of our orders. Right after a cancel it may still be reported as resting."""
        return await self._read(
            f"/portfolio/orders/{path_part(order_id)}",
            lambda answer: parse_order(named_part(answer, "order", "order_id", order_id)),
        )

    async def queue_positions(
        self, *, market_ids: Sequence[str] = (), event_ticker: str | None = None
    ) -> list[QueuePosition]:
        """Return what stands before our resting orders in some markets or in an event."""
        found = await self._list(
            "/portfolio/orders/queue_positions",
            "queue_positions",
            parse_queue_position,
            market_tickers=",".join(market_ids) or None,
            event_ticker=event_ticker,
        )
        return found.whole("queue_positions")

    async def queue_position(self, order_id: str) -> int:
        """Return how many contracts stand before one resting order, as `size_e6`."""
        path = f"/portfolio/orders/{path_part(order_id)}/queue_position"
        return await self._read(path, lambda answer: wire_size_e6(answer["queue_position_fp"]))

    async def resting_value(self) -> RestingValue:
        """Return what all our resting orders are worth."""
        return await self._read("/portfolio/summary/total_resting_order_value", parse_resting_value)

    async def fills(
        self,
        *,
        market_id: str | None = None,
        order_id: str | None = None,
        min_ts: int | None = None,
        max_ts: int | None = None,
    ) -> list[FillState]:
        """Return our executions, newest first; they carry no client_order_id."""
        filters: dict[str, Filter] = {"ticker": market_id, "order_id": order_id, "min_ts": min_ts, "max_ts": max_ts}
        return await self._all_once("/portfolio/fills", "fills", parse_fill, lambda f: f.key, **filters)

    async def account_balance(self) -> Balance:
        """Return the cash with its breakdown by shard."""
        return await self._read("/portfolio/balance", parse_balance)

    async def balance(self) -> int:
        """Return the cash as `cash_e6`, over all shards."""
        return (await self.account_balance()).cash_e6

    async def holdings(
        self, *, market_id: str | None = None, event_ticker: str | None = None, settlement_status: str | None = None
    ) -> Positions:
        """Return positions by market and by event; `settlement_status` unsettled (default), settled or all."""
        filters: dict[str, Filter] = {
            "ticker": market_id,
            "event_ticker": event_ticker,
            "settlement_status": settlement_status,
        }

        async def fetch(cursor: str) -> Page[Positions]:
            parameters = {"limit": LIST_LIMIT, **filters, "cursor": cursor or None}
            raw = await self._send(KalshiRequest("GET", _POSITIONS, parameters))
            answer, markets = read_page(raw, "market_positions", parse_position)
            _, events = read_page(raw, "event_positions", parse_event_position)
            positions = Positions(markets=markets.whole("market_positions"), events=events.whole("event_positions"))
            return page_of(Items([positions]), lambda: cursor_of(answer, "cursor"))

        pages = await all_items(fetch)
        return Positions(
            markets=[position for page in pages for position in page.markets],
            events=[position for page in pages for position in page.events],
        )

    async def positions(self, *, market_id: str | None = None) -> list[PositionState]:
        """Return what we hold in markets that are not settled."""
        found = await self._all(_POSITIONS, "market_positions", parse_position, ticker=market_id)
        return found.whole("market_positions")

    async def settlements(
        self, *, market_id: str | None = None, min_ts: int | None = None, max_ts: int | None = None
    ) -> list[SettlementState]:
        """Return what settled markets paid, newest first."""
        filters: dict[str, Filter] = {"ticker": market_id, "min_ts": min_ts, "max_ts": max_ts}
        return (await self._all("/portfolio/settlements", "settlements", parse_settlement, **filters)).whole(
            "settlements"
        )

    async def key_terms(self) -> KeyTerms:
        """Return what the client's key may do, and until when.

        Raises:
            NotFound: If the venue does not list the key.
        """
        return await self._read("/api_keys", lambda answer: parse_key_terms(answer, self.key_id))

    # -- cash from and to outside -------------------------------------------------------------------------------------

    async def deposits(self) -> list[CashMovement]:
        """Return the deposits of the whole account, newest first."""
        return await self._movements("deposits")

    async def withdrawals(self) -> list[CashMovement]:
        """Return the withdrawals of the whole account, newest first."""
        return await self._movements("withdrawals")

    async def _movements(self, name: str) -> list[CashMovement]:
        # The limit of these lists is half that of the others.
        return (await self._all(f"/portfolio/{name}", name, parse_cash_movement, limit=500)).whole(name)

    async def subaccount_transfers(self) -> list[SubaccountTransfer]:
        """Return the transfers between the account's subaccounts, newest first."""
        found = await self._all("/portfolio/subaccounts/transfers", "transfers", parse_subaccount_transfer)
        return found.whole("transfers")

    # -- cash between shards --------------------------------------------------------------------------------------

    async def transfer(self, source: int, destination: int, amount_e6: int, *, client_transfer_id: str = "") -> str:
        """Move cash from one shard to another, once; returns the transfer's id.

        Args:
            source / destination: Shards by exchange_index.
            amount_e6: A multiple of 0.0001 dollar.
            client_transfer_id: Our own name of it, which the venue takes since 2026-10-15.

        Raises:
            OutcomeUnknown: It may have happened; `transfers` and the balance's breakdown tell. `order_ids` has its
                name.
        """
        body = orjson.dumps(transfer_body(source, destination, amount_e6, client_transfer_id))
        path = "/portfolio/intra_exchange_instance_transfer"
        return await self._write(
            KalshiRequest("POST", path, body=body, routing="unscoped"),
            lambda answer: id_of(answer, "transfer_id"),
            order_ids=[client_transfer_id] if client_transfer_id else [],
        )

    async def transfers(self) -> list[ShardTransfer]:
        """Return the transfers between shards, newest first."""
        # This list's own limit is not known to reach a thousand.
        path = "/portfolio/intra_exchange_instance_transfers"
        return (await self._all(path, "transfers", parse_transfer, limit=100)).whole("transfers")

    async def target_allocation(self) -> dict[int, int]:
        """Return the percent of cash the venue keeps on each shard, by exchange_index."""
        return await self._read("/portfolio/target_balance_allocation", parse_allocation)

    async def set_target_allocation(self, percents: Mapping[int, int]) -> None:
        """Set the percent of cash for each shard; the venue moves it every ten seconds."""
        body = orjson.dumps(allocation_body(dict(percents)))
        path = "/portfolio/target_balance_allocation"
        read_done(await self._send(KalshiRequest("POST", path, body=body, routing="unscoped")))
