-- Accounts compared with our books: readings, breaks, what others did, and the switch of each account.

-- Append-only; the last row of a mode and venue is in force. Without one the account may open.
CREATE TABLE trading.account_switches (
    switch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    state text NOT NULL CHECK (state IN ('run', 'reduce')),
    set_by text NOT NULL,
    reason text NOT NULL,
    set_at timestamptz NOT NULL
);
CREATE INDEX account_switches_account ON trading.account_switches (mode, venue, switch_id DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trading.account_switches
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();

-- One row per comparison of an account with our books.
CREATE TABLE trading.account_readings (
    reading_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    last_write_at timestamptz,        -- when we had last changed anything of the account
    verdict text NOT NULL CHECK (verdict IN ('agrees', 'explained', 'outside')),  -- of all figures together
    cash_e6 bigint NOT NULL,          -- the venue's
    low_e6 bigint NOT NULL,           -- our books', as an interval around what is booked
    booked_e6 bigint NOT NULL,
    high_e6 bigint NOT NULL,
    environment text NOT NULL
);
CREATE INDEX account_readings_account ON trading.account_readings (mode, venue, verdict, began_at DESC);
CREATE INDEX account_readings_last ON trading.account_readings (mode, venue, reading_id DESC);

-- One row per figure of an account that differed: watched, then a break or agreeing again. A break waits for a person.
CREATE TABLE trading.account_breaks (
    break_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    what text NOT NULL,               -- "cash", "position:MARKET:OUTCOME"
    low_e6 bigint NOT NULL,
    booked_e6 bigint NOT NULL,
    high_e6 bigint NOT NULL,
    venue_e6 bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('watched', 'open', 'acknowledged', 'agrees')),
    since timestamptz NOT NULL,       -- when it was first seen to differ
    outside_reads integer NOT NULL,
    opened_at timestamptz,            -- when it was found to be a break
    ended_at timestamptz,
    acknowledged_by bigint REFERENCES trading.account_switches,
    environment text NOT NULL
);
CREATE UNIQUE INDEX account_breaks_one ON trading.account_breaks (mode, venue, what) WHERE ended_at IS NULL;

-- One row per order or fill of an account that Crossbook did not send.
CREATE TABLE trading.foreign_activity (
    activity_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('order', 'fill')),
    venue_id text NOT NULL,           -- of the order, or of the fill and its order
    order_id text NOT NULL,
    market_id text NOT NULL,
    outcome text,
    action text,
    contracts_e6 bigint NOT NULL,
    cash_e6 bigint NOT NULL,
    fee_e6 bigint NOT NULL,
    happened_at timestamptz,
    seen_at timestamptz NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    acknowledged_by bigint REFERENCES trading.account_switches,
    environment text NOT NULL,
    UNIQUE (mode, venue, kind, venue_id)
);
CREATE INDEX foreign_activity_order ON trading.foreign_activity (mode, venue, order_id);
CREATE INDEX foreign_activity_waiting ON trading.foreign_activity (mode, venue) WHERE acknowledged_by IS NULL;

-- What a venue lists is found among our orders by its id.
CREATE INDEX orders_venue_order ON trading.orders (venue, venue_order_id) WHERE venue_order_id IS NOT NULL;
