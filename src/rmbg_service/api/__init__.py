"""HTTP only: admission, wire formats, routes, errors."""
