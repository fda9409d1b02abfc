"""The web page and the files that it needs."""
