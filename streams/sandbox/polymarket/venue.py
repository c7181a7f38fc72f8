"""The Polymarket venue as its handlers know it: one exchange, and what several areas of its routes and feeds share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from streams.market.fees import PolymarketFeeSchedule
from streams.market.identity import Outcome
from streams.sandbox.core.records import LifecycleMoment, ListedMarket, Listener, OrderRecord, OrderRequest
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.polymarket.auth import PolymarketKey
from streams.sandbox.polymarket.balances import Allowances, Balances
from streams.sandbox.polymarket.fee_changes import MarketFees
from streams.sandbox.polymarket.keyring import KeyRing
from streams.sandbox.polymarket.limits import TIERS, SignerLimits
from streams.sandbox.polymarket.objects import game_start_ms
from streams.sandbox.polymarket.settings import PolymarketVenueSettings

_MOST_ACTIVITIES = 1_000


class Feeds(Protocol):
    """Where the venue publishes what no report of the exchange brings."""

    def publish_kill(self, request: OrderRequest, listed: ListedMarket, reason: str, now_ms: int) -> None:
        """A fill-or-kill order was killed."""


class Activity(NamedTuple):
    """What a wallet did on the chain that was no trade. The journal holds it as a list.

    Attributes:
        kind: SPLIT, MERGE, CONVERSION or REDEEM.
        size_e6 / dollars_e6: Tokens, and the dollars that came or went for them.
        at_s: Seconds since the epoch.
    """

    account_id: str
    market_id: str
    kind: str
    size_e6: int
    dollars_e6: int
    at_s: int
    transaction_hash: str


class PolymarketVenue(Listener):
    """The venue's state beside its exchange.

    Args:
        exchange: What is served.
        keys: Known API keys by id.
        clock: The venue's clock, milliseconds.
        commit: Makes what happened durable; called before a write is answered.
        settings: What the venue's papers leave open.
        feeds: Where events of the venue's own are published.

    Attributes:
        tokens: Listed markets and their outcome by token id.
        events: Listed markets by event id, in the order of their listing.
        held_until_ms: When orders that the taker delay holds back are released, by id, until their call is answered.
        heartbeats: The last heartbeat's id and time by API key.
        heartbeats_checked_ms: When silent keys were looked for last.
        transaction_counts: How many transactions a plain wallet has sent, which is its next nonce.
        receipts: Whether a plain wallet's transaction was carried out, and when, by its hash.
    """

    def __init__(
        self,
        exchange: Exchange,
        keys: dict[str, PolymarketKey],
        clock: Callable[[], int],
        commit: Callable[[], None],
        settings: PolymarketVenueSettings,
        *,
        feeds: Feeds,
    ) -> None:
        self.exchange = exchange
        self.now_ms = clock
        self.commit = commit
        self.settings = settings
        self.feeds = feeds
        self.keyring = KeyRing(exchange, keys, settings)
        self.allowances = Allowances(exchange)
        self.balances = Balances(exchange)
        self.fees = MarketFees(exchange)
        self.tokens: dict[str, tuple[ListedMarket, Outcome]] = {}
        self.events: dict[str, list[ListedMarket]] = {}
        self.held_until_ms: dict[str, int] = {}
        self.heartbeats: dict[str, tuple[str, int]] = {}
        self.heartbeats_checked_ms = 0
        self.transaction_counts: dict[str, int] = {}
        self.receipts: dict[str, tuple[bool, int]] = {}
        self._signers: SignerLimits | None = None
        self._game_starts_ms: dict[str, int] = {}

    # -- orders -------------------------------------------------------------------------------------------------------

    def charge(self, key: PolymarketKey, cost: int, *, is_cancel: bool) -> dict[str, str]:
        """Take orders or cancels from a signer's bucket; the headers of the response.

        Raises:
            Rejected: With 429, if there are not enough tokens.
        """
        tier = TIERS.get((self.exchange.state.profile.polymarket_tier or "").lower())
        if tier is None:
            return {}
        if self._signers is None or self._signers.tier is not tier:
            self._signers = SignerLimits(tier)
        return self._signers.charge(key.address.lower(), cost, self.now_ms(), is_cancel=is_cancel)

    def open_tickets(self, key: PolymarketKey) -> list[OrderRecord]:
        """The resting orders of one API key."""
        return [
            record
            for account_id in sorted(self.keyring.accounts(key))
            for record in self.exchange.state.resting_orders(account_id)
            if record.request.extra["owner"] == key.api_key
        ]

    def sports_delay_s(self, listed: ListedMarket) -> int:
        """Seconds for which a market delays marketable orders (`sd`)."""
        return int(listed.market.extra.get("secondsDelay", 0))

    def has_taker_delay(self, listed: ListedMarket) -> bool:
        """Whether a market holds back takers (`itode`): those of the crypto fee schedule."""
        schedule = listed.schedule
        return isinstance(schedule, PolymarketFeeSchedule) and schedule.rate_e6 == self.settings.crypto_rate_e6

    # -- activity -----------------------------------------------------------------------------------------------------

    @property
    def activities(self) -> list[Activity]:
        """What wallets did on the chain that was no trade, oldest first."""
        return [Activity(*row) for row in self._activity_rows]

    def add_activity(self, activity: Activity) -> None:
        """Note what a wallet did; the oldest of too many are dropped."""
        self._activity_rows.append(list(activity))
        del self._activity_rows[:-_MOST_ACTIVITIES]
        self.exchange.state.changes.saved = True

    @property
    def _activity_rows(self) -> list[list[Any]]:
        rows: list[list[Any]] = self.exchange.state.saved.setdefault("activity", [])
        return rows

    # -- listed markets -----------------------------------------------------------------------------------------------

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """A new market is found by its tokens and its event."""
        if moment != "created":
            return
        self.tokens[listed.market.yes_token] = (listed, "yes")
        self.tokens[listed.market.no_token] = (listed, "no")
        self.events.setdefault(listed.market.event_id, []).append(listed)
        start_ms = game_start_ms(listed)
        if listed.market.extra.get("clearBookOnStart") and start_ms is not None and start_ms > now_ms:
            self._game_starts_ms[listed.market_id] = start_ms

    def on_evicted(self, listed: ListedMarket) -> None:
        """A market is not served any more."""
        self.fees.drop(listed.market_id)
        self._game_starts_ms.pop(listed.market_id, None)
        for token in (listed.market.yes_token, listed.market.no_token):
            self.tokens.pop(token, None)
        siblings = self.events.get(listed.market.event_id, [])
        if listed in siblings:
            siblings.remove(listed)
        if not siblings:
            self.events.pop(listed.market.event_id, None)

    def clear_started_books(self, now_ms: int) -> None:
        """Cancel what clients have resting in markets whose game begins. Makers quote on, at new prices."""
        for market_id in [name for name, start_ms in self._game_starts_ms.items() if now_ms >= start_ms]:
            del self._game_starts_ms[market_id]
            for record in list(self.exchange.state.resting.values()):
                if record.request.market_id == market_id:
                    self.exchange.capture.end_resting(record, now_ms, "canceled")
