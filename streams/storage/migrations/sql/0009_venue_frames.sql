-- How many frames of each venue a segment holds: what cannot be used is a share of its own venue's input. Of the last hour
-- before, only both venues' sum is known; it stands for each.
ALTER TABLE raw.segments ADD COLUMN venue_frames jsonb NOT NULL DEFAULT '{}';
UPDATE raw.segments SET venue_frames = jsonb_build_object('kalshi', frames, 'polymarket', frames)
WHERE closed_at IS NULL OR closed_at > now() - interval '1 hour';
CREATE INDEX segments_closed ON raw.segments (closed_at);
