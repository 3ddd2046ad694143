"""The calls by which the state reaches the disk, one by one, so that each can be seen to fail.

Knows nothing of what is written, nor of when.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Network file systems that cannot do it say so; the rename is all they offer.
_NO_DIRECTORY_FSYNC = (errno.EINVAL, errno.ENOTSUP)


@dataclass(frozen=True, slots=True)
class Disk:
    """The calls a write is made of, replaceable one by one by those who want to see them fail."""

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace
    fsync_directory: Callable[[int], None] = os.fsync


def write_all(disk: Disk, fd: int, data: bytes) -> None:
    """Write everything, in as many calls as it takes."""
    left = memoryview(data)
    while left:
        left = left[disk.write(fd, left) :]


def replace_file(disk: Disk, path: Path, content: bytes) -> None:
    """Put `content` in the file's place, whole and on the platter, or raise, leaving no temporary file."""
    directory = path.parent
    temporary = directory / f".{path.name}.{os.getpid()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = disk.open(temporary, flags, 0o600)
        try:
            write_all(disk, fd, content)
            disk.fsync(fd)
        finally:
            os.close(fd)
        disk.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        disk.fsync_directory(fd)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FSYNC:
            raise
    finally:
        os.close(fd)
