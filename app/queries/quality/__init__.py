"""How good trading is, and not only what it did."""
