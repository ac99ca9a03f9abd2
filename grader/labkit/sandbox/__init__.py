"""Sandboxes (boxes): where code that a student wrote is compiled and run."""
