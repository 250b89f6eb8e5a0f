"""The locks: alone means alone, shared means together, and a bump is seen by readers but not by clients."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Location, Organization, Resource, new_id
from scheduler.services import planning
from scheduler.services.locks import Revisions, bump_calendars, lock_locations, lock_resources, take_and_bump
from tests.coursework import approve, course, open_course_clinic, protocol

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def call(engine: Engine) -> Call:
    organization_id = new_id()
    with Session(engine) as session:
        session.add(Organization(id=organization_id, name="Harbor", sender_name="Harbor", created_at=NOW))
        session.flush()
        session.commit()
    return Call(NOW, organization_id, "test")


@pytest.fixture
def location_id(engine: Engine, call: Call) -> UUID:
    row = Location(
        organization_id=call.organization_id, id=new_id(), name="Main", time_zone="America/New_York", created_at=NOW
    )
    with Session(engine, expire_on_commit=False) as session:
        session.add(row)
        session.commit()
    return row.id


@pytest.fixture
def resource_ids(engine: Engine, call: Call) -> list[UUID]:
    rows = [
        Resource(organization_id=call.organization_id, id=new_id(), kind="practitioner", created_at=NOW)
        for _ in range(3)
    ]
    with Session(engine, expire_on_commit=False) as session:
        session.add_all(rows)
        session.commit()
    return [row.id for row in rows]


def impatient(engine: Engine) -> Session:
    session = Session(engine)
    session.execute(text("SET LOCAL lock_timeout = '50ms'"))
    return session


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("first", "second", "second_one"),
    [
        ("shared", "shared", "goes on"),
        ("shared", "alone", "waits"),
        ("alone", "shared", "waits"),
        ("alone", "alone", "waits"),
    ],
)
def test_locations_are_shared_or_taken_alone(
    engine: Engine,
    call: Call,
    location_id: UUID,
    first: str,
    second: str,
    second_one: str,
) -> None:
    with Session(engine) as one, impatient(engine) as other:
        lock_locations(one, call, [location_id], share=first == "shared")
        if second_one == "waits":
            with pytest.raises(OperationalError, match="lock timeout"):
                lock_locations(other, call, [location_id], share=second == "shared")
        else:
            lock_locations(other, call, [location_id], share=second == "shared")


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_lock_stays_in_its_organization(engine: Engine, call: Call, location_id: UUID) -> None:
    stranger = Call(NOW, new_id(), "stranger")
    with Session(engine) as one, impatient(engine) as other:
        lock_locations(one, stranger, [location_id], share=False)
        lock_locations(other, call, [location_id], share=False)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_resources_are_taken_alone_but_may_be_pointed_at(engine: Engine, call: Call, resource_ids: list[UUID]) -> None:
    with Session(engine) as one, impatient(engine) as other:
        lock_resources(one, call, resource_ids[:2])
        lock_resources(other, call, resource_ids[2:])
        # A foreign key to a locked row asks for KEY SHARE only, so new rows about it do not wait.
        held = select(Resource.id).where(Resource.id == resource_ids[0])
        assert other.execute(held.with_for_update(read=True, key_share=True)).scalar_one() == resource_ids[0]
        with pytest.raises(OperationalError, match="lock timeout"):
            lock_resources(other, call, resource_ids)


def test_a_bump_is_seen_by_readers_but_not_by_clients(engine: Engine, call: Call, resource_ids: list[UUID]) -> None:
    with Session(engine) as session:
        bump_calendars(session, call, resource_ids[:2])
        bump_calendars(session, call, [])
        bump_calendars(session, Call(NOW, new_id(), "stranger"), resource_ids)
        session.commit()
        found = session.execute(select(Resource.calendar_revision, Resource.revision).order_by(Resource.id)).all()
    assert [tuple(row) for row in found] == [(2, 1), (2, 1), (1, 1)]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_who_waited_is_told_of_the_revisions_as_they_are_under_the_lock(
    engine: Engine, call: Call, resource_ids: list[UUID]
) -> None:
    first, *_, last = sorted(resource_ids)

    def wait() -> dict[UUID, Revisions]:
        with Session(engine) as waiting, waiting.begin():
            return take_and_bump(waiting, call, [*reversed(resource_ids), new_id()])

    with Session(engine) as one, impatient(engine) as other, ThreadPoolExecutor() as pool:
        take_and_bump(one, call, [last])
        told = pool.submit(wait)
        _until(
            engine,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        with pytest.raises(OperationalError, match="lock timeout"):  # in the order of the ids: it has that of the first
            lock_resources(other, call, [first])
        one.commit()
        assert told.result() == {key: Revisions(1, 2 if key == last else 1) for key in resource_ids}
        found = one.execute(select(Resource.id, Resource.calendar_revision)).all()
    assert {row.id: row.calendar_revision for row in found} == {key: 3 if key == last else 2 for key in resource_ids}


def _until(engine: Engine, counted: str) -> None:
    """Wait until that statement counts something."""
    for _ in range(500):
        with engine.connect() as connection:
            if connection.scalar(text(counted)):
                return
        time.sleep(0.01)
    pytest.fail("nobody came to wait")


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_search_may_take_its_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database ends a transaction in which nothing is said for long, but not one that looks for a plan."""
    clinic = open_course_clinic(engine)
    approve(clinic, protocol())
    asked = course(clinic).id

    def slowly(desk: Any, *args: Any, **more: Any) -> Any:
        time.sleep(0.3)
        return solve(desk, *args, **more)

    solve = planning.solve
    monkeypatch.setattr(planning, "solve", slowly)

    def plan(session: Session, call: Call) -> Any:
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '100ms'"))
        found = planning.make_plans(session, call, asked)
        session.execute(text("SELECT 1"))
        return found

    assert clinic.do(plan)
