"""Bytes to pixels and pixels to bytes; no HTTP, no network."""
