"""A lab as data: its manifest, its test kit compiled, its skeleton, its rubric, and a new one."""
