"""Who may do what in the database: the logins and their rights."""
