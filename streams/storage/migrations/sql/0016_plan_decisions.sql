-- One row per plan with all it was decided on, so that the same decision can be made again from the row. Equal refusals of
-- one episode are one row.
CREATE TABLE trading.plan_decisions (
    plan_decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id bigint NOT NULL REFERENCES trading.signals ON DELETE CASCADE,
    execution_id bigint REFERENCES trading.executions,  -- null where there is no plan
    mode text NOT NULL,
    environment text NOT NULL,
    reason text NOT NULL DEFAULT '',  -- streams.market.trading.RefusalReason; empty where there is a plan
    inputs jsonb NOT NULL,            -- legs, outcomes, terms, books, limits, what is tied up, cash, settings
    result jsonb NOT NULL,            -- {"plan", "binding", "profit_e6"} or {"refused", "detail"}
    decisions integer NOT NULL DEFAULT 1,
    decided_at timestamptz NOT NULL,
    last_decided_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX plan_decisions_refused ON trading.plan_decisions (signal_id, mode, reason) WHERE reason <> '';
CREATE INDEX plan_decisions_signal ON trading.plan_decisions (signal_id);
CREATE INDEX plan_decisions_decided ON trading.plan_decisions (last_decided_at);
