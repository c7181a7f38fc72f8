-- What the gate holds back for a whole hedge before its first order leaves, what it reads of the venues, and what it decided.

-- One row per leg of an execution, written with its first intent. It counts while the execution is open or an order of it
-- has no last word; what is spent counts in its place.
CREATE TABLE trading.reservations (
    execution_id bigint NOT NULL REFERENCES trading.executions,
    leg_no integer NOT NULL,
    venue text NOT NULL,
    shard integer,                    -- exchange shard whose cash pays; null: the venue has one pot, or it is not known
    market_id text NOT NULL,
    contracts_e6 bigint NOT NULL CHECK (contracts_e6 >= 0),
    cash_e6 bigint NOT NULL CHECK (cash_e6 >= 0),    -- at the planned price, with the bound of its fees
    spare_e6 bigint NOT NULL CHECK (spare_e6 >= 0),  -- loss bound and fee bound of one unwind: of the whole hedge, once
    reserved_at timestamptz NOT NULL,
    PRIMARY KEY (execution_id, leg_no)
);
-- Executions under way during the upgrade: what their plan costs. Those that are over hold nothing back.
INSERT INTO trading.reservations
SELECT e.execution_id, (leg ->> 'leg_no')::int, leg ->> 'venue', NULL, leg ->> 'market_id',
    (e.detail -> 'plan' ->> 'size_e6')::bigint, (leg ->> 'cost_e6')::bigint, 0, e.started_at
FROM trading.executions AS e CROSS JOIN LATERAL jsonb_array_elements(e.detail -> 'plan' -> 'legs') AS leg
WHERE e.state IN ('PLANNED', 'OPENING', 'COMPLETING', 'UNWINDING') AND e.settled_at IS NULL;

-- One row per (execution, venue, market) that has something at stake. reserved_e6: what may still be spent as planned, or
-- by an order on its way; spare_e6: what is left of the hedge's spare, the same on each of its rows; is_first: on one of
-- them, by which it is counted once.
CREATE VIEW trading.stakes AS
WITH unresolved AS (
    SELECT i.execution_id, i.venue, i.market_id, i.reserved_e6
    FROM trading.orders AS o JOIN trading.intents AS i ON i.intent_id = o.intent_id
    WHERE o.state IN ('prepared', 'sent', 'unknown', 'resting')
), held_back AS (
    SELECT r.* FROM (
        SELECT execution_id FROM trading.executions
        WHERE settled_at IS NULL AND state IN ('PLANNED', 'OPENING', 'COMPLETING', 'UNWINDING')
        UNION SELECT execution_id FROM unresolved
    ) AS active JOIN trading.reservations AS r ON r.execution_id = active.execution_id
), facts AS (
    SELECT l.execution_id, l.venue, l.market_id, NULL::integer AS shard, -l.cash_e6 AS spent_e6,
        l.contracts_e6 AS held_e6, 0::bigint AS ordered_e6, 0::bigint AS planned_e6, 0::bigint AS planned_contracts_e6,
        0::bigint AS spare_e6, 0::bigint AS unconfirmed_e6, 0 AS unresolved
    FROM trading.executions AS o JOIN trading.ledger AS l ON l.execution_id = o.execution_id
    WHERE o.settled_at IS NULL AND l.market_id IS NOT NULL
    UNION ALL
    SELECT execution_id, venue, market_id, NULL, 0, 0, reserved_e6, 0, 0, 0, 0, 1 FROM unresolved
    UNION ALL
    SELECT execution_id, venue, market_id, shard, 0, 0, 0, cash_e6, contracts_e6, spare_e6, 0, 0 FROM held_back
    UNION ALL
    SELECT i.execution_id, i.venue, i.market_id, NULL, 0, 0, 0, 0, 0, 0, f.cash_e6 + f.fee_e6, 0
    FROM trading.fills AS f JOIN trading.orders AS o ON o.order_id = f.order_id
    JOIN trading.intents AS i ON i.intent_id = o.intent_id
    WHERE f.state = 'provisional' AND f.action = 'buy'
), markets AS (
    SELECT execution_id, venue, market_id, max(shard) AS shard, sum(spent_e6)::bigint AS spent_e6,
        sum(held_e6)::bigint AS held_e6, sum(ordered_e6)::bigint AS ordered_e6, sum(planned_e6)::bigint AS planned_e6,
        sum(planned_contracts_e6)::bigint AS planned_contracts_e6, max(spare_e6) AS spare_e6,
        sum(unconfirmed_e6)::bigint AS unconfirmed_e6, sum(unresolved)::integer AS unresolved_orders
    FROM facts GROUP BY execution_id, venue, market_id
)
SELECT e.execution_id, e.mode, e.environment, e.group_id, m.venue, m.shard, m.market_id,
    CASE WHEN e.settled_at IS NULL THEN m.spent_e6 ELSE 0 END AS spent_e6,
    greatest(m.ordered_e6, m.planned_e6 - greatest(m.spent_e6, 0), 0) AS reserved_e6,
    greatest(0, max(m.spare_e6) OVER hedge - sum(greatest(0, m.spent_e6 - m.planned_e6)) OVER hedge)::bigint AS spare_e6,
    row_number() OVER (PARTITION BY e.execution_id ORDER BY m.planned_e6 DESC, m.venue, m.market_id) = 1 AS is_first,
    greatest(abs(m.held_e6), m.planned_contracts_e6) AS contracts_e6,
    m.unconfirmed_e6, m.unresolved_orders
FROM markets AS m JOIN trading.executions AS e ON e.execution_id = m.execution_id
WINDOW hedge AS (PARTITION BY e.execution_id);

-- The same as people see it: one row per (mode, group, market).
CREATE OR REPLACE VIEW trading.exposure AS
SELECT mode, environment, group_id, venue, market_id, sum(spent_e6)::bigint AS spent_e6,
    sum(reserved_e6 + CASE WHEN is_first THEN spare_e6 ELSE 0 END)::bigint AS reserved_e6,
    greatest(0, sum(spent_e6 + reserved_e6 + CASE WHEN is_first THEN spare_e6 ELSE 0 END))::bigint AS tied_up_e6,
    sum(unconfirmed_e6)::bigint AS unconfirmed_e6, sum(unresolved_orders)::integer AS unresolved_orders
FROM trading.stakes GROUP BY mode, environment, group_id, venue, market_id;

-- What a venue said last of one thing, and when it was asked: the gate calls nobody. kind cash: subject is the exchange
-- shard, empty for one pot.
CREATE TABLE trading.venue_readings (
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    amount_e6 bigint,
    detail jsonb NOT NULL DEFAULT '{}',
    read_at timestamptz NOT NULL,
    PRIMARY KEY (mode, venue, kind, subject)
);
-- Orders whose end is newer than a reading of cash.
CREATE INDEX orders_closed ON trading.orders (closed_at);

-- One row per decision of the gate with every check's limit and reading. Equal refusals of one episode are one row.
CREATE TABLE trading.gate_decisions (
    decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id bigint NOT NULL REFERENCES trading.signals ON DELETE CASCADE,
    execution_id bigint REFERENCES trading.executions,
    mode text NOT NULL,
    environment text NOT NULL,
    is_allowed boolean NOT NULL,
    reason text NOT NULL DEFAULT '',  -- streams.market.trading.RefusalReason; empty when allowed
    detail text NOT NULL DEFAULT '',
    checks jsonb NOT NULL,            -- [{"check", "verdict", "reading", "limit", "unit"}], as they were the last time
    decisions integer NOT NULL DEFAULT 1,
    decided_at timestamptz NOT NULL,
    last_decided_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX gate_decisions_refused ON trading.gate_decisions (signal_id, mode, reason) WHERE NOT is_allowed;
CREATE INDEX gate_decisions_decided ON trading.gate_decisions (last_decided_at);
