"""What a course's visits break as they stand: gaps, windows, phases, and sessions that have lost their visit.

Nothing is refused here. A desk reads it to know that the course wants planning anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.core.course import SessionSpec
from scheduler.core.opendays import EVERY_DAY, OpenDays
from scheduler.core.spacing import Booked

_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Broken:
    """A session, by its place in the course, and how it stands outside the protocol."""

    index: int
    code: str
    detail: str


def broken(
    specs: Sequence[SessionSpec],
    stands: Mapping[int, Booked],
    done: Collection[int] = (),
    opened: OpenDays = EVERY_DAY,
    unclosed: Collection[int] = (),
) -> list[Broken]:
    """Every session that is out of place, in the order of the course; among those `done` nothing can be mended.

    A session without a visit counts only where a later one of its kind has one. `unclosed` are those whose day has
    passed without a word of what became of them: whether that dose was given, nobody knows.
    """
    found = [*_missing(specs, stands), *_gaps(specs, stands, done, opened), *_windows(specs, stands, done)]
    found += [*_phases(specs, stands, done), *_far(specs, stands, done), *_supplies(specs, stands, done)]
    found += [*_unclosed(specs, stands, unclosed)]
    return sorted(found, key=lambda each: (each.index, each.code))


def wanted(specs: Sequence[SessionSpec], stands: Mapping[int, Booked], now: datetime) -> tuple[SessionSpec, ...]:
    """The sessions that can still be planned around, or stand: without those that are lost for good.

    A session without a visit is lost once a later one has begun: a dose, with the talk about it, when another dose has
    been given since; a talk when the session has begun before which it should be, or its hard window is over. A talk
    that took place without its session follows nothing: that is planned by itself.
    """
    begun = [index for index, place in stands.items() if place.starts_at <= now]
    chain = [spec for spec in specs if spec.kind == "main"]
    last = max((spec.index for spec in chain if spec.index in begun), default=-1)
    lost = {spec.index for spec in chain if spec.index < last and spec.index not in stands}
    return tuple(spec for spec in specs if spec.index not in lost and not _is_lost(spec, stands, lost, last, now))


def _is_lost(spec: SessionSpec, stands: Mapping[int, Booked], lost: Collection[int], last: int, now: datetime) -> bool:
    """Whether that is a talk that nobody can have any more, or had without its session."""
    if spec.kind != "leaf" or spec.anchor is None or spec.window is None:
        return False
    if spec.anchor in lost:
        return True
    if spec.index in stands:
        return spec.anchor not in stands and stands[spec.index].starts_at <= now
    if spec.anchor not in stands:
        return False
    edge = stands[spec.anchor].ends_at if spec.window.edge == "end" else stands[spec.anchor].starts_at
    is_over = spec.window.hard and edge + spec.window.maximum * _MINUTE < now
    return is_over or (spec.before_next and spec.anchor < last)


def _missing(specs: Sequence[SessionSpec], stands: Mapping[int, Booked]) -> Iterator[Broken]:
    last = max(stands, default=-1)
    for spec in specs:
        anchored = spec.kind == "main" or spec.anchor in stands
        if spec.index < last and spec.index not in stands and anchored:
            yield Broken(spec.index, "not_booked", f"{spec.name} has no visit, and later sessions have.")


def _gaps(
    specs: Sequence[SessionSpec], stands: Mapping[int, Booked], done: Collection[int], opened: OpenDays
) -> Iterator[Broken]:
    chain = [spec for spec in specs if spec.kind == "main"]
    before: SessionSpec | None = None
    for spec in chain:
        if spec.index not in stands:
            continue
        here = stands[spec.index]
        if before is not None and spec.gap is not None and spec.anchor == before.index and spec.index not in done:
            days = opened.between(stands[before.index].day, here.day, clinic_days=spec.clinic_days)
            least, _, most = spec.gap
            names = f"{days} {'clinic ' * spec.clinic_days}days after {before.name}"
            if spec.rest is not None and spec.rest.maximum is not None:  # a rule in hours, of which days follow
                least, most = 0, None
            if days < least or here.starts_at < stands[before.index].ends_at:
                detail = f"{spec.name} is {names}; the protocol asks for at least {least}."
                yield Broken(spec.index, "gap_too_short", detail)
            elif most is not None and days > most:
                detail = f"{spec.name} is {names}; the protocol allows at most {most}."
                yield Broken(spec.index, "gap_too_long", detail)
        before = spec


def _windows(specs: Sequence[SessionSpec], stands: Mapping[int, Booked], done: Collection[int]) -> Iterator[Broken]:
    for spec in specs:
        if spec.kind != "leaf" or spec.index not in stands or spec.index in done or spec.anchor is None:
            continue
        main = next(each for each in specs if each.index == spec.anchor)
        name, of = spec.name, main.name
        if spec.anchor not in stands:
            yield Broken(spec.index, "without_its_session", f"{name} stands, and {of} has no visit.")
        elif spec.window is not None:
            place = stands[spec.anchor]
            edge = place.ends_at if spec.window.edge == "end" else place.starts_at
            elapsed = (stands[spec.index].starts_at - edge) / _HOUR
            if not spec.window.minimum / 60 <= elapsed <= spec.window.maximum / 60:
                bounds = f"{spec.window.minimum // 60} to {spec.window.maximum // 60}"
                detail = f"{name} is {_said(elapsed)} hours after {of}; the protocol asks for {bounds}."
                yield Broken(spec.index, "outside_window", detail)


def _said(hours: float) -> str:
    """To a tenth, so that what is just out of bounds does not read as if it were within."""
    return f"{hours:.1f}".removesuffix(".0")


def _phases(specs: Sequence[SessionSpec], stands: Mapping[int, Booked], done: Collection[int]) -> Iterator[Broken]:
    for spec in specs:
        if spec.span is None or spec.index in done or not {spec.index, spec.span[0]} <= stands.keys():
            continue
        first, most = spec.span
        days = (stands[spec.index].day - stands[first].day).days
        if days > most:
            detail = f"{spec.name} is {days} days into its phase, which may take {most}."
            yield Broken(spec.index, "phase_too_long", detail)


def _far(specs: Sequence[SessionSpec], stands: Mapping[int, Booked], done: Collection[int]) -> Iterator[Broken]:
    """Hours since the session before, and days since those further back."""
    by_index = {spec.index: spec for spec in specs}
    for spec in specs:
        if spec.kind != "main" or spec.index not in stands or spec.index in done:
            continue
        here = stands[spec.index]
        if spec.rest is not None and spec.anchor is not None and spec.anchor in stands:
            before = stands[spec.anchor]
            elapsed = here.starts_at - (before.ends_at if spec.rest.edge == "end" else before.starts_at)
            says = f"{spec.name} is {_said(elapsed / _HOUR)} hours after {by_index[spec.anchor].name}; the protocol"
            if elapsed < spec.rest.minimum * _MINUTE:
                yield Broken(spec.index, "gap_too_short", f"{says} asks for at least {spec.rest.minimum // 60}.")
            elif spec.rest.maximum is not None and elapsed > spec.rest.maximum * _MINUTE:
                yield Broken(spec.index, "gap_too_long", f"{says} allows at most {spec.rest.maximum // 60}.")
        for bound in (each for each in spec.bounds if each.anchor in stands):
            days = (here.day - stands[bound.anchor].day).days
            says = f"{spec.name} is {days} days after {by_index[bound.anchor].name}; the protocol"
            if days < bound.least:
                yield Broken(spec.index, "gap_too_short", f"{says} asks for at least {bound.least}.")
            elif bound.most is not None and days > bound.most:
                yield Broken(spec.index, "gap_too_long", f"{says} allows at most {bound.most}.")


def _unclosed(
    specs: Sequence[SessionSpec], stands: Mapping[int, Booked], unclosed: Collection[int]
) -> Iterator[Broken]:
    for spec in (each for each in specs if each.index in unclosed and each.index in stands):
        day = stands[spec.index].day
        detail = f"{spec.name} was on {day.isoformat()}, and nobody has said what became of it."
        yield Broken(spec.index, "not_closed", detail)


def _supplies(specs: Sequence[SessionSpec], stands: Mapping[int, Booked], done: Collection[int]) -> Iterator[Broken]:
    for spec in specs:
        if spec.use_by is not None and spec.index in stands and spec.index not in done:
            day = stands[spec.index].day
            if day > spec.use_by:
                name = spec.name
                detail = (
                    f"{name} is on {day.isoformat()}; what came for it has to be given by {spec.use_by.isoformat()}."
                )
                yield Broken(spec.index, "supply_expired", detail)
