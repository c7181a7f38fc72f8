-- What a restore brought to the schemas of the warehouse, or an earlier version made, can be read before dbt makes anything.
-- As the schema's owner, so that what it makes later is open from its first moment. Run by the owner; safe to repeat.
DO $opening$
DECLARE
    owner constant name := (
        SELECT r.rolname FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner WHERE n.nspname = 'analytics'
    );
BEGIN
    IF owner IS NOT NULL THEN
        EXECUTE format('SET LOCAL ROLE %I', owner);
        PERFORM trading.open_analytics();
    END IF;
END $opening$;
