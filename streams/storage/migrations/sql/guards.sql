-- What must be there before any migration runs, applied at every start: the locks, and the means against readers who keep
-- others waiting. Every statement may be run again.

-- One row per lock. Whoever holds a row FOR UPDATE has the lock, until its transaction ends. These are rows and no advisory
-- locks because every login may take an advisory lock of any number; on this table a reader has no right at all.
CREATE TABLE IF NOT EXISTS trading.locks (
    name text PRIMARY KEY             -- "migration", "acting", "views", "market:kalshi:KX..."
);
INSERT INTO trading.locks (name) VALUES ('migration'), ('acting'), ('views') ON CONFLICT DO NOTHING;

-- Whether a login may only read: it has the rights of crossbook_reader, is no superuser and belongs neither to the owner
-- of these schemas nor to any role that writes.
CREATE OR REPLACE FUNCTION trading.is_reader(login oid) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_roles AS r, pg_roles AS reader, pg_namespace AS n
        WHERE r.oid = login AND NOT r.rolsuper AND reader.rolname = 'crossbook_reader' AND n.nspname = 'trading'
            AND pg_has_role(login, reader.oid, 'USAGE') AND NOT pg_has_role(login, n.nspowner, 'MEMBER')
            AND NOT EXISTS (
                SELECT FROM pg_roles AS w
                WHERE w.rolname LIKE 'crossbook\_%' AND w.oid NOT IN (reader.oid, login)
                    AND pg_has_role(login, w.oid, 'MEMBER')
            )
    )
$$;

-- The sessions of readers in this database, with whom each keeps waiting. It belongs to the owner because other logins see
-- neither the state nor the times of a stranger's session.
CREATE OR REPLACE FUNCTION trading.reader_sessions() RETURNS TABLE (
    pid integer, login text, started_at timestamptz, state text, state_changed_at timestamptz, statement_at timestamptz,
    transaction_at timestamptz, advisory_locks integer, awaited_by text[]
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    readers constant integer[] := ARRAY(
        SELECT a.pid FROM pg_stat_activity AS a
        WHERE a.datname = current_database() AND a.usesysid IS NOT NULL AND trading.is_reader(a.usesysid)
    );
BEGIN
    IF readers = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH locks AS MATERIALIZED (
        SELECT l.pid, l.locktype, l.granted FROM pg_locks AS l WHERE l.pid = ANY(readers) OR NOT l.granted
    ), waiting AS MATERIALIZED (
        SELECT w.pid, pg_blocking_pids(w.pid) AS blockers
        FROM (SELECT DISTINCT l.pid FROM locks AS l WHERE NOT l.granted AND l.pid IS NOT NULL) AS w
        WHERE w.pid <> ALL(readers)
    )
    SELECT a.pid, a.usename::text, a.backend_start, a.state, a.state_change, a.query_start, a.xact_start,
        (SELECT count(*)::integer FROM locks AS l WHERE l.pid = a.pid AND l.locktype = 'advisory'),
        ARRAY(
            SELECT coalesce(nullif(o.application_name, ''), o.usename, 'a process') || ' (' || w.pid || ')'
            FROM waiting AS w LEFT JOIN pg_stat_activity AS o ON o.pid = w.pid
            WHERE a.pid = ANY(w.blockers) ORDER BY w.pid
        )
    FROM pg_stat_activity AS a WHERE a.pid = ANY(readers) ORDER BY a.pid;
END $$;

-- End one session, if it is still the one that was seen and a reader's, and leave an alert of this moment that says why; one
-- alert is open per login and rule. Returns whether the session was told to end.
DROP FUNCTION IF EXISTS trading.end_reader_session(integer, timestamptz, text, text);
CREATE OR REPLACE FUNCTION trading.end_reader_session(
    session integer, began timestamptz, rule text, why text, moment timestamptz
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    login text;
BEGIN
    SELECT a.usename INTO login FROM pg_stat_activity AS a
    WHERE a.pid = session AND a.backend_start = began AND trading.is_reader(a.usesysid);
    IF login IS NULL OR NOT pg_terminate_backend(session) THEN
        RETURN false;
    END IF;
    INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail, raised_at)
    VALUES ('reader_ended', 'warning', format('reader:%s:%s', login, rule),
        format('A session of the reader %s was ended: %s.', login, why), jsonb_build_object('login', login, 'rule', rule),
        moment)
    ON CONFLICT (dedup_key) WHERE cleared_at IS NULL DO NOTHING;
    RETURN true;
END $$;

-- End every session of readers, for when the server's table of locks is full: then no relation can be read any more, and
-- nobody connects. So nothing is asked here but functions, whose answers about roles this session remembers from its
-- trials. Returns the logins whose sessions were (or, in a trial, would be) told to end.
CREATE OR REPLACE FUNCTION trading.end_all_readers(is_trial boolean) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own constant oid := (SELECT m.datid FROM pg_stat_get_activity(pg_backend_pid()) AS m);
    writers constant oid[] := ARRAY(
        SELECT to_regrole('crossbook_' || name)::oid
        FROM unnest(ARRAY['dagster', 'batch', 'dbt', 'recorder', 'trading', 'interface']) AS name
    );
    reader constant oid := to_regrole('crossbook_reader');
    ended text[] := '{}';
    session record;
BEGIN
    FOR session IN SELECT a.pid, a.usesysid FROM pg_stat_get_activity(NULL) AS a WHERE a.datid = own LOOP
        CONTINUE WHEN NOT coalesce(pg_has_role(session.usesysid, reader, 'usage'), false)
            OR pg_has_role(session.usesysid, current_user, 'member')
            OR EXISTS (SELECT FROM unnest(writers) AS w WHERE pg_has_role(session.usesysid, w, 'member'));
        IF is_trial OR pg_terminate_backend(session.pid) THEN
            ended := ended || pg_get_userbyid(session.usesysid)::text;
        END IF;
    END LOOP;
    RETURN ended;
END $$;

-- None of it is for readers, who get SELECT on every table of the schema by default.
REVOKE ALL ON trading.locks FROM PUBLIC;
REVOKE ALL ON FUNCTION trading.reader_sessions(), trading.end_reader_session(integer, timestamptz, text, text, timestamptz),
    trading.end_all_readers(boolean) FROM PUBLIC;
DO $$
DECLARE
    role record;
BEGIN
    FOR role IN SELECT rolname AS name, rolname = 'crossbook_reader' OR trading.is_reader(oid) AS is_reader
        FROM pg_roles WHERE rolname LIKE 'crossbook\_%'
    LOOP
        IF role.is_reader THEN
            EXECUTE format('REVOKE ALL ON trading.locks FROM %I', role.name);
            EXECUTE format('REVOKE ALL ON FUNCTION trading.reader_sessions(),'
                ' trading.end_reader_session(integer, timestamptz, text, text, timestamptz),'
                ' trading.end_all_readers(boolean) FROM %I', role.name);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE ON trading.locks TO %I', role.name);
            EXECUTE format('GRANT EXECUTE ON FUNCTION trading.reader_sessions(),'
                ' trading.end_reader_session(integer, timestamptz, text, text, timestamptz),'
                ' trading.end_all_readers(boolean) TO %I', role.name);
        END IF;
        -- What reader_limits takes from PUBLIC.
        BEGIN
            EXECUTE format(CASE WHEN role.is_reader THEN 'REVOKE TEMPORARY ON DATABASE %I FROM %I'
                ELSE 'GRANT TEMPORARY ON DATABASE %I TO %I' END, current_database(), role.name);
        EXCEPTION WHEN insufficient_privilege THEN NULL;
        END;
    END LOOP;
END $$;
