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
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'taken', 'unknown', 'busy', 'refused')),
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

-- The cash of an account as the ledger has it: one row per mode and venue, and besides it the changes that nobody has
-- added up yet.
CREATE TABLE trading.cash_totals (
    mode text NOT NULL,
    venue text NOT NULL,
    cash_e6 bigint NOT NULL
);
CREATE OR REPLACE FUNCTION trading.follow_ledger() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM trading.fold_entries(entries) FROM (
        SELECT array_agg(f::trading.ledger ORDER BY f.entry_id) AS entries FROM fresh AS f
        WHERE f.market_id IS NOT NULL AND f.outcome IS NOT NULL
        GROUP BY f.environment, f.mode, f.venue, f.market_id, f.outcome
        ORDER BY f.environment, f.mode, f.venue, f.market_id, f.outcome
    ) AS positions;
    INSERT INTO trading.day_totals (day, mode, fee_e6, cash_e6, kalshi_cash_e6, polymarket_cash_e6)
    SELECT trading.utc_day(happened_at), mode,
        -coalesce(sum(cash_e6) FILTER (WHERE kind IN ('fee', 'rebate') OR kind = 'reversal' AND contracts_e6 = 0), 0),
        sum(cash_e6), coalesce(sum(cash_e6) FILTER (WHERE venue = 'kalshi'), 0),
        coalesce(sum(cash_e6) FILTER (WHERE venue = 'polymarket'), 0)
    FROM fresh WHERE kind NOT IN ('deposit', 'adjustment') GROUP BY 1, 2;
    INSERT INTO trading.cash_totals SELECT mode, venue, sum(cash_e6) FROM fresh GROUP BY mode, venue;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION trading.compact_totals() RETURNS void LANGUAGE sql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (DELETE FROM trading.day_totals RETURNING *)
    INSERT INTO trading.day_totals
    SELECT day, mode, sum(trades), sum(settled_trades), sum(winning_trades), sum(losing_trades), sum(realised_e6),
        sum(fee_e6), sum(cash_e6), sum(kalshi_cash_e6), sum(polymarket_cash_e6)
    FROM gone GROUP BY day, mode;
    WITH gone AS (DELETE FROM trading.state_totals RETURNING *)
    INSERT INTO trading.state_totals
    SELECT mode, state, sum(trades) FROM gone GROUP BY mode, state HAVING sum(trades) <> 0;
    WITH gone AS (DELETE FROM trading.refusal_totals RETURNING *)
    INSERT INTO trading.refusal_totals
    SELECT day, reason, environment, sum(refusals), sum(signals), max(last_refused_at)
    FROM gone GROUP BY day, reason, environment;
    WITH gone AS (DELETE FROM trading.cash_totals RETURNING *)
    INSERT INTO trading.cash_totals SELECT mode, venue, sum(cash_e6) FROM gone GROUP BY mode, venue;
$$;
INSERT INTO trading.cash_totals SELECT mode, venue, sum(cash_e6) FROM trading.ledger GROUP BY mode, venue;

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
