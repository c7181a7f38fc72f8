-- What a venue's answer to an order says of its end, kept beside the fills that reads bring later: contracts and cash are
-- what has filled at least. `seen_e6` is the sum of all fills that were read, also of those that failed: what was answered
-- and not read yet is the difference, so that nothing counts twice.
ALTER TABLE trading.orders
    ADD COLUMN answered_e6 bigint NOT NULL DEFAULT 0 CHECK (answered_e6 >= 0),
    ADD COLUMN answered_cash_e6 bigint NOT NULL DEFAULT 0,   -- paid (buy) or received (sell) without fees, at least 0
    ADD COLUMN answered_fee_e6 bigint NOT NULL DEFAULT 0,    -- by our own schedule: the venue's is that of the fills
    ADD COLUMN is_answered_final boolean NOT NULL DEFAULT false,  -- the answer is proof that no more of it can fill
    ADD COLUMN seen_e6 bigint NOT NULL DEFAULT 0;
UPDATE trading.orders AS o SET seen_e6 = f.contracts_e6
FROM (SELECT order_id, sum(contracts_e6)::bigint AS contracts_e6 FROM trading.fills GROUP BY order_id) AS f
WHERE f.order_id = o.order_id;
