"""What the tables say that may alarm: venues, discovery, the ledger, input that cannot be used, alerts nobody got."""

from __future__ import annotations

from streams.alerting.facts import QUIET_WINDOW_S, LedgerReading, TableFacts, VenueFacts
from streams.storage.database import Connection, fetch_all, read_clock
from streams.storage.store.alerting.delivery import count_undelivered

UNDELIVERED_AFTER_S = 600.0
VENUES = """SELECT v.venue,
       (SELECT extract(epoch FROM %(now)s - min(acquired_at))::float8 FROM trading.leases
           WHERE name LIKE 'shard:%%' AND released_at IS NULL AND expires_at > %(now)s) AS recorded_s,
       (SELECT count(*) FROM raw.coverage AS c WHERE c.venue = v.venue AND c.ended_at IS NULL
           AND c.cause NOT IN ('deactivated', 'determined', 'settled')) AS markets,
       extract(epoch FROM %(now)s - coalesce(
           (SELECT q.received_at FROM raw.quotes AS q
               WHERE q.received_at > %(now)s - make_interval(secs => %(window)s) AND q.venue = v.venue
               ORDER BY q.received_at DESC LIMIT 1),
           %(now)s - make_interval(secs => %(window)s)))::float8 AS quiet_s,
       (SELECT extract(epoch FROM %(now)s - max(s.ended_at))::float8 FROM raw.discovery_sweeps AS s
           WHERE s.venue = v.venue AND s.error IS NULL) AS sweep_age_s,
       (SELECT count(*) FROM raw.dead_letters AS d WHERE d.venue = v.venue AND d.source = 'socket'
           AND d.received_at > %(now)s - interval '1 hour') AS letters,
       (SELECT coalesce(sum((venue_frames ->> v.venue)::bigint), 0)::bigint FROM raw.segments
           WHERE closed_at IS NULL OR closed_at > %(now)s - interval '1 hour') AS frames
   FROM (VALUES ('kalshi'), ('polymarket')) AS v (venue)"""
LEDGER = """SELECT venue, cash_e6, ledger_cash_e6 FROM (
       SELECT *, row_number() OVER (PARTITION BY venue ORDER BY balance_id DESC) AS place
       FROM (SELECT * FROM trading.balances ORDER BY balance_id DESC LIMIT 6000) AS of_a_day
       WHERE detail ->> 'in_flight' = '0' AND read_at > %(now)s - interval '1 day') AS readings
   WHERE place <= 2 ORDER BY venue, place"""


def load_table_facts(connection: Connection) -> TableFacts:
    """Return what the tables say now."""
    now = read_clock(connection)
    venues = fetch_all(connection, VenueFacts, VENUES, {"window": QUIET_WINDOW_S, "now": now})
    ledger = fetch_all(connection, LedgerReading, LEDGER, {"now": now})
    return TableFacts(venues, ledger, count_undelivered(connection, UNDELIVERED_AFTER_S))
