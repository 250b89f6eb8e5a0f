"""Locations: faults, revisions, and what a change or removal does to booked visits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.errors import InUse, Invalid, NotFound, SchedulingError, StaleRevision
from scheduler.models import Location, Resource, new_id
from scheduler.services import locations
from tests.plumbing.scene import Scene, local, weekly


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


def affected(view: Any) -> list[UUID]:
    return [each.id for each in view.affected_appointments]


def test_a_location_is_kept_as_it_was_said(scene: Scene) -> None:
    made = scene.location(address="1 Pier", certifications=[{"code": "rems", "valid_from": "2030-01-01"}])
    assert scene.do(locations.get, made.id) == made
    assert (made.name, made.time_zone, made.address, made.revision) == ("Main", "America/New_York", "1 Pier", 1)
    assert made.closures == []
    assert scene.actions(made.id) == ["location.create"]


def test_all_faults_are_named_at_once(scene: Scene) -> None:
    with pytest.raises(Invalid) as caught:
        scene.location(
            time_zone="Mars/Olympus",
            hours=[{"weekday": "mon", "start": "9", "end": "17:00"}],
            closures=[{"from": "2030-03-05", "to": "2030-03-04"}],
            certifications=[{"code": "rems", "valid_from": "2030-02-01", "valid_to": "2030-01-01"}],
        )
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/time_zone", "unknown_time_zone"),
        ("/hours/0/start", "invalid_time"),
        ("/closures/0/to", "ends_before_start"),
        ("/certifications/0/valid_to", "ends_before_start"),
    ]
    assert scene.all(Location) == []


def test_another_organization_sees_nothing(scene: Scene, engine: Engine) -> None:
    made, stranger = scene.location(), Scene.begin(engine, "Other")
    for work, arguments in (
        (locations.get, ()),
        (locations.change, (1, {"name": "Mine"})),
        (locations.remove, (1,)),
    ):
        with pytest.raises(NotFound):
            stranger.do(work, made.id, *arguments)
        with pytest.raises(NotFound):
            scene.do(work, new_id(), *arguments)
    assert stranger.do(locations.listing).items == []
    assert [view.id for view in scene.do(locations.listing).items] == [made.id]


def test_pages(scene: Scene) -> None:
    ids = [scene.location(name=f"Site {number}").id for number in range(5)]
    first = scene.do(locations.listing, limit=3)
    rest = scene.do(locations.listing, limit=3, cursor=first.next_cursor)
    assert [view.id for view in [*first.items, *rest.items]] == ids
    assert rest.next_cursor is None


def test_a_change_takes_the_revision_it_was_based_on(scene: Scene) -> None:
    made = scene.location()
    assert scene.do(locations.change, made.id, 1, {"name": "Pier"}).revision == 2
    with pytest.raises(StaleRevision):
        scene.do(locations.change, made.id, 1, {"name": "Dock"})
    assert scene.do(locations.get, made.id).name == "Pier"
    assert scene.actions(made.id) == ["location.create", "location.update"]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_two_changes_at_once_are_told_apart(scene: Scene, engine: Engine) -> None:
    made = scene.location()
    with Session(engine) as slow:
        row = slow.get_one(Location, (scene.call.organization_id, made.id))
        assert row.revision == 1
        scene.do(locations.change, made.id, 1, {"name": "Pier"})
        with pytest.raises(StaleRevision):
            locations.change(slow, scene.call, made.id, 1, {"name": "Dock"})


def test_the_same_again_is_no_change(scene: Scene) -> None:
    made = scene.location()
    assert scene.do(locations.change, made.id, 1, {"hours": weekly("08:00", "18:00")}).revision == 1
    assert scene.actions(made.id) == ["location.create"]


@pytest.mark.parametrize(
    ("change", "hit"),
    [
        ({"closures": [{"from": "2030-03-05", "to": "2030-03-05", "reason": "Storm"}]}, ["tuesday"]),
        ({"closures": [{"from": "2030-03-05T10:00", "to": "2030-03-05T12:00"}]}, []),
        ({"closures": [{"from": "2030-03-05T09:55", "to": "2030-03-05T12:00"}]}, ["tuesday"]),
        ({"hours": weekly("08:00", "18:00", ["mon", "tue"])}, ["wednesday"]),
        ({"hours": weekly("09:00", "10:00")}, []),
        ({"hours": weekly("09:05", "18:00")}, ["tuesday", "wednesday"]),
        ({"certifications": []}, ["wednesday"]),
        ({"certifications": [{"code": "rems", "valid_to": "2030-03-05"}]}, ["wednesday"]),
        ({"certifications": [{"code": "rems", "valid_from": "2030-03-06", "valid_to": "2030-03-06"}]}, []),
        ({"name": "Pier"}, []),
    ],
)
def test_a_change_names_the_visits_that_no_longer_fit(scene: Scene, change: dict[str, Any], hit: list[str]) -> None:
    site = scene.location(certifications=[{"code": "rems"}])
    therapist, room = scene.practitioner(site.id, "therapist"), scene.room(site.id)
    takings = (therapist.id, "role:therapist"), (room.id, "room:infusion")
    scene.visit_type("dose", requires={"site_certifications": ["rems"]})
    visits = {
        "tuesday": scene.visit(site.id, "2030-03-05T09:00", *takings),
        "wednesday": scene.visit(site.id, "2030-03-06T09:00", *takings, visit_type="dose"),
    }
    scene.visit(site.id, "2030-03-04T06:00", *takings)  # over by noon: nobody needs to know
    scene.visit(site.id, "2030-03-05T09:00", status="cancelled")
    changed = scene.do(locations.change, site.id, 1, change)
    assert affected(changed) == [visits[name] for name in hit]


def test_a_visit_that_never_fitted_is_not_blamed_on_the_change(scene: Scene) -> None:
    site = scene.location()
    scene.visit(site.id, "2030-03-09T09:00")  # a Saturday, by override
    changed = scene.do(locations.change, site.id, 1, {"hours": weekly("08:00", "17:00")})
    assert affected(changed) == []


def test_what_is_shown_of_a_visit_carries_its_zone(scene: Scene) -> None:
    site = scene.location()
    visit_id = scene.visit(site.id, "2030-03-11T09:00", visit_type="talk")
    shown = scene.do(
        locations.change, site.id, 1, {"closures": [{"from": "2030-03-11", "to": "2030-03-11"}]}
    ).affected_appointments[0]
    assert (shown.id, shown.visit_type, shown.status, shown.time_zone) == (
        visit_id, "talk", "booked", "America/New_York",
    )  # fmt: skip
    assert shown.start.isoformat() == "2030-03-11T09:00:00-04:00"


def test_a_calendar_change_is_seen_by_whoever_caches_the_calendars_there(scene: Scene) -> None:
    site, other = scene.location(), scene.location(name="Other")
    here = {scene.room(site.id).id, scene.practitioner(site.id, "nurse").id}
    elsewhere = {scene.room(other.id).id, scene.practitioner(other.id, "nurse").id, scene.patient().id}
    scene.do(locations.change, site.id, 1, {"name": "Pier"})
    scene.do(locations.change, site.id, 2, {"closures": [{"from": "2030-03-11", "to": "2030-03-11"}]})
    revisions = {row.id: row.calendar_revision for row in scene.all(Resource)}
    assert {key for key, revision in revisions.items() if revision == 2} == here
    assert {key for key, revision in revisions.items() if revision == 1} == elsewhere


def test_the_zone_stays_while_visits_are_booked(scene: Scene) -> None:
    site = scene.location()
    scene.visit(site.id, "2030-03-05T09:00")
    with pytest.raises(InUse, match=r"ahead there \(1\)"):
        scene.do(locations.change, site.id, 1, {"time_zone": "America/Chicago"})
    moved = scene.at(local("2030-03-05T10:00")).do(locations.change, site.id, 1, {"time_zone": "America/Chicago"})
    assert moved.time_zone == "America/Chicago"


def test_a_location_goes_when_nothing_is_left_there(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id)
    scene.visit(site.id, "2030-03-05T09:00", (room.id, "room:infusion"))
    with pytest.raises(InUse, match=r"visits or holds ahead \(1\), rooms and devices \(1\)"):
        scene.do(locations.remove, site.id, 1)
    empty = scene.location(name="Empty")
    with pytest.raises(StaleRevision):
        scene.do(locations.remove, empty.id, 2)
    scene.do(locations.remove, empty.id, 1)
    assert scene.actions(empty.id) == ["location.create", "location.delete"]
    refusals: list[SchedulingError] = []
    for work, arguments in ((locations.get, ()), (locations.remove, (2,))):
        with pytest.raises(NotFound) as caught:
            scene.do(work, empty.id, *arguments)
        refusals.append(caught.value)
    assert [view.id for view in scene.do(locations.listing).items] == [site.id]
