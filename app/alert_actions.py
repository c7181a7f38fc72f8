"""What people do with alerts: they say that they have seen one, and ask for a test of the channels."""

from __future__ import annotations

from app.act_rules import UnknownSubject
from app.queries.alerts import InboxAlert, find_alert
from streams.storage.database import Connection
from streams.storage.reader.watchdog import insist
from streams.storage.store.alerting.delivery import ask_test
from streams.storage.store.alerting.inbox import note_acknowledgement

_ID_MAX = 2**63 - 1


def acknowledge_alert(connection: Connection, alert_id: int, *, who: str) -> InboxAlert:
    """Note that a person has seen an alert (`Act.ALERTS`) and return it; whoever was first stays.

    It goes on until its cause is over; the banner leaves it out.

    Args:
        connection: To the warehouse.
        alert_id: The alert.
        who: Name of the person's identity.

    Raises:
        UnknownSubject: If there is no such alert.
    """
    if not 0 < alert_id <= _ID_MAX or not insist(connection, lambda c: note_acknowledgement(c, alert_id, who)):
        raise UnknownSubject(f"There is no alert {alert_id}.")
    alert = find_alert(connection, alert_id)
    assert alert is not None
    return alert


def ask_alert_test(connection: Connection, *, who: str) -> int:
    """Ask for a test message through every channel (`Act.ALERTS`); return the number of its alert.

    The sensor alert_sender sends it within seconds; the receipts are those of that alert (`find_alert`). Whoever has
    the channels' addresses, as the command line has, tests them at once.
    """
    return insist(connection, lambda c: ask_test(c, who))
