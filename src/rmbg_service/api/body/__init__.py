"""Request bodies: read once, taken apart off the event loop, with a bound on what each costs."""
