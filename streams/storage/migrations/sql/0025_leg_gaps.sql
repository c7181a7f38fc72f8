-- What hedges on a market fell short of their plans is found by the market.
CREATE INDEX intents_market ON trading.intents (venue, market_id, execution_id);
