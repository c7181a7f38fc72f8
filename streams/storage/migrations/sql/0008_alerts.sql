-- What became of each alert: by which channel it went, who has seen it, and that there was no channel at all.
-- What was marked as sent says so on; what waits goes on waiting.
ALTER TABLE trading.alerts
    ADD COLUMN state text NOT NULL DEFAULT 'sent' CHECK (state IN ('waiting', 'no channel', 'sent', 'failed')),
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN try_after timestamptz,          -- null: at once
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN alarm_id uuid UNIQUE,           -- of an alarm that was told without the database and written down later
    ADD CONSTRAINT alerts_acknowledged CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL));
UPDATE trading.alerts SET state = 'waiting' WHERE sent_at IS NULL;
ALTER TABLE trading.alerts ALTER COLUMN state SET DEFAULT 'waiting';
CREATE INDEX alerts_unsent ON trading.alerts (alert_id) WHERE state <> 'sent';
CREATE INDEX alerts_of_key ON trading.alerts (dedup_key, sent_at);

-- One row for each alert and each attempt to send it. A channel is its place in the list and its kind: its address is a
-- secret and stands nowhere.
CREATE TABLE trading.alert_receipts (
    receipt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES trading.alerts,
    place smallint NOT NULL CHECK (place >= 1),
    channel text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    took_ms integer NOT NULL DEFAULT 0 CHECK (took_ms >= 0),
    outcome text NOT NULL CHECK (outcome IN ('sent', 'failed')),
    error text NOT NULL DEFAULT ''             -- a class such as "HTTP 500" or "timeout", never what was answered
);
CREATE INDEX alert_receipts_of_alert ON trading.alert_receipts (alert_id);
CREATE INDEX alert_receipts_of_place ON trading.alert_receipts (place, receipt_id);

-- What looks after alerts says here that it has looked, and by which channels it would send.
CREATE TABLE trading.alert_looks (
    name text PRIMARY KEY,                     -- sender, watcher
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    channels text[] NOT NULL DEFAULT '{}'      -- kinds in their order
);
