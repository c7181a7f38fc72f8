"""Everything that talks to the exchanges or stores what they sent; knows nothing of Dagster or the interfaces."""
