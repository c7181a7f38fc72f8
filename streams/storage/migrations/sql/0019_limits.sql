-- A limit is one of those there are, and a number. What was written before stays as it is: history is not changed, and where
-- its last value is none, everything is refused until a person sets another.
ALTER TABLE trading.limits ADD CONSTRAINT limits_name CHECK (name IN ('order_contracts', 'market_usd', 'pair_usd',
    'event_usd', 'venue_usd', 'total_usd', 'daily_loss_usd', 'edge_usd', 'unknown_orders', 'orders_per_minute',
    'hedges_per_minute')) NOT VALID;
-- NaN and Infinity are greater than every number.
ALTER TABLE trading.limits ADD CONSTRAINT limits_finite CHECK (value <= 1000000000) NOT VALID;
CREATE INDEX limits_name_newest ON trading.limits (name, limit_id DESC);

-- Edges that a person has looked at and lets be taken, for as long as their episode lasts.
CREATE TABLE trading.edge_releases (
    release_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id bigint NOT NULL REFERENCES trading.signals ON DELETE CASCADE,
    most_usd numeric NOT NULL CHECK (most_usd >= 0 AND most_usd <= 1),  -- net edge per contract, up to this
    released_by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    released_at timestamptz NOT NULL
);
CREATE INDEX edge_releases_signal ON trading.edge_releases (signal_id);
CREATE TRIGGER append_only BEFORE UPDATE ON trading.edge_releases
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();
