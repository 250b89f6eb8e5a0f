"""Which deliveries may begin beside which, by channels that do not drop repeats. Knows no channel, and no message.

What such a channel has on its way when its worker dies is handed over once more, and may be read twice: nobody can know
whether it had been taken. So it has few on their way at once (docs/decisions/0025).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from uuid import UUID

#: A delivery that takes longer holds up no other any more, in seconds: one bad recipient is nobody else's affair.
PATIENCE = 2.0


class Unsafe:
    """The deliveries by `channels`, of which `most` are on their way at once, not counting those that hang."""

    def __init__(
        self, channels: Collection[str], most: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._channels, self._most, self._monotonic = channels, most, monotonic
        self._since: dict[UUID, float] = {}

    def room(self) -> int:
        """How many more may begin now."""
        since = self._monotonic() - PATIENCE
        return max(0, self._most - sum(began > since for began in self._since.values()))

    def holds(self, channel: str) -> bool:
        """Whether messages of that channel are among those that are counted."""
        return channel in self._channels

    def begins(self, channel: str, key: UUID) -> None:
        """A delivery begins."""
        if channel in self._channels:
            self._since[key] = self._monotonic()

    def ended(self, key: UUID) -> None:
        """A delivery has ended."""
        self._since.pop(key, None)
