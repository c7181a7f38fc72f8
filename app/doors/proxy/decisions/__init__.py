"""What may pass a door, as what, and how often. Pure: no wire, no storage, no clock."""
