-- Schema raw: facts as received. Integer units as in streams/market/units.py. Readers use the views raw.*_v1.

CREATE SCHEMA IF NOT EXISTS raw;

-- One row per id any venue uses for a market; resolves to the canonical market_id.
CREATE TABLE raw.market_ids (
    venue text NOT NULL,
    id_kind text NOT NULL,
    id text NOT NULL,
    market_id text NOT NULL,
    PRIMARY KEY (venue, id_kind, id)
);
CREATE INDEX market_ids_id ON raw.market_ids (id);
CREATE INDEX market_ids_market ON raw.market_ids (venue, market_id);

-- One row per series (Kalshi) as last seen.
CREATE TABLE raw.series (
    venue text NOT NULL,
    series_id text NOT NULL,
    title text NOT NULL DEFAULT '',
    category text NOT NULL DEFAULT '',
    fee_schedule jsonb NOT NULL DEFAULT '{}',
    payload jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (venue, series_id)
);

-- One row per event as last seen.
CREATE TABLE raw.events (
    venue text NOT NULL,
    event_id text NOT NULL,
    series_id text NOT NULL DEFAULT '',
    title text NOT NULL DEFAULT '',
    category text NOT NULL DEFAULT '',
    is_exclusive boolean NOT NULL DEFAULT false,
    payload jsonb NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (venue, event_id)
);

-- One row per change of the stable fields of a market.
CREATE TABLE raw.market_versions (
    version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL,
    market_id text NOT NULL,
    version_hash text NOT NULL,
    text_hash text NOT NULL,
    event_id text NOT NULL,
    series_id text NOT NULL DEFAULT '',
    title text NOT NULL,
    subtitle text NOT NULL DEFAULT '',
    event_title text NOT NULL DEFAULT '',
    rules text NOT NULL DEFAULT '',
    category text NOT NULL DEFAULT '',
    outcomes jsonb NOT NULL,
    yes_means text NOT NULL DEFAULT '',
    strike jsonb,
    open_time timestamptz,
    close_time timestamptz,
    expected_settle_time timestamptz,
    status text NOT NULL CHECK (status IN ('unopened', 'open', 'paused', 'closed', 'determined', 'settled')),
    terms jsonb NOT NULL,             -- streams.market.listing.MarketTerms
    derived_fields text[] NOT NULL DEFAULT '{}',
    payload jsonb NOT NULL,
    seen_at timestamptz NOT NULL
);
CREATE INDEX market_versions_market ON raw.market_versions (venue, market_id, version_id DESC);
CREATE INDEX market_versions_event ON raw.market_versions (venue, event_id);

-- One row per market: its current version and the latest of what changes all the time.
CREATE TABLE raw.market_state (
    venue text NOT NULL,
    market_id text NOT NULL,
    version_id bigint NOT NULL REFERENCES raw.market_versions,
    status text NOT NULL,
    result text,
    settlement_e4 integer,            -- what one YES pays
    volatile jsonb NOT NULL DEFAULT '{}',
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (venue, market_id)
);
CREATE INDEX market_state_status ON raw.market_state (venue, status);

-- One row per discovery run of one venue.
CREATE TABLE raw.discovery_sweeps (
    sweep_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('full', 'incremental')),
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    high_watermark timestamptz,       -- where the next incremental sweep starts
    pages integer NOT NULL DEFAULT 0,
    last_cursor text NOT NULL DEFAULT '',
    markets_seen integer NOT NULL DEFAULT 0,
    markets_new integer NOT NULL DEFAULT 0,
    markets_changed integer NOT NULL DEFAULT 0,
    status_counts jsonb NOT NULL DEFAULT '{}',
    error text
);

-- One row per (market, interval, bucket): prices loaded from the venue's own history.
CREATE TABLE raw.candles (
    venue text NOT NULL,
    market_id text NOT NULL,
    interval_s integer NOT NULL,
    bucket_start timestamptz NOT NULL,
    bid_close_e4 integer,
    ask_close_e4 integer,
    price_open_e4 integer,
    price_high_e4 integer,
    price_low_e4 integer,
    price_close_e4 integer,           -- trade price (Kalshi) or history price (Polymarket)
    volume_e6 bigint,
    payload jsonb NOT NULL,
    loaded_at timestamptz NOT NULL,
    PRIMARY KEY (venue, market_id, interval_s, bucket_start)
);

-- One row per segment file of a recorder shard. committed_offset advances in the transaction of the COPY.
CREATE TABLE raw.segments (
    segment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard integer NOT NULL,
    run_id text NOT NULL,
    path text NOT NULL UNIQUE,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    bytes_written bigint NOT NULL DEFAULT 0,
    committed_offset bigint NOT NULL DEFAULT 0,
    frames bigint NOT NULL DEFAULT 0,
    deltas bigint NOT NULL DEFAULT 0
);

-- One row per level change of a market, YES terms.
CREATE TABLE raw.book_deltas (
    received_at timestamptz NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    side text NOT NULL,               -- bid | ask
    price_e4 integer NOT NULL,
    size_change_e6 bigint NOT NULL,
    size_after_e6 bigint NOT NULL,
    venue_sent_at timestamptz,
    venue_seq bigint,
    segment_id bigint NOT NULL,
    frame_offset bigint NOT NULL,
    entry_index integer NOT NULL,
    payload jsonb NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX book_deltas_market ON raw.book_deltas (market_id, received_at);
CREATE INDEX book_deltas_received ON raw.book_deltas USING brin (received_at) WITH (autosummarize = on);

-- One row per whole book: received, periodic or rebuilt after a resync.
CREATE TABLE raw.book_snapshots (
    received_at timestamptz NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    reason text NOT NULL,             -- received | periodic | polled
    difference text,                  -- equal | fill | unexplained, against the book before; null for the first
    bids jsonb NOT NULL,              -- [[price_e4, size_e6], ...] best first
    asks jsonb NOT NULL,
    venue_sent_at timestamptz,
    venue_seq bigint,
    venue_hash text,
    segment_id bigint,
    frame_offset bigint
) PARTITION BY RANGE (received_at);
CREATE INDEX book_snapshots_market ON raw.book_snapshots (market_id, received_at);
CREATE INDEX book_snapshots_received ON raw.book_snapshots (received_at);

-- One row per change of the best prices or of their state, YES terms.
CREATE TABLE raw.quotes (
    received_at timestamptz NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    bid_e4 integer,
    bid_size_e6 bigint,
    ask_e4 integer,
    ask_size_e6 bigint,
    state text NOT NULL,              -- live | stale | crossed
    segment_id bigint,
    frame_offset bigint
) PARTITION BY RANGE (received_at);
CREATE INDEX quotes_market ON raw.quotes (market_id, received_at);
CREATE INDEX quotes_received ON raw.quotes (received_at);

-- One row per public trade, YES terms.
CREATE TABLE raw.trades (
    received_at timestamptz NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    trade_id text,
    price_e4 integer NOT NULL,
    size_e6 bigint NOT NULL,
    taker_outcome text,               -- yes | no: what the taker bought
    venue_sent_at timestamptz,
    segment_id bigint NOT NULL,
    frame_offset bigint NOT NULL,
    payload jsonb NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX trades_market ON raw.trades (market_id, received_at);
CREATE INDEX trades_received ON raw.trades (received_at);

-- One row per life cycle message of a market.
CREATE TABLE raw.lifecycle_events (
    received_at timestamptz NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    kind text NOT NULL,
    result text,
    settlement_e4 integer,
    segment_id bigint NOT NULL,
    frame_offset bigint NOT NULL,
    payload jsonb NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX lifecycle_events_market ON raw.lifecycle_events (market_id, received_at);

-- One row per interval of one market in one state: what was and what was not received, and why.
CREATE TABLE raw.coverage (
    coverage_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard integer NOT NULL,
    venue text NOT NULL,
    market_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('covered', 'gap')),
    cause text NOT NULL DEFAULT '',   -- of a gap: disconnect, sequence_hole, best_price_mismatch, silence, killed, ...
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    run_id text NOT NULL
);
CREATE INDEX coverage_market ON raw.coverage (venue, market_id, started_at);
CREATE INDEX coverage_open ON raw.coverage (shard) WHERE ended_at IS NULL;

-- One row per attempt to connect and per end of a connection.
CREATE TABLE raw.connections (
    connection_id text PRIMARY KEY,
    shard integer NOT NULL,
    venue text NOT NULL,
    run_id text NOT NULL,
    started_at timestamptz NOT NULL,
    connected_at timestamptz,
    ended_at timestamptz,
    frames bigint NOT NULL DEFAULT 0,
    end_reason text NOT NULL DEFAULT ''
);

-- One row per piece of input that could not be used, with its bytes.
CREATE TABLE raw.dead_letters (
    dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    venue text NOT NULL,
    source text NOT NULL,             -- socket | rest | file
    reason text NOT NULL,
    raw bytea NOT NULL,
    segment_id bigint,
    frame_offset bigint,
    UNIQUE (segment_id, frame_offset)
);

CREATE VIEW raw.market_ids_v1 AS SELECT * FROM raw.market_ids;
CREATE VIEW raw.series_v1 AS SELECT * FROM raw.series;
CREATE VIEW raw.events_v1 AS SELECT * FROM raw.events;
CREATE VIEW raw.market_versions_v1 AS SELECT * FROM raw.market_versions;
CREATE VIEW raw.market_state_v1 AS SELECT * FROM raw.market_state;
CREATE VIEW raw.discovery_sweeps_v1 AS SELECT * FROM raw.discovery_sweeps;
CREATE VIEW raw.candles_v1 AS SELECT * FROM raw.candles;
CREATE VIEW raw.segments_v1 AS SELECT * FROM raw.segments;
CREATE VIEW raw.book_deltas_v1 AS SELECT * FROM raw.book_deltas;
CREATE VIEW raw.book_snapshots_v1 AS SELECT * FROM raw.book_snapshots;
CREATE VIEW raw.quotes_v1 AS SELECT * FROM raw.quotes;
CREATE VIEW raw.trades_v1 AS SELECT * FROM raw.trades;
CREATE VIEW raw.lifecycle_events_v1 AS SELECT * FROM raw.lifecycle_events;
CREATE VIEW raw.coverage_v1 AS SELECT * FROM raw.coverage;
CREATE VIEW raw.connections_v1 AS SELECT * FROM raw.connections;
CREATE VIEW raw.dead_letters_v1 AS SELECT * FROM raw.dead_letters;
