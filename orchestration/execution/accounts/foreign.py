"""What a venue lists of an account and our rows lack: fills of our own orders that came late, and what others did.

Others are people who trade on the account by hand, and whoever else holds its key. What they traded is booked to
`foreign`, so that our books stay the venue's; an order of theirs that rests is noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta

from orchestration.execution.booking import record_foreign
from orchestration.execution.decide.ledger import FillFact
from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import AccountFill, Gateway, OpenOrder
from streams.logs import get_logger
from streams.market.fees import taker_fee_e6
from streams.market.identity import Outcome, market_key
from streams.market.trading import MarketInfo, OrderRow
from streams.storage.database import Connection
from streams.storage.store import orders
from streams.storage.store.accounting import breaks
from streams.storage.store.accounting.breaks import ForeignActivity, ListedSince
from streams.storage.store.hedges.fills import written_fills
from streams.storage.store.ledger import lock_market
from streams.storage.store.market_groups import load_market_infos

OVERLAP = timedelta(hours=1)
"""A list is read this far back before the last reading of which all was explained: venues show some things late."""


async def find_strangers(
    connection: Connection, context: TradingContext, gateway: Gateway, since: ListedSince, now: datetime
) -> list[str]:
    """Find what our rows lack; returns a sentence for each thing that somebody else did and that is new."""
    found = await _Strangers(connection, context, gateway, since, now).run()
    for sentence in found:
        get_logger().error("others act on the account", venue=gateway.venue.value, what=sentence)
    return found


class _Strangers:
    """Compares the lists of one account with our rows, once."""

    def __init__(
        self, connection: Connection, context: TradingContext, gateway: Gateway, since: ListedSince, now: datetime
    ) -> None:
        self._connection = connection
        self._context = context
        self._gateway = gateway
        self._since = since
        self._now = now
        self._venue, self._mode = gateway.venue, context.mode

    async def run(self) -> list[str]:
        """Read fills since all was explained, and what rests now."""
        read_from, opened_at = self._since.read_from - OVERLAP, self._since.opened_at
        listed = [f for f in await self._gateway.fills_since(read_from) if _is_since(f.fill.filled_at, opened_at)]
        resting = await self._gateway.open_orders()
        ids = {found.venue_order_id for found in listed} | {order.venue_order_id for order in resting}
        known = await self._own(ids, {order.venue_order_id: order.client_order_id for order in resting})
        new = self._unknown_fills(listed, known)
        keys = sorted({market_key(self._venue, found.market_id) for found in new})
        markets = load_market_infos(self._connection, keys)
        await self._follow_own(new, known, markets)
        sentences = [
            *(
                self._note_fill(f, markets.get(market_key(self._venue, f.market_id)))
                for f in new
                if f.venue_order_id not in known
            ),
            *(self._note_order(order) for order in resting if order.venue_order_id not in known),
        ]
        return [sentence for sentence in sentences if sentence]

    async def _own(self, asked: Set[str], names: Mapping[str, str]) -> dict[str, OrderRow]:
        """Return our orders among those of a list, by the venue's id; asked for by name where we have no id of it."""
        found = orders.load_by_venue_ids(self._connection, self._venue, sorted(asked))
        for venue_order_id in sorted(asked - found.keys()):
            if breaks.is_foreign(self._connection, self._mode, self._venue, venue_order_id):
                continue
            name = names.get(venue_order_id) or await self._gateway.client_order_id(venue_order_id)
            order = orders.load_named(self._connection, self._venue, name) if name else None
            if order is not None:
                found[venue_order_id] = order
        return found

    def _unknown_fills(self, listed: Sequence[AccountFill], known: Mapping[str, OrderRow]) -> list[AccountFill]:
        ids = [found.fill.venue_fill_id for found in listed]
        written = written_fills(self._connection, self._venue, ids)
        return [
            found
            for found in listed
            if (order := known.get(found.venue_order_id)) is None
            or (found.fill.venue_fill_id, order.order_id) not in written
        ]

    async def _follow_own(
        self, new: Sequence[AccountFill], known: Mapping[str, OrderRow], markets: Mapping[str, MarketInfo]
    ) -> None:
        """Read orders of ours again that have filled after we took them as ended; the others are followed anyway."""
        late = {order.order_id: order for found in new if (order := known.get(found.venue_order_id)) is not None}
        rows = [order for order in late.values() if order.is_resolved and order.market_key in markets]
        if rows:
            targets = {order.market_key: markets[order.market_key].target for order in rows}
            await OrderFollower(self._connection, self._context).recheck(rows, targets)

    def _note_fill(self, found: AccountFill, market: MarketInfo | None) -> str:
        """Book what somebody else traded and note it, once; one whose outcome nobody knows is noted only."""
        outcome = found.outcome or _outcome_of(found, market)
        fact = None if outcome is None else _fact(found, outcome, market)
        activity = ForeignActivity(
            kind="fill",
            venue_id=f"{found.fill.venue_fill_id}:{found.venue_order_id}",
            order_id=found.venue_order_id,
            market_id=found.market_id,
            outcome=outcome,
            action=found.action,
            contracts_e6=found.fill.contracts_e6,
            cash_e6=found.fill.cash_e6,
            fee_e6=found.fill.fee_e6 if fact is None else fact.fee_e6,
            happened_at=found.fill.filled_at,
            seen_at=self._now,
            detail=found.fill.payload,
        )
        if found.fill.state == "failed":
            self._take_back(activity.venue_id, fact, found)
            return ""
        with self._connection.transaction():
            lock_market(self._connection, self._venue.value, found.market_id)
            is_new = breaks.note_foreign(self._connection, self._mode, self._venue, activity, self._context.environment)
            if is_new and fact is not None:
                record_foreign(self._connection, self._context, fact, found.fill.filled_at)
        return f"a fill of {found.market_id} by the order {found.venue_order_id}" if is_new else ""

    def _take_back(self, venue_id: str, fact: FillFact | None, found: AccountFill) -> None:
        """Take back what somebody else traded and was booked, and has failed to settle; again nothing happens."""
        if fact is None or not breaks.is_noted(self._connection, self._mode, self._venue, venue_id):
            return
        with self._connection.transaction():
            lock_market(self._connection, self._venue.value, found.market_id)
            record_foreign(self._connection, self._context, fact, found.fill.filled_at, has_failed=True)

    def _note_order(self, order: OpenOrder) -> str:
        activity = ForeignActivity(
            kind="order",
            venue_id=order.venue_order_id,
            order_id=order.venue_order_id,
            market_id=order.market_id,
            outcome=None,
            action=None,
            contracts_e6=order.remaining_e6,
            cash_e6=0,
            fee_e6=0,
            happened_at=None,
            seen_at=self._now,
            detail=order.payload,
        )
        is_new = breaks.note_foreign(self._connection, self._mode, self._venue, activity, self._context.environment)
        return f"the order {order.venue_order_id} rests on {order.market_id}" if is_new else ""


def _is_since(at: datetime, opened_at: datetime) -> bool:
    """Whether a fill came after an account's cash was booked; some venues tell whole seconds only."""
    return at >= (opened_at if at.microsecond else opened_at.replace(microsecond=0))


def _outcome_of(found: AccountFill, market: MarketInfo | None) -> Outcome | None:
    if market is None or not found.token_id:
        return None
    return {market.terms.yes_token: "yes", market.terms.no_token: "no"}.get(found.token_id)  # type: ignore[return-value]


def _fact(found: AccountFill, outcome: Outcome, market: MarketInfo | None) -> FillFact:
    fill, fee = found.fill, found.fill.fee_e6
    if not fill.is_fee_stated and market is not None and found.is_taker and fill.contracts_e6:
        price = fill.cash_e6 * 10_000 // fill.contracts_e6
        fee = taker_fee_e6(price, fill.contracts_e6, market.target.schedule) if 0 < price < 10_000 else 0
    return FillFact(
        fill_key=f"{fill.venue_fill_id}:{found.venue_order_id}",
        venue=found.venue,
        market_id=found.market_id,
        outcome=outcome,
        action=found.action,
        contracts_e6=fill.contracts_e6,
        cash_e6=fill.cash_e6,
        fee_e6=fee,
        execution_id=None,
        order_id=None,
    )
