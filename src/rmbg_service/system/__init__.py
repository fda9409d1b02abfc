"""The host: what this process may use, and files written whole or not at all."""
