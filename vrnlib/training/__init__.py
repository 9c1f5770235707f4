"""Training: one loop, rendered data, and a module per network."""
