"""What the Kalshi emulator cannot know for sure, and what it does only on request: one setting each.

The venue's pages leave these open, contradict an observation, or name no figure. Every default is the response that was
seen on the wire, or the likelier one where nothing was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class KalshiVenueSettings:
    """Open questions of Kalshi's wire.

    Attributes:
        rate_limit_body: The 429 body. `observed` is the nested one seen in September 2026, `documented` the flat text.
        unsigned_reads_per_s: Requests per second that all unsigned callers share while rate limits are on, None for
            no limit. The venue's limit per address is undocumented; 4 to 5 a second already drew some 429s.
        create_status: Of a placed order. 201 by specification and recording; one party logged 200.
        pause_status: Of `trading_is_paused`. Seen as 409; a test elsewhere has it as 400.
        closed_market_code: What orders in a market past its close meet. The guide says `MARKET_INACTIVE`; the code
            seen (in a paused market) is `MARKET_NOT_ACTIVE`.
        scope_code: What a key without the needed scope gets, with status 403. Only the status is documented.
        cancel_all_lingers_ms: How long after a cancel-all new orders are cancelled too; "the following minute" by
            specification, where they may be.
        fee_cost: Whether fills show the fee after rounding and rebate (`net`) or the model fee (`trade`) where the two
            differ; the rule of August 2026 leaves it open.
        tags_own_fills: Whether level changes from fills of own resting orders carry `client_order_id`. Seen on place
            and cancel only.
        plain_cancel_reason: `last_update_reason` of an order its owner canceled; empty sends none. The list of
            reasons has no word for it.
        sends_deprecated_fields: `side`, `action`, `taker_side` and the like; past their removal date, still sent.
        sends_sending_ts: Top-level `sending_ts_ms` on socket messages, new since October 2026.
        default_use_yes_price: What a subscription without `use_yes_price` gets; announced to become true.
        duplicate_horizon_ms: How long a client order id stays taken, None for ever. An entry for brokers says live and
            recent orders only; the horizon is unknown.
        max_batch: Most orders in one batch, None for no limit but the token bucket, which is all that is documented.
        has_novelties: Schema drift: adds unknown fields and enum values to responses and frames, as new releases do.
        archive_after_ms: Age at which a settled market and its trades move to the historical tier; the live one holds
            two to three months.
        archive_orders_after_ms: Age at which ended orders move there; two weeks since September 2026.
        group_window_ms: The rolling window in which an order group counts fills.
        group_trips_when: Whether a group ends when its fills reach the limit ("is hit" in the reference) or exceed it.
        group_limit_most: Highest limit of an order group, contracts.
        netting_starts: When positions from before netting was switched on are netted: with the next trade of their
            event, or at once. The help page says that the switch leaves current positions as they are.
        scalar_payout_step_e6: Payouts of scalar results are rounded down to this, 1/1,000,000 dollar. The docs say
            whole cents, the rest being a settlement fee; another reading is 0.0001 dollar (100) for direct members.
        max_connections: Sockets per account; the lowest tier's figure.
        max_markets_per_session: Order book markets of one connection.
        max_commands_per_s: Commands per second and connection.
        slow_reader_bytes: Unsent bytes at which a subscription ends with error 25; the venue names no figure.
        ping_interval_s: Between two pings.
        keeps_maintenance: Whether trading pauses in Thursday's maintenance by itself. A sandbox that takes no orders
            for two hours helps nobody who did not ask for it.
        compresses: Whether messages are compressed for clients that offer it; negotiable since September 2026.
    """

    rate_limit_body: Literal["observed", "documented"] = "observed"
    unsigned_reads_per_s: int | None = 20
    create_status: int = 201
    pause_status: int = 409
    closed_market_code: str = "MARKET_NOT_ACTIVE"
    scope_code: str = "forbidden"
    cancel_all_lingers_ms: int = 0
    fee_cost: Literal["net", "trade"] = "net"
    tags_own_fills: bool = False
    plain_cancel_reason: str = ""
    sends_deprecated_fields: bool = True
    sends_sending_ts: bool = True
    default_use_yes_price: bool = False
    duplicate_horizon_ms: int | None = None
    max_batch: int | None = None
    has_novelties: bool = False
    archive_after_ms: int = 60 * DAY_MS
    archive_orders_after_ms: int = 14 * DAY_MS
    group_window_ms: int = 15_000
    group_trips_when: Literal["reached", "exceeded"] = "reached"
    group_limit_most: int = 1_000_000
    netting_starts: Literal["next_trade", "at_once"] = "next_trade"
    scalar_payout_step_e6: int = 10_000
    max_connections: int = 200
    max_markets_per_session: int = 500_000
    max_commands_per_s: int = 10_000
    slow_reader_bytes: int = 16_000_000
    ping_interval_s: float = 10
    keeps_maintenance: bool = False
    compresses: bool = True
