"""A system-call filter for bwrap boxes: what namespaces do not cover.

Refused is what no lab teaches and what has the kernel's attack surface or
reaches around a namespace: io_uring, key rings, ptrace, bpf, nested user
namespaces, AF_VSOCK, kexec, and entry by other ABIs than the machine's own.
A refused call fails with EPERM or ENOSYS; nothing is killed for trying.
"""

import errno
import os
import struct
from typing import Final

# linux/filter.h and linux/seccomp.h
LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K
ALLOW: Final = 0x7FFF0000
ERRNO: Final = 0x00050000

# struct seccomp_data
NUMBER: Final = 0
ARCHITECTURE: Final = 4
ARGUMENT_0: Final = 16  # its low half, on a little-endian machine

X86_64: Final = 0xC000003E  # AUDIT_ARCH_X86_64
X32_BIT: Final = 0x40000000
NEW_USER: Final = 0x10000000  # CLONE_NEWUSER
AF_VSOCK: Final = 40

# Numbers of x86-64, from asm/unistd_64.h.
CLONE: Final = 56
SOCKET: Final = 41
UNSHARE: Final = 272
CLONE3: Final = 435
REFUSED: Final = {
    "ptrace": 101,
    "kexec_load": 246,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "setns": 308,
    "kexec_file_load": 320,
    "bpf": 321,
    "userfaultfd": 323,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
}

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def program() -> bytes:
    """The filter as bwrap's --seccomp takes it; b"" where this machine has no list."""
    if os.uname().machine != "x86_64":
        return b""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in _instructions())


def _instructions() -> list[Instruction]:
    steps: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, X86_64),
        _refuse(errno.ENOSYS),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32_BIT),
        _refuse(errno.ENOSYS),
        # Its flags are in memory, where a filter cannot look; libc falls back to clone.
        (EQUAL, 0, 1, CLONE3),
        _refuse(errno.ENOSYS),
    ]
    for number in REFUSED.values():
        steps += [(EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    for number, test, value, error in (
        (SOCKET, EQUAL, AF_VSOCK, errno.EAFNOSUPPORT),
        (CLONE, ANY_BIT, NEW_USER, errno.EPERM),
        (UNSHARE, ANY_BIT, NEW_USER, errno.EPERM),
    ):
        steps += [
            (EQUAL, 0, 4, number),
            (LOAD, 0, 0, ARGUMENT_0),
            (test, 0, 1, value),
            _refuse(error),
            (RETURN, 0, 0, ALLOW),
        ]
    return [*steps, (RETURN, 0, 0, ALLOW)]


def _refuse(error: int) -> Instruction:
    return (RETURN, 0, 0, ERRNO | error)
