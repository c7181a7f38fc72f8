"""Commands on people: signing in, accounts, API tokens."""
