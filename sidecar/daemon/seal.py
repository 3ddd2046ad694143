"""The file beside the socket that holds the seal: who has leave to open a turn unasked looks whether it is unbroken.

Written in place, a line of fixed length through one descriptor, so that a full disk does not keep leave from being
taken back; a reader that meets half a change sees neither the old nor the new line, and asks. What the seal means is
`core/leaves.py`; here it is only shown. Kept open and rewritten for the daemon's life, deleted at its end.
"""

import os
from contextlib import suppress
from pathlib import Path

_WIDTH = 64


class Seal:
    """The file at `path`; where it cannot be written nobody gets leave."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._shown = ""

    def open(self) -> None:
        """Make the file anew, readable by its owner only: one that an earlier daemon left is nobody's seal any more."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self.path, flags, 0o600)

    def show(self, seal: str) -> bool:
        """Put `seal` (at most 63 characters) in the file, if it is not there yet; False when it cannot be shown."""
        if self._fd < 0 or seal == self._shown:
            return self._fd >= 0
        try:
            os.pwrite(self._fd, seal.ljust(_WIDTH - 1).encode() + b"\n", 0)
        except OSError:
            self.close()
            return False
        self._shown = seal
        return True

    def close(self) -> None:
        """Take the file away: whoever looks for it from now on asks."""
        if self._fd < 0:
            return
        with suppress(OSError):
            self.path.unlink()
        os.close(self._fd)
        self._fd = -1
