"""The pure types that everything shares: identities, integer units, books, events, fees and the error tree.

Standard library only. No clock, no I/O, no environment.
"""
