"""Runs that are kept alive: which of them to start, and which have ended without saying so."""
