"""Many files: find them, skip what is done, run the rest."""
