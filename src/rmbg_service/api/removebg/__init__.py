"""The remove.bg API, version 1.0."""
