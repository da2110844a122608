"""Reading ordinary files only: reading a pipe or a device in the place of one may never end."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_NOT_WAITING: int = getattr(os, "O_NONBLOCK", 0)


def open_regular(path: Path) -> BufferedReader:
    """An ordinary file, open for reading.

    Raises:
        OSError: there is none, or it is a folder, a pipe, a device or a socket.
    """
    # opening a pipe would wait for a writer
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | _NOT_WAITING)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path) -> bytes:
    """The content of an ordinary file.

    Raises:
        OSError: as `open_regular`, or it cannot be read.
    """
    with open_regular(path) as stream:
        return stream.read()
