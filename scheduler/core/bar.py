"""Bars: starts that a rule forbids, whoever is free then. Who could serve is `availability`'s."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.core.value import lightweight


@lightweight
class Bar:
    """A rule that forbids starts, with the code and the sentence that a refusal shows."""

    code: str
    detail: str
    starts: int
    #: What to say of one start instead, when there is more to say ("" when not).
    said: Callable[[int], str] | None = None
    #: The gate or the clearance that is missing, if that is what forbids them.
    item: str | None = None

    def about(self, slot: int) -> str:
        """The sentence for that start."""
        return (self.said(slot) if self.said is not None else "") or self.detail
