"""A submission's way from its files to its result."""
