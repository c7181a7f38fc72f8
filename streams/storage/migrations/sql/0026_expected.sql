-- Signals are taken in the order of what they are expected to bring per dollar and day tied up, for at least one day.
ALTER TABLE trading.signals ADD COLUMN expected_per_day numeric;
UPDATE trading.signals
SET expected_per_day = least(profit_e6::numeric / nullif(cost_e6 + fee_e6, 0), annualised_return / 365)
WHERE closed_at IS NULL AND annualised_return IS NOT NULL;
