"""The networks in PyTorch, BiRefNet and ViTMatte: the only package that imports it."""

import os

# Read when torch loads OpenMP. By default its threads spin for milliseconds whenever they wait for
# one another, and burn the cores that decode and encode the neighbour jobs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
