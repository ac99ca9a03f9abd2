"""A hash of a set of files, for the version of a kit and for submissions."""

import hashlib
from collections.abc import Mapping


def contents_hash(contents: Mapping[str, bytes]) -> str:
    """A sha256 over names and contents, which differs for any two sets of files."""
    total = hashlib.sha256()
    for name in sorted(contents):
        for part in (name.encode(), contents[name]):
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
    return total.hexdigest()
