"""Proves that a lab is right: verify, soak, and the submissions that they grade."""
