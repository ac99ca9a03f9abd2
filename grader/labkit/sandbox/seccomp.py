"""The system-call filter of a sandbox: what namespaces do not cover.

It refuses what no lab teaches and what widens the kernel's attack surface or bypasses a namespace:
io_uring, key rings, ptrace, bpf, nested user namespaces, AF_VSOCK, kexec, and every ABI but the
machine's own.  A refused call fails with EPERM or ENOSYS; it does not kill the process.

libseccomp compiles the filter for the architecture of the machine.  It is called through pyseccomp,
which has the interface of libseccomp's own Python binding: that is not on PyPI, and its Debian
package works with the system's Python only.
"""

import errno
import functools
import os
from typing import Final

from labkit.errors import GraderError

NEW_USER: Final = 0x10000000  # CLONE_NEWUSER, linux/sched.h
INT_MASK: Final = 0xFFFFFFFF
AF_VSOCK: Final = 40  # not every build of Python has socket.AF_VSOCK

REFUSED: Final = (
    "kexec_load",
    "kexec_file_load",
    "add_key",
    "request_key",
    "keyctl",
    "setns",
    "bpf",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
)


@functools.cache
def program() -> bytes:
    """The filter in BPF, as bwrap's --seccomp takes it; GraderError if it cannot be compiled."""
    try:
        import pyseccomp as seccomp  # needs libseccomp, and 15 ms

        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.ERRNO(errno.ENOSYS))
        # A filter cannot read the flags of clone3 in memory; libc falls back to clone.
        rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
        for name in REFUSED:
            rules.add_rule(seccomp.ERRNO(errno.EPERM), name)
        new_user = seccomp.Arg(0, seccomp.MASKED_EQ, NEW_USER, NEW_USER)
        for name in ("clone", "unshare"):
            rules.add_rule(seccomp.ERRNO(errno.EPERM), name, new_user)
        # The kernel takes an int: what stands in the register above it must not matter.
        vsock = seccomp.Arg(0, seccomp.MASKED_EQ, INT_MASK, AF_VSOCK)
        rules.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", vsock)
        with os.fdopen(os.memfd_create("seccomp"), "w+b") as file:
            rules.export_bpf(file)
            file.seek(0)
            compiled = file.read()
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise GraderError(f"the system-call filter cannot be compiled: {error}") from error
    if not compiled:
        raise GraderError("the system-call filter cannot be compiled: libseccomp returned none")
    return compiled
