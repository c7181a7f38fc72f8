-- Every process has a login of its own: what follows the facts is written by the owner's functions, not by whoever
-- writes a fact.

-- The totals, and what markets are found by.
ALTER FUNCTION trading.follow_ledger() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.follow_new_executions() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.follow_settling() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.follow_states() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.follow_refusals() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.follow_new_signals() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.follow_closing() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION trading.compact_totals() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION raw.follow_markets() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION raw.follow_events() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

-- Make the schemas of the warehouse where they are missing, and let those in who read it. Whoever makes tables there
-- calls it: a table that was made anew is open again.
CREATE OR REPLACE FUNCTION trading.open_analytics() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    role_name text;
    schema_name text;
BEGIN
    FOREACH schema_name IN ARRAY ARRAY['analytics', 'analytics_staging', 'analytics_intermediate'] LOOP
        IF to_regnamespace(schema_name) IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I', schema_name);
        END IF;
        FOR role_name IN SELECT rolname FROM pg_roles
            WHERE rolname IN ('crossbook_batch', 'crossbook_interface', 'crossbook_reader')
        LOOP
            IF NOT has_schema_privilege(role_name, schema_name, 'usage') OR EXISTS (
                SELECT FROM pg_class AS c WHERE c.relnamespace = to_regnamespace(schema_name)
                    AND c.relkind IN ('r', 'v', 'm') AND NOT has_table_privilege(role_name, c.oid, 'select')
                    AND pg_has_role(c.relowner, 'usage')
            ) THEN
                EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, role_name);
                EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I',
                    schema_name, role_name);
                EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', schema_name, role_name);
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- What was open to everybody by default; the groups get what they need (streams/storage/access/sql/rights.sql).
REVOKE ALL ON FUNCTION trading.fold_entries(trading.ledger[]), trading.compact_totals(), trading.open_analytics(),
    trading.keep_view(text, text, text), trading.keep_views(jsonb), raw.look_up(text, text)
    FROM PUBLIC;

-- The role that nobody used.
DO $$
BEGIN
    BEGIN
        DROP OWNED BY crossbook_face;
    EXCEPTION
        WHEN insufficient_privilege THEN
            REVOKE ALL ON ALL TABLES IN SCHEMA raw, trading FROM crossbook_face;
            REVOKE ALL ON SCHEMA raw, trading FROM crossbook_face;
            ALTER DEFAULT PRIVILEGES IN SCHEMA raw, trading REVOKE ALL ON TABLES FROM crossbook_face;
    END;
EXCEPTION
    WHEN undefined_object THEN NULL;
END $$;
