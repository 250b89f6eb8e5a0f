"""Several visits served together: exactly when some choice of people and rooms serves them all, against trying all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from random import Random
from uuid import UUID

import pytest

from scheduler.core.availability import Calendar, Clinic, Taking, assign, occupied
from scheduler.core.bitmap import Timeline
from scheduler.core.demand import demand_of
from scheduler.core.serving import Visit, serve
from scheduler.core.visit import VisitType, parse_visit_type

TIMELINE = Timeline(datetime(2030, 3, 4, tzinfo=UTC), 1)
ROLES = ("role:nurse", "role:therapist", "room:consult")


def visit_type(rng: Random, name: str) -> VisitType:
    """A talk of half an hour in a room that is cleaned afterwards, with one person or two."""
    mode = {"mode": rng.choice(["exclusive", "exclusive", "shared"])}
    rooms = [{"room_type": "consult", "mode": "exclusive"}]
    needs = [*rooms, *({"role": role[5:], **mode} for role in rng.sample(ROLES[:2], rng.choice([1, 2])))]
    segments = [
        {"name": "ready", "minutes": rng.choice([0, 10]) or 5, "patient": False, "needs": rooms},
        {"name": "talk", "minutes": 30, "needs": needs},
        {"name": "turnover", "minutes": 15, "patient": False, "needs": rooms},
    ]
    doc = {"code": name, "name": name, "public_name": "Visit", "kind": "integration", "segments": segments}
    return parse_visit_type(doc, {})


def resources(rng: Random) -> dict[UUID, Calendar]:
    found = {}
    for number in range(rng.randint(3, 5)):
        key = UUID(int=number)
        units, kinds = rng.choice([1, 1, 2]), rng.sample(ROLES[:2], rng.choice([1, 2]))
        serves = dict.fromkeys(kinds if rng.random() < 0.6 else ROLES[2:], -1)
        free = TIMELINE.everything
        for _ in range(rng.choice([0, 1, 2])):
            free &= ~(((1 << rng.randint(1, 6)) - 1) << rng.randrange(85, 130))
        found[key] = Calendar(key, "practitioner", units, free, 0, (0,) * units, serves)
    return found


def every_choice(visit: Visit) -> Iterator[tuple[Taking, ...]]:
    """Anybody for every thread, lawful or not."""
    threads, meeting = visit.demand.threads, visit.demand.meeting
    for chosen in product(visit.clinic.calendars.values(), repeat=len(threads)):
        able = all(who.can_serve(thread, visit.slot) for who, thread in zip(chosen, threads, strict=True))
        if able and all(chosen[i] is not chosen[j] for i, others in enumerate(meeting) for j in others):
            yield tuple(
                Taking(who.resource_id, thread.selector, visit.slot + s.start, visit.slot + s.end, s.units)
                for who, thread in zip(chosen, threads, strict=True)
                for s in thread.stretches
            )


def servable(visits: list[Visit], clinic: Clinic) -> bool:
    if not visits:
        return True
    here = Visit(visits[0].demand, clinic, visits[0].slot)
    return any(servable(visits[1:], occupied(clinic, takings)) for takings in every_choice(here))


def trial(seed: int) -> list[Visit]:
    """Two or three visits of one morning, one right after the other or nearly."""
    rng = Random(seed)
    clinic = Clinic(TIMELINE, resources(rng))
    slots = [96, 96 + rng.choice([6, 6, 7, 9]), 96 + rng.choice([12, 15, 40])][: rng.choice([2, 3])]
    return [Visit(demand_of(visit_type(rng, f"v{place}")), clinic, slot) for place, slot in enumerate(slots)]


@pytest.mark.parametrize("seed", range(160))
def test_visits_are_served_together_exactly_when_it_can_be_done(seed: int) -> None:
    visits = trial(seed)
    found = serve(visits)
    if isinstance(found, frozenset):
        assert not servable([visits[place] for place in sorted(found)], visits[0].clinic)
        return
    clinic = visits[0].clinic
    for visit, takings in zip(visits, found, strict=True):
        able = every_choice(Visit(visit.demand, clinic, visit.slot))
        assert set(takings) in [set(each) for each in able]
        clinic = occupied(clinic, takings)


def test_the_trials_are_not_one_sided_and_the_first_choice_is_not_always_right() -> None:
    answers, misled = [], 0
    for seed in range(160):
        visits = trial(seed)
        answers.append(not isinstance(serve(visits), frozenset))
        clinic, one_by_one = visits[0].clinic, True
        for visit in visits:
            takings = assign(visit.demand, clinic, visit.slot)
            one_by_one = one_by_one and takings is not None
            clinic = occupied(clinic, takings or ())
        misled += answers[-1] and not one_by_one
    assert 15 < sum(answers) < 145
    assert misled >= 1
