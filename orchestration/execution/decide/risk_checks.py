"""May this one order leave? PURE, and it fails closed: what is not known denies.

The first intent of an execution has passed the whole gate (`decide/gate`). Orders that lower exposure pass the switch,
the lease and the books only: limits must never keep an open hedge from being closed.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.market.trading import RefusalReason, SwitchState


@dataclass(frozen=True, slots=True)
class Refusal:
    """A denial with its reason and what was measured. `retry_after_s`: how long a venue asks to be left alone."""

    reason: RefusalReason
    detail: str = ""
    retry_after_s: float = 0.0


def switch_reason(switch: SwitchState) -> RefusalReason:
    """Return the reason a switch that is not `run` refuses with."""
    return {"pause": RefusalReason.PAUSED, "reduce": RefusalReason.REDUCING, "kill": RefusalReason.KILLED}[switch]


def may_send(*, switch: SwitchState | None, purpose: str, has_leases: bool, is_within_life: bool) -> Refusal | None:
    """Return why one order may not leave: asked when its intent is written, and again before its bytes leave.

    Args:
        switch: As read at that moment.
        purpose: `open` of the first leg needs `run`; everything else lowers exposure and stops only at a kill.
        has_leases: The leases of all markets are held under the epoch of the writer.
        is_within_life: The books it was decided on are young enough.
    """
    if switch is None:
        return Refusal(RefusalReason.ERROR, "the switch could not be read")
    if switch == "kill":
        return Refusal(RefusalReason.KILLED)
    if not has_leases:
        return Refusal(RefusalReason.NO_LEASE, "the lease has passed to another run")
    if not is_within_life:
        return Refusal(RefusalReason.STALE_BOOK, "the decision outlived its books")
    return Refusal(switch_reason(switch)) if purpose == "open" and switch != "run" else None
