"""Sending orders: the last look before one leaves, and what its intent says."""
