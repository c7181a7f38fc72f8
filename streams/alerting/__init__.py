"""Alerts on their way to people: the kinds there are, the channels, and what is sent when. Knows no database."""
