"""Why a start cannot be booked: every reason, in the order in which somebody would check. Decides nothing itself.

The decision is `availability.assign`; `why_not` is empty exactly when that finds somebody for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_

from scheduler.core.availability import Calendar, Clinic, assign, late_room
from scheduler.core.bitmap import run_around
from scheduler.core.demand import Demand, Stretch, Thread
from scheduler.core.errors import Reason

#: The steps of the search for a server: the code when too few are left after it, the sentence, the slots that pass.
_STEPS: tuple[tuple[str, str, Callable[[Calendar, int, Stretch], int]], ...] = (
    ("not_qualified", "No {role} is qualified for this at that time.", lambda _, ok, __: ok),
    ("outside_hours", "No {role} is rostered for all of it.", lambda who, ok, _: ok & who.rostered),
    ("resource_absent", "No {role} rostered then is there for all of it.", lambda who, ok, _: ok & who.there),
    ("resource_busy", "Every {role} on site is taken for some of it.", lambda who, ok, s: ok & who.free(s.units)),
)


_SAME = " The course requires the same person throughout."


def why_not(demand: Demand, clinic: Clinic, slot: int) -> tuple[Reason, ...]:
    """Every reason against a visit at that start slot; empty when it can be booked."""
    if assign(demand, clinic, slot) is not None:
        return ()
    reasons = [
        *(Reason(bar.code, bar.about(slot), item=bar.item) for bar in clinic.bars if bar.starts >> slot & 1),
        *_patient(demand, clinic, slot),
        *(reason for thread in dict.fromkeys(demand.threads) for reason in _thread(thread, demand, clinic, slot)),
    ]
    detail = "Each need could be met by itself, but not all at once: the same people are needed twice."
    return tuple(reasons) or (Reason("resource_busy", detail),)


def _patient(demand: Demand, clinic: Clinic, slot: int) -> Iterator[Reason]:
    if clinic.patient is None or clinic.attended(demand.patient_slots) >> slot & 1:
        return
    taken = clinic.patient.taken[0]
    first = next(at for at in range(slot, slot + demand.patient_slots) if taken >> at & 1)
    start, end = run_around(taken, first)
    yield Reason(
        "patient_busy",
        "The patient has another visit at that time.",
        start=clinic.timeline.instant(start),
        end=clinic.timeline.instant(end),
    )


def _thread(thread: Thread, demand: Demand, clinic: Clinic, slot: int) -> Iterator[Reason]:
    left = list(clinic.pool(thread))
    if thread.present:
        yield from _presence(thread, clinic, slot, left)
        return
    if demand.threads.count(thread) == 1 and late_room(thread, clinic, slot) is not None:
        return
    for code, detail, passes in _STEPS:
        able = [
            who
            for who in left
            if all(_holds(passes(who, who.serves[thread.selector], s), s, slot) for s in thread.around(who.buffers))
        ]
        if len(able) < demand.threads.count(thread):
            yield _reason(code, detail, thread, clinic, slot, left)
            return
        left = able


def _presence(thread: Thread, clinic: Clinic, slot: int, pool: list[Calendar]) -> Iterator[Reason]:
    """Any mixture of people will do, so each step looks at all of them together."""
    stretch = thread.stretches[0]
    for code, detail, passes in _STEPS[:-1]:
        together = reduce(or_, (passes(who, who.serves[thread.selector], stretch) for who in pool), 0)
        if not _holds(together, stretch, slot):
            yield _reason(code, detail, thread, clinic, slot, pool)
            return


def _holds(mask: int, stretch: Stretch, slot: int) -> bool:
    full = (1 << stretch.length) - 1
    return slot + stretch.start >= 0 and (mask >> (slot + stretch.start)) & full == full


def _reason(code: str, detail: str, thread: Thread, clinic: Clinic, slot: int, left: list[Calendar]) -> Reason:
    """The refusal of one thread; it names the resource, and the time it is taken, when there is just one."""
    only = left[0] if len(left) == 1 else None
    stretches = thread.around(only.buffers if only is not None else (0, 0))
    stretch = stretches[0]
    start, end = slot + stretch.start, slot + stretches[-1].end
    if only is not None and code == "resource_busy":
        taken = only.taken[0] if stretch.units is None else only.taken[only.units - stretch.units]
        first = next((at for at in range(start, end) if taken >> at & 1), None)
        if first is not None:
            start, end = run_around(taken, first)
    return Reason(
        code,
        detail.format(role=thread.role.replace("_", " ")) + (_SAME if thread.selector in clinic.bound else ""),
        role=thread.role,
        resource_id=only.resource_id if only else None,
        segment=stretch.segment,
        start=clinic.timeline.instant(start),
        end=clinic.timeline.instant(end),
    )
