"""Practitioners, rooms and devices: faults, units, and what a change or removal does to booked visits."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import InUse, Invalid, NotFound, StaleRevision
from scheduler.models import Resource, ResourceUnit, new_id
from scheduler.services import absences, locations, resources
from scheduler.services.resources import DEVICE, PRACTITIONER, ROOM
from tests.plumbing.clock import NOON
from tests.plumbing.scene import Scene, local, weekly

INFUSION = "room:infusion"


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


def units(scene: Scene, resource_id: Any) -> list[tuple[int, bool]]:
    rows = scene.all(ResourceUnit, ResourceUnit.resource_id == resource_id)
    return sorted((row.unit, row.extra) for row in rows)


def test_each_kind_is_kept_as_it_was_said(scene: Scene) -> None:
    site = scene.location()
    nurse = scene.practitioner(site.id, "nurse", units=3)
    room = scene.room(site.id, hours=weekly("10:00", "12:00"))
    pump = scene.do(resources.create, DEVICE, {"name": "Pump", "location_id": site.id, "type_code": "pump"})
    assert scene.do(resources.get, PRACTITIONER, nurse.id) == nurse
    assert scene.do(resources.get, ROOM, room.id) == room
    assert scene.do(resources.get, DEVICE, pump.id) == pump
    assert (nurse.roles, nurse.units, nurse.location_id) == ([{"code": "nurse"}], 3, None)
    assert (room.type_code, room.units, room.hours) == ("infusion", 1, weekly("10:00", "12:00"))
    assert (pump.type_code, pump.units, pump.hours) == ("pump", 1, None)
    assert [units(scene, each.id) for each in (nurse, room)] == [[(0, False), (1, False), (2, False)], [(0, False)]]


def test_a_room_is_no_device_and_no_patient_is_either(scene: Scene, engine: Engine) -> None:
    room, patient, stranger = scene.room(scene.location().id), scene.patient(), Scene.begin(engine, "Other")
    for kind, resource_id in ((DEVICE, room.id), (PRACTITIONER, patient.id), (ROOM, patient.id), (ROOM, new_id())):
        with pytest.raises(NotFound):
            scene.do(resources.get, kind, resource_id)
    for work, arguments in ((resources.get, ()), (resources.change, (1, {})), (resources.remove, (1,))):
        with pytest.raises(NotFound):
            stranger.do(work, ROOM, room.id, *arguments)
    assert stranger.do(resources.listing, ROOM).items == []


def test_all_faults_are_named_at_once(scene: Scene, engine: Engine) -> None:
    site = scene.location()
    foreign = Scene.begin(engine, "Other").location()
    gone = scene.location(name="Gone")
    scene.do(locations.remove, gone.id, 1)
    with pytest.raises(Invalid) as caught:
        scene.do(
            resources.create,
            PRACTITIONER,
            {
                "name": "Nobody",
                "roles": [
                    {"code": "nurse", "valid_from": "2030-02-01", "valid_to": "2030-01-01"},
                    {"code": "nurse", "location_id": str(gone.id)},
                ],
                "hours": [
                    *weekly(days=["mon"], location_id=str(site.id)),
                    *weekly("09:00", "9", ["tue"], location_id=str(foreign.id)),
                ],
            },
        )
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/hours/1/end", "invalid_time"),
        ("/roles/0/valid_to", "ends_before_start"),
        ("/hours/1/location_id", "unknown_location"),
        ("/roles/1/location_id", "unknown_location"),
    ]
    with pytest.raises(Invalid, match="1 fault"):
        scene.room(foreign.id)
    assert scene.all(Resource) == []


def test_rooms_are_listed_by_place_and_type(scene: Scene) -> None:
    site, other = scene.location(), scene.location(name="Other")
    talk, drip = scene.room(site.id, type_code="talk"), scene.room(site.id)
    elsewhere = scene.room(other.id)
    found = {
        name: [view.id for view in scene.do(resources.listing, ROOM, **wanted).items]
        for name, wanted in {
            "all": {},
            "site": {"location_id": site.id},
            "type": {"type_code": "infusion"},
            "both": {"location_id": site.id, "type_code": "infusion"},
        }.items()
    }
    assert found == {
        "all": [talk.id, drip.id, elsewhere.id],
        "site": [talk.id, drip.id],
        "type": [drip.id, elsewhere.id],
        "both": [drip.id],
    }


def test_units_grow_and_shrink_but_never_vanish(scene: Scene) -> None:
    room = scene.room(scene.location().id, units=2)
    grown = scene.do(resources.change, ROOM, room.id, 1, {"units": 3})
    assert units(scene, room.id) == [(0, False), (1, False), (2, False)]
    scene.do(resources.change, ROOM, room.id, grown.revision, {"units": 1})
    assert units(scene, room.id) == [(0, False), (1, True), (2, True)]
    scene.do(resources.change, ROOM, room.id, 3, {"units": 2})
    assert units(scene, room.id) == [(0, False), (1, False), (2, True)]


def test_units_that_are_booked_do_not_go(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id, units=3)
    scene.visit(site.id, "2030-03-05T09:00", (room.id, INFUSION), unit=1)
    scene.visit(site.id, "2030-03-04T06:00", (room.id, INFUSION), unit=2)  # over
    scene.hold(site.id, "2030-03-05T09:00", room.id, NOON, unit=2)  # expired
    changed = scene.do(resources.change, ROOM, room.id, 1, {"units": 2})
    with pytest.raises(InUse, match=r"units that would go \(1\)"):
        scene.do(resources.change, ROOM, room.id, changed.revision, {"units": 1})
    assert scene.do(resources.get, ROOM, room.id).units == 2


def test_what_an_override_uses_is_no_regular_unit(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id, units=3)
    two = scene.do(resources.change, ROOM, room.id, 1, {"units": 2})
    scene.visit(site.id, "2030-03-05T09:00", (room.id, INFUSION), unit=2)
    assert scene.do(resources.change, ROOM, room.id, two.revision, {"units": 1}).units == 1


@pytest.mark.parametrize("change", [{"type_code": "talk"}, {"location_id": "other"}])
def test_a_booked_room_neither_moves_nor_becomes_another(scene: Scene, change: dict[str, Any]) -> None:
    site, other = scene.location(), scene.location(name="Other")
    values = {key: other.id if value == "other" else value for key, value in change.items()}
    room, free = scene.room(site.id), scene.room(site.id)
    scene.hold(site.id, "2030-03-05T09:00", room.id, NOON + timedelta(minutes=5))
    with pytest.raises(InUse, match=r"as it is \(1\)"):
        scene.do(resources.change, ROOM, room.id, 1, values)
    changed = scene.do(resources.change, ROOM, free.id, 1, values)
    assert {key: getattr(changed, key) for key in values} == values


@pytest.mark.parametrize(
    ("change", "hit"),
    [
        ({"hours": [{"weekday": "tue", "start": "09:00", "end": "17:00"}]}, ["wednesday"]),
        ({"hours": []}, ["tuesday", "wednesday"]),
        ({"roles": [{"code": "nurse"}]}, ["tuesday", "wednesday"]),
        ({"roles": [{"code": "therapist", "valid_to": "2030-03-05"}]}, ["wednesday"]),
        ({"roles": [{"code": "therapist", "valid_from": "2030-03-06"}]}, ["tuesday"]),
        ({"roles": [{"code": "therapist", "location_id": "other"}]}, ["tuesday", "wednesday"]),
        ({"roles": [{"code": "therapist", "location_id": "site"}, {"code": "nurse"}]}, []),
        ({"name": "Somebody else"}, []),
    ],
)
def test_a_change_names_the_visits_that_somebody_can_no_longer_serve(
    scene: Scene, change: dict[str, Any], hit: list[str]
) -> None:
    site, other = scene.location(), scene.location(name="Other")
    ids = {"site": str(site.id), "other": str(other.id)}
    person = scene.practitioner(site.id, "therapist")
    visits = {
        "tuesday": scene.visit(site.id, "2030-03-05T09:00", (person.id, "role:therapist")),
        "wednesday": scene.visit(site.id, "2030-03-06T09:00", (person.id, "role:therapist")),
    }
    scene.visit(site.id, "2030-03-05T09:00", (scene.practitioner(site.id, "therapist").id, "role:therapist"))
    change = deepcopy(change)
    for entry in (*change.get("hours", ()), *change.get("roles", ())):
        if "weekday" in entry:
            entry["location_id"] = str(site.id)
        elif "location_id" in entry:
            entry["location_id"] = ids[entry["location_id"]]
    changed = scene.do(resources.change, PRACTITIONER, person.id, 1, change)
    assert [each.id for each in changed.affected_appointments] == [visits[name] for name in hit]


def test_a_rooms_own_hours_bind_its_visits(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id)
    visit = scene.visit(site.id, "2030-03-05T09:00", (room.id, INFUSION))
    late = scene.do(resources.change, ROOM, room.id, 1, {"hours": weekly("10:00", "17:00")})
    back = scene.do(resources.change, ROOM, room.id, 2, {"hours": None})
    assert [each.id for each in late.affected_appointments] == [visit]
    assert (back.hours, back.affected_appointments) == (None, ())


def test_the_last_one_on_site_is_missed_and_the_one_before_is_not(scene: Scene) -> None:
    site = scene.location()
    first, second = scene.practitioner(site.id, "prescriber"), scene.practitioner(site.id, "prescriber")
    visit = scene.visit(site.id, "2030-03-05T09:00", present=[(first.id, "role:prescriber")])
    nothing = scene.do(resources.change, PRACTITIONER, first.id, 1, {"roles": []})
    assert nothing.affected_appointments == ()  # the second one is there
    gone = scene.do(resources.change, PRACTITIONER, second.id, 1, {"hours": []})
    assert [each.id for each in gone.affected_appointments] == [visit]


def test_presence_may_be_handed_over(scene: Scene) -> None:
    site = scene.location()
    early = scene.practitioner(site.id, "prescriber", hours=weekly("08:00", "09:30", location_id=str(site.id)))
    whole = scene.practitioner(site.id, "prescriber")
    scene.visit(site.id, "2030-03-05T09:00", present=[(whole.id, "role:prescriber")])
    late = scene.do(
        resources.change, PRACTITIONER, whole.id, 1, {"hours": weekly("09:30", "17:00", location_id=str(site.id))}
    )
    assert late.affected_appointments == ()
    away = scene.do(
        absences.create, resource_id=early.id, start=local("2030-03-05T09:25"), end=local("2030-03-05T12:00")
    )
    assert len(away.affected_appointments) == 1


def test_nobody_and_nothing_goes_while_booked(scene: Scene) -> None:
    site = scene.location()
    room, person, idle = scene.room(site.id), scene.practitioner(site.id, "nurse"), scene.room(site.id)
    scene.visit(site.id, "2030-03-05T09:00", (room.id, INFUSION), present=[(person.id, "role:nurse")])
    scene.do(absences.create, resource_id=idle.id, start=local("2030-03-05T09:00"), end=local("2030-03-06T09:00"))
    for kind, resource_id in ((ROOM, room.id), (PRACTITIONER, person.id)):
        with pytest.raises(InUse, match=r"depend on it \(1\)"):
            scene.do(resources.remove, kind, resource_id, 1)
    with pytest.raises(StaleRevision):
        scene.do(resources.remove, ROOM, idle.id, 2)
    scene.do(resources.remove, ROOM, idle.id, 1)
    with pytest.raises(NotFound):
        scene.do(resources.get, ROOM, idle.id)
    assert scene.actions(idle.id) == ["room.create", "room.delete"]
    later = scene.at(local("2030-03-05T12:00"))
    later.do(resources.remove, ROOM, room.id, 1)
    assert [view.id for view in later.do(resources.listing, ROOM).items] == []


def test_whoever_caches_the_calendar_hears_of_it(scene: Scene) -> None:
    site = scene.location()
    room = scene.room(site.id)
    scene.do(resources.change, ROOM, room.id, 1, {"name": "Room 2"})
    scene.do(resources.change, ROOM, room.id, 2, {"units": 2})
    scene.do(resources.change, ROOM, room.id, 3, {"hours": weekly()})
    (row,) = scene.all(Resource, Resource.id == room.id)
    assert (row.calendar_revision, row.revision) == (3, 4)


def test_what_was_booked_against_the_rules_is_not_blamed_on_the_change(scene: Scene) -> None:
    site = scene.location()
    person = scene.practitioner(site.id, "therapist")
    scene.visit(site.id, "2030-03-09T09:00", (person.id, "role:therapist"))  # a Saturday
    scene.visit(site.id, "2030-03-05T09:00", (person.id, "role:hypnotist"))
    shorter = weekly("10:00", "16:00", location_id=str(site.id))
    changed = scene.do(resources.change, PRACTITIONER, person.id, 1, {"hours": shorter})
    assert changed.affected_appointments == ()
