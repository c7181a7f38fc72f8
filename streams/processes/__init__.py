"""What each process of a home is given: its logins, its secrets, and how a run gets them."""
