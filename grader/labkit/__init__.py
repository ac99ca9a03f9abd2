"""labkit grades C labs: it builds, sandboxes, tests and scores submissions."""

from typing import Final

__version__: Final = "0.1.0"
