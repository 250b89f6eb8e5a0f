"""What fits: the bitmaps and the exact assignment against a naive reading of the same clinic, slot by slot."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from scheduler.core.availability import (
    Bar,
    Calendar,
    Clinic,
    Taking,
    assign,
    exact_starts,
    in_doubt,
    occupied,
    starts,
)
from scheduler.core.bitmap import Timeline, bits
from scheduler.core.demand import Demand, Stretch, Thread, with_pauses
from scheduler.core.explain import why_not
from scheduler.core.serving import still_free

TIMELINE = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 1)
#: The naive reader looks at the first slots of the day only.
SEEN = 40


def offers(demand: Demand, clinic: Clinic) -> Iterator[tuple[int, tuple[Taking, ...]]]:
    """(start slot, who serves) for every start that can be booked, earliest first."""
    for slot in bits(starts(demand, clinic)):
        takings = assign(demand, clinic, slot)
        if takings is not None:
            yield slot, takings


@dataclass(frozen=True)
class Naive:
    """A resource as plain sets: the slots it is there, and how many units are taken at each."""

    resource_id: UUID
    selectors: frozenset[str]
    units: int
    there: frozenset[int]
    taken: tuple[int, ...]
    buffers: tuple[int, int] = (0, 0)

    def serves(self, thread: Thread, start: int) -> bool:
        if thread.selector not in self.selectors:
            return False
        for stretch in thread.around(self.buffers):
            wanted = self.units if stretch.units is None else stretch.units
            for slot in range(start + stretch.start, start + stretch.end):
                if slot not in self.there or self.taken[slot] + wanted > self.units:
                    return False
        return True


def naive_fits(demand: Demand, pool: list[Naive], start: int) -> bool:
    """Whether some choice of resources, tried one after the other, serves the visit."""
    for thread in demand.threads:
        if thread.present:
            stretch = thread.stretches[0]
            able = [each for each in pool if thread.selector in each.selectors]
            for slot in range(start + stretch.start, start + stretch.end):
                if not any(slot in each.there for each in able):
                    return False
    threads = [thread for thread in demand.threads if not thread.present]
    able_for = [[each for each in pool if each.serves(thread, start)] for thread in threads]
    for choice in product(*able_for):
        pairs = [(i, j) for i in range(len(threads)) for j in range(i)]
        if all(choice[i] is not choice[j] or not threads[i].meets(threads[j]) for i, j in pairs):
            return True
    return False


def random_demand(rng: random.Random) -> Demand:
    threads = []
    for _ in range(rng.randint(1, 4)):
        selector = rng.choice(["role:nurse", "role:guide", "room:infusion"])
        at, stretches = rng.randint(0, 3), []
        for _ in range(rng.randint(1, 2)):
            end = at + rng.randint(1, 4)
            stretches.append(Stretch(at, end, rng.choice([None, 1, 1, 2]), "s"))
            at = end + rng.randint(0, 1)
        present = selector == "role:guide" and rng.random() < 0.4
        thread = Thread(selector, tuple(stretches[:1] if present else stretches), present)
        threads += [thread] * (2 if rng.random() < 0.2 and not present else 1)
    return Demand("v", tuple(with_pauses(threads)), 4, 0, 12, ())


def random_pool(rng: random.Random) -> list[Naive]:
    pool = []
    for number in range(rng.randint(1, 5)):
        units = rng.randint(1, 3)
        selectors = rng.choice([{"role:nurse"}, {"role:nurse", "role:guide"}, {"role:guide"}, {"room:infusion"}])
        there = {slot for slot in range(SEEN) if rng.random() < 0.93}
        taken = [0] * TIMELINE.slots
        for _ in range(rng.randint(0, 5)):
            first = rng.randrange(SEEN)
            for slot in range(first, min(first + rng.randint(1, 8), SEEN)):
                taken[slot] = min(taken[slot] + 1, units)
        buffers = rng.choice([(0, 0), (1, 0), (0, 1), (2, 1)])
        pool.append(Naive(UUID(int=number + 1), frozenset(selectors), units, frozenset(there), tuple(taken), buffers))
    return pool


def clinic_of(pool: list[Naive], *bars: Bar) -> Clinic:
    calendars = {}
    for each in pool:
        rungs = tuple(sum(1 << slot for slot in range(SEEN) if each.taken[slot] > j) for j in range(each.units))
        there = sum(1 << slot for slot in each.there)
        calendars[each.resource_id] = Calendar(
            each.resource_id, "any", each.units, there, 0, rungs, dict.fromkeys(each.selectors, -1), each.buffers
        )
    return Clinic(TIMELINE, calendars, bars)


@pytest.mark.parametrize("seed", range(300))
def test_the_law_agrees_with_trying_everyone(seed: int) -> None:
    rng = random.Random(seed)
    demand, pool = random_demand(rng), random_pool(rng)
    clinic = clinic_of(pool)
    found = {slot for slot, _ in offers(demand, clinic)}
    wanted = {slot for slot in range(SEEN) if naive_fits(demand, pool, slot)}
    assert found == wanted
    assert found <= set(bits(starts(demand, clinic)))
    if not in_doubt(demand, clinic):
        assert found == set(bits(starts(demand, clinic)))
    assert set(bits(exact_starts(demand, clinic))) == wanted


@pytest.mark.parametrize("seed", range(100))
def test_a_start_is_explained_exactly_when_it_is_not_offered(seed: int) -> None:
    rng = random.Random(seed)
    demand, pool = random_demand(rng), random_pool(rng)
    clinic = clinic_of(pool, Bar("horizon", "Too late.", 0b1111 << 20))
    found = {slot for slot, _ in offers(demand, clinic)}
    for slot in range(SEEN):
        reasons = why_not(demand, clinic, slot)
        assert bool(reasons) == (slot not in found)
        assert all(reason.code and reason.detail for reason in reasons)


@pytest.mark.parametrize("seed", range(100))
def test_what_is_assigned_can_be_taken(seed: int) -> None:
    """Taking it leaves every resource within its units; taking it twice is seen as taken."""
    rng = random.Random(seed)
    demand, pool = random_demand(rng), random_pool(rng)
    clinic = clinic_of(pool)
    by_id = {each.resource_id: each for each in pool}
    for slot, takings in offers(demand, clinic):
        load: dict[tuple[UUID, int], int] = {}
        for taking in takings:
            units = by_id[taking.resource_id].units if taking.units is None else taking.units
            for at in range(taking.start, taking.end):
                load[taking.resource_id, at] = load.get((taking.resource_id, at), 0) + units
        after = occupied(clinic, takings)
        for (resource_id, at), units in load.items():
            total = by_id[resource_id].taken[at] + units
            assert total <= by_id[resource_id].units
            rungs = after.calendars[resource_id].taken
            assert [rung >> at & 1 for rung in rungs] == [int(total > j) for j in range(len(rungs))]
        assert all(taking.start >= slot - by_id[taking.resource_id].buffers[0] for taking in takings)
        room = all(by_id[key].taken[at] + 2 * units <= by_id[key].units for (key, at), units in load.items())
        assert (still_free(clinic, takings), still_free(after, takings)) == (True, room)


NURSE, GUIDE, BAY = "role:nurse", "role:guide", "room:bay"
#: Threads as {selector: [(start, end)]}, and what each takes of somebody who needs two slots before and three after.
WIDENED = {
    "alone": ([(BAY, [(0, 4)])], [[(-2, 7)]]),
    "a turnover of the service comes first": ([(BAY, [(-1, 6)])], [[(-3, 9)]]),
    "one person from segment to segment": ([(NURSE, [(0, 4)]), (NURSE, [(4, 9)])], [[(-2, 4)], [(4, 12)]]),
    "or the same one in another role": ([(NURSE, [(0, 4)]), (GUIDE, [(4, 9)])], [[(-2, 4)], [(4, 12)]]),
    "two at once are two people": ([(NURSE, [(0, 9)]), (GUIDE, [(2, 4)])], [[(-2, 12)], [(0, 7)]]),
    "a short pause": ([(NURSE, [(0, 4), (8, 12)])], [[(-2, 7), (7, 15)]]),
    "a shorter one": ([(NURSE, [(0, 4), (6, 12)])], [[(-2, 6), (6, 15)]]),
    "a long pause": ([(NURSE, [(0, 4), (20, 24)])], [[(-2, 7), (18, 27)]]),
    "rooms of two types are two rooms": ([(BAY, [(0, 4)]), ("room:talk", [(4, 9)])], [[(-2, 7)], [(2, 12)]]),
}


@pytest.mark.parametrize("case", WIDENED)
def test_who_needs_time_for_themselves_takes_it_around_the_visit(case: str) -> None:
    threads, wanted = WIDENED[case]
    made = [Thread(role, tuple(Stretch(*span, None, "s") for span in spans)) for role, spans in threads]
    assert [[(s.start, s.end) for s in thread.around((2, 3))] for thread in with_pauses(made)] == wanted


def test_nothing_is_taken_for_more_than_a_day() -> None:
    day = Thread(BAY, (Stretch(0, 286, None, "s"),))
    assert [(s.start, s.end) for s in day.around((1, 4))] == [(-1, 287)]


def test_without_buffers_only_the_patients_own_time_is_taken() -> None:
    bay, tidy = Thread(BAY, (Stretch(-2, 9, None, "setup"),)), Thread(NURSE, (Stretch(4, 6, None, "tidy"),))
    bare = Demand("v", (bay, tidy), 4, -2, 9, ()).without_buffers()
    assert [(t.selector, t.stretches[0].start, t.stretches[0].end) for t in bare.threads] == [(BAY, 0, 4)]
    assert (bare.first_slot, bare.past_slot) == (0, 4)


def one(selector: str, units: int = 1, busy: int = 0, **more: int) -> Calendar:
    taken = (busy, *([0] * (units - 1)))
    serves = {selector: more.get("serves", -1)}
    everything = TIMELINE.everything
    return Calendar(UUID(int=more.get("id", 1)), "any", units, everything, more.get("absent", 0), taken, serves)


def clinic(*calendars: Calendar) -> Clinic:
    return Clinic(TIMELINE, {each.resource_id: each for each in calendars})


def visit(*threads: Thread) -> Demand:
    return Demand("v", threads, 4, 0, 4, ())


@pytest.mark.parametrize(
    ("calendar", "code"),
    [
        (one("role:guide"), "not_qualified"),
        (one("role:nurse", serves=1), "not_qualified"),
        (Calendar(UUID(int=1), "any", 1, 0b11, 0, (0,), {"role:nurse": -1}), "outside_hours"),
        (one("role:nurse", absent=0b100), "resource_absent"),
        (one("role:nurse", busy=0b1000), "resource_busy"),
    ],
)
def test_each_step_of_the_search_has_its_own_reason(calendar: Calendar, code: str) -> None:
    demand = visit(Thread("role:nurse", (Stretch(0, 4, None, "prep"),)))
    [reason] = why_not(demand, clinic(calendar), 0)
    assert reason.code == code
    assert (reason.role, reason.segment) == ("nurse", "prep")


def test_reasons_come_in_order_one_for_each_role() -> None:
    """Rules first, then the patient, then each role with the first step that nobody of it passed."""
    need = Stretch(0, 4, None, "prep")
    demand = visit(Thread("role:nurse", (need,)), Thread("role:guide", (need,)), Thread("room:bay", (need,)))
    nurse, guide, bay = one("role:nurse", busy=1), one("role:guide", absent=1, id=2), one("room:bay", id=3)
    seen = replace(
        clinic(nurse, guide, bay),
        bars=(Bar("horizon", "Too far.", -1), Bar("on_hold", "Held.", 0), Bar("lead_time", "Too soon.", -1)),
        patient=one("patient", busy=1, id=4),
    )
    reasons = why_not(demand, seen, 0)
    assert [(each.code, each.role) for each in reasons] == [
        ("horizon", None),
        ("lead_time", None),
        ("patient_busy", None),
        ("resource_busy", "nurse"),
        ("resource_absent", "guide"),
    ]


def test_a_single_busy_resource_is_named_with_the_time_it_is_taken() -> None:
    demand = visit(Thread("role:nurse", (Stretch(0, 4, None, "prep"),)))
    [reason] = why_not(demand, clinic(one("role:nurse", busy=0b111000)), 0)
    assert reason.resource_id == UUID(int=1)
    assert (reason.start, reason.end) == (TIMELINE.instant(3), TIMELINE.instant(6))


def test_presence_may_be_shared_out_and_names_the_fewest_people() -> None:
    demand = visit(Thread("role:nurse", (Stretch(0, 4, None, "dose"),), present=True))
    early = one("role:nurse", absent=0b1100, id=1)
    late = one("role:nurse", absent=0b0001, id=2)
    takings = assign(demand, clinic(early, late), 0)
    assert takings is not None
    assert [(taking.resource_id.int, taking.start, taking.end) for taking in takings] == [(1, 0, 2), (2, 2, 4)]
    assert assign(demand, clinic(early), 0) is None
    [reason] = why_not(demand, clinic(early), 0)
    assert reason.code == "resource_absent"


def test_being_on_site_takes_nothing_from_anybody() -> None:
    demand = visit(Thread("role:nurse", (Stretch(0, 4, None, "dose"),), present=True))
    assert assign(demand, clinic(one("role:nurse", busy=0b1111)), 0) is not None


def test_who_is_on_site_still_is_however_busy_and_a_room_to_be_bound_late_is_left_to_its_binding() -> None:
    busy, away = one("role:nurse", busy=-1), one("role:nurse", absent=0b10)
    there, one_of = Taking(busy.resource_id, "role:nurse", 0, 4, 0), Taking(busy.resource_id, "room:bay", 4, 6, None)
    assert [still_free(clinic(each), [there]) for each in (busy, away)] == [True, False]
    full = clinic(one("room:bay", busy=-1))
    assert [still_free(each, [one_of]) for each in (clinic(one("room:bay")), full)] == [True, False]
    assert still_free(full, [replace(one_of, pool=(busy.resource_id,))])


def test_cover_stays_with_one_person_when_it_can() -> None:
    threads = (
        Thread("role:nurse", (Stretch(0, 2, None, "prep"),)),
        Thread("role:nurse", (Stretch(2, 4, 1, "dose"),)),
    )
    both = clinic(one("role:nurse", units=2, id=1), one("role:nurse", units=2, id=2))
    takings = assign(visit(*threads), both, 0)
    assert takings is not None
    assert len({taking.resource_id for taking in takings}) == 1
    handed_over = clinic(one("role:nurse", busy=0b1100, id=1), one("role:nurse", busy=0b0011, id=2))
    takings = assign(visit(*threads), handed_over, 0)
    assert takings is not None
    assert [taking.resource_id.int for taking in takings] == [2, 1] or [t.resource_id.int for t in takings] == [1, 2]
    throughout = visit(Thread("role:nurse", (Stretch(0, 2, None, "prep"), Stretch(2, 4, 1, "dose"))))
    assert assign(throughout, handed_over, 0) is None


def test_setup_before_the_first_slot_does_not_fit() -> None:
    demand = Demand("v", (Thread("room:infusion", (Stretch(-2, 4, None, "setup"),)),), 4, -2, 4, ())
    room = clinic(one("room:infusion"))
    assert assign(demand, room, 1) is None
    assert assign(demand, room, 2) == (Taking(UUID(int=1), "room:infusion", 0, 6, None),)
    assert why_not(demand, room, 1)


def test_a_pin_leaves_only_the_pinned() -> None:
    demand = visit(Thread("role:nurse", (Stretch(0, 4, None, "prep"),)))
    people = {each.resource_id: each for each in (one("role:nurse", id=1), one("role:nurse", busy=1, id=2))}
    pinned = Clinic(TIMELINE, people, pins={"role:nurse": frozenset({UUID(int=2)})})
    assert assign(demand, pinned, 0) is None
    assert assign(demand, pinned, 1) is not None
