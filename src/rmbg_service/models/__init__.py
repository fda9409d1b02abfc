"""What predicts a matte."""
