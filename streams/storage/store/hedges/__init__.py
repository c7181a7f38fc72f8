"""Hedges as people and runs follow them."""
