"""Alerts where Dagster runs: what is wrong by the facts, and the round in which alerts are sent."""
