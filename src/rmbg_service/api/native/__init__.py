"""The own API: `/api/...`."""
