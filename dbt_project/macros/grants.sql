{# Let the reading roles see what was built, where the server has these roles. #}
{% macro grant_reading() %}
do $$
declare
    role_name text;
    schema_name text;
begin
    for role_name in select rolname from pg_roles where rolname in ('crossbook_face', 'crossbook_reader') loop
        for schema_name in
            select nspname from pg_namespace
            where nspname in ('analytics', 'analytics_staging', 'analytics_intermediate')
                and not (has_schema_privilege(role_name, nspname, 'usage'))
        loop
            execute format('grant usage on schema %I to %I', schema_name, role_name);
            execute format(
                'alter default privileges in schema %I grant select on tables to %I', schema_name, role_name
            );
            execute format('grant select on all tables in schema %I to %I', schema_name, role_name);
        end loop;
    end loop;
end $$
{% endmacro %}
