"""What a course's visits break as they stand: gaps, windows, phases, and sessions that have lost their visit.

Nothing is refused here. A desk reads it to know that the course wants planning anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from scheduler.core.course import SessionSpec
from scheduler.core.opendays import EVERY_DAY, OpenDays
from scheduler.core.spacing import Booked

_HOUR = timedelta(hours=1)


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
) -> list[Broken]:
    """Every session that is out of place, in the order of the course; among those `done` nothing can be mended.

    A session without a visit counts only where a later one of its kind has one.
    """
    found = [*_missing(specs, stands), *_gaps(specs, stands, done, opened), *_windows(specs, stands, done)]
    found += [*_phases(specs, stands, done), *_supplies(specs, stands, done)]
    return sorted(found, key=lambda each: (each.index, each.code))


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
                detail = f"{name} is {elapsed:.0f} hours after {of}; the protocol asks for {bounds}."
                yield Broken(spec.index, "outside_window", detail)


def _phases(specs: Sequence[SessionSpec], stands: Mapping[int, Booked], done: Collection[int]) -> Iterator[Broken]:
    for spec in specs:
        if spec.span is None or spec.index in done or not {spec.index, spec.span[0]} <= stands.keys():
            continue
        first, most = spec.span
        days = (stands[spec.index].day - stands[first].day).days
        if days > most:
            detail = f"{spec.name} is {days} days into its phase, which may take {most}."
            yield Broken(spec.index, "phase_too_long", detail)


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
