-- What the views of schema analytics rest on: narrow tables of totals that follow the facts row by row, the indexes
-- their lists read, and the one way in which such a view is created or changed.

CREATE INDEX executions_state ON trading.executions (state, execution_id);
CREATE INDEX executions_settled ON trading.executions (settled_at DESC, execution_id DESC)
    INCLUDE (realised_pnl_e6) WHERE settled_at IS NOT NULL;
CREATE INDEX executions_group ON trading.executions (group_id, execution_id);
CREATE INDEX fills_provisional ON trading.fills (order_id) WHERE state = 'provisional';
CREATE INDEX ledger_happened ON trading.ledger (happened_at);
CREATE INDEX refusals_reason ON trading.refusals (reason, signal_id);
CREATE INDEX refusals_refused ON trading.refusals (refused_at);
CREATE INDEX refusals_execution ON trading.refusals (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX pairs_polymarket ON trading.pairs (polymarket_market_id);
CREATE INDEX pair_decisions_decided ON trading.pair_decisions (decided_at);
CREATE INDEX coverage_covered ON raw.coverage (venue, market_id) WHERE ended_at IS NULL AND state = 'covered';

-- One row per (environment, mode, venue, market, outcome) of the ledger. An episode runs from flat to flat: what is
-- held of it costs its share of everything its buying has paid, fees included.
CREATE TABLE trading.position_totals (
    environment text NOT NULL,
    mode text NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    outcome text NOT NULL,
    contracts_e6 bigint NOT NULL,     -- held now
    cash_e6 bigint NOT NULL,          -- signed sum of all entries
    bought_e6 bigint NOT NULL,        -- contracts bought in the episode that runs, those reversed taken off
    paid_e6 bigint NOT NULL,          -- cash paid for them, with the fees of buying
    is_buying boolean NOT NULL,       -- the last movement was a purchase, or the reversal of one: fees that follow are its
    last_change_at timestamptz NOT NULL,
    PRIMARY KEY (environment, mode, venue, market_id, outcome)
);
CREATE INDEX position_totals_open ON trading.position_totals (venue, market_id) WHERE contracts_e6 <> 0;

-- Fold entries of one position into its row, in the order in which they were booked.
CREATE FUNCTION trading.fold_entries(entries trading.ledger[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first constant trading.ledger := entries[1];
    entry trading.ledger;
    p trading.position_totals;
BEGIN
    INSERT INTO trading.position_totals VALUES (first.environment, first.mode, first.venue, first.market_id,
        first.outcome, 0, 0, 0, 0, true, first.happened_at) ON CONFLICT DO NOTHING;
    SELECT * INTO p FROM trading.position_totals
    WHERE (environment, mode, venue, market_id, outcome)
        = (first.environment, first.mode, first.venue, first.market_id, first.outcome) FOR UPDATE;
    FOREACH entry IN ARRAY entries LOOP
        IF entry.contracts_e6 <> 0 THEN
            IF p.contracts_e6 = 0 THEN
                p.bought_e6 := 0;
                p.paid_e6 := 0;
            END IF;
            -- A reversal that takes contracts away undoes a purchase; one that brings them back undoes a sale.
            p.is_buying := (entry.contracts_e6 > 0) <> (entry.kind = 'reversal');
            IF p.is_buying THEN
                p.bought_e6 := p.bought_e6 + entry.contracts_e6;
            END IF;
        END IF;
        IF p.is_buying THEN
            p.paid_e6 := p.paid_e6 - entry.cash_e6;
        END IF;
        p.contracts_e6 := p.contracts_e6 + entry.contracts_e6;
        p.cash_e6 := p.cash_e6 + entry.cash_e6;
        p.last_change_at := greatest(p.last_change_at, entry.happened_at);
    END LOOP;
    UPDATE trading.position_totals AS t SET contracts_e6 = p.contracts_e6, cash_e6 = p.cash_e6, bought_e6 = p.bought_e6,
        paid_e6 = p.paid_e6, is_buying = p.is_buying, last_change_at = p.last_change_at
    WHERE (t.environment, t.mode, t.venue, t.market_id, t.outcome)
        = (p.environment, p.mode, p.venue, p.market_id, p.outcome);
END $$;

-- Sums by UTC day of what trading brought: one row per day and mode, and besides it the changes that nobody has added up
-- yet (trading.compact_totals does). Deposits and adjustments move cash and are no result of trading.
CREATE TABLE trading.day_totals (
    day date NOT NULL,
    mode text NOT NULL,
    trades bigint NOT NULL DEFAULT 0,
    settled_trades bigint NOT NULL DEFAULT 0,
    winning_trades bigint NOT NULL DEFAULT 0,
    losing_trades bigint NOT NULL DEFAULT 0,
    realised_e6 bigint NOT NULL DEFAULT 0,
    fee_e6 bigint NOT NULL DEFAULT 0,
    cash_e6 bigint NOT NULL DEFAULT 0,
    kalshi_cash_e6 bigint NOT NULL DEFAULT 0,
    polymarket_cash_e6 bigint NOT NULL DEFAULT 0
);
CREATE INDEX day_totals_day ON trading.day_totals (day);

-- Executions by state, one row per mode and state, and besides it the changes that nobody has added up yet.
CREATE TABLE trading.state_totals (
    mode text NOT NULL,
    state text NOT NULL,
    trades bigint NOT NULL
);

-- The same of refusals. signals: episodes refused for the reason on that day for the first time.
CREATE TABLE trading.refusal_totals (
    day date NOT NULL,
    reason text NOT NULL,
    environment text NOT NULL,
    refusals bigint NOT NULL,
    signals bigint NOT NULL,
    last_refused_at timestamptz NOT NULL
);

-- One row per episode: what became of it. Having been traded outweighs having been refused, and that its end.
CREATE TABLE trading.signal_outcomes (
    signal_id bigint PRIMARY KEY REFERENCES trading.signals ON DELETE CASCADE,
    outcome text NOT NULL CHECK (outcome IN ('open', 'passed', 'refused', 'traded'))
);
CREATE INDEX signal_outcomes_outcome ON trading.signal_outcomes (outcome, signal_id);

CREATE FUNCTION trading.utc_day(at timestamptz) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (at AT TIME ZONE 'UTC')::date;

CREATE FUNCTION trading.follow_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
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
    RETURN NULL;
END $$;
CREATE TRIGGER totals AFTER INSERT ON trading.ledger REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION trading.follow_ledger();

CREATE FUNCTION trading.follow_new_executions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE trading.signal_outcomes SET outcome = 'traded'
    WHERE signal_id IN (SELECT signal_id FROM fresh) AND outcome <> 'traded';
    INSERT INTO trading.day_totals (day, mode, trades)
    SELECT trading.utc_day(started_at), mode, count(*) FROM fresh GROUP BY 1, 2;
    INSERT INTO trading.state_totals SELECT mode, state, count(*) FROM fresh GROUP BY 1, 2;
    INSERT INTO trading.day_totals (day, mode, settled_trades, winning_trades, losing_trades, realised_e6)
    SELECT trading.utc_day(settled_at), mode, count(*), count(*) FILTER (WHERE realised_pnl_e6 > 0),
        count(*) FILTER (WHERE realised_pnl_e6 < 0), sum(realised_pnl_e6)
    FROM fresh WHERE settled_at IS NOT NULL AND realised_pnl_e6 IS NOT NULL GROUP BY 1, 2;
    RETURN NULL;
END $$;
CREATE TRIGGER totals AFTER INSERT ON trading.executions REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION trading.follow_new_executions();

CREATE FUNCTION trading.follow_settling() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trading.day_totals (day, mode, settled_trades, winning_trades, losing_trades, realised_e6)
    SELECT trading.utc_day(settled_at), mode, sign, sign * (realised_pnl_e6 > 0)::int, sign * (realised_pnl_e6 < 0)::int,
        sign * realised_pnl_e6
    FROM (VALUES (OLD.settled_at, OLD.mode, OLD.realised_pnl_e6, -1), (NEW.settled_at, NEW.mode, NEW.realised_pnl_e6, 1))
        AS seen (settled_at, mode, realised_pnl_e6, sign)
    WHERE settled_at IS NOT NULL AND realised_pnl_e6 IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER settled_totals AFTER UPDATE OF settled_at, realised_pnl_e6 ON trading.executions
    FOR EACH ROW WHEN ((OLD.settled_at, OLD.realised_pnl_e6) IS DISTINCT FROM (NEW.settled_at, NEW.realised_pnl_e6))
    EXECUTE FUNCTION trading.follow_settling();

CREATE FUNCTION trading.follow_states() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trading.state_totals VALUES (OLD.mode, OLD.state, -1), (NEW.mode, NEW.state, 1);
    RETURN NULL;
END $$;
CREATE TRIGGER state_totals AFTER UPDATE OF state ON trading.executions
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION trading.follow_states();

CREATE FUNCTION trading.follow_refusals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE trading.signal_outcomes SET outcome = 'refused'
    WHERE signal_id IN (SELECT signal_id FROM fresh) AND outcome IN ('open', 'passed');
    INSERT INTO trading.refusal_totals
    SELECT trading.utc_day(f.refused_at), f.reason, f.environment, count(*),
        count(DISTINCT f.signal_id) FILTER (WHERE NOT EXISTS (
            SELECT FROM trading.refusals AS r
            WHERE r.signal_id = f.signal_id AND r.reason = f.reason AND r.environment = f.environment
                AND trading.utc_day(r.refused_at) = trading.utc_day(f.refused_at)
                AND r.refusal_id < (SELECT min(x.refusal_id) FROM fresh AS x)
        )),
        max(f.refused_at)
    FROM fresh AS f GROUP BY 1, 2, 3;
    RETURN NULL;
END $$;
CREATE TRIGGER totals AFTER INSERT ON trading.refusals REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION trading.follow_refusals();

CREATE FUNCTION trading.follow_new_signals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO trading.signal_outcomes
    SELECT signal_id, CASE WHEN closed_at IS NULL THEN 'open' ELSE 'passed' END FROM fresh;
    RETURN NULL;
END $$;
CREATE TRIGGER outcomes AFTER INSERT ON trading.signals REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION trading.follow_new_signals();

CREATE FUNCTION trading.follow_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE trading.signal_outcomes SET outcome = CASE WHEN NEW.closed_at IS NULL THEN 'open' ELSE 'passed' END
    WHERE signal_id = NEW.signal_id AND outcome IN ('open', 'passed');
    RETURN NULL;
END $$;
CREATE TRIGGER closing AFTER UPDATE OF closed_at ON trading.signals
    FOR EACH ROW WHEN ((OLD.closed_at IS NULL) <> (NEW.closed_at IS NULL)) EXECUTE FUNCTION trading.follow_closing();

-- Add the changes up to one row per day or state; the settlement cycle does so. Sums are the same before and after.
CREATE FUNCTION trading.compact_totals() RETURNS void LANGUAGE sql AS $$
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
$$;

-- What was booked before this migration.
SELECT trading.fold_entries(array_agg(l ORDER BY l.entry_id)) FROM trading.ledger AS l
WHERE l.market_id IS NOT NULL AND l.outcome IS NOT NULL
GROUP BY l.environment, l.mode, l.venue, l.market_id, l.outcome;
INSERT INTO trading.day_totals (day, mode, fee_e6, cash_e6, kalshi_cash_e6, polymarket_cash_e6)
SELECT trading.utc_day(happened_at), mode,
    -coalesce(sum(cash_e6) FILTER (WHERE kind IN ('fee', 'rebate') OR kind = 'reversal' AND contracts_e6 = 0), 0),
    sum(cash_e6), coalesce(sum(cash_e6) FILTER (WHERE venue = 'kalshi'), 0),
    coalesce(sum(cash_e6) FILTER (WHERE venue = 'polymarket'), 0)
FROM trading.ledger WHERE kind NOT IN ('deposit', 'adjustment') GROUP BY 1, 2;
INSERT INTO trading.day_totals (day, mode, trades)
SELECT trading.utc_day(started_at), mode, count(*) FROM trading.executions GROUP BY 1, 2;
INSERT INTO trading.day_totals (day, mode, settled_trades, winning_trades, losing_trades, realised_e6)
SELECT trading.utc_day(settled_at), mode, count(*), count(*) FILTER (WHERE realised_pnl_e6 > 0),
    count(*) FILTER (WHERE realised_pnl_e6 < 0), sum(realised_pnl_e6)
FROM trading.executions WHERE settled_at IS NOT NULL AND realised_pnl_e6 IS NOT NULL GROUP BY 1, 2;
INSERT INTO trading.state_totals SELECT mode, state, count(*) FROM trading.executions GROUP BY 1, 2;
INSERT INTO trading.refusal_totals
SELECT trading.utc_day(refused_at), reason, environment, count(*), count(DISTINCT signal_id), max(refused_at)
FROM trading.refusals GROUP BY 1, 2, 3;
SELECT trading.compact_totals();
INSERT INTO trading.signal_outcomes
SELECT s.signal_id, CASE
    WHEN EXISTS (SELECT FROM trading.executions AS x WHERE x.signal_id = s.signal_id) THEN 'traded'
    WHEN EXISTS (SELECT FROM trading.refusals AS x WHERE x.signal_id = s.signal_id) THEN 'refused'
    WHEN s.closed_at IS NULL THEN 'open' ELSE 'passed' END
FROM trading.signals AS s;

-- The words of a text, lower case: runs of letters and digits. Whatever is not ASCII is a letter, save spaces and
-- punctuation; a word counts by its first 100 signs.
CREATE FUNCTION raw.words_of(body text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT left(w, 100)), '{}')
    FROM regexp_split_to_table(lower(left(body, 10000)),
        '[\u0001-\u002f\u003a-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+') AS w
    WHERE w <> ''
$$;

-- Its signs: whatever is neither word nor space, each once.
CREATE FUNCTION raw.signs_of(body text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT s), '{}')
    FROM unnest(string_to_array(regexp_replace(left(body, 10000),
        '[0-9A-Za-z[:space:]]|[^\u0001-\u00bf\u2000-\u206f\u3000-\u303f]', '', 'g'), NULL)) AS s
$$;

-- What finds the markets that have, for each word asked for, a word that begins with it; where no word is asked for,
-- those that have each of its signs. Null if nothing is.
CREATE FUNCTION raw.search_for(asked text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg('''' || replace(replace(w, '\', '\\'), '''', '''''') || ''':*', ' & ')::tsquery
    FROM unnest(CASE raw.words_of(asked) WHEN '{}' THEN raw.signs_of(asked) ELSE raw.words_of(asked) END) AS w
$$;

-- One row per market: what it is listed and found by. Event and category are the market's own or, without one, those of
-- its event; words are those of title, subtitle, event and id, and their signs.
CREATE TABLE raw.market_lookup (
    venue text NOT NULL,
    market_id text NOT NULL,
    event_title text NOT NULL,
    category text NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (venue, market_id)
);
CREATE INDEX market_lookup_category ON raw.market_lookup (category, venue, market_id);
CREATE INDEX market_lookup_words ON raw.market_lookup USING gin (words) WITH (fastupdate = off);
CREATE VIEW raw.market_lookup_v1 AS SELECT venue, market_id, event_title, category FROM raw.market_lookup;

CREATE VIEW raw.market_lookup_now AS
SELECT s.venue, s.market_id, n.event_title, coalesce(nullif(v.category, ''), e.category, '') AS category,
    array_to_tsvector(raw.words_of(t.body) || raw.signs_of(t.body)) AS words
FROM raw.market_state AS s
JOIN raw.market_versions AS v ON v.version_id = s.version_id
LEFT JOIN raw.events AS e ON e.venue = v.venue AND e.event_id = v.event_id
CROSS JOIN LATERAL (SELECT coalesce(nullif(v.event_title, ''), e.title, '')) AS n (event_title)
CROSS JOIN LATERAL (SELECT concat_ws(' ', v.title, v.subtitle, n.event_title, s.market_id)) AS t (body);

CREATE FUNCTION raw.look_up(of_venue text, of_market text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO raw.market_lookup SELECT * FROM raw.market_lookup_now WHERE venue = of_venue AND market_id = of_market
    ON CONFLICT (venue, market_id) DO UPDATE
    SET event_title = excluded.event_title, category = excluded.category, words = excluded.words
$$;

CREATE FUNCTION raw.follow_markets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM raw.look_up(NEW.venue, NEW.market_id);
    RETURN NULL;
END $$;
CREATE TRIGGER new_lookup AFTER INSERT ON raw.market_state FOR EACH ROW EXECUTE FUNCTION raw.follow_markets();
CREATE TRIGGER lookup AFTER UPDATE OF version_id ON raw.market_state
    FOR EACH ROW WHEN (OLD.version_id IS DISTINCT FROM NEW.version_id) EXECUTE FUNCTION raw.follow_markets();

CREATE FUNCTION raw.follow_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM raw.look_up(s.venue, s.market_id)
    FROM raw.market_versions AS v
    JOIN raw.market_state AS s ON s.venue = v.venue AND s.market_id = v.market_id AND s.version_id = v.version_id
    WHERE v.venue = NEW.venue AND v.event_id = NEW.event_id ORDER BY s.market_id;
    RETURN NULL;
END $$;
CREATE TRIGGER new_lookup AFTER INSERT ON raw.events FOR EACH ROW EXECUTE FUNCTION raw.follow_events();
CREATE TRIGGER lookup AFTER UPDATE OF title, category ON raw.events
    FOR EACH ROW WHEN ((OLD.title, OLD.category) IS DISTINCT FROM (NEW.title, NEW.category))
    EXECUTE FUNCTION raw.follow_events();

-- What was listed before this migration.
INSERT INTO raw.market_lookup SELECT * FROM raw.market_lookup_now;

-- What is at stake, as the gate counts it and as people see it. One row per (mode, group, market) with open executions,
-- unresolved orders or unconfirmed fills.
CREATE VIEW trading.exposure AS
SELECT e.mode, e.environment, e.group_id, x.venue, x.market_id,
    coalesce(sum(x.spent_e6) FILTER (WHERE e.settled_at IS NULL), 0)::bigint AS spent_e6,
    sum(x.reserved_e6)::bigint AS reserved_e6,
    greatest(0, coalesce(sum(x.spent_e6 + x.reserved_e6) FILTER (WHERE e.settled_at IS NULL), 0))::bigint AS tied_up_e6,
    sum(x.unconfirmed_e6)::bigint AS unconfirmed_e6,
    sum(x.unresolved)::integer AS unresolved_orders
FROM (
    SELECT l.execution_id, l.venue, l.market_id, -l.cash_e6 AS spent_e6, 0::bigint AS reserved_e6,
        0::bigint AS unconfirmed_e6, 0 AS unresolved
    FROM trading.executions AS o JOIN trading.ledger AS l ON l.execution_id = o.execution_id
    WHERE o.settled_at IS NULL AND l.market_id IS NOT NULL
    UNION ALL
    SELECT i.execution_id, i.venue, i.market_id, 0, i.reserved_e6, 0, 1
    FROM trading.orders AS o JOIN trading.intents AS i ON i.intent_id = o.intent_id
    WHERE o.state IN ('prepared', 'sent', 'unknown', 'resting')
    UNION ALL
    SELECT i.execution_id, i.venue, i.market_id, 0, 0, f.cash_e6 + f.fee_e6, 0
    FROM trading.fills AS f JOIN trading.orders AS o ON o.order_id = f.order_id
    JOIN trading.intents AS i ON i.intent_id = o.intent_id
    WHERE f.state = 'provisional' AND f.action = 'buy'
) AS x
JOIN trading.executions AS e ON e.execution_id = x.execution_id
GROUP BY e.mode, e.environment, e.group_id, x.venue, x.market_id;

-- Make the schemas of the warehouse and let the reading roles in, where the server has them.
CREATE FUNCTION trading.open_analytics() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    role_name text;
    schema_name text;
BEGIN
    FOREACH schema_name IN ARRAY ARRAY['analytics', 'analytics_staging', 'analytics_intermediate'] LOOP
        IF to_regnamespace(schema_name) IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I', schema_name);
        END IF;
        FOR role_name IN SELECT rolname FROM pg_roles WHERE rolname IN ('crossbook_face', 'crossbook_reader') LOOP
            IF NOT has_schema_privilege(role_name, schema_name, 'usage') THEN
                EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, role_name);
                EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
                    schema_name, role_name);
                EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', schema_name, role_name);
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- Give one view its query; returns whether anything was done. The view's comment holds the hash of the query it was
-- made from: a view with the same one is left alone. Where the columns allow no replacement (or a table of an earlier
-- version stands there) it is dropped and made again, and so is what stood on it.
CREATE FUNCTION trading.keep_view(schema_name text, view_name text, query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    target constant text := format('%I.%I', schema_name, view_name);
    body constant text := btrim(query, E' \t\r\n;');
    hash constant text := 'view ' || md5(body);
    found constant oid := to_regclass(target);
    kind "char";
    fallen record;
    upon record;
    standing jsonb := '[]';
BEGIN
    SELECT relkind INTO kind FROM pg_class WHERE oid = found;
    IF kind = 'v' AND obj_description(found, 'pg_class') = hash THEN
        RETURN false;
    END IF;
    BEGIN
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', target, body);
        EXECUTE format('COMMENT ON VIEW %s IS %L', target, hash);
        RETURN true;
    EXCEPTION WHEN invalid_table_definition OR wrong_object_type THEN
        NULL;
    END;
    FOR upon IN
        WITH RECURSIVE above (id, depth) AS (
            SELECT r.ev_class, 1 FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = found AND r.ev_class <> found
            UNION
            SELECT r.ev_class, a.depth + 1 FROM above AS a JOIN pg_depend AS d ON d.refobjid = a.id
            JOIN pg_rewrite AS r ON r.oid = d.objid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND r.ev_class <> a.id
        )
        SELECT a.id, max(a.depth) AS depth FROM above AS a JOIN pg_class AS c ON c.oid = a.id AND c.relkind = 'v'
        GROUP BY a.id ORDER BY depth
    LOOP
        standing := standing || jsonb_build_object('name', upon.id::regclass::text, 'query', pg_get_viewdef(upon.id),
            'comment', obj_description(upon.id, 'pg_class'));
    END LOOP;
    EXECUTE format('DROP %s %s CASCADE', CASE kind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
        target);
    EXECUTE format('CREATE VIEW %s AS %s', target, body);
    EXECUTE format('COMMENT ON VIEW %s IS %L', target, hash);
    FOR fallen IN SELECT * FROM jsonb_to_recordset(standing) AS x (name text, query text, comment text) LOOP
        BEGIN
            EXECUTE format('CREATE VIEW %s AS %s', fallen.name, fallen.query);
            EXECUTE format('COMMENT ON VIEW %s IS %L', fallen.name, fallen.comment);
        EXCEPTION WHEN undefined_column OR undefined_table OR datatype_mismatch OR undefined_function THEN
            RAISE WARNING 'view % does not fit the new % and was dropped', fallen.name, target;
        END;
    END LOOP;
    RETURN true;
END $$;

-- Give views their queries, all or none: [{"schema", "name", "query"}, ...], each after those it reads. Returns how many
-- were changed. Nobody who reads is kept waiting: locks are asked for a moment only, then given back and asked for again.
CREATE FUNCTION trading.keep_views(views jsonb) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '40ms' AS $$
DECLARE
    wanted record;
    changed integer;
BEGIN
    FOR attempt IN 1..500 LOOP
        BEGIN
            PERFORM pg_advisory_xact_lock(7263543);
            PERFORM trading.open_analytics();
            changed := 0;
            FOR wanted IN SELECT * FROM jsonb_to_recordset(views) AS x (schema text, name text, query text) LOOP
                changed := changed + trading.keep_view(wanted.schema, wanted.name, wanted.query)::integer;
            END LOOP;
            RETURN changed;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.02 + 0.08 * random());
        END;
    END LOOP;
    RAISE lock_not_available USING MESSAGE = 'views could not be changed: their readers never let go';
END $$;
