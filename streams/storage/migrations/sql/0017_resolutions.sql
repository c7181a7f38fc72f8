-- A person may end the looking for an order: what they said of it stands with the order until its venue shows it.
ALTER TABLE trading.commands DROP CONSTRAINT commands_kind_check;
ALTER TABLE trading.commands ADD CONSTRAINT commands_kind_check
    CHECK (kind IN ('flatten', 'resync', 're_ingest', 'resolve')) NOT VALID;
ALTER TABLE trading.orders
    ADD COLUMN resolved_e6 bigint CHECK (resolved_e6 >= 0),  -- contracts a person says have filled; null: nobody said so
    ADD COLUMN resolved_by bigint REFERENCES trading.commands;  -- the command by which they said it, with who and why
CREATE INDEX orders_resolved ON trading.orders (order_id) WHERE resolved_by IS NOT NULL;
