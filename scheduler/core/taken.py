"""What a database tells of many rows in one value, as columns. How it says so is known in `models/slots`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduler.core.bitmap import SLOT, SLOT_MINUTES, Timeline
from scheduler.core.columns import Runs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_OF_BYTES = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATER = (_EPOCH_OF_BYTES - _EPOCH) // _MICROSECOND
_BYTES = np.dtype([("unit", ">i4"), ("start", ">i8"), ("end", ">i8"), ("until", ">i8")])
_BYTES_BUT_UNTIL = np.dtype(_BYTES.descr[:3])
_RUN = Struct(">iqq")
_SLOT_OF_BYTES = SLOT_MINUTES * 60 * 1_000_000
_NONE = np.zeros(0, dtype=np.int64)
#: Values no longer than this together are read run by run, some twenty bytes or digits each: to make columns costs as
#: much as a hundred runs.
_SHORT = 2000


class Pile(NamedTuple):
    """The runs of one unit in one of the values, and the same as a bitmap."""

    place: int
    unit: int
    runs: Collection[tuple[int, int]]
    lane: int
    #: Which of the value's runs they are, unless all.
    which: Sequence[int] | None


class Taken(NamedTuple):
    """What some values tell: so many runs each, and each run's unit; and until when it counts, where that was told."""

    lengths: Sequence[int]
    units: NDArray[np.int64]
    runs: Runs
    #: Microseconds since 1970.
    until: NDArray[np.int64]

    def piles(self, timeline: Timeline) -> Iterator[Pile]:
        """Each value's runs by their units; all are painted at once."""
        most = int(self.units.max()) + 1
        marks = np.repeat(np.arange(len(self.lengths)), self.lengths) * most + self.units
        counts = np.bincount(marks)
        named = np.flatnonzero(counts)
        lanes = self.runs.painted((np.cumsum(counts > 0) - 1)[marks], len(named), timeline)
        ends = np.cumsum(self.lengths).tolist()
        for mark, lane, count in zip(named.tolist(), lanes, counts[named].tolist(), strict=True):
            place, unit = divmod(mark, most)
            its = slice(ends[place] - self.lengths[place], ends[place])
            if count == self.lengths[place]:
                yield Pile(place, unit, self.runs.at(its), lane, None)
            else:
                which = np.flatnonzero(self.units[its] == unit)
                yield Pile(place, unit, self.runs.at(its).at(which), lane, which.tolist())


def piles(told: Sequence[bytes | str], timeline: Timeline) -> Iterator[Pile]:
    """Each value's runs by their units, the slots counted from the timeline's first; values of `runs_of`."""
    if sum(map(len, told)) <= _SHORT:
        return _one_by_one(told, timeline)
    return read(told, timeline.origin).piles(timeline)


def _one_by_one(told: Sequence[bytes | str], timeline: Timeline) -> Iterator[Pile]:
    for place, value in enumerate(told):
        runs = list(_each(value, timeline.origin))
        units = {unit for unit, _, _ in runs}
        for mine in sorted(units):
            its = [(first, past) for unit, first, past in runs if unit == mine]
            which = None if len(units) == 1 else [at for at, (unit, _, _) in enumerate(runs) if unit == mine]
            yield Pile(place, mine, its, timeline.covered(its), which)


def _each(value: bytes | str, origin: datetime) -> Iterator[tuple[int, int, int]]:
    """Unit, first slot and past of each run."""
    if isinstance(value, bytes):
        zero = (origin - _EPOCH_OF_BYTES) // _MICROSECOND
        for unit, start, end in _RUN.iter_unpack(value):
            yield unit, (start - zero) // _SLOT_OF_BYTES, -((zero - end) // _SLOT_OF_BYTES)
    else:
        base, numbers = (origin - _EPOCH) // SLOT, map(int, value.split(","))
        for unit, first, past in zip(numbers, numbers, numbers, strict=True):
            yield unit, first - base, past - base


def read(told: Sequence[bytes | str], origin: datetime, *, with_until: bool = False) -> Taken:
    """At least one value of `runs_of`, its slots counted from `origin`."""
    if isinstance(told[0], bytes):
        kind = _BYTES if with_until else _BYTES_BUT_UNTIL
        table = np.frombuffer(b"".join(told), kind)  # type: ignore[arg-type] # as the first
        unit, start, end, *until = (table[name].astype(np.int64) for name in kind.names or ())
        zero = (origin - _EPOCH_OF_BYTES) // _MICROSECOND
        lengths = [len(each) // kind.itemsize for each in told]
        return Taken(lengths, unit, Runs.touched(start - zero, end - zero), until[0] + _LATER if until else _NONE)
    width = 4 if with_until else 3
    numbers = np.fromstring(",".join(told), dtype=np.int64, sep=",")  # type: ignore[arg-type] # as the first
    unit, first, past, *until = numbers.reshape(-1, width).T
    base = (origin - _EPOCH) // SLOT
    lengths = [(each.count(",") + 1) // width for each in told]  # type: ignore[arg-type]
    return Taken(lengths, unit, Runs(first - base, past - base), until[0] if until else _NONE)
