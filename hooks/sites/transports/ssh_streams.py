"""The three streams of a remote command, moved at the same time.

Reading one to its end first would hang: both outputs share the channel's window, and a command
that fills the one nobody reads waits for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import paramiko

from hooks.sites.seams import Completed

CHUNK_BYTES = 1 << 16


def exchange(channel: paramiko.Channel, stdin: bytes, timeout: float) -> Completed:
    """Feed a started command, read what it answers, wait for its end.

    Raises ``TimeoutError`` after ``timeout`` seconds and ``EOFError`` when the connection drops.
    """
    deadline = time.monotonic() + timeout
    out, err = bytearray(), bytearray()
    channel.settimeout(None)  # the deadline below covers all three together
    moves = [
        threading.Thread(target=_feed, args=(channel, stdin), daemon=True),
        threading.Thread(target=_drain, args=(channel.recv, out), daemon=True),
        threading.Thread(target=_drain, args=(channel.recv_stderr, err), daemon=True),
    ]
    for move in moves:
        move.start()
    for move in moves[1:]:  # a command need not read its input to its end
        move.join(max(0.0, deadline - time.monotonic()))
    ended = channel.status_event.wait(max(0.0, deadline - time.monotonic()))
    if not ended or any(move.is_alive() for move in moves[1:]):
        channel.close()
        raise TimeoutError
    exit_code = channel.recv_exit_status()
    if exit_code < 0 and _lost(channel):
        raise EOFError
    return Completed(exit_code, _text(out), _text(err))


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    try:
        channel.sendall(stdin)
        channel.shutdown_write()
    except OSError:
        return  # the command ended without reading all of it


def _drain(read: Callable[[int], bytes], into: bytearray) -> None:
    while chunk := read(CHUNK_BYTES):
        into += chunk


def _lost(channel: paramiko.Channel) -> bool:
    """Whether there is no exit code because the connection dropped (else: ended by a signal)."""
    transport = channel.get_transport()
    return not channel.eof_received or not transport.is_active()


def _text(stream: bytearray) -> str:
    return stream.decode("utf-8", errors="replace")
