"""What becomes of steps and runs that fail: they begin anew, or people are told."""
