"""The native API: `/api/...`."""
