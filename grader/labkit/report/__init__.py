"""Writers: each turns a result into what one kind of reader takes, and imports nothing else."""
