"""Readers of each accepted format's structure; none of them runs a decoder."""
