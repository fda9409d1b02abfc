"""Bytes to pixels and back: decode, colour, compose, encode."""
