"""What is on its way: what of it hangs, and which deliveries may begin beside it. Knows no channel, and no message.

What a channel that does not drop repeats has on its way when its worker dies is handed over once more, and may be read
twice: nobody can know whether it had been taken. So it has few on their way at once (docs/decisions/0025). What hangs
is no longer counted, nor waited for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable

#: A delivery that takes longer holds up no other any more, in seconds: one bad recipient is nobody else's affair.
PATIENCE = 2.0


class UnderWay:
    """The deliveries on their way. By the `unsafe` channels `most` are at once; of a channel `most_hang` may hang."""

    def __init__(
        self,
        unsafe: Collection[str],
        most: int,
        most_hang: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unsafe, self._most, self._most_hang, self._monotonic = unsafe, most, most_hang, monotonic
        self._since: dict[Hashable, tuple[float, str]] = {}

    def room(self) -> int:
        """How many more may begin now by channels that do not drop repeats."""
        counted = self._hangs_since()
        return max(0, self._most - sum(began > counted and way in self._unsafe for began, way in self._since.values()))

    def holds(self, channel: str) -> bool:
        """Whether messages of that channel are among those that are counted."""
        return channel in self._unsafe

    def begins(self, channel: str, key: Hashable) -> None:
        """A delivery begins."""
        self._since[key] = self._monotonic(), channel

    def ended(self, key: Hashable) -> None:
        """A delivery has ended."""
        self._since.pop(key, None)

    def moving(self, keys: Iterable[Hashable]) -> int:
        """How many of these do not hang."""
        since = self._hangs_since()
        return sum([self._since[key][0] > since for key in keys])

    def stuck(self) -> dict[str, int]:
        """The channels of which so many hang that no more may begin, each with no room."""
        since = self._hangs_since()
        hang = Counter(way for began, way in tuple(self._since.values()) if began <= since)
        return {way: 0 for way, count in hang.items() if count >= self._most_hang}

    def _hangs_since(self) -> float:
        return self._monotonic() - PATIENCE
