"""The system-call filter of a sandbox: what namespaces and Landlock do not cover.

It refuses what no lab teaches and what widens the kernel's attack surface, bypasses a namespace, or
reaches into another process of the same uid.  A refused call fails; it does not kill the process.

libseccomp compiles the filter for the architecture of the machine.  It is called through pyseccomp,
which has the interface of libseccomp's own Python binding: that is not on PyPI, and its Debian
package works with the system's Python only.
"""

import errno
import functools
import os
import signal
from typing import Any, Final

from labkit.errors import GraderError

INT_MASK: Final = 0xFFFFFFFF  # the kernel takes an int of the argument: the rest must not matter
AF_VSOCK: Final = 40  # not every build of Python has socket.AF_VSOCK

KERNEL: Final = (  # attack surface
    *("bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
)
LASTING: Final = ("add_key", "request_key", "keyctl")  # key rings outlive the sandbox
MOUNTS: Final = (
    *("mount", "umount2", "pivot_root", "mount_setattr", "move_mount", "open_tree"),
    *("fsopen", "fsconfig", "fsmount", "fspick"),
)
# Given programs and other puppets have the same uid.
OTHER_PROCESSES: Final = (
    *("process_vm_readv", "process_vm_writev", "pidfd_getfd", "process_madvise", "kcmp"),
)
NAMESPACES: Final = {  # the flags CLONE_NEW* of linux/sched.h
    "CLONE_NEWNS": 0x00020000,
    "CLONE_NEWCGROUP": 0x02000000,
    "CLONE_NEWUTS": 0x04000000,
    "CLONE_NEWIPC": 0x08000000,
    "CLONE_NEWUSER": 0x10000000,
    "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWNET": 0x40000000,
}
CLONE_NEWTIME: Final = 0x80  # for unshare() alone: in clone() it is part of the exit signal
# With siginfo of the sender's choice these would look like faults that the kernel found.
FORGED_FAULTS: Final = (signal.SIGSEGV, signal.SIGBUS)


@functools.cache
def program(*, ptrace: bool) -> bytes:
    """The filter in BPF; GraderError if it cannot be compiled.

    With `ptrace` the first process may trace; it must refuse that to the code that it loads.
    """
    try:
        import pyseccomp as seccomp  # needs libseccomp, and 15 ms

        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.ERRNO(errno.ENOSYS))
        _add_rules(seccomp, rules)
        if not ptrace:
            rules.add_rule(seccomp.ERRNO(errno.EPERM), "ptrace")
        with os.fdopen(os.memfd_create("seccomp"), "w+b") as file:
            rules.export_bpf(file)
            file.seek(0)
            compiled = file.read()
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise GraderError(f"the system-call filter cannot be compiled: {error}") from error
    if not compiled:
        raise GraderError("the system-call filter cannot be compiled: libseccomp returned none")
    return compiled


def _add_rules(seccomp: Any, rules: Any) -> None:
    """Adds all rules but that for ptrace; pyseccomp has no types."""
    refused = seccomp.ERRNO(errno.EPERM)
    # A filter cannot read the flags of clone3 in memory; libc falls back to clone.
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    for name in (*KERNEL, *LASTING, *MOUNTS, *OTHER_PROCESSES, "setns"):
        rules.add_rule(refused, name)
    for flag in NAMESPACES.values():
        rules.add_rule(refused, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    for flag in (*NAMESPACES.values(), CLONE_NEWTIME):
        rules.add_rule(refused, "unshare", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    vsock = seccomp.Arg(0, seccomp.MASKED_EQ, INT_MASK, AF_VSOCK)
    rules.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", vsock)
    # libc passes pid 0 for the process itself.
    other, setting = seccomp.Arg(0, seccomp.NE, 0), seccomp.Arg(2, seccomp.NE, 0)
    rules.add_rule(refused, "prlimit64", other, setting)
    for number in FORGED_FAULTS:
        for name, index in (("rt_sigqueueinfo", 1), ("rt_tgsigqueueinfo", 2)):
            fault = seccomp.Arg(index, seccomp.MASKED_EQ, INT_MASK, number)
            rules.add_rule(refused, name, fault)
        fault = seccomp.Arg(1, seccomp.MASKED_EQ, INT_MASK, number)
        rules.add_rule(refused, "pidfd_send_signal", fault, seccomp.Arg(2, seccomp.NE, 0))
