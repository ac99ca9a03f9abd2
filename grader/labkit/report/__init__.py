"""Reports: each module writes a result for one kind of reader; it imports only the result."""
