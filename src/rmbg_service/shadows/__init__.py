"""The subject's own shadow found, or one painted."""
