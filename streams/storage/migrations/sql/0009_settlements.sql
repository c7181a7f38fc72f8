-- What each market paid: settlement is what should stand in the ledger less what does, whenever either of them changes.

CREATE INDEX ledger_market ON trading.ledger (venue, market_id) WHERE market_id IS NOT NULL;

-- One row per market of an account that has paid: the result its ledger entries were computed with.
CREATE TABLE trading.settlements (
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    market_id text NOT NULL,
    settlement_e4 integer NOT NULL CHECK (settlement_e4 BETWEEN 0 AND 10000),  -- what one YES paid
    paid_e6 bigint,                    -- what the venue says it paid; null: it does not say, the ledger has it computed
    settled_at timestamptz,            -- when the venue says it paid; null: it does not say
    read_at timestamptz NOT NULL,      -- when we began to read what is booked: an older reading changes nothing
    is_due boolean NOT NULL DEFAULT false,  -- to be read again: its result has changed, or not all of it has arrived
    PRIMARY KEY (mode, venue, market_id)
);
CREATE INDEX settlements_due ON trading.settlements (mode, venue) WHERE is_due;

-- One row per time a wallet was asked to redeem what it holds of a market; written before it is asked.
CREATE TABLE trading.redemptions (
    redemption_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    market_id text NOT NULL,
    due_e6 bigint NOT NULL,            -- what it should bring
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'taken', 'unknown', 'refused')),
    transaction_id text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    environment text NOT NULL
);
CREATE INDEX redemptions_market ON trading.redemptions (mode, venue, market_id, redemption_id);

-- A market that has paid and whose catalogue says another final value now is read again. Nobody else looks at what is
-- settled, however much of it there is.
CREATE FUNCTION trading.follow_results() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE trading.settlements SET is_due = true
    WHERE venue = NEW.venue AND market_id = NEW.market_id AND settlement_e4 <> NEW.settlement_e4;
    RETURN NULL;
END $$;
CREATE INDEX settlements_market ON trading.settlements (venue, market_id);
CREATE TRIGGER results AFTER UPDATE OF settlement_e4, status ON raw.market_state
    FOR EACH ROW WHEN (NEW.settlement_e4 IS NOT NULL AND NEW.status NOT IN ('determined', 'unknown')
        AND (NEW.settlement_e4, NEW.status) IS DISTINCT FROM (OLD.settlement_e4, OLD.status))
    EXECUTE FUNCTION trading.follow_results();

-- What was paid before this migration, where the catalogue still says at which value. Where a venue pays matched
-- contracts early its payouts are computed; elsewhere they are what the entries together brought.
INSERT INTO trading.settlements (mode, venue, market_id, settlement_e4, paid_e6, settled_at, read_at)
SELECT l.mode, l.venue, l.market_id, s.settlement_e4, CASE WHEN l.venue <> 'kalshi' THEN l.paid_e6 END, l.settled_at, now()
FROM (
    SELECT mode, venue, market_id, max(happened_at) FILTER (WHERE kind = 'settlement') AS settled_at,
        sum(cash_e6) FILTER (WHERE kind IN ('settlement', 'adjustment'))::bigint AS paid_e6
    FROM trading.ledger WHERE market_id IS NOT NULL GROUP BY mode, venue, market_id
) AS l
JOIN raw.market_state AS s ON s.venue = l.venue AND s.market_id = l.market_id
WHERE l.settled_at IS NOT NULL AND s.settlement_e4 IS NOT NULL AND s.status NOT IN ('determined', 'unknown');
