-- Books that are read over REST instead of a socket: their quotes, their snapshots and their connection say so.

ALTER TABLE raw.quotes ADD COLUMN is_polled boolean NOT NULL DEFAULT false;
ALTER TABLE raw.book_snapshots ADD COLUMN is_polled boolean NOT NULL DEFAULT false;
ALTER TABLE raw.connections ADD COLUMN is_polled boolean NOT NULL DEFAULT false;

-- So far only changed books said it. A recorder's key decides for its whole run, so one such book tells of all.
CREATE TEMPORARY TABLE polled ON COMMIT DROP AS
SELECT DISTINCT g.run_id, g.shard, s.venue
FROM raw.book_snapshots AS s JOIN raw.segments AS g USING (segment_id) WHERE s.reason = 'polled';

UPDATE raw.quotes AS q SET is_polled = true FROM raw.segments AS g JOIN polled AS p USING (run_id, shard)
WHERE q.segment_id = g.segment_id AND q.venue = p.venue;
UPDATE raw.book_snapshots AS s SET is_polled = true FROM raw.segments AS g JOIN polled AS p USING (run_id, shard)
WHERE s.segment_id = g.segment_id AND s.venue = p.venue;
UPDATE raw.connections AS c SET is_polled = true FROM polled AS p
WHERE c.run_id = p.run_id AND c.shard = p.shard AND c.venue = p.venue;

CREATE OR REPLACE VIEW raw.quotes_v1 AS SELECT * FROM raw.quotes;
CREATE OR REPLACE VIEW raw.book_snapshots_v1 AS SELECT * FROM raw.book_snapshots;
CREATE OR REPLACE VIEW raw.connections_v1 AS SELECT * FROM raw.connections;
