-- Roles: owner is whoever migrates; face reads everything and writes what people decide; reader only reads.
-- They are NOLOGIN group roles per database server; skipped where the owner may not create roles.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['crossbook_face', 'crossbook_reader'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION
                -- Roles are the server's: another database of it may be migrated at the same moment.
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA raw, trading TO %I', role_name);
        EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA raw, trading TO %I', role_name);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA raw GRANT SELECT ON TABLES TO %I', role_name);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA trading GRANT SELECT ON TABLES TO %I', role_name);
    END LOOP;
    GRANT INSERT ON trading.pair_decisions, trading.switches, trading.limits, trading.commands, trading.watch_list
        TO crossbook_face;
    GRANT DELETE ON trading.watch_list TO crossbook_face;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'roles are not created: the owner may not create roles on this server';
END $$;
