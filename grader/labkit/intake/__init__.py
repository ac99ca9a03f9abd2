"""What was handed in: the lab's files are taken from a directory, a file or an archive."""
