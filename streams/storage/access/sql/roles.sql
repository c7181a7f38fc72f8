-- The group roles. They cannot log in; who logs in is a member of one. Owner is whoever migrates.
DO $roles$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['crossbook_dagster', 'crossbook_batch', 'crossbook_dbt', 'crossbook_recorder',
        'crossbook_trading', 'crossbook_interface', 'crossbook_reader']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION
                -- Roles are the server's: another database of it may be migrated at the same moment.
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
END $roles$;
