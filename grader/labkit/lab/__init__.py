"""A lab as data: manifest, compiled kit, skeleton, rubric, and the template of a new lab."""
