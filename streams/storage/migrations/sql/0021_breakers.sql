-- Circuit breakers: what became of orders at their venue, and each trip of a breaker.

-- What was wrong with the sending of an order: refused, the venue understood and said no; venue, it gave no answer of use.
-- That there was nothing to take is neither.
ALTER TABLE trading.orders ADD COLUMN fault text CHECK (fault IN ('refused', 'venue'));
CREATE INDEX executions_ended ON trading.executions (mode, flat_at);

-- Append-only. A trip is over once a later row of the switch it set says `run`: the trading switch where venue is null, the
-- switch of the account otherwise.
CREATE TABLE trading.breaker_trips (
    trip_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    breaker text NOT NULL,
    venue text,
    switch_id bigint NOT NULL,        -- of trading.switches or trading.account_switches
    reading numeric NOT NULL,
    threshold numeric NOT NULL,
    counted integer NOT NULL,         -- orders or hedges
    since timestamptz NOT NULL,       -- from when on they were counted
    why text NOT NULL,
    tripped_at timestamptz NOT NULL,
    environment text NOT NULL
);
CREATE INDEX breaker_trips_last ON trading.breaker_trips (mode, breaker, venue, trip_id DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.breaker_trips
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();

-- Put all trading on `reduce` for a breaker, if `seen` is still the switch in force; null where it is not. Trading runs may
-- set the switch in no other way.
CREATE FUNCTION trading.reduce_by_breaker(why text, seen bigint, at timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO trading.switches (state, set_by, reason, set_at) SELECT 'reduce', 'breaker', why, at
    WHERE (SELECT max(switch_id) FROM trading.switches) = seen RETURNING switch_id;
$$;
