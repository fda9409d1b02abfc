"""Many files at once: find the inputs, skip what is finished, process the rest."""
