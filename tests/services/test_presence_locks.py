"""Whoever changes what presence rests on waits for bookings in flight at that location, and for no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler.services import absences, locations, resources
from scheduler.services.locks import lock_locations
from scheduler.services.resources import PRACTITIONER, ROOM
from tests.plumbing.scene import Scene, local

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

SPAN = {"start": local("2030-03-05T09:00"), "end": local("2030-03-05T10:00")}

CHANGES: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "hours of the location": lambda ids: (locations.change, ids["site"], 1, {"hours": []}),
    "roles": lambda ids: (resources.change, PRACTITIONER, ids["nurse"], 1, {"roles": []}),
    "a practitioner going": lambda ids: (resources.remove, PRACTITIONER, ids["nurse"], 1),
    "hours of a room": lambda ids: (resources.change, ROOM, ids["room"], 1, {"hours": []}),
    "taking an absence back": lambda ids: (absences.remove, ids["absence"], 1),
}


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


@pytest.fixture
def ids(scene: Scene) -> dict[str, Any]:
    site = scene.location()
    nurse = scene.practitioner(site.id, "nurse")
    return {
        "site": site.id,
        "other": scene.location(name="Other").id,
        "nurse": nurse.id,
        "room": scene.room(site.id).id,
        "absence": scene.do(absences.create, resource_id=nurse.id, **SPAN).id,
    }


def waits(scene: Scene, work: Any, *arguments: Any, **named: Any) -> bool:
    """Whether the work would wait for somebody."""
    with Session(scene.engine) as session:
        session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        try:
            work(session, scene.call, *arguments, **named)
        except OperationalError as error:
            assert "lock timeout" in str(error.orig)  # noqa: PT017 - whether it raises is the question
            return True
    return False


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_waits_for_the_bookings_of_its_location(scene: Scene, ids: dict[str, Any], change: str) -> None:
    work, *arguments = CHANGES[change](ids)
    with Session(scene.engine) as booking:
        lock_locations(booking, scene.call, [ids["other"]], share=True)
        assert not waits(scene, work, *arguments)
    with Session(scene.engine) as booking:
        lock_locations(booking, scene.call, [ids["site"]], share=True)
        assert waits(scene, work, *arguments)


def test_closing_a_location_waits_for_its_bookings(scene: Scene) -> None:
    empty = scene.location()
    with Session(scene.engine) as booking:
        lock_locations(booking, scene.call, [empty.id], share=True)
        assert waits(scene, locations.remove, empty.id, 1)
    assert not waits(scene, locations.remove, empty.id, 1)


def test_an_absence_waits_and_a_new_room_does_not(scene: Scene, ids: dict[str, Any]) -> None:
    room = {"name": "Room", "location_id": ids["site"], "type_code": "talk"}
    with Session(scene.engine) as booking:
        lock_locations(booking, scene.call, [ids["site"]], share=True)
        assert waits(scene, absences.create, resource_id=ids["nurse"], **SPAN)
        assert not waits(scene, resources.create, ROOM, room)
    with Session(scene.engine) as booking:
        lock_locations(booking, scene.call, [ids["other"]], share=True)
        assert not waits(scene, absences.create, resource_id=ids["nurse"], **SPAN)
