-- How many frames of each venue a segment holds: what cannot be used is a share of its own venue's input. Of the last hour
-- before, only both venues' sum is known; it stands for each.
ALTER TABLE raw.segments ADD COLUMN venue_frames jsonb NOT NULL DEFAULT '{}';
UPDATE raw.segments SET venue_frames = jsonb_build_object('kalshi', frames, 'polymarket', frames)
WHERE closed_at IS NULL OR closed_at > now() - interval '1 hour';
CREATE INDEX segments_closed ON raw.segments (closed_at);
-- What the watcher of alerts seeks every half minute is found without reading all there is.
CREATE INDEX dead_letters_received ON raw.dead_letters (received_at, venue);
CREATE INDEX discovery_sweeps_good ON raw.discovery_sweeps (venue, ended_at) WHERE error IS NULL;
