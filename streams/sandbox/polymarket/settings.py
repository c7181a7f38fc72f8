"""What the Polymarket emulator does where the venue's behaviour is unconfirmed, or is a choice of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PolymarketVenueSettings:
    """Choices of the Polymarket emulator. Times that follow the sandbox's profile are in `Behaviour` instead.

    Attributes:
        starting_cash_e6: What a wallet holds that the sandbox meets for the first time.
        clock_window_s: How far the timestamp of L1 and L2 headers may be off; the venue's window is unpublished.
        binds_unknown_wallets: A wallet that cannot be derived from the signer belongs to the first signer that uses it.
            At the venue the chain knows the owners; deployed by hand they can be anything.
        heartbeat_limit_ms / heartbeat_check_ms: Silence that fires the dead-man switch, and how often that is checked.
        batch_limit: Orders in one POST /orders.
        gtd_least_s: How far ahead a GTD order must end.
        gtd_early_s: How long before its stated end it leaves the book.
        micro_amounts: Whether makingAmount and takingAmount of POST /order are 1e-6 integers (the OpenAPI document) or
            decimals (what polymarket-client reads). Unconfirmed.
        kill_status: Status of a killed FOK, an unmatched FAK or a crossing post-only order: 400 with {error}, or 200
            with errorMsg. Sources disagree.
        delayed_status: Status shown of a delayed order: `delayed` (documented); one page also knows `unmatched`.
        geoblocked: What /api/geoblock and closed-only mode report.
        relayer_ms: Time until the relayer has carried a transaction out: executed, mined and confirmed at a third each.
        site_wallets_exist: Whether the relayer calls every Safe and proxy wallet deployed; at the venue those that its
            site made are.
        block_ms: Time until a plain wallet's transaction has a receipt.
        v1_page_limit: Most rows of a v1 Data API page.
        builder_taker_bps / builder_maker_bps: What /fees/builder-fees answers for every code.
        match_sends_price_change: Whether a match sends price changes besides the books; unconfirmed.
        resolved_is_venue_wide: Whether market_resolved goes to every socket with custom features, or only to those
            that watch one of its tokens; unconfirmed.
        bad_auth_code: Close code of a user socket with wrong credentials; unconfirmed.
        crypto_rate_e6: Fee rate that marks markets with a taker delay (`itode`): crypto.
        rebate_rate: Maker rebate share shown in fee schedules.
        has_novelties: Schema drift: adds unknown fields and enum values to responses and frames, as new releases do.
    """

    starting_cash_e6: int = 10_000_000_000
    clock_window_s: int = 30
    binds_unknown_wallets: bool = True
    heartbeat_limit_ms: int = 10_000
    heartbeat_check_ms: int = 5_000
    batch_limit: int = 15
    gtd_least_s: int = 180
    gtd_early_s: int = 60
    micro_amounts: bool = False
    kill_status: Literal[400, 200] = 400
    delayed_status: Literal["delayed", "unmatched"] = "delayed"
    geoblocked: bool = False
    relayer_ms: int = 3_000
    site_wallets_exist: bool = True
    block_ms: int = 2_000
    v1_page_limit: int = 500
    builder_taker_bps: int = 0
    builder_maker_bps: int = 0
    match_sends_price_change: bool = False
    resolved_is_venue_wide: bool = True
    bad_auth_code: int = 1008
    crypto_rate_e6: int = 70_000
    rebate_rate: str = "0.25"
    has_novelties: bool = False
