"""What time alone does: no-shows by the organization's policy, pencilled visits let go, nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Organization, Task
from scheduler.services import task_answers, visit_day
from scheduler.services.backup import fence
from scheduler.services.visit_day import Swept, sweepable
from tests.clinic import Clinic
from tests.desk import book
from tests.ward import READY, cancel, enrolled, events, move, open_ward, row, spray, taken, talk


@pytest.fixture
def ward(engine: Engine) -> Clinic:
    return open_ward(engine, chairs=3, units=6)


def policy(ward: Clinic, **policies: int | None) -> None:
    with Session(ward.engine) as session, session.begin():
        session.get_one(Organization, ward.call.organization_id).policies = policies


def pencil(ward: Clinic, visit: UUID, until: datetime | None) -> UUID:
    with Session(ward.engine) as session, session.begin():
        found = session.get_one(Appointment, (ward.call.organization_id, visit))
        found.status, found.pencilled_until = "pending", until
    return visit


def sweep(ward: Clinic, at: str) -> Swept:
    return ward.do(visit_day.sweep, now=ward.at(at), actor="worker")


def test_nobody_came_in_time(ward: Clinic) -> None:
    visit, here = spray(ward), talk(ward)
    move(ward, "check_in", here, "2030-03-04 08:55")
    later = talk(ward, "2030-03-04 12:00")
    policy(ward, no_show_after_minutes=20)
    assert sweep(ward, "2030-03-04 09:19") == Swept()
    assert sweep(ward, "2030-03-04 09:20") == Swept(no_shows=(visit,))
    assert (row(ward, visit).status, taken(ward, visit)) == ("noshow", set())
    assert [row(ward, other).status for other in (here, later)] == ["checked-in", "booked"]
    event = events(ward, visit)[-1]
    assert (event.action, event.actor, event.reason) == ("appointment.no-show", "worker", "Nobody came in time.")
    assert sweep(ward, "2030-03-04 09:25") == Swept(), "once"
    book(ward, enrolled(ward), "spray", "2030-03-04 09:20")


def test_without_a_policy_nobody_is_marked(ward: Clinic) -> None:
    spray(ward)
    assert sweep(ward, "2030-03-04 17:00") == Swept()


def test_what_lies_long_ago_is_left_to_people(ward: Clinic) -> None:
    """A clinic that turns the policy on, or whose clock was wrong, does not rewrite its history."""
    visit = spray(ward)
    policy(ward, no_show_after_minutes=20)
    assert sweep(ward, "2030-03-05 09:01") == Swept()
    assert row(ward, visit).status == "booked"


def test_a_no_show_by_policy_is_undone_like_any_other(ward: Clinic) -> None:
    visit = spray(ward)
    held = taken(ward, visit)
    policy(ward, no_show_after_minutes=20)
    sweep(ward, "2030-03-04 09:20")
    back = move(ward, "undo", visit, "2030-03-04 09:22", reason="sat in the other waiting room")
    assert (back.row.status, taken(ward, visit)) == ("booked", held)
    assert move(ward, "check_in", visit, "2030-03-04 09:23", checklist=READY).row.status == "checked-in"


def test_a_pencilled_visit_fades_at_its_deadline(ward: Clinic) -> None:
    visit = pencil(ward, spray(ward), ward.at("2030-03-03 00:00"))
    kept = pencil(ward, talk(ward), ward.at("2030-03-03 12:00"))
    assert sweep(ward, "2030-03-02 23:59") == Swept()
    assert sweep(ward, "2030-03-03 00:00") == Swept(released=(visit,))
    gone = row(ward, visit)
    assert (gone.status, gone.cancelled_by, gone.cancel_reason) == (
        "cancelled", "clinic", "Its gate was not passed in time.",
    )  # fmt: skip
    assert (taken(ward, visit), row(ward, kept).status) == (set(), "pending")
    assert events(ward, visit)[-1].action == "appointment.cancel"


def test_what_was_pencilled_fades_after_a_long_rest_of_the_workers_too(ward: Clinic) -> None:
    """It stood for ever, and a plan confirmed it weeks after its time."""
    visit = pencil(ward, spray(ward), ward.at("2030-03-03 00:00"))
    with Session(ward.engine) as session:
        assert sweepable(session, ward.at("2030-03-24 08:00")) == [ward.call.organization_id]
    assert sweep(ward, "2030-03-24 08:00") == Swept(released=(visit,))


def test_what_nobody_confirmed_is_let_go_by_policy(ward: Clinic) -> None:
    visit = pencil(ward, spray(ward), None)
    policy(ward, release_pending_minutes=24 * 60)
    assert sweep(ward, "2030-03-03 08:59") == Swept()
    assert sweep(ward, "2030-03-03 09:00") == Swept(released=(visit,))
    assert row(ward, visit).cancel_reason == "Nobody confirmed it in time."


def test_only_organizations_with_something_to_do_are_swept(ward: Clinic) -> None:
    def who(at: str) -> list[UUID]:
        with Session(ward.engine) as session:
            return sweepable(session, ward.at(at))

    mine = ward.call.organization_id
    assert who("2030-03-04 09:00") == []
    visit = spray(ward)
    assert who("2030-03-04 08:59") == []
    assert who("2030-03-04 09:00") == [mine]
    cancel(ward, visit)
    assert who("2030-03-04 09:00") == []
    pencil(ward, talk(ward), None)
    assert who("2030-03-01 09:00") == [mine]


def test_a_batch_is_bounded_and_says_that_there_is_more(ward: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.services.visit_day.sweeping.BATCH", 2)
    for minutes in (0, 60, 120):
        talk(ward, (ward.at("2030-03-04 09:00") + timedelta(minutes=minutes - 300)).strftime("%Y-%m-%d %H:%M"))
    policy(ward, no_show_after_minutes=5)
    first, second = sweep(ward, "2030-03-04 17:00"), sweep(ward, "2030-03-04 17:00")
    assert [(len(each.no_shows), each.more) for each in (first, second)] == [(2, True), (1, False)]


def test_after_a_restore_nothing_is_concluded_before_somebody_has_looked(ward: Clinic) -> None:
    """Who came since the backup was made is not known here; what begins after the restore goes on as ever."""
    visit, pencilled = spray(ward), pencil(ward, talk(ward, "2030-03-04 10:00"), None)
    after = talk(ward, "2030-03-04 12:00")
    policy(ward, no_show_after_minutes=20, release_pending_minutes=0)
    restored = ward.at("2030-03-04 11:00")
    ward.do(fence.owe_reviews, now=restored, actor="restore")
    with Session(ward.engine) as session:
        (owed,) = session.scalars(select(Task).where(Task.kind == fence.VISITS))
    assert owed.detail.startswith("2 visits of the last days are booked here")
    assert sweep(ward, "2030-03-04 12:30") == Swept(no_shows=(after,))
    ward.do(lambda s, c: task_answers.answer(s, c, owed.id, "done", by="Ann"), now=ward.at("2030-03-04 12:40"))
    assert sweep(ward, "2030-03-04 12:45") == Swept(no_shows=(visit,), released=(pencilled,))


def test_after_a_restore_what_was_pencilled_long_ago_waits_for_a_look_too(ward: Clinic) -> None:
    pencilled, restored = pencil(ward, spray(ward), ward.at("2030-03-03 00:00")), ward.at("2030-03-14 08:00")
    ward.do(fence.owe_reviews, now=restored, actor="restore")
    assert sweep(ward, "2030-03-14 08:05") == Swept()
    assert row(ward, pencilled).status == "pending"


def test_a_restore_asks_for_no_look_where_no_visits_time_has_passed(ward: Clinic) -> None:
    spray(ward)
    ward.do(fence.owe_reviews, now=ward.at("2030-03-04 08:59"), actor="restore")
    with Session(ward.engine) as session:
        assert session.scalars(select(Task)).all() == []
