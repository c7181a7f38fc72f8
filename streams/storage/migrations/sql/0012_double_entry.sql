-- Double entry: every row of the ledger has postings that cancel out, dollars and the contracts of each outcome apart.

-- What was booked by a fill that its venue restates is taken back and booked anew; keys of entries carry the number.
ALTER TABLE trading.fills ADD COLUMN revision integer NOT NULL DEFAULT 0;
ALTER TABLE trading.fills ADD COLUMN computed_fee_e6 bigint;  -- by our own arithmetic; null: nothing is compared

ALTER TABLE trading.ledger DROP CONSTRAINT ledger_kind_check;
ALTER TABLE trading.ledger ADD CONSTRAINT ledger_kind_check CHECK (kind IN ('deposit', 'withdrawal', 'transfer', 'fill',
    'confirmation', 'fee', 'rebate', 'settlement', 'accrual', 'reversal', 'adjustment', 'foreign')) NOT VALID;

-- One row per line of an entry. cash, in_transit and provisional are dollars that are ours at a venue, now or once a match
-- is confirmed; positions and provisional are contracts that are. The other accounts say what became of the rest.
CREATE TABLE trading.postings (
    entry_id bigint NOT NULL REFERENCES trading.ledger,
    line_no smallint NOT NULL,
    account text NOT NULL CHECK (account IN ('cash', 'in_transit', 'provisional', 'positions', 'receivable', 'fees',
        'rebates', 'gas', 'rounding', 'suspense', 'foreign', 'advances', 'trading', 'deposits')),
    venue text NOT NULL,
    shard smallint,                   -- exchange shard of cash and of what is in transit to it; null: one pot, or not known
    market_id text,
    outcome text CHECK (outcome IN ('yes', 'no')),  -- whose contracts move; null: dollars do
    unit text NOT NULL CHECK (unit IN ('usd', 'contract')),
    amount_e6 bigint NOT NULL,        -- what comes to the account, below zero what leaves it
    PRIMARY KEY (entry_id, line_no),
    CONSTRAINT postings_unit CHECK ((unit = 'contract') = (outcome IS NOT NULL)),
    CONSTRAINT postings_market CHECK (outcome IS NULL OR market_id IS NOT NULL)
);

-- What stands on each account in dollars: one row per mode, venue, account and shard, and besides it the changes that
-- nobody has added up yet (trading.compact_totals does).
CREATE TABLE trading.account_totals (
    mode text NOT NULL,
    venue text NOT NULL,
    account text NOT NULL,
    shard smallint,
    amount_e6 bigint NOT NULL
);

-- What was booked before this migration. The account of an adjustment stands in its key; what a redemption paid is owed
-- before it is paid, so its other side is `receivable`, which an entry of its own fills below.
INSERT INTO trading.postings (entry_id, line_no, account, venue, shard, market_id, outcome, unit, amount_e6)
SELECT e.entry_id, p.line_no, p.account, e.venue, CASE WHEN p.account = 'cash' THEN e.shard END, e.market_id, p.outcome,
    CASE WHEN p.outcome IS NULL THEN 'usd' ELSE 'contract' END, p.amount_e6
FROM (
    SELECT l.*, (v.terms ->> 'exchange_index')::smallint AS shard,
        CASE WHEN f.fill_id IS NULL THEN 'cash' ELSE 'provisional' END AS own_cash,
        CASE WHEN f.fill_id IS NULL THEN 'positions' ELSE 'provisional' END AS own_contracts,
        CASE
            WHEN l.kind = 'deposit' THEN 'deposits'
            WHEN l.kind = 'fee' THEN 'fees'
            WHEN l.kind = 'rebate' THEN 'rebates'
            WHEN l.kind = 'reversal' AND l.contracts_e6 = 0 THEN CASE WHEN l.cash_e6 > 0 THEN 'fees' ELSE 'rebates' END
            WHEN l.kind IN ('fill', 'reversal') THEN 'trading'
            WHEN l.kind = 'settlement' AND l.venue = 'kalshi' THEN 'trading'
            WHEN l.kind = 'settlement' THEN 'receivable'
            WHEN split_part(l.entry_key, ':', 2) IN ('netting', 'netting-end') THEN 'advances'
            WHEN split_part(l.entry_key, ':', 2) = 'rounding' AND l.venue = 'kalshi' THEN 'rounding'
            WHEN split_part(l.entry_key, ':', 2) = 'rounding' THEN 'receivable'
            ELSE 'suspense'
        END AS contra
    FROM trading.ledger AS l
    LEFT JOIN raw.market_state AS s ON s.venue = l.venue AND s.market_id = l.market_id
    LEFT JOIN raw.market_versions AS v ON v.version_id = s.version_id
    LEFT JOIN trading.fills AS f ON l.kind IN ('fill', 'fee', 'rebate') AND f.state = 'provisional'
        AND f.order_id = l.order_id
        AND l.entry_key = l.mode || ':' || CASE l.kind WHEN 'fill' THEN 'fill:' ELSE 'fee:' END || f.venue || ':'
            || f.venue_fill_id || ':' || f.order_id
) AS e
CROSS JOIN LATERAL (
    SELECT * FROM (VALUES
        (1, e.own_cash, NULL, e.cash_e6),
        (2, e.contra, NULL, -e.cash_e6),
        (3, e.own_contracts, e.outcome, e.contracts_e6),
        (4, 'trading', e.outcome, -e.contracts_e6)
    ) AS x (line_no, account, outcome, amount_e6)
    WHERE CASE WHEN x.line_no < 3 THEN e.cash_e6 <> 0 OR e.contracts_e6 = 0 ELSE e.contracts_e6 <> 0 END
) AS p;
WITH owed AS (
    SELECT l.mode, l.venue, l.market_id, l.environment, max(l.happened_at) AS happened_at, sum(l.cash_e6)::bigint AS paid_e6
    FROM trading.ledger AS l JOIN trading.postings AS p ON p.entry_id = l.entry_id AND p.account = 'receivable'
    GROUP BY l.mode, l.venue, l.market_id, l.environment HAVING sum(l.cash_e6) <> 0
), booked AS (
    INSERT INTO trading.ledger (entry_key, kind, venue, market_id, mode, environment, happened_at)
    SELECT mode || ':accrual:' || venue || ':' || market_id, 'accrual', venue, market_id, mode, environment, happened_at
    FROM owed RETURNING entry_id, mode, venue, market_id
)
INSERT INTO trading.postings (entry_id, line_no, account, venue, market_id, unit, amount_e6)
SELECT b.entry_id, x.line_no, x.account, b.venue, b.market_id, 'usd', x.sign * o.paid_e6
FROM booked AS b JOIN owed AS o USING (mode, venue, market_id)
CROSS JOIN (VALUES (1, 'receivable', 1), (2, 'trading', -1)) AS x (line_no, account, sign);
INSERT INTO trading.account_totals
SELECT l.mode, p.venue, p.account, p.shard, sum(p.amount_e6) FROM trading.postings AS p JOIN trading.ledger AS l USING (entry_id)
WHERE p.unit = 'usd' GROUP BY 1, 2, 3, 4;

-- Append-only, as the ledger is.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.postings
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();

-- At the commit an entry must have postings, balance in dollars and in the contracts of each outcome, and say of our own
-- account what its postings say.
CREATE FUNCTION trading.check_entry() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry trading.ledger;
    sums record;
BEGIN
    SELECT * INTO entry FROM trading.ledger WHERE entry_id = NEW.entry_id;
    SELECT count(*) AS lines, coalesce(sum(amount_e6) FILTER (WHERE unit = 'usd'), 0) AS usd,
        coalesce(sum(amount_e6) FILTER (WHERE unit = 'usd' AND account IN ('cash', 'in_transit', 'provisional')), 0) AS cash,
        coalesce(sum(amount_e6) FILTER (WHERE unit = 'contract' AND account IN ('positions', 'provisional')), 0) AS contracts
    INTO sums FROM trading.postings WHERE entry_id = NEW.entry_id;
    IF sums.lines = 0 THEN
        RAISE check_violation USING MESSAGE = format('the ledger entry %s has no postings', entry.entry_key);
    ELSIF sums.usd <> 0 THEN
        RAISE check_violation USING MESSAGE = format('the dollars of the ledger entry %s do not balance: %s are left',
            entry.entry_key, sums.usd);
    ELSIF EXISTS (
        SELECT FROM trading.postings WHERE entry_id = NEW.entry_id AND unit = 'contract'
        GROUP BY venue, market_id, outcome HAVING sum(amount_e6) <> 0
    ) THEN
        RAISE check_violation USING MESSAGE = format('the contracts of the ledger entry %s do not balance', entry.entry_key);
    ELSIF (sums.cash, sums.contracts) <> (entry.cash_e6::numeric, entry.contracts_e6::numeric) THEN
        RAISE check_violation USING MESSAGE = format('the ledger entry %s says %s and %s of our account, its postings %s and %s',
            entry.entry_key, entry.cash_e6, entry.contracts_e6, sums.cash, sums.contracts);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON trading.ledger DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION trading.check_entry();
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON trading.postings DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION trading.check_entry();

CREATE FUNCTION trading.follow_postings() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO trading.account_totals
    SELECT l.mode, f.venue, f.account, f.shard, sum(f.amount_e6) FROM fresh AS f JOIN trading.ledger AS l USING (entry_id)
    WHERE f.unit = 'usd' GROUP BY l.mode, f.venue, f.account, f.shard;
    RETURN NULL;
END $$;
CREATE TRIGGER totals AFTER INSERT ON trading.postings REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION trading.follow_postings();

-- The cash of an account is what stands on its accounts of cash: there is no second sum of it.
DROP TABLE trading.cash_totals;
CREATE OR REPLACE FUNCTION trading.follow_ledger() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM trading.fold_entries(entries) FROM (
        SELECT array_agg(f::trading.ledger ORDER BY f.entry_id) AS entries FROM fresh AS f
        WHERE f.market_id IS NOT NULL AND f.outcome IS NOT NULL AND (f.cash_e6, f.contracts_e6) <> (0, 0)
        GROUP BY f.environment, f.mode, f.venue, f.market_id, f.outcome
        ORDER BY f.environment, f.mode, f.venue, f.market_id, f.outcome
    ) AS positions;
    INSERT INTO trading.day_totals (day, mode, fee_e6, cash_e6, kalshi_cash_e6, polymarket_cash_e6)
    SELECT trading.utc_day(happened_at), mode,
        -coalesce(sum(cash_e6) FILTER (WHERE kind IN ('fee', 'rebate') OR kind = 'reversal' AND contracts_e6 = 0), 0),
        sum(cash_e6), coalesce(sum(cash_e6) FILTER (WHERE venue = 'kalshi'), 0),
        coalesce(sum(cash_e6) FILTER (WHERE venue = 'polymarket'), 0)
    FROM fresh WHERE kind IN ('fill', 'fee', 'rebate', 'settlement', 'reversal') GROUP BY 1, 2;
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
    WITH gone AS (DELETE FROM trading.account_totals RETURNING *)
    INSERT INTO trading.account_totals
    SELECT mode, venue, account, shard, sum(amount_e6) FROM gone GROUP BY mode, venue, account, shard;
$$;

-- As before: what is set aside (kind `accrual`) moves nothing that is held.
CREATE OR REPLACE VIEW trading.positions AS
SELECT environment, mode, venue, market_id, outcome,
    sum(contracts_e6)::bigint AS contracts_e6,
    sum(cash_e6)::bigint AS cash_e6,
    max(happened_at) AS last_change_at
FROM trading.ledger
WHERE market_id IS NOT NULL AND kind <> 'accrual'
GROUP BY environment, mode, venue, market_id, outcome;
