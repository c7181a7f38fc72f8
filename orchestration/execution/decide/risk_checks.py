"""Pre-trade risk checks (the gate): may this order leave? PURE, and it fails closed: what is not known denies.

Opening orders pass every check. Orders that lower exposure pass the switch, the lease and the books only: limits must
never keep an open hedge from being closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from streams.market.trading import PairState, RefusalReason, SwitchState


@dataclass(frozen=True, slots=True)
class Refusal:
    """A denial with its reason and what was measured. `retry_after_s`: how long a venue asks to be left alone."""

    reason: RefusalReason
    detail: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OpeningFacts:
    """What must be known before something opens; None means not known, which denies.

    Attributes:
        pair_state: Of a pair group; None with `is_pair` means that there is no decision to be found.
        market_cash_e6: Cash already tied up in each market touched; the largest counts.
        realised_today_e6: Realised PnL of the UTC day, negative for a loss.
    """

    switch: SwitchState | None
    is_trading_on: bool
    is_tradable: bool | None
    is_pair: bool
    pair_state: PairState | None
    is_signal_open: bool | None
    has_leases: bool
    unknown_orders: int | None
    last_execution_at: datetime | None
    cooldown_s: Decimal
    realised_today_e6: int | None
    daily_loss_limit_e6: int
    provisional_e6: int | None
    provisional_cap_e6: int
    closes_at: Sequence[datetime | None]
    closing_margin_s: int
    now: datetime


def may_open(facts: OpeningFacts) -> Refusal | None:
    """Return why nothing may open now, None when it may. Sizes and books are judged by `may_send`."""
    refusal = _switch(facts) or _decision(facts) or _history(facts)
    if refusal is not None:
        return refusal
    for closes_at in facts.closes_at:
        if closes_at is not None and closes_at - facts.now < timedelta(seconds=facts.closing_margin_s):
            return Refusal(RefusalReason.CLOSING_SOON, f"closes at {closes_at.isoformat()}")
    return None


def _switch(facts: OpeningFacts) -> Refusal | None:
    if facts.switch is None:
        return Refusal(RefusalReason.ERROR, "the switch could not be read")
    if facts.switch != "run":
        return Refusal(switch_reason(facts.switch))
    if not facts.is_trading_on:
        return Refusal(RefusalReason.TRADING_OFF)
    return None


def switch_reason(switch: SwitchState) -> RefusalReason:
    """Return the reason a switch that is not `run` refuses with."""
    return {"pause": RefusalReason.PAUSED, "reduce": RefusalReason.REDUCING, "kill": RefusalReason.KILLED}[switch]


def _decision(facts: OpeningFacts) -> Refusal | None:
    if not facts.is_tradable:
        return Refusal(RefusalReason.NOT_TRADABLE)
    if facts.is_pair and facts.pair_state == "lapsed":
        return Refusal(RefusalReason.LAPSED, "a text or the environment has changed since the approval")
    if facts.is_pair and facts.pair_state != "approved":
        return Refusal(RefusalReason.PAIR_NOT_APPROVED, facts.pair_state or "no decision")
    if not facts.is_signal_open:
        return Refusal(RefusalReason.SIGNAL_CLOSED, "the episode has ended, or nobody watches it any more")
    if not facts.has_leases:
        return Refusal(RefusalReason.NO_LEASE, "another run holds one of the markets")
    return None


def _history(facts: OpeningFacts) -> Refusal | None:
    if facts.unknown_orders is None or facts.unknown_orders > 0:
        return Refusal(RefusalReason.UNKNOWN_ORDER_ON_MARKET, f"{facts.unknown_orders} unresolved")
    if facts.last_execution_at is not None:
        since = Decimal(str((facts.now - facts.last_execution_at).total_seconds()))
        if since < facts.cooldown_s:
            return Refusal(RefusalReason.COOLDOWN, f"last execution {since:.1f} s ago")
    if facts.realised_today_e6 is None or facts.realised_today_e6 <= -facts.daily_loss_limit_e6:
        return Refusal(RefusalReason.DAILY_LOSS, f"realised today {facts.realised_today_e6}")
    if facts.provisional_e6 is None or facts.provisional_e6 >= facts.provisional_cap_e6:
        return Refusal(RefusalReason.PROVISIONAL_CAP, f"unconfirmed {facts.provisional_e6}")
    return None


def may_send(
    *, switch: SwitchState | None, purpose: str, has_leases: bool, is_within_life: bool, is_within_limits: bool
) -> Refusal | None:
    """Return why one order may not leave: asked when its intent is written, and again before its bytes leave.

    Args:
        switch: As read at that moment.
        purpose: `open` of the first leg needs `run`; everything else lowers exposure and stops only at a kill.
        has_leases: The leases of all markets are held under the epoch of the writer.
        is_within_life: The books it was decided on are young enough.
        is_within_limits: The limits as they are now leave room for it; counts for opening only.
    """
    if switch is None:
        return Refusal(RefusalReason.ERROR, "the switch could not be read")
    if switch == "kill":
        return Refusal(RefusalReason.KILLED)
    if not has_leases:
        return Refusal(RefusalReason.NO_LEASE, "the lease has passed to another run")
    if not is_within_life:
        return Refusal(RefusalReason.STALE_BOOK, "the decision outlived its books")
    if purpose == "open":
        if switch != "run":
            return Refusal(switch_reason(switch))
        if not is_within_limits:
            return Refusal(RefusalReason.LIMIT_TOTAL, "a limit was lowered")
    return None
