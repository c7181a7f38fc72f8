-- Partitions of the raw tables, one a day (UTC). Whoever writes a row makes its day first; there is no default partition,
-- which a single row would turn into a lock on its day.

-- Make a day of a table, or finish making it; returns whether it was missing. A new partition is made beside the table
-- and attached, which no reader and no writer waits for.
CREATE FUNCTION raw.make_day(of_table text, of_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    day_name constant text := of_table || '_' || to_char(of_day, 'YYYYMMDD');
    found regclass;
    is_pending boolean;
BEGIN
    IF of_table IS NULL OR of_table NOT IN ('book_deltas', 'book_snapshots', 'quotes', 'trades', 'lifecycle_events') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('raw.%s has no days', coalesce(of_table, 'null'));
    END IF;
    IF of_day IS NULL OR of_day NOT BETWEEN date '1970-01-01' AND date '9999-12-30' THEN
        RAISE datetime_field_overflow USING MESSAGE = format('%s is no day of raw.%s', coalesce(of_day::text, 'null'), of_table);
    END IF;
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(format('raw.%I', day_name)) AND NOT inhdetachpending) THEN
        RETURN false;
    END IF;
    -- One at a time: who waited here looks again.
    EXECUTE format('LOCK TABLE raw.%I IN SHARE UPDATE EXCLUSIVE MODE', of_table);
    found := to_regclass(format('raw.%I', day_name));
    IF found IS NULL THEN
        EXECUTE format('CREATE TABLE raw.%I (LIKE raw.%I INCLUDING ALL)', day_name, of_table);
    ELSE
        -- Null where it stands alone: an old day that was detached and not dropped yet.
        SELECT inhdetachpending INTO is_pending FROM pg_inherits WHERE inhrelid = found;
        IF NOT is_pending THEN
            RETURN false;
        ELSIF is_pending THEN
            EXECUTE format('ALTER TABLE raw.%I DETACH PARTITION raw.%I FINALIZE', of_table, day_name);
        END IF;
    END IF;
    EXECUTE format('ALTER TABLE raw.%I ATTACH PARTITION raw.%I FOR VALUES FROM (%L) TO (%L)', of_table, day_name,
        to_char(of_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(of_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
    RETURN true;
END $$;

-- Make the day of rows that are about to be written. A day more than two ahead of the database's clock, or a past one
-- that is not there any more (or never was), is an alert: the rows are written all the same.
CREATE FUNCTION raw.ensure_day(of_table text, of_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today constant date := (now() AT TIME ZONE 'UTC')::date;
    is_new constant boolean := raw.make_day(of_table, of_day);
    dedup constant text := 'far_day:' || to_char(of_day, 'YYYY-MM-DD');
BEGIN
    IF (of_day > today + 2 OR of_day < today - 1 AND is_new)
        AND NOT EXISTS (SELECT FROM trading.alerts WHERE dedup_key = dedup AND cleared_at IS NULL) THEN
        INSERT INTO trading.alerts (kind, severity, dedup_key, message, detail)
        VALUES ('far_day', 'warning', dedup,
            format('Rows of %s are recorded while the database says it is %s; look at the clocks of both hosts.',
                to_char(of_day, 'YYYY-MM-DD'), to_char(today, 'YYYY-MM-DD')),
            jsonb_build_object('day', to_char(of_day, 'YYYY-MM-DD'), 'table', of_table))
        ON CONFLICT (dedup_key) WHERE cleared_at IS NULL DO NOTHING;
    END IF;
    RETURN is_new;
END $$;

REVOKE ALL ON FUNCTION raw.make_day(text, date), raw.ensure_day(text, date) FROM PUBLIC;
