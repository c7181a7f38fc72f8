-- Schema trading: pairs, decisions, signals, executions, orders, fills, ledger, limits, switches, leases.

CREATE SCHEMA IF NOT EXISTS trading;

-- Exactly one row: the exchanges this database belongs to.
CREATE TABLE trading.environment_stamp (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    environment text NOT NULL CHECK (environment IN ('sandbox', 'demo', 'live')),
    stamped_at timestamptz NOT NULL DEFAULT now()
);

-- One row per two markets that blocking put together.
CREATE TABLE trading.pair_candidates (
    candidate_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kalshi_market_id text NOT NULL,
    polymarket_market_id text NOT NULL,
    rank integer NOT NULL,
    score numeric NOT NULL,
    reasons jsonb NOT NULL,
    kalshi_text_hash text NOT NULL,
    polymarket_text_hash text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kalshi_market_id, polymarket_market_id)
);
CREATE INDEX pair_candidates_polymarket ON trading.pair_candidates (polymarket_market_id);

-- One row per verdict of a judge on a candidate's texts. A is the Kalshi market, B the Polymarket one.
CREATE TABLE trading.pair_verdicts (
    verdict_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    candidate_id bigint NOT NULL REFERENCES trading.pair_candidates,
    content_hash text NOT NULL,       -- over both texts, the prompt's version and the judge
    judge text NOT NULL,              -- rules | model name
    relation text NOT NULL CHECK (relation IN ('equivalent', 'inverted', 'a_implies_b', 'b_implies_a',
        'mutually_exclusive', 'related', 'unrelated', 'uncertain')),
    same_contract boolean NOT NULL,
    polarity text CHECK (polarity IN ('aligned', 'inverted')),
    confidence numeric NOT NULL,
    differences jsonb NOT NULL DEFAULT '[]',
    basis_risk text NOT NULL DEFAULT '',
    explanation text NOT NULL DEFAULT '',
    is_cached boolean NOT NULL DEFAULT false,
    input_tokens integer NOT NULL DEFAULT 0,
    output_tokens integer NOT NULL DEFAULT 0,
    cost_usd numeric NOT NULL DEFAULT 0,
    judged_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (candidate_id, content_hash)
);

-- One row per answer of a language model, by content; verdicts are read from here before anything is asked.
CREATE TABLE trading.judge_answers (
    content_hash text PRIMARY KEY,
    model text NOT NULL,
    answer jsonb NOT NULL,
    input_tokens integer NOT NULL,
    output_tokens integer NOT NULL,
    cost_usd numeric NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT now()
);

-- One row per pair: a candidate some judge called the same contract, or that a person made.
CREATE TABLE trading.pairs (
    pair_id text PRIMARY KEY,         -- 16 hex digits over both market ids
    kalshi_market_id text NOT NULL,
    polymarket_market_id text NOT NULL,
    relation text NOT NULL,
    polarity text NOT NULL CHECK (polarity IN ('aligned', 'inverted')),
    verdict_id bigint REFERENCES trading.pair_verdicts,
    kalshi_text_hash text NOT NULL,   -- of the texts as they are now; a decision binds to the ones it saw
    polymarket_text_hash text NOT NULL,
    environment text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (kalshi_market_id, polymarket_market_id)
);

-- How far a stage of matching has read raw.market_versions, so that light refreshes take only what is new.
CREATE TABLE trading.matching_cursors (
    stage text PRIMARY KEY,           -- candidates | verdicts
    version_id bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Append-only: who decided what on a pair.
CREATE TABLE trading.pair_decisions (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair_id text NOT NULL REFERENCES trading.pairs,
    decision text NOT NULL CHECK (decision IN ('approve', 'reject', 'pause')),
    decided_by text NOT NULL,         -- a person, or 'sandbox' for automatic approvals
    reason text NOT NULL DEFAULT '',
    kalshi_text_hash text NOT NULL,
    polymarket_text_hash text NOT NULL,
    environment text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX pair_decisions_pair ON trading.pair_decisions (pair_id, decision_id DESC);

-- One row per pair with the state that its last decision leaves it in.
-- proposed: nobody decided; lapsed: approved, but a text or the environment has changed since.
CREATE VIEW trading.pair_states AS
SELECT p.*, d.decision_id, d.decided_by, d.decided_at, d.reason AS decision_reason,
    CASE
        WHEN d.decision IS NULL THEN 'proposed'
        WHEN d.decision = 'reject' THEN 'rejected'
        WHEN d.decision = 'pause' THEN 'paused'
        WHEN d.kalshi_text_hash <> p.kalshi_text_hash OR d.polymarket_text_hash <> p.polymarket_text_hash
            OR d.environment <> p.environment THEN 'lapsed'
        ELSE 'approved'
    END AS state
FROM trading.pairs AS p
LEFT JOIN LATERAL (
    SELECT * FROM trading.pair_decisions AS x WHERE x.pair_id = p.pair_id ORDER BY x.decision_id DESC LIMIT 1
) AS d ON true;

-- One row per set of related markets that edges are looked for in: a pair, a strike ladder, a sum-to-one event.
CREATE TABLE trading.groups (
    group_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('pair', 'ladder', 'event', 'set')),
    title text NOT NULL,
    markets jsonb NOT NULL,           -- [{"venue", "market_id"}], in a fixed order
    outcomes jsonb NOT NULL,          -- allowed outcomes as in `crossbook edges`, ids are "venue:market_id"
    is_tradable boolean NOT NULL,     -- may be executed, besides recorded and shown
    reason text NOT NULL DEFAULT '',  -- why not, when not
    resolves_at timestamptz,
    environment text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);

-- Markets people want recorded besides pairs and groups.
CREATE TABLE trading.watch_list (
    venue text NOT NULL,
    market_id text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (venue, market_id)
);

-- One row per episode of an opportunity; one open episode per (group, leg set).
CREATE TABLE trading.signals (
    signal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id text NOT NULL REFERENCES trading.groups,
    leg_set text NOT NULL,            -- "venue:market_id:outcome" joined by "+", sorted
    shard integer NOT NULL,
    environment text NOT NULL,
    is_tradable boolean NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    close_reason text NOT NULL DEFAULT '',
    open_edge_usd numeric NOT NULL,   -- net edge per contract at the best level
    peak_edge_usd numeric NOT NULL,
    last_edge_usd numeric NOT NULL,
    contracts_e6 bigint NOT NULL,     -- at the peak: limited by depth
    cost_e6 bigint NOT NULL,
    fee_e6 bigint NOT NULL,
    profit_e6 bigint NOT NULL,
    annualised_return numeric,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX signals_one_open ON trading.signals (group_id, leg_set) WHERE closed_at IS NULL;
CREATE INDEX signals_opened ON trading.signals (opened_at);

CREATE TABLE trading.signal_legs (
    signal_id bigint NOT NULL REFERENCES trading.signals,
    leg_no integer NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('yes', 'no')),
    limit_price_e4 integer NOT NULL,
    size_e6 bigint NOT NULL,
    PRIMARY KEY (signal_id, leg_no)
);

-- One row per attempt to trade a signal: the hedge's state machine.
CREATE TABLE trading.executions (
    execution_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id bigint NOT NULL REFERENCES trading.signals,
    attempt integer NOT NULL,
    group_id text NOT NULL REFERENCES trading.groups,
    environment text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    state text NOT NULL,              -- streams.market.trading.ExecutionState
    run_id text NOT NULL DEFAULT '',
    epoch bigint NOT NULL,            -- fencing: of the lease the writer held
    edge_usd numeric NOT NULL,        -- expected when it was decided
    contracts_e6 bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    flat_at timestamptz,              -- hedged, flat or escalated
    settled_at timestamptz,
    expected_pnl_e6 bigint,           -- locked in by the fills
    realised_pnl_e6 bigint,           -- once every leg is settled or sold
    detail jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (signal_id, attempt)
);
CREATE INDEX executions_open ON trading.executions (state) WHERE settled_at IS NULL;

-- One row per state an execution passed through.
CREATE TABLE trading.execution_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id bigint NOT NULL REFERENCES trading.executions,
    happened_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    what text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX execution_events_execution ON trading.execution_events (execution_id, event_id);

-- One row per opportunity that was not taken, with the reason.
CREATE TABLE trading.refusals (
    refusal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id bigint NOT NULL REFERENCES trading.signals,
    execution_id bigint REFERENCES trading.executions,
    refused_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL,             -- streams.market.trading.RefusalReason
    detail text NOT NULL DEFAULT '',
    environment text NOT NULL
);
CREATE INDEX refusals_signal ON trading.refusals (signal_id);

-- One row per order we decided to send; written before anything is sent.
CREATE TABLE trading.intents (
    intent_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execution_id bigint NOT NULL REFERENCES trading.executions,
    leg_no integer NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('open', 'complete', 'unwind', 'flatten')),
    venue text NOT NULL,
    market_id text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('yes', 'no')),
    action text NOT NULL CHECK (action IN ('buy', 'sell')),
    limit_price_e4 integer NOT NULL,
    size_e6 bigint NOT NULL,
    spend_e6 bigint,                  -- dollars of a Polymarket FAK/FOK buy
    reserved_e6 bigint NOT NULL,      -- most cash it can cost, fees included
    epoch bigint NOT NULL,
    environment text NOT NULL,
    decided_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,  -- nothing is sent or re-sent after it
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX intents_execution ON trading.intents (execution_id);

-- One row per order. id_at_venue is known before sending (Polymarket: hash; Kalshi: client_order_id until answered).
CREATE TABLE trading.orders (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL UNIQUE REFERENCES trading.intents,
    venue text NOT NULL,
    client_order_id text NOT NULL,
    venue_order_id text,
    state text NOT NULL CHECK (state IN ('prepared', 'sent', 'unknown', 'resting', 'filled', 'partial', 'canceled',
        'rejected', 'expired')),
    request jsonb NOT NULL,           -- the exact body, so that identical bytes can be sent again
    filled_e6 bigint NOT NULL DEFAULT 0,
    cash_e6 bigint NOT NULL DEFAULT 0, -- paid (buy) or received (sell) without fees, at least 0
    fee_e6 bigint NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    prepared_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    answered_at timestamptz,
    closed_at timestamptz,
    environment text NOT NULL,
    UNIQUE (venue, client_order_id)
);
CREATE INDEX orders_unresolved ON trading.orders (state) WHERE state IN ('prepared', 'sent', 'unknown', 'resting');

-- One row per executed piece of one order.
CREATE TABLE trading.fills (
    fill_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES trading.orders,
    venue text NOT NULL,
    venue_fill_id text NOT NULL,
    market_id text NOT NULL,
    outcome text NOT NULL,
    action text NOT NULL,
    contracts_e6 bigint NOT NULL,
    cash_e6 bigint NOT NULL,          -- without fee, at least 0
    fee_e6 bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('provisional', 'confirmed', 'failed')),
    filled_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    payload jsonb NOT NULL,
    environment text NOT NULL,
    UNIQUE (venue, venue_fill_id, order_id)
);
CREATE INDEX fills_order ON trading.fills (order_id);

-- Append-only double-entry of cash and contracts; cash_e6 and contracts_e6 are signed changes of our account.
CREATE TABLE trading.ledger (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry_key text NOT NULL UNIQUE,   -- says what it is for, so that it is written once
    kind text NOT NULL CHECK (kind IN ('deposit', 'fill', 'fee', 'rebate', 'settlement', 'reversal', 'adjustment')),
    venue text NOT NULL,
    market_id text,
    outcome text,
    execution_id bigint REFERENCES trading.executions,
    order_id bigint REFERENCES trading.orders,
    cash_e6 bigint NOT NULL DEFAULT 0,
    contracts_e6 bigint NOT NULL DEFAULT 0,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    environment text NOT NULL,
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ledger_execution ON trading.ledger (execution_id);

-- One row per (venue, market, outcome) with what we hold and what it cost.
CREATE VIEW trading.positions AS
SELECT environment, mode, venue, market_id, outcome,
    sum(contracts_e6)::bigint AS contracts_e6,
    sum(cash_e6)::bigint AS cash_e6,
    max(happened_at) AS last_change_at
FROM trading.ledger
WHERE market_id IS NOT NULL
GROUP BY environment, mode, venue, market_id, outcome;

-- One row per reading of an account at a venue.
CREATE TABLE trading.balances (
    balance_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL,
    read_at timestamptz NOT NULL DEFAULT now(),
    cash_e6 bigint NOT NULL,
    ledger_cash_e6 bigint NOT NULL,   -- what our ledger says at the same moment
    environment text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX balances_venue ON trading.balances (venue, read_at);

-- Append-only. name: order_contracts, market_usd, pair_usd, total_usd, daily_loss_usd.
CREATE TABLE trading.limits (
    limit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    value numeric NOT NULL CHECK (value >= 0),
    set_by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    set_at timestamptz NOT NULL DEFAULT now()
);

-- Append-only; the last row is in force.
CREATE TABLE trading.switches (
    switch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('run', 'pause', 'reduce', 'kill')),
    set_by text NOT NULL,
    reason text NOT NULL DEFAULT '',
    set_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE trading.leases (
    name text PRIMARY KEY,            -- "shard:0", "market:kalshi:KX...", "reconcile"
    holder text NOT NULL,
    run_id text NOT NULL DEFAULT '',
    epoch bigint NOT NULL,            -- grows by one with each new holder, never goes back
    acquired_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    released_at timestamptz,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- Acts a person asks for; each kind has one consumer, which writes the result.
CREATE TABLE trading.commands (
    command_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('flatten', 'resync', 're_ingest')),
    subject jsonb NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    taken_at timestamptz,
    done_at timestamptz,
    result text
);

CREATE TABLE trading.alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raised_at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,               -- escalated, stale_recorder, kill, ...
    severity text NOT NULL CHECK (severity IN ('notice', 'warning', 'critical')),
    dedup_key text NOT NULL,
    message text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    sent_at timestamptz,
    send_error text NOT NULL DEFAULT '',
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alerts_one_open ON trading.alerts (dedup_key) WHERE cleared_at IS NULL;

INSERT INTO trading.switches (state, set_by, reason) VALUES ('run', 'migration', 'first start');

-- Whoever writes a switch waits for the transaction that writes an intent, and the other way round: after a kill has
-- committed no intent commits. The number is streams.storage.risk.ACTING_LOCK.
CREATE FUNCTION trading.lock_acting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7263542);
    RETURN NULL;
END $$;
CREATE TRIGGER acting BEFORE INSERT ON trading.switches
    FOR EACH STATEMENT EXECUTE FUNCTION trading.lock_acting();

-- Append-only tables refuse changes whoever asks.
CREATE FUNCTION trading.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'trading.% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.pair_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.limits
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.switches
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.ledger
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();

-- Those who wait on news listen on these channels.
CREATE FUNCTION trading.notify_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], '');
    RETURN NULL;
END $$;
CREATE TRIGGER announce AFTER INSERT ON trading.signals
    FOR EACH STATEMENT EXECUTE FUNCTION trading.notify_row('crossbook_signals');
CREATE TRIGGER announce AFTER INSERT ON trading.switches
    FOR EACH STATEMENT EXECUTE FUNCTION trading.notify_row('crossbook_switches');
CREATE TRIGGER announce AFTER INSERT ON trading.pair_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION trading.notify_row('crossbook_wanted');
