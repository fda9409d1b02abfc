"""How good a cutout is: measures against a known matte, and the data to measure on."""
