"""Run a command in a network namespace of its own with the loopback device up.

``python loopback.py PROGRAM ARGUMENT...``; MPI programs talk over it (netdevice(7)).
"""

import fcntl
import os
import socket
import struct
import sys

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_REQUEST = "16sh14x"  # struct ifreq: the name, the flags


def main(argv: list[str]) -> None:
    """Bring the device up, then become the program."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack(_REQUEST, b"lo", 0)
        _, flags = struct.unpack(_REQUEST, fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_REQUEST, b"lo", flags | _IFF_UP))
    os.execvp(argv[0], argv)  # noqa: S606 - a command of ours


if __name__ == "__main__":
    main(sys.argv[1:])
