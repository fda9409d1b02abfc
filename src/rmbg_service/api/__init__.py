"""HTTP: admission, request formats, routes, errors."""
