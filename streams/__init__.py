"""Everything that talks to the exchanges or stores what they said; knows nothing of Dagster or the faces."""
