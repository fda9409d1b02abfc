"""The subject's own shadow, found or painted."""
