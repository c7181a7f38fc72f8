-- How far the looking for an order has come. Times are milliseconds since a boot of the machine, whose name stands
-- beside them: no change of the wall clock shortens or lengthens a wait, and after a reboot it begins anew.
ALTER TABLE trading.orders
    ADD COLUMN watch_boot text,                       -- of which boot the times are; null: nobody has looked yet
    ADD COLUMN watch_since_ms bigint,                 -- when it was sent, or first looked for after a reboot
    ADD COLUMN watch_looked_ms bigint,                -- when it was last looked for
    ADD COLUMN watch_cancelled_ms bigint,             -- when its cancel was last asked for
    ADD COLUMN absent_reads smallint NOT NULL DEFAULT 0,  -- complete lists past the waiting time that did not show it
    ADD COLUMN is_seen boolean NOT NULL DEFAULT false;    -- the venue has shown it, or said that it has it
UPDATE trading.orders SET is_seen = true WHERE venue_order_id IS NOT NULL;
CREATE INDEX orders_absent ON trading.orders (order_id) WHERE state = 'expired' AND reason = 'the venue never saw it';
