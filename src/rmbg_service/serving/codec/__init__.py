"""Processes for the work around the predictions."""
