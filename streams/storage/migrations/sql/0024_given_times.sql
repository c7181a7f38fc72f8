-- No table of trading reads a clock: who writes a row gives its time, and a row without one is refused.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT d.adrelid::regclass AS of_table, a.attname AS of_column
        FROM pg_attrdef AS d
        JOIN pg_class AS c ON c.oid = d.adrelid AND c.relnamespace = 'trading'::regnamespace
        JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE pg_get_expr(d.adbin, d.adrelid) IN ('now()', 'clock_timestamp()')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', found.of_table, found.of_column);
    END LOOP;
END $$;

-- As before, but for the moment: it is given. A day more than two ahead of it, or a past one that is not there any more (or
-- never was), is an alert: the rows are written all the same.
DROP FUNCTION raw.ensure_day(text, date);
CREATE FUNCTION raw.ensure_day(of_table text, of_day date, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today constant date := (moment AT TIME ZONE 'UTC')::date;
    is_new constant boolean := raw.make_day(of_table, of_day);
    dedup constant text := 'far_day:' || to_char(of_day, 'YYYY-MM-DD');
BEGIN
    IF (of_day > today + 2 OR of_day < today - 1 AND is_new)
        AND NOT EXISTS (SELECT FROM trading.alerts WHERE dedup_key = dedup AND cleared_at IS NULL) THEN
        INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail, raised_at)
        VALUES ('far_day', 'warning', dedup,
            format('Rows of %s are recorded while the database says it is %s; look at the clocks of both hosts.',
                to_char(of_day, 'YYYY-MM-DD'), to_char(today, 'YYYY-MM-DD')),
            jsonb_build_object('day', to_char(of_day, 'YYYY-MM-DD'), 'table', of_table), moment)
        ON CONFLICT (dedup_key) WHERE cleared_at IS NULL DO NOTHING;
    END IF;
    RETURN is_new;
END $$;
REVOKE ALL ON FUNCTION raw.ensure_day(text, date, timestamptz) FROM PUBLIC;
