-- Decisions on market groups of every kind take over those on pairs: each is bound to the texts and dates of all markets
-- of the group, and to what the group says of them.

ALTER TABLE trading.pair_decisions RENAME TO group_decisions;
ALTER INDEX trading.pair_decisions_pair RENAME TO group_decisions_group;
ALTER INDEX trading.pair_decisions_decided RENAME TO group_decisions_decided;
ALTER TABLE trading.group_decisions DROP CONSTRAINT pair_decisions_pair_id_fkey;
ALTER TABLE trading.group_decisions RENAME COLUMN pair_id TO group_id;
ALTER TABLE trading.group_decisions
    ADD COLUMN kind text NOT NULL DEFAULT 'pair' CHECK (kind IN ('pair', 'ladder', 'event', 'set')),
    ADD COLUMN market_hashes jsonb,    -- {"venue:market_id": {"text": hash of its texts, "closes_at": epoch or null}}
    ADD COLUMN terms jsonb;            -- relation and polarity of a pair, the allowed outcomes of other groups
ALTER TABLE trading.group_decisions ALTER COLUMN kind DROP DEFAULT;
COMMENT ON COLUMN trading.group_decisions.group_id IS
    '''pair:'' and the id of the pair, or the id of the group; it may have ended since.';

-- When a market closes as it is listed now, in seconds since 1970; null where it does not say.
CREATE FUNCTION trading.closes_at(market_venue text, id text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT extract(epoch FROM v.close_time)::bigint
    FROM raw.market_state AS s JOIN raw.market_versions AS v USING (version_id)
    WHERE s.venue = market_venue AND s.market_id = id
$$;

-- What was decided on pairs so far stands on the dates that their markets have now: no other ones were kept.
ALTER TABLE trading.group_decisions DISABLE TRIGGER append_only;
UPDATE trading.group_decisions AS d SET group_id = 'pair:' || d.group_id,
    terms = jsonb_build_object('relation', p.relation, 'polarity', p.polarity),
    market_hashes = jsonb_build_object(
        'kalshi:' || p.kalshi_market_id, jsonb_build_object('text', d.kalshi_text_hash,
            'closes_at', trading.closes_at('kalshi', p.kalshi_market_id)),
        'polymarket:' || p.polymarket_market_id, jsonb_build_object('text', d.polymarket_text_hash,
            'closes_at', trading.closes_at('polymarket', p.polymarket_market_id)))
FROM trading.pairs AS p WHERE p.pair_id = d.group_id;
ALTER TABLE trading.group_decisions ENABLE TRIGGER append_only;
ALTER TABLE trading.group_decisions ALTER COLUMN market_hashes SET NOT NULL;
ALTER TABLE trading.group_decisions ALTER COLUMN terms SET NOT NULL;
ALTER TABLE trading.group_decisions ALTER COLUMN decided_at DROP DEFAULT;

-- One row per pair with the state that its last decision leaves it in.
-- proposed: nobody decided; lapsed: approved, but a text, a date, what it says of its markets or the environment has
-- changed since.
CREATE OR REPLACE VIEW trading.pair_states AS
SELECT p.*, d.decision_id, d.decided_by, d.decided_at, d.reason AS decision_reason,
    CASE
        WHEN d.decision IS NULL THEN 'proposed'
        WHEN d.decision = 'reject' THEN 'rejected'
        WHEN d.decision = 'pause' THEN 'paused'
        WHEN d.market_hashes <> f.market_hashes OR d.terms <> f.terms OR d.environment <> p.environment THEN 'lapsed'
        ELSE 'approved'
    END AS state,
    f.market_hashes, f.terms
FROM trading.pairs AS p
CROSS JOIN LATERAL (
    SELECT jsonb_build_object('relation', p.relation, 'polarity', p.polarity) AS terms,
        jsonb_build_object(
            'kalshi:' || p.kalshi_market_id, jsonb_build_object('text', p.kalshi_text_hash,
                'closes_at', trading.closes_at('kalshi', p.kalshi_market_id)),
            'polymarket:' || p.polymarket_market_id, jsonb_build_object('text', p.polymarket_text_hash,
                'closes_at', trading.closes_at('polymarket', p.polymarket_market_id))) AS market_hashes
) AS f
LEFT JOIN LATERAL (
    SELECT x.decision_id, x.decision, x.decided_by, x.decided_at, x.reason, x.market_hashes, x.terms, x.environment
    FROM trading.group_decisions AS x WHERE x.group_id = 'pair:' || p.pair_id
    ORDER BY x.decision_id DESC LIMIT 1
) AS d ON true;

ALTER TABLE trading.group_decisions DROP COLUMN kalshi_text_hash, DROP COLUMN polymarket_text_hash;

-- One row per thing that a decision can be made on: each pair, and each group of another kind that has not ended.
CREATE VIEW trading.group_states AS
SELECT 'pair:' || p.pair_id AS group_id, 'pair' AS kind, coalesce(v.title, p.kalshi_market_id) AS title, p.state,
    p.market_hashes, p.terms, p.environment, p.decision_id, p.decided_by, p.decided_at, p.decision_reason,
    true AS is_tradable, '' AS reason
FROM trading.pair_states AS p
LEFT JOIN raw.market_state AS s ON s.venue = 'kalshi' AND s.market_id = p.kalshi_market_id
LEFT JOIN raw.market_versions AS v ON v.version_id = s.version_id
UNION ALL
SELECT g.group_id, g.kind, g.title,
    CASE
        WHEN d.decision IS NULL THEN 'proposed'
        WHEN d.decision = 'reject' THEN 'rejected'
        WHEN d.decision = 'pause' THEN 'paused'
        WHEN d.market_hashes <> f.market_hashes OR d.terms <> g.outcomes OR d.environment <> g.environment
            THEN 'lapsed'
        ELSE 'approved'
    END AS state,
    f.market_hashes, g.outcomes AS terms, g.environment, d.decision_id, d.decided_by, d.decided_at,
    d.reason AS decision_reason, g.is_tradable, g.reason
FROM trading.groups AS g
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_object_agg((m ->> 'venue') || ':' || (m ->> 'market_id'), jsonb_build_object(
        'text', v.text_hash, 'closes_at', extract(epoch FROM v.close_time)::bigint)), '{}') AS market_hashes
    FROM jsonb_array_elements(g.markets) AS m
    LEFT JOIN raw.market_state AS s ON s.venue = m ->> 'venue' AND s.market_id = m ->> 'market_id'
    LEFT JOIN raw.market_versions AS v ON v.version_id = s.version_id
) AS f
LEFT JOIN LATERAL (
    SELECT x.decision_id, x.decision, x.decided_by, x.decided_at, x.reason, x.market_hashes, x.terms, x.environment
    FROM trading.group_decisions AS x WHERE x.group_id = g.group_id ORDER BY x.decision_id DESC LIMIT 1
) AS d ON true
WHERE g.kind <> 'pair' AND g.ended_at IS NULL;

-- The decisions on pairs, for those who read them under that name.
CREATE VIEW trading.pair_decisions AS
SELECT d.decision_id, p.pair_id, d.decision, d.decided_by, d.reason,
    d.market_hashes #>> ARRAY['kalshi:' || p.kalshi_market_id, 'text'] AS kalshi_text_hash,
    d.market_hashes #>> ARRAY['polymarket:' || p.polymarket_market_id, 'text'] AS polymarket_text_hash,
    d.environment, d.decided_at
FROM trading.group_decisions AS d JOIN trading.pairs AS p ON d.group_id = 'pair:' || p.pair_id;
