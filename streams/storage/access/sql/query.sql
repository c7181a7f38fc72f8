-- A query that acts as the reader whoever calls it, for `crossbook sql` where the reader has no login of its own: inside
-- such a function no role can be taken back, whatever the query calls. One row of JSON per row of the query.
--
-- The function is its role's, so that every reader may alter it, but for its text. So the text looks first whether it acts
-- as the reader and no role can be taken, and each start puts the rest right.
DO $query$
DECLARE
    is_super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
BEGIN
    IF to_regnamespace('trading') IS NULL THEN
        RETURN;
    END IF;
    IF NOT is_super AND NOT pg_has_role(current_user, 'crossbook_reader', 'usage') THEN
        EXECUTE format('GRANT crossbook_reader TO %I', current_user);
    END IF;
    CREATE OR REPLACE FUNCTION trading.read_as_reader(query text) RETURNS SETOF json LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = analytics, raw, trading, pg_temp AS $function$
    DECLARE
        is_bound boolean := false;
    BEGIN
        BEGIN
            PERFORM pg_catalog.set_config('role', 'none', true);
        EXCEPTION
            WHEN insufficient_privilege THEN is_bound := true;
        END;
        IF NOT is_bound OR current_user <> 'crossbook_reader' THEN
            RAISE insufficient_privilege
                USING MESSAGE = 'trading.read_as_reader was altered by a reader; the next start puts it right';
        END IF;
        RETURN QUERY EXECUTE 'SELECT row_to_json(answer.*) FROM (' || query || E'\n) AS answer';
    END $function$;
    REVOKE ALL ON FUNCTION trading.read_as_reader(text) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION trading.read_as_reader(text) TO crossbook_interface;
    IF EXISTS (SELECT FROM pg_proc WHERE oid = 'trading.read_as_reader(text)'::regprocedure
        AND proowner <> 'crossbook_reader'::regrole) THEN
        GRANT CREATE ON SCHEMA trading TO crossbook_reader;
        ALTER FUNCTION trading.read_as_reader(text) OWNER TO crossbook_reader;
        REVOKE CREATE ON SCHEMA trading FROM crossbook_reader;
    END IF;
END $query$;
