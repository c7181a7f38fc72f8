"""The doors' own pages: how they look, what a form may carry, and the cookie of a session."""
