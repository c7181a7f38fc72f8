"""Doors: who a person is, what they may do, and the proxy in front of every page and port that acts."""
