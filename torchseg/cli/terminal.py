"""The standard streams of a command, which may be closed or unable to print a character, and its last message."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from torchseg.processes.memory import tells_of_no_memory

PIPE_CLOSED = 141  # 128 and the number of SIGPIPE, as shells report a command whose output nobody reads
_ADVICE = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EACCES: "change its permissions, or give another path",
    errno.EPERM: "change its permissions, or give another path",
    errno.EROFS: "give a path on a file system that can be written",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ENOTDIR: "a part of this path is a file: give another path",
    errno.EISDIR: "give a file",
    errno.ENOENT: "check the path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ELOOP: "a link in this path leads to itself: give another path",
    errno.EIO: "the disk is damaged or was removed: run the same command again once it works",
    errno.ESTALE: "the network share was lost: run the same command again once it is back",
}


def prepare_streams() -> None:
    """Makes stdin, stdout and stderr usable: what is closed reads and writes nothing, and every character can be shown.

    A closed one is opened on the null device, for a file or pipe that got its number would be taken for it by the
    processes that this one starts. Characters that the terminal's encoding lacks are shown as escapes, since names of
    classes and files may contain any.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the smallest number that is free, which is this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell_unread() -> None:
    """Says on stderr that the command stopped because nobody reads its output, as `| head` does not read to the end.

    The streams write nothing any more, or Python would complain at its end and change the exit code.
    """
    _drop(sys.stdout)
    try:
        sys.stderr.write("stopped: nobody reads its output any more; run the same command to resume\n")
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def _drop(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # it has no file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def message_of(error: Exception) -> str:
    """What came and what to do, for an error that the user can do something about."""
    if lacks_memory(error):
        said = f" ({' '.join(str(error).split())[:200]})" if str(error) else ""
        return f"there is not enough memory{said}; close other programs, or give smaller images or batches"
    advice = ""
    if isinstance(error, UnicodeEncodeError):
        advice = "set PYTHONUTF8=1"
    elif isinstance(error, OSError) and error.errno is not None:
        advice = _ADVICE.get(error.errno, "")
    return f"{error}; {advice}" if advice else str(error)


def lacks_memory(error: Exception) -> bool:
    """Whether memory ran out in this process; PyTorch reports it as a RuntimeError."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and tells_of_no_memory(str(error)))
