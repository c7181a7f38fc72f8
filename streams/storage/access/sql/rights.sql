-- What each group may do, exactly: what stands here, and no more. Run by the owner; safe to repeat.
DO $rights$
DECLARE
    groups constant text := 'crossbook_dagster, crossbook_batch, crossbook_dbt, crossbook_recorder, crossbook_trading,'
        ' crossbook_interface, crossbook_reader';
    -- All of them read what was received and what was done; Dagster has tables of its own.
    readers constant text := 'crossbook_batch, crossbook_dbt, crossbook_recorder, crossbook_trading,'
        ' crossbook_interface, crossbook_reader';
    everything text;
    entry record;
BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname = ANY (string_to_array(groups, ', '))) < 7 THEN
        RAISE NOTICE 'rights are not given: the group roles are not there';
        RETURN;
    END IF;
    IF to_regnamespace('raw') IS NULL OR to_regnamespace('trading') IS NULL THEN
        RETURN;
    END IF;

    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) INTO everything
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('raw', 'trading') AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
        AND pg_has_role(c.relowner, 'usage')
        AND c.oid IS DISTINCT FROM to_regclass('trading.locks');  -- guards.sql gives it to all but readers
    EXECUTE format('GRANT USAGE ON SCHEMA raw, trading TO %s', readers);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA raw, trading GRANT SELECT ON TABLES TO %s', readers);
    EXECUTE format('REVOKE ALL ON %s FROM %s', everything, groups);
    EXECUTE format('GRANT SELECT ON %s TO %s', everything, readers);

    FOR entry IN SELECT * FROM (VALUES
        ('batch', 'INSERT, UPDATE', 'raw.candles, raw.discovery_sweeps, raw.events, raw.market_ids, raw.market_state, raw.series'),
        ('batch', 'INSERT', 'raw.dead_letters, raw.market_versions'),
        ('batch', 'INSERT, UPDATE', 'trading.alerts, trading.groups, trading.judge_answers, trading.matching_cursors'),
        ('batch', 'INSERT, UPDATE', 'trading.pair_candidates, trading.pairs'),
        -- Sensors note why a signal is not traded.
        ('batch', 'INSERT', 'trading.group_decisions, trading.pair_verdicts, trading.refusals'),
        ('recorder', 'INSERT', 'raw.book_deltas, raw.book_snapshots, raw.lifecycle_events, raw.quotes, raw.trades'),
        ('recorder', 'INSERT, UPDATE, DELETE', 'raw.segments'),
        ('recorder', 'INSERT, UPDATE', 'raw.connections, raw.coverage'),
        ('recorder', 'INSERT', 'raw.dead_letters'),
        ('recorder', 'INSERT, UPDATE', 'trading.leases, trading.signal_legs, trading.signals'),
        ('trading', 'INSERT, UPDATE', 'trading.alerts, trading.executions, trading.fills, trading.leases, trading.orders'),
        ('trading', 'INSERT, UPDATE', 'trading.gate_decisions, trading.plan_decisions'),
        ('trading', 'INSERT, UPDATE, DELETE', 'trading.venue_readings'),
        ('trading', 'INSERT', 'trading.reservations'),
        ('batch', 'DELETE', 'trading.gate_decisions, trading.plan_decisions'),
        ('trading', 'INSERT', 'trading.balances, trading.execution_events, trading.intents, trading.ledger'),
        ('trading', 'INSERT', 'trading.account_readings, trading.account_switches, trading.postings'),
        ('trading', 'INSERT', 'trading.breaker_trips'),
        ('trading', 'INSERT, UPDATE', 'trading.order_groups'),
        ('trading', 'INSERT, UPDATE', 'trading.account_breaks, trading.foreign_activity'),
        ('interface', 'INSERT', 'trading.account_switches'),
        ('trading', 'INSERT', 'trading.refusals'),
        ('trading', 'INSERT, UPDATE', 'trading.redemptions, trading.settlements'),
        ('trading', 'UPDATE', 'trading.commands'),
        ('interface', 'INSERT', 'trading.commands, trading.edge_releases, trading.group_decisions, trading.limits, trading.switches'),
        ('interface', 'INSERT, DELETE', 'trading.watch_list'),
        ('interface', 'INSERT, UPDATE', 'trading.alerts'),
        ('recorder', 'INSERT, UPDATE', 'trading.alerts'),
        -- Who sends alerts: a sensor, and the supervisor and the command line beside it.
        ('batch', 'INSERT', 'trading.alert_receipts'),
        ('batch', 'INSERT, UPDATE', 'trading.alert_looks'),
        ('interface', 'INSERT', 'trading.alert_receipts')
    ) AS x (login, privileges, tables) LOOP
        EXECUTE format('GRANT %s ON %s TO %I', entry.privileges, entry.tables, 'crossbook_' || entry.login);
    END LOOP;

    -- Functions that act as the owner, or that make what the schemas of the warehouse hold. A restore leaves them open to
    -- everybody, as every new function is.
    REVOKE ALL ON FUNCTION trading.fold_entries(trading.ledger[]), raw.look_up(text, text),
        trading.reduce_by_breaker(text, bigint, timestamptz) FROM PUBLIC;
    FOR entry IN SELECT * FROM (VALUES
        ('crossbook_batch, crossbook_recorder', 'raw.ensure_day(text, date, timestamptz)'),
        ('crossbook_batch, crossbook_recorder', 'raw.make_day(text, date)'),
        ('crossbook_dbt', 'trading.keep_view(text, text, text)'),
        ('crossbook_dbt', 'trading.keep_views(jsonb)'),
        ('crossbook_dbt', 'trading.open_analytics()'),
        ('crossbook_trading', 'trading.compact_totals()'),
        ('crossbook_trading', 'trading.reduce_by_breaker(text, bigint, timestamptz)')
    ) AS x (callers, signature) LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, %s', entry.signature, groups);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', entry.signature, entry.callers);
    END LOOP;
END $rights$;

DO $database$
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO crossbook_dagster, crossbook_batch, crossbook_dbt,'
        ' crossbook_recorder, crossbook_trading, crossbook_interface, crossbook_reader', current_database());
    -- dbt puts what it loads into a temporary table first.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO crossbook_dbt', current_database());
EXCEPTION
    WHEN insufficient_privilege OR undefined_object THEN NULL;
END $database$;
