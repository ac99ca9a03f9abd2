"""The command line, `labkit`."""
