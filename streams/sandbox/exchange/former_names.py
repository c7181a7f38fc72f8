"""The names by which the venue emulators still reach what services and state now hold. It goes when they follow."""

from __future__ import annotations

from typing import Any

from streams.sandbox.core.faults import SettlementPlan
from streams.sandbox.core.profile import Behaviour
from streams.sandbox.core.records import Changes, ExchangeMode, Payout
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.inventory import Inventory
from streams.sandbox.exchange.lagged_replica import LaggedReplica
from streams.sandbox.exchange.market_lifecycle import MarketLifecycle
from streams.sandbox.exchange.order_entry import OrderEntry
from streams.sandbox.exchange.settlement import Settlement
from streams.sandbox.exchange.settlement_timing import SettlementTiming
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture
from streams.sandbox.exchange.trading_status import TradingStatus
from streams.sandbox.exchange.transfers import Transfers


class FormerNames:
    """State and services of an exchange under their former names."""

    state: ExchangeState
    replica: LaggedReplica
    feed: ChangeFeed
    timing: SettlementTiming
    capture: TradeCapture
    order_entry: OrderEntry
    status: TradingStatus
    transfers: Transfers
    settlement: Settlement
    inventory: Inventory
    lifecycle: MarketLifecycle

    def name_as_before(self) -> None:
        """Give state and services their former names."""
        state, orders, lifecycle = self.state, self.order_entry, self.lifecycle
        self.venue, self.faults, self.engine = state.venue, state.faults, state.engine
        self.accounts, self.netting, self.markets = state.accounts, state.collateral, state.markets
        self.tickets, self.resting, self.delayed = state.orders, state.resting, state.delayed
        self.trades, self.public_trades, self.unsettled = state.trades, state.public_trades, state.unsettled
        self.listeners, self.past_keys, self.reads = state.listeners, state.past_keys, self.replica
        self.past_key, self.open_tickets = state.past_key, state.resting_orders
        self.drain_house_fills = state.drain_participant_fills
        self.note_account, self.end_resting = self.feed.note_account, self.capture.end_resting
        self.place, self.hold, self.release = orders.place, orders.hold, orders.release
        self.amend, self.decrease, self.cancel, self.cancel_all = (
            orders.amend, orders.decrease, orders.cancel, orders.cancel_all
        )  # fmt: skip
        self.set_mode, self.redeem = self.status.change, self.settlement.redeem
        self.fail_trade, self.failing_share = self.settlement.fail_trade, self.timing.failing_share
        self.reserved_e6, self.transfer = self.transfers.reserved_e6, self.transfers.transfer
        self.set_netting, self.net_at_once = self.transfers.set_netting, self.transfers.net_at_once
        self.end_uncovered, self.set_allocation = self.transfers.end_uncovered, self.transfers.set_allocation
        self.split, self.merge, self.convert = self.inventory.split, self.inventory.merge, self.inventory.convert
        self.pause_market, self.reactivate_market = lifecycle.pause, lifecycle.reactivate
        self.list_market = lifecycle.list_market
        self.close_early, self.change_close = lifecycle.close_early, lifecycle.change_close

    @property
    def behaviour(self) -> Behaviour:
        """`state.profile`."""
        return self.state.profile

    @behaviour.setter
    def behaviour(self, value: Behaviour) -> None:
        self.state.profile = value

    @property
    def changes(self) -> Changes:
        """`state.changes`."""
        return self.state.changes

    @changes.setter
    def changes(self, value: Changes) -> None:
        self.state.changes = value

    @property
    def face_state(self) -> dict[str, Any]:
        """`state.saved`."""
        return self.state.saved

    @face_state.setter
    def face_state(self, value: dict[str, Any]) -> None:
        self.state.saved = value

    @property
    def mode(self) -> ExchangeMode:
        """`state.mode`."""
        return self.state.mode

    @mode.setter
    def mode(self, value: ExchangeMode) -> None:
        self.state.mode = value

    @property
    def mode_until_ms(self) -> int | None:
        """`state.mode_until_ms`."""
        return self.state.mode_until_ms

    @mode_until_ms.setter
    def mode_until_ms(self, value: int | None) -> None:
        self.state.mode_until_ms = value

    @property
    def mode_then(self) -> ExchangeMode:
        """`state.mode_then`."""
        return self.state.mode_then

    @mode_then.setter
    def mode_then(self, value: ExchangeMode) -> None:
        self.state.mode_then = value

    @property
    def payouts(self) -> list[Payout]:
        """`state.payouts`."""
        return self.state.payouts

    @payouts.setter
    def payouts(self, value: list[Payout]) -> None:
        self.state.payouts = value

    @property
    def payout_step_e6(self) -> int:
        """`state.payout_step_e6`."""
        return self.state.payout_step_e6

    @payout_step_e6.setter
    def payout_step_e6(self, value: int) -> None:
        self.state.payout_step_e6 = value

    @property
    def refused_house_orders(self) -> int:
        """`state.refused_participant_orders`."""
        return self.state.refused_participant_orders

    @refused_house_orders.setter
    def refused_house_orders(self, value: int) -> None:
        self.state.refused_participant_orders = value

    @property
    def listed_count(self) -> int:
        """`state.listed_count`."""
        return self.state.listed_count

    @listed_count.setter
    def listed_count(self, value: int) -> None:
        self.state.listed_count = value

    @property
    def ticket_count(self) -> int:
        """`state.order_count`."""
        return self.state.order_count

    @ticket_count.setter
    def ticket_count(self, value: int) -> None:
        self.state.order_count = value

    @property
    def trade_count(self) -> int:
        """`state.trade_count`."""
        return self.state.trade_count

    @trade_count.setter
    def trade_count(self, value: int) -> None:
        self.state.trade_count = value

    @property
    def payout_count(self) -> int:
        """`state.payout_count`."""
        return self.state.payout_count

    @payout_count.setter
    def payout_count(self, value: int) -> None:
        self.state.payout_count = value

    @property
    def needs_mining(self) -> bool:
        """`timing.needs_mining`."""
        return self.timing.needs_mining

    @property
    def settlement_plan(self) -> SettlementPlan | None:
        """`timing.plan`."""
        return self.timing.plan
