"""What changed since it was last asked: marks, set by the rooms that remember and taken by whoever saves.

Bounded: who is never asked, or has too much to tell, says "everything", which is always true.
"""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MOST_MARKS: Final = 4_000


class Marks(Generic[K]):
    """Marked keys, the one marked last at the end."""

    __slots__ = ("_everything", "_keys")

    def __init__(self) -> None:
        self._keys: dict[K, None] = {}
        self._everything = False

    def add(self, key: K) -> None:
        """Mark one key."""
        if self._everything:
            return
        self._keys.pop(key, None)
        self._keys[key] = None
        if len(self._keys) > MOST_MARKS:
            self.everything()

    def everything(self) -> None:
        """Mark more than can be named: what was kept by one key may now be kept by another, or not at all."""
        self._everything = True
        self._keys.clear()

    def take(self) -> list[K] | None:
        """Give the keys that were marked, and wipe the marks; None for everything."""
        keys = None if self._everything else list(self._keys)
        self._everything = False
        self._keys.clear()
        return keys
