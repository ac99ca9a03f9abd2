"""Proofs that a lab is right: verify, soak, and the versions of the reference that they need."""
