"""Many files at once: which there are, what is done already, and the run over the rest."""
