-- Locks are rows of trading.locks, which stand in guards.sql: it runs before any migration.

-- A switch is in force once its row is there, and its writer waits for nobody: whoever sends an order reads the last row
-- immediately before it leaves, so that an intent which commits after a kill is never sent. Nobody listens to switches.
DROP TRIGGER acting ON trading.switches;
DROP FUNCTION trading.lock_acting();
DROP TRIGGER announce ON trading.switches;

-- News are a hint: whoever waits for them looks by itself too. So none is given while the server's queue of notifications,
-- which any login can fill, is half full: a full one would fail the transaction that tells.
CREATE OR REPLACE FUNCTION trading.notify_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify(TG_ARGV[0], '');
    END IF;
    RETURN NULL;
END $$;

-- Give views their queries, all or none: [{"schema", "name", "query"}, ...], each after those it reads. Returns how many
-- were changed. Nobody who reads is kept waiting: locks are asked for a moment only, then given back and asked for again.
CREATE OR REPLACE FUNCTION trading.keep_views(views jsonb) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '40ms' AS $$
DECLARE
    wanted record;
    changed integer;
BEGIN
    FOR attempt IN 1..500 LOOP
        BEGIN
            PERFORM FROM trading.locks WHERE name = 'views' FOR UPDATE;
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
