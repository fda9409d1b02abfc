"""rembg's HTTP API, as its command `rembg s` serves it: `/api/remove`."""
