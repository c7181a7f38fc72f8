"""When an order is looked for, and what proves that it never arrived. PURE.

That a list does not show an order proves nothing by itself: reads lag behind writes, lists come late or empty, and an
answer that was lost says nothing about the order. An order is absent when all of this holds:

    the venue has never shown it, nor said that it has it
    it is long enough since it was sent, by the clock that nobody sets; after a reboot the waiting begins anew
    the venue's lists were read to their end and reach past that time, by the venue's own word where it gives one
    all of it was so twice
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from streams.market.trading import BootTime, OrderWatch

READS_NEEDED = 2
SETTLED_AFTER_CANCEL_S = 1.0
"""An answer within this time after a cancel may come from before it (reads lag behind writes by about 0.4 s)."""
_STEPS = ((60.0, 1.0), (3_600.0, 10.0))
_LAST_STEP_S = 60.0
_GIVEN_UP_SHARE = 0.1


def look_every_s(age_s: float, *, is_given_up: bool = False) -> float:
    """Return how long after one look the next one comes: each second for a minute, each 10 s for an hour, then each
    minute without an end.

    Args:
        age_s: Since the order was sent.
        is_given_up: It counts as absent: it is still looked for, ever more seldom, so that old ones cost little.
    """
    if is_given_up:
        return max(_LAST_STEP_S, age_s * _GIVEN_UP_SHARE)
    return next((step for until, step in _STEPS if age_s < until), _LAST_STEP_S)


def begun(watch: OrderWatch, now: BootTime) -> OrderWatch:
    """Return a watch whose times can be compared with `now`: of another boot, or of none, it begins anew."""
    if now.since_ms(watch.since) is not None:
        return watch
    return OrderWatch(watch.order_id, watch.venue, since=now, is_seen=watch.is_seen)


def due_in_s(watch: OrderWatch, now: BootTime, *, is_given_up: bool = False) -> float:
    """Return how long until the next look is due (seconds), negative where it is due since then.

    One that nobody has looked for since the last reboot is due for ever.
    """
    looked_ms, age_ms = now.since_ms(watch.looked), now.since_ms(watch.since)
    if age_ms is None:
        return -inf
    if looked_ms is None:
        return -age_ms / 1000
    return look_every_s(age_ms / 1000, is_given_up=is_given_up) - looked_ms / 1000


def may_prove(watch: OrderWatch, now: BootTime, after_s: float) -> bool:
    """Whether a look now could count towards the proof, so that the complete lists are worth reading.

    Args:
        watch: Begun at `now` or before.
        now: The present moment.
        after_s: The waiting time of its venue.
    """
    age_ms, looked_ms = now.since_ms(watch.since), now.since_ms(watch.looked)
    if watch.is_seen or age_ms is None or age_ms < after_s * 1000:
        return False
    return looked_ms is None or looked_ms >= min(_STEPS[0][1], after_s) * 1000


def not_shown(watch: OrderWatch, now: BootTime, after_s: float, behind_s: float | None) -> OrderWatch:
    """Return the watch after a look that did not show the order.

    Args:
        watch: Begun, before the look.
        now: When the look began.
        after_s: The waiting time of its venue.
        behind_s: How far the lists that were read to their end may lie behind the venue's present; None: not complete.
    """
    age_ms = now.since_ms(watch.since)
    counts = (
        may_prove(watch, now, after_s)
        and behind_s is not None
        and age_ms is not None
        and age_ms / 1000 - max(0.0, behind_s) >= after_s
    )
    return replace(watch, looked=now, absent_reads=watch.absent_reads + counts)


def shown(watch: OrderWatch, now: BootTime) -> OrderWatch:
    """Return the watch after a look that showed the order or one of its fills."""
    return replace(watch, looked=now, absent_reads=0, is_seen=True)


def is_absent(watch: OrderWatch) -> bool:
    """Whether it is proven that the order never arrived."""
    return not watch.is_seen and watch.absent_reads >= READS_NEEDED


def may_be_older_than_cancel(watch: OrderWatch, now: BootTime) -> bool:
    """Whether what is read now may come from before a cancel that was asked for: then it ends nothing."""
    since_ms = now.since_ms(watch.cancelled)
    return since_ms is not None and since_ms < SETTLED_AFTER_CANCEL_S * 1000
