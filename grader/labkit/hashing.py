"""A hash of a set of files, for versions and for what was handed in."""

import hashlib
from collections.abc import Mapping


def contents_hash(contents: Mapping[str, bytes]) -> str:
    """A sha256 over names and contents that no other set of files shares."""
    total = hashlib.sha256()
    for name in sorted(contents):
        for part in (name.encode(), contents[name]):
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
    return total.hexdigest()
