"""Half-open spans of time and sets of them. Instants are aware; what a span means is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, order=True)
class Span:
    """[start, end): two spans that touch do not overlap. Raises ValueError when naive or not start < end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            msg = "a span needs aware instants"
            raise ValueError(msg)
        if not self.start < self.end:
            msg = f"a span needs start < end, not {self.start} .. {self.end}"
            raise ValueError(msg)

    @property
    def length(self) -> timedelta:
        """Elapsed time from start to end."""
        return self.end - self.start

    def overlaps(self, other: Span) -> bool:
        """Whether some instant lies in both."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: Span) -> bool:
        """Whether every instant of the other lies in this one."""
        return self.start <= other.start and other.end <= self.end

    def clip(self, other: Span) -> Span | None:
        """The part that lies in both, or None."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None


def union(spans: Iterable[Span]) -> list[Span]:
    """The same instants as sorted spans that neither overlap nor touch."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = Span(merged[-1].start, span.end)
        else:
            merged.append(span)
    return merged


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """The instants of `spans` that lie in none of `holes`, as disjoint sorted spans."""
    left = union(spans)
    for hole in union(holes):
        left = list(_without(left, hole))
    return left


def _without(spans: Iterable[Span], hole: Span) -> Iterator[Span]:
    for span in spans:
        if not span.overlaps(hole):
            yield span
            continue
        if span.start < hole.start:
            yield Span(span.start, hole.start)
        if hole.end < span.end:
            yield Span(hole.end, span.end)
