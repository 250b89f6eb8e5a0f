"""Days between sessions as gaps count them: local days, or only those on which the location is open."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta

_DAY = timedelta(days=1)
#: No gap counts further than this.
_FURTHEST = 1000


@dataclass(frozen=True)
class OpenDays:
    """`is_open` says whether a local day counts where a gap counts clinic days."""

    is_open: Callable[[date], bool]

    @classmethod
    def among(cls, days: Collection[date], first: date, last: date) -> OpenDays:
        """Those in `days` between two days (both included); outside of what is known every day counts."""
        known = frozenset(days)
        return cls(lambda day: day in known or not first <= day <= last)

    def between(self, one: date, other: date, *, clinic_days: bool) -> int:
        """How many days the other is after the one: the next day, or the next open day, is one later."""
        if not clinic_days or other <= one:
            return (other - one).days
        return sum(self.is_open(one + timedelta(days=offset)) for offset in range((other - one).days))

    def after(self, day: date, number: int, *, clinic_days: bool) -> date:
        """The first day that is at least so many after `day`."""
        return self._stepped(day, number, 1) if clinic_days else day + timedelta(days=number)

    def within(self, day: date, number: int, *, clinic_days: bool) -> date:
        """The last day that is at most so many after `day`."""
        return self.after(day, number + 1, clinic_days=clinic_days) - _DAY

    def opening(self, day: date) -> date:
        """That day or, when it does not count, the next that does."""
        return self.after(day, 1, clinic_days=True) - _DAY

    def before(self, day: date, number: int, *, clinic_days: bool) -> date:
        """The last day that `day` is at least so many after."""
        return self._stepped(day, number, -1) if clinic_days else day - timedelta(days=number)

    def _stepped(self, day: date, number: int, way: int) -> date:
        found = day
        for _ in range(_FURTHEST):
            if self.between(min(day, found), max(day, found), clinic_days=True) >= number:
                break
            found += way * _DAY
        return found


#: Where no gap counts clinic days, or nobody knows when the location is open.
EVERY_DAY = OpenDays(lambda _: True)
