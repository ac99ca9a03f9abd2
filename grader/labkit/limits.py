"""The resource limits of a sandbox: labs set them, sandboxes apply them, results show them."""

from typing import Annotated, Final

import msgspec

MIN_MEMORY_BYTES: Final = 384 << 20  # address space; the arena alone is 256 MiB (wire.h)

Positive = Annotated[int, msgspec.Meta(gt=0)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the processes of one sandbox may use; see setrlimit(2).

    Only the budget is for all tests together: about ten times what the reference uses.
    """

    cpu_s: Positive = 10
    deadline_s: Positive = 60
    memory_bytes: Annotated[int, msgspec.Meta(ge=MIN_MEMORY_BYTES)] = 1 << 30
    file_bytes: Positive = 64 << 20
    processes: Positive = 64
    open_files: Positive = 1024
    output_bytes: Positive = 64 << 10
    tmpfs_bytes: Positive = 64 << 20
    budget_s: Positive = 60
