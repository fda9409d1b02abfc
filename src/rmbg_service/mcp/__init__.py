"""Tools for agents and editors, over the Model Context Protocol."""
