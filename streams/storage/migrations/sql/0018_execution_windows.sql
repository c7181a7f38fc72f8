-- What happened in a period is found by when its execution began, what was ordered and filled of it by its id.
CREATE INDEX executions_started ON trading.executions (started_at);
