-- An order that mends a hedge may buy the complement of a leg: the other outcome of its market.
ALTER TABLE trading.intents DROP CONSTRAINT intents_purpose_check;
ALTER TABLE trading.intents ADD CONSTRAINT intents_purpose_check
    CHECK (purpose IN ('open', 'complete', 'unwind', 'complement', 'flatten'));
