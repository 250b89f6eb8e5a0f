"""Absences: what they block, whom they affect, and how they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import Invalid, NotFound, StaleRevision
from scheduler.models import Absence, Occupancy, Resource, Task, new_id
from scheduler.services import absences, booking, resources
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic, need, segment, visit_type
from tests.plumbing.clock import NOON
from tests.plumbing.scene import Scene, local, weekly

NURSE = "role:nurse"


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


def away(scene: Scene, resource_id: UUID, start: str, end: str, **more: Any) -> absences.AbsenceView:
    made: absences.AbsenceView = scene.do(
        absences.create, resource_id=resource_id, start=local(start), end=local(end), **more
    )
    return made


def ids(view: absences.AbsenceView) -> list[UUID]:
    return [each.id for each in view.affected_appointments]


def test_an_absence_is_one_row_that_blocks_nothing_by_itself(scene: Scene) -> None:
    room = scene.room(scene.location().id)
    made = away(scene, room.id, "2030-03-05T09:00", "2030-03-06T09:00", reason="Paint")
    assert scene.do(absences.get, made.id) == made
    (row,) = scene.all(Occupancy)
    assert (row.kind, row.unit, row.blocking, row.absence_id) == ("absence", 0, False, made.id)
    assert (row.starts_at, row.ends_at) == (made.start, made.end) == (
        local("2030-03-05T09:00"), local("2030-03-06T09:00"),
    )  # fmt: skip
    assert scene.actions(made.id) == ["absence.create"]


def test_an_absence_ends_with_both_its_rows(scene: Scene) -> None:
    room = scene.room(scene.location().id)
    kept = away(scene, room.id, "2030-03-08T09:00", "2030-03-08T10:00")
    made = away(scene, room.id, "2030-03-05T09:00", "2030-03-06T09:00")
    with pytest.raises(StaleRevision):
        scene.do(absences.remove, made.id, 2)
    scene.do(absences.remove, made.id, 1)
    assert [row.id for row in scene.all(Absence)] == [kept.id]
    assert [row.absence_id for row in scene.all(Occupancy)] == [kept.id]
    assert scene.actions(made.id) == ["absence.create", "absence.delete"]
    with pytest.raises(NotFound):
        scene.do(absences.remove, made.id, 1)
    (row,) = scene.all(Resource)
    assert row.calendar_revision == 4


@pytest.mark.parametrize(
    ("start", "end", "fault"),
    [
        ("2030-03-05T09:00", "2030-03-05T09:00", ("/end", "ends_before_start")),
        ("2030-03-05T09:00", "2030-03-05T08:00", ("/end", "ends_before_start")),
        ("2030-03-01T09:00", "2030-03-04T07:00", ("/end", "in_the_past")),
    ],
)
def test_a_span_that_is_none(scene: Scene, start: str, end: str, fault: tuple[str, str]) -> None:
    room = scene.room(scene.location().id)
    with pytest.raises(Invalid) as caught:
        away(scene, room.id, start, end)
    assert [(each.pointer, each.code) for each in caught.value.faults] == [fault]
    assert scene.all(Occupancy) == []


def test_only_those_who_serve_are_absent(scene: Scene, engine: Engine) -> None:
    room, stranger = scene.room(scene.location().id), Scene.begin(engine, "Other")
    for who, resource_id in ((scene, scene.patient().id), (scene, new_id()), (stranger, room.id)):
        with pytest.raises(NotFound):
            away(who, resource_id, "2030-03-05T09:00", "2030-03-06T09:00")
    made = away(scene, room.id, "2030-03-05T09:00", "2030-03-06T09:00")
    with pytest.raises(NotFound):
        stranger.do(absences.get, made.id)
    with pytest.raises(NotFound):
        stranger.do(absences.remove, made.id, 1)
    assert stranger.do(absences.listing).items == []


@pytest.mark.parametrize(
    ("start", "end", "hit"),
    [
        ("2030-03-05T08:00", "2030-03-05T09:00", []),
        ("2030-03-05T08:00", "2030-03-05T09:01", ["nine"]),
        ("2030-03-05T09:30", "2030-03-05T09:31", ["nine"]),
        ("2030-03-05T09:59", "2030-03-05T11:00", ["nine", "ten"]),
        ("2030-03-05T10:00", "2030-03-05T11:00", ["ten"]),
        ("2030-03-05T11:00", "2030-03-05T12:00", []),
        ("2030-03-01T00:00", "2030-04-01T00:00", ["nine", "ten"]),
    ],
)
def test_whom_an_absence_affects(scene: Scene, start: str, end: str, hit: list[str]) -> None:
    site = scene.location()
    nurse, other = scene.practitioner(site.id, "nurse", units=2), scene.practitioner(site.id, "nurse")
    visits = {
        "nine": scene.visit(site.id, "2030-03-05T09:00", (nurse.id, NURSE)),
        "ten": scene.visit(site.id, "2030-03-05T10:00", (nurse.id, NURSE), status="arrived"),
    }
    scene.visit(site.id, "2030-03-05T09:00", (nurse.id, NURSE), unit=1, status="fulfilled")
    scene.visit(site.id, "2030-03-05T09:00", (other.id, NURSE))
    scene.visit(site.id, "2030-03-04T06:00", (nurse.id, NURSE))  # over
    assert ids(away(scene, nurse.id, start, end)) == [visits[name] for name in hit]


def test_the_last_one_who_had_to_be_present(scene: Scene) -> None:
    site = scene.location()
    first, second = scene.practitioner(site.id, "prescriber"), scene.practitioner(site.id, "prescriber")
    visit = scene.visit(site.id, "2030-03-05T09:00", present=[(first.id, "role:prescriber")])
    nurse = scene.practitioner(site.id, "nurse")
    assert ids(away(scene, nurse.id, "2030-03-05T00:00", "2030-03-06T00:00")) == []
    assert ids(away(scene, first.id, "2030-03-05T09:00", "2030-03-05T09:30")) == []  # the second one is there
    assert ids(away(scene, second.id, "2030-03-05T09:30", "2030-03-05T12:00")) == []  # by then the first is back
    assert ids(away(scene, second.id, "2030-03-05T09:25", "2030-03-05T09:30")) == [visit]
    # It is not said twice: nobody was there any more.
    assert ids(away(scene, first.id, "2030-03-05T09:25", "2030-03-05T09:30")) == []


def test_who_is_away_twice_is_missed_when_one_of_the_absences_is_taken_back(scene: Scene) -> None:
    site = scene.location()
    first, second = scene.practitioner(site.id, "prescriber"), scene.practitioner(site.id, "prescriber")
    visit = scene.visit(site.id, "2030-03-05T09:00", present=[(first.id, "role:prescriber")])
    morning = "2030-03-05T09:00", "2030-03-05T12:00"
    away(scene, second.id, *morning)
    told = away(scene, first.id, *morning)
    again = away(scene, first.id, *morning)
    assert (ids(told), ids(again)) == ([visit], [])  # nobody was there any more

    def owed() -> list[str]:
        return [task.key for task in scene.all(Task) if task.status == "open"]

    scene.do(absences.remove, told.id, 1)
    assert owed() == [f"{visit}/{again.id}"]
    scene.do(absences.remove, again.id, 1)
    assert owed() == []


def test_whoever_is_away_again_and_again_is_missed_until_the_last_absence_is_taken_back(scene: Scene) -> None:
    site = scene.location()
    first, second = scene.practitioner(site.id, "prescriber"), scene.practitioner(site.id, "prescriber")
    visit = scene.visit(site.id, "2030-03-05T09:00", present=[(first.id, "role:prescriber")])
    morning = "2030-03-05T09:00", "2030-03-05T12:00"
    for _ in range(2):
        away(scene, first.id, *morning)
    mine = [away(scene, second.id, *morning) for _ in range(3)]
    for each in mine:
        assert [task.appointment_id for task in scene.all(Task, Task.status == "open")] == [visit]
        scene.do(absences.remove, each.id, 1)
    assert scene.all(Task, Task.status == "open") == []


def test_a_role_that_was_lost_meanwhile_is_missed_when_the_absence_is_taken_back(scene: Scene) -> None:
    site = scene.location()
    only = scene.practitioner(site.id, "prescriber")
    visit = scene.visit(site.id, "2030-03-05T09:00", present=[(only.id, "role:prescriber")])
    told = away(scene, only.id, "2030-03-05T09:00", "2030-03-05T12:00")
    assert ids(told) == [visit]

    def roles(*codes: str) -> None:
        revision = scene.all(Resource, Resource.id == only.id)[0].revision
        values = {"roles": [{"code": code} for code in codes]}
        scene.do(resources.change, resources.PRACTITIONER, only.id, revision, values)

    roles()
    scene.do(absences.remove, told.id, 1)
    assert [task.appointment_id for task in scene.all(Task, Task.status == "open")] == [visit]
    roles("prescriber")
    assert scene.all(Task, Task.status == "open") == []


def test_somebody_of_another_site_covers_nothing_here(scene: Scene) -> None:
    site, other = scene.location(), scene.location(name="Other")
    here = scene.practitioner(site.id, "prescriber")
    scene.practitioner(other.id, "prescriber")
    scene.practitioner(
        other.id, "prescriber", hours=weekly(location_id=str(site.id)),
        roles=[{"code": "prescriber", "location_id": str(other.id)}],
    )  # fmt: skip
    visit = scene.visit(site.id, "2030-03-05T09:00", present=[(here.id, "role:prescriber")])
    assert ids(away(scene, here.id, "2030-03-05T09:00", "2030-03-05T10:00")) == [visit]


def test_absences_are_listed_by_resource_and_time(scene: Scene) -> None:
    site = scene.location()
    one, two = scene.room(site.id), scene.room(site.id)
    tuesday = away(scene, one.id, "2030-03-05T09:00", "2030-03-05T10:00")
    friday = away(scene, one.id, "2030-03-08T09:00", "2030-03-08T10:00")
    other = away(scene, two.id, "2030-03-05T09:00", "2030-03-05T10:00")

    def found(**wanted: Any) -> list[UUID]:
        return [view.id for view in scene.do(absences.listing, **wanted).items]

    assert found() == [tuesday.id, friday.id, other.id]
    assert found(resource_id=one.id) == [tuesday.id, friday.id]
    assert found(since=tuesday.end) == [friday.id]
    assert found(until=friday.start, resource_id=one.id) == [tuesday.id]
    assert found(since=NOON, until=NOON + timedelta(days=30), resource_id=two.id) == [other.id]


def test_who_was_to_be_present_by_name_is_missed_though_others_are_there(engine: Engine) -> None:
    clinic = Clinic(engine)
    clinic.visit(visit_type("watched", segment("watched", 60, need("role:prescriber", "present"))))
    asked, other = clinic.staff("prescriber"), clinic.staff("prescriber")
    ten = clinic.at("2030-03-04 10:00")
    wish = Wanted(clinic.patient(), "watched", clinic.location_id, ten, pins=(Pin("role:prescriber", asked),))
    visit = clinic.do(lambda s, c: booking.book(s, c, wish))

    def away(who: UUID) -> list[UUID]:
        span = {"start": ten, "end": ten + timedelta(minutes=30)}
        told = clinic.do(lambda s, c: absences.create(s, c, resource_id=who, **span), dry_run=True)
        return ids(told)

    assert (away(asked), away(other)) == ([visit.id], [])
