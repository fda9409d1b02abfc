"""Whether the configured model works on this machine, measured on an image whose matte is known."""
