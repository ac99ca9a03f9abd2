"""Turns a submission into a result: compile, run, score."""
