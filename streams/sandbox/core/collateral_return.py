"""Collateral that is returned to accounts across the markets of an event, and what their orders there may still cost.

For every event an account holds what was returned to it: cash that its positions are sure to pay later. Escrow lends it
and has it back from the payouts, so cash, escrow and fees less what is returned stay what was deposited.

Who switches it off keeps it in the events in which collateral was returned or orders are open, until they settle:
the venue says of its switch that it applies to future positions only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.market.identity import Outcome
from streams.sandbox.core.accounts import Account, Accounts
from streams.sandbox.core.collateral import (
    CollateralType,
    Leg,
    Rung,
    collateral_type,
    is_ladder,
    is_possible,
    least_e6,
    rung_of,
)
from streams.sandbox.core.records import ListedMarket


@dataclass(slots=True)
class Group:
    """The markets of one event on one shard; for a ladder the widest first.

    A shard is the venue's for a whole event. Where a catalogue splits one, each part stands by itself.
    """

    key: str
    shard: int
    kind: CollateralType = ""
    markets: list[ListedMarket] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether every market has paid."""
        return all(listed.status == "settled" for listed in self.markets)

    @property
    def is_broken(self) -> bool:
        """Whether what the settled markets paid was not among the results the scheme counts on."""
        return not is_possible(self.kind, [m.settlement_e4 or 0 for m in self.markets if m.status == "settled"])

    def arrange(self) -> None:
        """Find the scheme and the order of the markets anew."""
        event, strikes = self.markets[0].event, [listed.market.strike for listed in self.markets]
        self.kind = collateral_type(event.extra.get("collateral_return_type"), strikes, is_exclusive=event.is_exclusive)
        if self.kind == "DIRECNET" and not is_ladder(strikes):
            self.kind = ""
        elif self.kind == "DIRECNET":
            self.markets.sort(key=_rung)


@dataclass(frozen=True, slots=True)
class Stake:
    """Contracts of an outcome that were bought or may be, for a cost (1/1,000,000)."""

    market_id: str
    outcome: Outcome
    contracts_e6: int
    cost_e6: int


class CollateralReturns:
    """Knows across which markets collateral is returned, and keeps it in line with what accounts hold."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._groups: dict[str, Group] = {}
        self._by_market: dict[str, Group] = {}

    def list_market(self, listed: ListedMarket) -> None:
        """Put a market beside the others of its event."""
        key = f"{listed.event.event_id}/{listed.shard}"
        group = self._groups.setdefault(key, Group(key, listed.shard))
        group.markets.append(listed)
        group.arrange()
        self._by_market[listed.market_id] = group

    def evict_market(self, market_id: str) -> None:
        """Drop a market that is kept no more."""
        group = self._by_market.pop(market_id, None)
        if group is not None:
            group.markets = [listed for listed in group.markets if listed.market_id != market_id]
            if not group.markets:
                del self._groups[group.key]

    def is_needed(self, market_id: str) -> bool:
        """Whether a settled market still bounds what others of its event can pay."""
        group = self._by_market.get(market_id)
        return group is not None and group.kind != "" and not group.is_over

    def over(self, market_id: str) -> Group | None:
        """The market's group if all of it has paid."""
        group = self._by_market.get(market_id)
        return group if group is not None and group.is_over else None

    def group(self, key: str) -> Group:
        """A group by its key."""
        return self._groups[key]

    def group_for(self, account: Account, market_id: str) -> Group | None:
        """The market's group if collateral is returned to the account in it."""
        group = self._by_market.get(market_id)
        if group is None or not (group.key in account.returned_e6 or (account.is_netting and group.kind)):
            return None
        return group

    # -- what is returned -------------------------------------------------------------------------------------------

    def switch(self, account: Account, open_markets: Iterable[str], *, is_on: bool) -> None:
        """Return collateral to an account from its next trade in an event on, or not in events it has nothing in."""
        if not is_on:
            for market_id in open_markets:
                group = self.group_for(account, market_id)
                if group is not None:
                    account.returned_e6.setdefault(group.key, 0)
        account.is_netting = is_on

    def follow(self, account: Account, group: Group, spare_e6: int | None = None) -> int:
        """Return collateral, or take back what positions do not guarantee any more.

        What cannot be taken back stays owed, and is taken from what the event pays later.

        Args:
            account: Whose positions in the group changed.
            group: The group.
            spare_e6: The most that may be taken; None for all cash on the shard.

        Returns:
            The change of the account's cash (1/1,000,000 dollar).
        """
        returned = account.returned_e6.get(group.key, 0)
        change = self.guaranteed_e6(account, group) - returned
        if change < 0:
            most = account.cash_by_shard_e6.get(group.shard, 0) if spare_e6 is None else spare_e6
            change = -min(-change, max(0, most))
        account.returned_e6[group.key] = returned + change
        if change:
            account.add_cash(group.shard, change)
        return change

    def finish(self, group: Group) -> list[Account]:
        """End the return in a group that is over: what is still owed is the venue's loss. Returns who was in it."""
        found = [account for account in self._accounts.accounts.values() if group.key in account.returned_e6]
        for account in found:
            self._accounts.shortfall_e6 += account.returned_e6.pop(group.key)
        return found

    def guaranteed_e6(self, account: Account, group: Group) -> int:
        """What the account's positions in the group are sure to pay together."""
        return least_e6(group.kind, _legs(account, group, (), ()))

    # -- what orders may cost ---------------------------------------------------------------------------------------

    def needed_e6(self, account: Account, group: Group, orders: Iterable[Stake], bought: Iterable[Stake] = ()) -> int:
        """The cash that orders in the group may take, whichever of them fill; negative when buying returns more.

        A fill takes its cost and brings what it adds to the sure payout. Of all sets of fills the worst, for each
        result, are the orders that lose in it: returned + max over results of (cost of the losing orders - payout of
        the positions). Before anything is bought, nothing has to happen: then it is at least nothing.

        Args:
            account: Whose orders.
            group: The group they are in.
            orders: What may fill.
            bought: What fills for certain, now.
        """
        certain = tuple(bought)
        paid = sum(stake.cost_e6 for stake in certain)
        least = least_e6(group.kind, _legs(account, group, tuple(orders), certain))
        needed = paid + account.returned_e6.get(group.key, 0) - least
        return needed if certain else max(0, needed)


def returned_by_event(account: Account, shard: int | None = None) -> dict[str, int]:
    """What was returned to an account (1/1,000,000 dollar), by event; of one shard if one is named."""
    found: dict[str, int] = {}
    for key, returned in account.returned_e6.items():
        event_id, _, on = key.rpartition("/")
        if shard in (None, int(on)):
            found[event_id] = found.get(event_id, 0) + returned
    return found


def _rung(listed: ListedMarket) -> Rung:
    rung = rung_of(listed.market.strike)
    assert rung is not None
    return rung


def _legs(account: Account, group: Group, orders: tuple[Stake, ...], bought: tuple[Stake, ...]) -> list[Leg]:
    held: dict[tuple[str, Outcome], int] = {}
    for listed in group.markets:
        for outcome in ("yes", "no"):
            held[listed.market_id, outcome] = account.held_e6(listed.market_id, outcome)
    for stake in bought:
        held[stake.market_id, stake.outcome] += stake.contracts_e6
    return [
        Leg(
            held[listed.market_id, "yes"],
            held[listed.market_id, "no"],
            listed.settlement_e4 if listed.status == "settled" else None,
            tuple((s.outcome, s.contracts_e6, s.cost_e6) for s in orders if s.market_id == listed.market_id),
        )
        for listed in group.markets
    ]
