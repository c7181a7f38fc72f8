"""What is stored of the accounts: people, sign-in links, sessions, API tokens."""
