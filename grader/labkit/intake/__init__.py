"""Copies the lab's files out of a submission: a directory, a file or an archive."""
