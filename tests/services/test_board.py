"""The day board: everything of one local day, in as many statements for forty visits as for three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from scheduler.core.errors import NotFound
from scheduler.models import new_id
from scheduler.services import absences, board, history, holds
from scheduler.services.board import Board
from tests.clinic import Clinic, week
from tests.desk import TALK, book, wanted
from tests.ward import READY, cancel, move, open_ward, spray, talk, watched

DAY = date(2030, 3, 4)


@pytest.fixture
def ward(engine: Engine) -> Clinic:
    return open_ward(engine)


def shown(ward: Clinic, now: str = "2030-03-04 08:00", on: date = DAY) -> Board:
    return ward.do(lambda s, c: board.day(s, c, ward.location_id, on), now=ward.at(now))


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is said to the database meanwhile."""
    said: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    yield said
    event.remove(engine, "before_cursor_execute", listen)


def test_the_day_shows_every_visit_with_its_day(ward: Clinic) -> None:
    visit, cancelled = spray(ward), talk(ward, "2030-03-04 13:00")
    cancel(ward, cancelled)
    talk(ward, "2030-03-05 09:00")
    watched(ward, visit)
    found = shown(ward, "2030-03-04 10:20")
    assert [(view.id, view.row.status) for view in found.visits] == [(visit, "checked-in"), (cancelled, "cancelled")]
    first = found.visits[0]
    assert [flag.code for flag in first.flags] == ["task_late"]
    assert first.watch is not None
    assert first.watch.over_at == ward.at("2030-03-04 11:30")
    assert {each.role for each in first.view.participants} == {"nurse", "prescriber", "chair"}
    assert (found.start, found.end) == (ward.at("2030-03-04 00:00"), ward.at("2030-03-05 00:00"))


def test_rooms_and_staff_show_when_they_are_taken(ward: Clinic) -> None:
    visit = spray(ward)
    lanes = {(lane.kind, lane.types): lane for lane in shown(ward).lanes}
    assert set(lanes) == {
        ("practitioner", ("nurse",)), ("practitioner", ("prescriber",)), ("practitioner", ("therapist",)),
        ("room", ("chair",)), ("room", ("consult",)),
    }  # fmt: skip
    nurse = lanes["practitioner", ("nurse",)]
    assert [(span.start, span.end, span.units, span.role, span.appointment_id) for span in nurse.taken] == [
        (ward.at("2030-03-04 09:00"), ward.at("2030-03-04 09:20"), 2, "nurse", visit),
        (ward.at("2030-03-04 09:20"), ward.at("2030-03-04 09:35"), 2, "nurse", visit),
        (ward.at("2030-03-04 09:35"), ward.at("2030-03-04 11:35"), 1, "nurse", visit),
        (ward.at("2030-03-04 11:35"), ward.at("2030-03-04 11:45"), 1, "nurse", visit),
    ]
    assert [(span.start, span.end) for span in lanes["room", ("chair",)].taken] == [
        (ward.at("2030-03-04 09:00"), ward.at("2030-03-04 12:00"))
    ]
    assert lanes["practitioner", ("prescriber",)].taken == (), "to be present takes nobody"
    assert lanes["room", ("consult",)].taken == ()


def test_absences_and_standing_holds_are_taken_time_and_expired_ones_are_not(ward: Clinic) -> None:
    (lane,) = (lane for lane in shown(ward).lanes if lane.types == ("therapist",))
    span = ward.at("2030-03-04 14:00"), ward.at("2030-03-04 15:00")
    ward.do(lambda s, c: absences.create(s, c, resource_id=lane.id, start=span[0], end=span[1], reason="dentist"))
    for start, minutes in (("2030-03-04 10:00", 10), ("2030-03-04 12:00", 5)):
        asked, lasting = wanted(ward, ward.patient(), "talk", start), timedelta(minutes=minutes)
        ward.do(lambda s, c, w=asked, t=lasting: holds.create(s, c, w, lasting=t), now=ward.at("2030-03-04 07:55"))
    (lane,) = (lane for lane in shown(ward).lanes if lane.types == ("therapist",))
    assert [(each.kind, each.start, each.end) for each in lane.taken] == [
        ("hold", ward.at("2030-03-04 10:00"), ward.at("2030-03-04 11:00")),
        ("absence", *span),
    ]


def test_staff_of_another_site_are_not_on_the_board_unless_they_are_taken_here(ward: Clinic) -> None:
    from scheduler.services import resources

    values = {"name": "Elsewhere", "units": 1, "roles": [{"code": "therapist"}], "hours": []}
    ward.do(lambda s, c: resources.create(s, c, resources.PRACTITIONER, values).id)
    assert "Elsewhere" not in {lane.name for lane in shown(ward).lanes}


def test_an_overrun_shows_on_the_board_as_it_does_on_the_visit(engine: Engine) -> None:
    ward = open_ward(engine, units=1)
    visit, following = spray(ward), spray(ward, "2030-03-04 12:00")
    move(ward, "check_in", visit, "2030-03-04 09:40", checklist=READY)
    single = move(ward, "get", visit, "2030-03-04 10:10")
    found = {view.id: view for view in shown(ward, "2030-03-04 10:10").visits}
    assert found[visit].flags == single.flags
    assert {flag.appointment_id for flag in single.flags} == {None, following}
    assert found[following].flags == ()


@pytest.mark.parametrize(("on", "hours"), [(date(2030, 3, 10), 23), (date(2030, 11, 3), 25), (DAY, 24)])
def test_a_local_day_is_as_long_as_its_clocks_make_it(ward: Clinic, on: date, hours: int) -> None:
    found = shown(ward, on=on)
    assert (found.end - found.start) == timedelta(hours=hours)


def test_a_visit_over_midnight_is_on_both_days(engine: Engine) -> None:
    ward = Clinic(engine, hours=week("00:00", "24:00"))
    ward.visit(TALK)
    ward.staff("therapist")
    ward.room("consult")
    visit = book(ward, ward.patient(), "talk", "2030-03-04 23:30").id
    assert [[view.id for view in shown(ward, on=on).visits] for on in (DAY, date(2030, 3, 5), date(2030, 3, 6))] == [
        [visit], [visit], [],
    ]  # fmt: skip


def test_it_takes_as_many_statements_for_forty_visits_as_for_three(engine: Engine) -> None:
    counts = {}
    ward = open_ward(engine, chairs=1)
    for _ in range(8):
        ward.staff("therapist")
        ward.room("consult")
    starts = [f"2030-03-04 {hour:02}:00" for hour in (9, 10, 11, 13, 14)]
    made = 0
    for start in starts:
        for _ in range(8):
            talk(ward, start)
            made += 1
            if made in {3, 40}:
                with statements(engine) as said, Session(engine) as session:
                    found = board.day(session, ward.call, ward.location_id, DAY)
                assert len(found.visits) == made
                counts[made] = len([each for each in said if not each.startswith("BEGIN")])
    assert counts == {3: counts[3], 40: counts[3]}
    assert counts[40] <= 9


def test_another_location_is_not_found(ward: Clinic) -> None:
    with pytest.raises(NotFound):
        ward.do(lambda s, c: board.day(s, c, new_id(), DAY))


class TestHistory:
    def test_it_tells_the_moves_in_order_and_what_each_changed(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "check_in", visit, "2030-03-04 08:50", checklist=READY)
        move(ward, "undo", visit, "2030-03-04 08:55", reason="wrong patient")
        steps = ward.do(lambda s, c: history.of_appointment(s, c, visit)).items
        assert [(step.action, step.actor, step.reason) for step in steps] == [
            ("book", "test", None), ("check-in", "test", None), ("undo", "test", "wrong patient"),
        ]  # fmt: skip
        assert steps[1].before == {"status": "booked", "checked_in_at": None}
        assert steps[1].after["status"] == "checked-in"
        assert set(steps[1].after) == {"status", "checked_in_at", "checklist"}
        assert steps[2].after["undone"]["action"] == "check-in"

    def test_it_pages(self, ward: Clinic) -> None:
        visit = spray(ward)
        move(ward, "arrive", visit, "2030-03-04 08:50")
        first = ward.do(lambda s, c: history.of_appointment(s, c, visit, limit=1))
        assert [step.action for step in first.items] == ["book"]
        second = ward.do(lambda s, c: history.of_appointment(s, c, visit, limit=1, cursor=first.next_cursor))
        assert ([step.action for step in second.items], second.next_cursor) == (["arrive"], None)

    def test_what_never_was_has_none(self, ward: Clinic) -> None:
        with pytest.raises(NotFound):
            ward.do(lambda s, c: history.of_appointment(s, c, new_id()))
