-- The order groups of an account at its venue: every order that buys stands in the one of its exchange shard, and the
-- venue takes no more of them once too many contracts fill within 15 seconds. Only a person's word resets one.

CREATE TABLE trading.order_groups (
    order_group_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    shard int NOT NULL,
    group_id text NOT NULL,
    limit_e6 bigint NOT NULL CHECK (limit_e6 > 0),  -- contracts in 1/1,000,000
    environment text NOT NULL,
    made_at timestamptz NOT NULL,
    tripped_at timestamptz,
    why text NOT NULL DEFAULT '',                   -- how the trip was seen
    ended_at timestamptz                            -- the venue does not know it any more
);
CREATE UNIQUE INDEX order_groups_in_force ON trading.order_groups (mode, venue, shard) WHERE ended_at IS NULL;
CREATE INDEX order_groups_id ON trading.order_groups (group_id);
