"""The host: resource limits and atomic file writes."""
