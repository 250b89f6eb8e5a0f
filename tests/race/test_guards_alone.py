"""What each guard is worth alone, on both databases: the lock without the constraint, the constraint without the lock.

Without both, double bookings must appear, and the checker must see them: else these races would show nothing.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.errors import Refused, SlotTaken
from scheduler.services import booking, occupying
from scheduler.services.appointments import AppointmentView
from scheduler.services.finding import Found
from scheduler.services.repacking import CHANGED, REBOUND
from tests.plumbing.servers import serving
from tests.race.arena import Arena
from tests.race.checker import faults
from tests.race.ledger import raced
from tests.race.test_booking_race import race
from tests.race.test_many_hands import sick

CLIENTS = 6
CLOCKS = ("10:00", "13:00")
#: Loops that only a broken guard would need end here.
PATIENCE = 20


@pytest.fixture
def arena(engine: Engine) -> Arena:
    """One room and one therapist, whom all want."""
    return Arena(engine, people=1, patients=CLIENTS)


def drop_constraint(connection: Connection) -> None:
    """Take the database's own guard away."""
    if connection.dialect.name == "sqlite":
        for when in ("insert", "update"):
            connection.execute(text(f"DROP TRIGGER no_double_booking_{when}"))
    else:
        connection.execute(text("ALTER TABLE occupancies DROP CONSTRAINT no_double_booking"))


def drop_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the application's guard away: everybody looks before anybody writes, and nobody looks again under a lock.

    What makes it a lock differs: rows and their revisions on PostgreSQL, the one writer's transaction on SQLite. A look
    in a transaction of its own is outside both.
    """
    look, lock = booking.find, threading.Lock()
    looked: list[int] = []
    all_looked = threading.Event()

    def careless(session: Session, *args: Any, **kwargs: Any) -> Found:
        found = look(session, *args, **kwargs)
        session.commit()
        with lock:
            looked.append(1)
            if len(looked) % CLIENTS == 0:
                all_looked.set()
        all_looked.wait(PATIENCE)
        if session.get_bind().dialect.name == "sqlite":  # what follows is written as ever, only after everybody's look
            session.connection(execution_options={"sqlite_begin": "BEGIN IMMEDIATE"})
        return found

    monkeypatch.setattr(booking, "find", careless)
    monkeypatch.setattr(occupying, "take_and_bump", lambda *_: {})


def fight(arena: Arena, clock: str) -> list[object]:
    """All at once for one time."""
    start = arena.at(0, clock)
    return race(
        arena.clinic,
        [booking.Wanted(patient, "talk", arena.clinic.location_id, start) for patient in arena.patient_ids],
    )


def booked(results: list[object]) -> int:
    """How many got the time; all others were refused as double bookings are."""
    refused = [each for each in results if not isinstance(each, AppointmentView)]
    assert all(isinstance(each, Refused | SlotTaken) for each in refused), refused
    return len(results) - len(refused)


def test_without_the_constraint_the_lock_holds(arena: Arena) -> None:
    with arena.engine.begin() as connection:
        drop_constraint(connection)
    for clock in CLOCKS:
        assert booked(fight(arena, clock)) == 1
    assert faults(arena.engine, arena.clinic.call.organization_id, guarded=False) == []


def test_without_the_lock_the_constraint_holds(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_lock(monkeypatch)
    assert booked(fight(arena, CLOCKS[0])) == 1
    assert faults(arena.engine, arena.clinic.call.organization_id) == []


def test_without_both_the_checker_sees_double_bookings(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_lock(monkeypatch)
    with arena.engine.begin() as connection:
        drop_constraint(connection)
    assert booked(fight(arena, CLOCKS[0])) == CLIENTS
    found = faults(arena.engine, arena.clinic.call.organization_id)
    lost = 2 * (CLIENTS - 1)  # all but the first, of the room and of the therapist
    assert any(each.startswith(f"overlaps: {lost}, ") for each in found), found
    assert any(each.startswith("guards: ") for each in found), found
    seen = sick(arena)  # what many hands are held against
    assert any("overlaps" in each for each in seen), seen


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_server_without_both_lets_many_have_one_time(engine: Engine, settings: Settings, tmp_path: Path) -> None:
    """They reach it over HTTP, as on their walk, and what that is held against shows it."""
    with engine.begin() as connection:
        drop_constraint(connection)
    arena = Arena(engine, people=1, patients=CLIENTS)
    with serving(settings.database_url, tmp_path, application="tests.race.careless:app") as server:
        desk = arena.caller(server)
        with ThreadPoolExecutor(CLIENTS) as pool:
            wishes = [arena.wish(patient, "talk", 0, CLOCKS[0]) for patient in range(CLIENTS)]
            answers = list(pool.map(lambda wish: desk.post("/v1/appointments", wish), wishes))
    assert sum(each.is_good for each in answers) > 1
    assert any(each.startswith("overlaps: ") for each in sick(arena))


def test_the_ledger_of_many_hands_sees_what_tells_of_a_race() -> None:
    told = [SlotTaken().detail, CHANGED, REBOUND, "Another time was closed at the same moment."]
    assert raced({"detail": each} for each in [*told, "The clinic is closed then."]) == told
