"""What people decide on an account that only reduces: to let it open again, with a reason."""

from __future__ import annotations

from datetime import UTC, datetime

from app.act_rules import (
    ActRefused,
    ItChanged,
    UnknownSubject,
    person_of,
    reason_of,
)
from streams.market.identity import Venue
from streams.storage.database import Connection
from streams.storage.store.accounting.switches import account_switches, replace_account, restored_accounts

_ASK = "Say why the account may open again: what explains the difference, or who traded."


def reopen_account(
    connection: Connection, venue: str, *, mode: str, who: str, reason: str, seen: str | None = None
) -> int:
    """Let an account open again; return the id of its switch.

    It acknowledges the breaks, and what others did, up to now: the next comparison books the differences that were
    shown to `foreign`. What comes to light later reduces the account again.

    Args:
        connection: To the warehouse.
        venue: Whose account.
        mode: The trading mode.
        who: The person's name.
        reason: Why, in their words; it must say something.
        seen: `AccountSwitch.seen` of what the person saw; None: as it is.

    Raises:
        UnknownSubject: If there is no such account.
        ItChanged: If something came to light since `seen`.
        ActRefused: If the account opens already, or who and why cannot stand in a row.
    """
    person, why = (
        person_of(who),
        reason_of(reason, ask="Say why the account may open again: what explains the difference, or who traded."),
    )
    if venue not in set(Venue):
        raise UnknownSubject(f"There is no account at {venue[:40]!r}; the venues are {', '.join(Venue)}.")
    now = account_switches(connection, mode).get(Venue(venue))
    if now is None or now.state == "run":
        if Venue(venue) in restored_accounts(connection, mode):
            raise ActRefused(f"The account at {venue} opens by itself once it agrees with the restored books.")
        raise ActRefused(f"The account at {venue} opens already.")
    if seen is not None and now.seen != seen:
        raise ItChanged(f"It changed: the account at {venue} was reduced again ({now.reason}); look again.")
    switch_id = replace_account(connection, now, person, why, datetime.now(UTC))
    if switch_id is None:
        raise ItChanged(f"It changed: something else came to light of the account at {venue}; look again.")
    return switch_id
