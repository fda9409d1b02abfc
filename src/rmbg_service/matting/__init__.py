"""From a matte to a cutout: refinement at full size and clean colours. NumPy and OpenCV only."""
