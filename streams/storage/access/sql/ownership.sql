-- Who makes tables owns them: dbt the schemas of the warehouse, Dagster its own, with all that an earlier version made
-- there. Only where somebody besides the owner logs in for it. Run by the owner; safe to repeat.
DO $ownership$
DECLARE
    place record;
    thing record;
    is_super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    version constant integer := current_setting('server_version_num');
BEGIN
    FOR place IN SELECT * FROM (VALUES
        ('analytics', 'crossbook_dbt'), ('analytics_staging', 'crossbook_dbt'), ('analytics_intermediate', 'crossbook_dbt'),
        ('dagster', 'crossbook_dagster')
    ) AS x (schema_name, owner) LOOP
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid JOIN pg_roles AS l ON l.oid = m.member
            WHERE g.rolname = place.owner AND l.rolcanlogin AND l.rolname <> session_user
        );
        CONTINUE WHEN to_regnamespace(place.schema_name) IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_namespace AS n WHERE n.nspname = place.schema_name AND n.nspowner <> place.owner::regrole
            UNION ALL
            SELECT FROM pg_class AS c WHERE c.relnamespace = to_regnamespace(place.schema_name)
                AND c.relowner <> place.owner::regrole
        );
        IF NOT is_super THEN
            IF NOT pg_has_role(current_user, place.owner, CASE WHEN version < 160000 THEN 'member' ELSE 'set' END) THEN
                EXECUTE format('GRANT %I TO %I', place.owner, current_user);
            END IF;
            EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', current_database(), place.owner);
        END IF;
        IF to_regnamespace(place.schema_name) IS NULL THEN
            EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', place.schema_name, place.owner);
        ELSIF EXISTS (SELECT FROM pg_namespace WHERE nspname = place.schema_name AND nspowner <> place.owner::regrole) THEN
            EXECUTE format('ALTER SCHEMA %I OWNER TO %I', place.schema_name, place.owner);
        END IF;
        FOR thing IN
            SELECT c.oid::regclass::text AS name,
                CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                    ELSE 'TABLE' END AS kind
            FROM pg_class AS c
            WHERE c.relnamespace = to_regnamespace(place.schema_name) AND c.relowner <> place.owner::regrole
                AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
                AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND c.relkind = 'S' AND d.deptype IN ('a', 'i'))
            UNION ALL
            SELECT p.oid::regprocedure::text, 'ROUTINE' FROM pg_proc AS p
            WHERE p.pronamespace = to_regnamespace(place.schema_name) AND p.proowner <> place.owner::regrole
            UNION ALL
            SELECT t.oid::regtype::text, 'TYPE' FROM pg_type AS t
            WHERE t.typnamespace = to_regnamespace(place.schema_name) AND t.typowner <> place.owner::regrole
                AND t.typtype IN ('e', 'd')
        LOOP
            EXECUTE format('ALTER %s %s OWNER TO %I', thing.kind, thing.name, place.owner);
        END LOOP;
        IF NOT is_super THEN
            EXECUTE format('REVOKE CREATE ON DATABASE %I FROM %I', current_database(), place.owner);
        END IF;
    END LOOP;
END $ownership$;
