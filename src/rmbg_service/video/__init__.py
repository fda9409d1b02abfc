"""Clips: decode, cut out every frame, stabilise the matte, encode."""
