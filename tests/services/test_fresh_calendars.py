"""What one process remembers of calendars beside what another has just written: right at once, on both databases.

Two engines stand for two processes: what is remembered hangs on the engine, and nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import LostRace, Refused, SlotTaken
from scheduler.core.localgrid import Wish
from scheduler.database import engine_options
from scheduler.models import Resource
from scheduler.services import (
    absences,
    availability,
    booking,
    clinical_holds,
    disruptions,
    holds,
    series,
    series_moves,
    waitlist,
)
from scheduler.services.finding import find, premises_of
from scheduler.services.settling import settle
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import TALK, book, open_clinic, wanted

NINE = "2030-03-04 09:00"
DOSE = visit_type("dose", *TALK["segments"], kind="dosing")


class Stop(Exception):
    """Ends a transaction before its commit."""


@pytest.fixture
def here(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    made.staff("therapist")
    made.room("consult")
    return made


@pytest.fixture
def there(here: Clinic, settings: Settings) -> Iterator[Clinic]:
    """The same clinic as another process has it."""
    other = create_engine(settings.database_url, **engine_options(settings.database_url))
    twin = object.__new__(Clinic)
    twin.__dict__.update(here.__dict__ | {"engine": other})
    yield twin
    other.dispose()


def starts(clinic: Clinic, session: Session | None = None, **later: float) -> list[str]:
    """The hours of the morning that are offered, as a front desk asks for them: outside any change."""
    question = availability.Question(
        "talk", clinic.location_id, clinic.at("2030-03-04 08:00"), clinic.at("2030-03-04 11:00"), wish=Wish(step=60)
    )
    call = replace(clinic.call, now=clinic.later(**later))
    with Session(clinic.engine) if session is None else nullcontext(session) as asking:
        offers, _ = availability.search(asking, call, question, limit=10)
    return [f"{to_local(offer.start, clinic.time_zone):%H}" for offer in offers]


def test_what_one_books_the_other_knows_at_once(here: Clinic, there: Clinic) -> None:
    patient = here.patient()
    for asking, writing in ((here, there), (there, here)):
        assert starts(asking) == starts(asking) == ["08", "09", "10"]
        asked = wanted(writing, patient, "talk", NINE)
        visit = writing.do(lambda s, c, asked=asked: booking.book(s, c, asked))  # type: ignore[misc]
        assert starts(asking) == starts(writing) == ["08", "10"]
        key = visit.id
        writing.do(lambda s, c, key=key: booking.reschedule(s, c, key, here.at("2030-03-04 08:00")))  # type: ignore[misc]
        assert starts(asking) == starts(writing) == ["09", "10"]
        writing.do(lambda s, c, key=key: booking.cancel(s, c, key, reason="ill", by="patient"))  # type: ignore[misc]
        assert starts(asking) == starts(writing) == ["08", "09", "10"]


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_clinical_hold_placed_during_a_look_is_noticed(here: Clinic, there: Clinic) -> None:
    """It is read before the calendars are: the place found must not count as looked at later than it was."""
    here.visit(DOSE)
    patient = here.patient()
    asked = wanted(here, patient, "dose", NINE)
    with Session(here.engine) as session:
        at = premises_of(session, here.call, asked)
        there.do(
            lambda s, c: clinical_holds.place(
                s, c, patient, reason="bp_out_of_range", deadline=c.now + timedelta(days=1)
            )
        )
        found = find(session, here.call, asked, at=at)
        with pytest.raises(LostRace):
            settle(session, here.call, [(booking.draft(here.call, asked, found), found)])


Act = Callable[[Clinic], Callable[[Session, Call], object]]


def booking_it(here: Clinic) -> Callable[[Session, Call], object]:
    asked = wanted(here, here.patient(), "talk", NINE)
    return lambda session, call: booking.book(session, call, asked)


def moving_it(here: Clinic) -> Callable[[Session, Call], object]:
    visit = book(here, here.patient(), "talk", "2030-03-04 08:00")
    return lambda session, call: booking.reschedule(session, call, visit.id, here.at(NINE))


def holding_it(here: Clinic) -> Callable[[Session, Call], object]:
    asked = wanted(here, here.patient(), "talk", NINE)
    return lambda session, call: holds.create(session, call, asked)


def repeating_it(here: Clinic) -> Callable[[Session, Call], object]:
    asked = wanted(here, here.patient(), "talk", NINE)
    return lambda session, call: series.create(session, call, asked, "FREQ=WEEKLY;COUNT=3")


def moving_a_series(here: Clinic) -> Callable[[Session, Call], object]:
    asked = wanted(here, here.patient(), "talk", "2030-03-04 08:00")
    made, _ = here.do(lambda s, c: series.create(s, c, asked, "FREQ=WEEKLY;COUNT=3"))
    first = made.appointments[0].id
    return lambda session, call: series.reschedule(session, call, first, "all", here.at(NINE))


def offering_it(here: Clinic) -> Callable[[Session, Call], object]:
    gone = book(here, here.patient(), "talk", NINE)
    entry = {"patient_id": here.patient(), "visit_type": "talk", "location_id": here.location_id}
    here.do(lambda s, c: waitlist.create(s, c, entry))
    here.do(lambda s, c: booking.cancel(s, c, gone.id, reason="ill", by="patient"))
    return waitlist.sweep


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("act", "where", "name"),
    [
        (booking_it, booking, "settle"),
        (moving_it, booking, "settle"),
        (holding_it, holds, "take_up"),
        (repeating_it, series, "settle"),
        (moving_a_series, series_moves, "settle"),
        (offering_it, holds, "take_up"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
@pytest.mark.parametrize(("theirs", "lost"), [("2030-03-04 10:00", False), (NINE, True)])
def test_calendars_that_change_before_the_locks_are_looked_at_again_under_them(
    here: Clinic,
    there: Clinic,
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    where: Any,
    name: str,
    theirs: str,
    *,
    lost: bool,
) -> None:
    """It is carried out at the first try, or is refused: nobody begins anew for another hour of the same person."""
    work, foreign = act(here), wanted(there, here.patient(), "talk", theirs)
    before = starts(here)
    tries: list[int] = []
    real = getattr(where, name)

    def late(session: Session, *args: Any, **kwargs: Any) -> Any:
        if session.get_bind() is here.engine:
            tries.append(1)
            if len(tries) == 1:
                there.do(lambda s, c: booking.book(s, c, foreign))
        return real(session, *args, **kwargs)

    monkeypatch.setattr(where, name, late)
    refusal: Refused | None = None
    try:
        here.do(work)
    except Refused as error:
        refusal = error
    assert not isinstance(refusal, SlotTaken), "the law says no, before the guard has to"
    assert len(tries) == 1
    assert starts(here) == (sorted({*before} - {"09"}) if lost else ["08"])


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "theirs", "lost"),
    [
        ("talk", "2030-03-04 10:00", False),
        ("talk", "2030-03-04 09:30", True),
        ("dose", "2030-03-04 10:00", True),  # it might come too soon after another, or be held
        ("talk", None, True),  # the therapist was changed, and may serve no longer
    ],
)
def test_what_else_may_have_changed_begins_anew(
    here: Clinic, there: Clinic, kind: str, theirs: str | None, *, lost: bool
) -> None:
    """The patient was booked elsewhere meanwhile, or whoever serves is not what they were."""
    here.visit(DOSE)
    here.visit(visit_type("check", segment("check", 30, need("room:bay"))))
    here.room("bay")
    patient = here.patient()
    asked = wanted(here, patient, kind, NINE)
    more = {"revision": Resource.revision + 1, "calendar_revision": Resource.calendar_revision + 1}
    with Session(here.engine) as session:
        found = find(session, here.call, asked)
        if theirs is not None:
            book(there, patient, "check", theirs)
        else:  # without the lock on the place, since none of the hours names it
            there.do(lambda s, _: s.execute(update(Resource).where(Resource.kind == "practitioner").values(more)))
        with pytest.raises(LostRace) if lost else nullcontext() as caught:
            settle(session, here.call, [(booking.draft(here.call, asked, found), found)])
    if theirs == "2030-03-04 09:30":  # on the last try it is what the client reads
        assert caught is not None
        reason = caught.value.reason
        assert (reason.code, reason.start) == ("patient_busy", here.at(theirs))


def test_an_absence_is_known_at_once_too(here: Clinic, there: Clinic) -> None:
    assert starts(here) == ["08", "09", "10"]
    with Session(there.engine) as session:
        therapist = session.scalars(select(Resource.id).where(Resource.kind == "practitioner")).one()
    eight, nine = there.at("2030-03-04 08:00"), there.at(NINE)
    there.do(lambda s, c: absences.create(s, c, resource_id=therapist, start=eight, end=nine))
    assert starts(here) == starts(there) == ["09", "10"]


def test_a_hold_ends_by_the_clock_and_not_by_a_write(here: Clinic, there: Clinic) -> None:
    assert starts(here) == ["08", "09", "10"]
    asked = wanted(there, None, "talk", NINE)  # type: ignore[arg-type]
    held = there.do(lambda s, c: holds.create(s, c, asked, lasting=timedelta(minutes=5)))
    assert starts(here) == starts(there) == ["08", "10"]
    assert starts(here, minutes=4) == ["08", "10"]
    assert starts(here, minutes=5) == starts(there, minutes=5) == ["08", "09", "10"]
    assert starts(here, minutes=4) == ["08", "10"], "and a clock that runs back is believed"
    there.do(lambda s, c: holds.extend(s, c, held.id, token=held.token, lasting=timedelta(minutes=10)))
    assert starts(here, minutes=5) == ["08", "10"]


def test_what_is_rolled_back_is_remembered_by_nobody(here: Clinic, there: Clinic) -> None:
    patient = here.patient()
    assert starts(here) == starts(there) == ["08", "09", "10"]

    def in_vain(session: Session, call: Call) -> None:
        booking.book(session, call, wanted(here, patient, "talk", NINE))
        assert starts(here, session) == ["08", "10"], "its own look sees it"
        raise Stop

    for _ in range(2):
        with pytest.raises(Stop):
            here.do(in_vain)
        assert starts(here) == starts(there) == ["08", "09", "10"]
    # The very revision that was rolled back comes again, with another meaning.
    asked = wanted(there, patient, "talk", "2030-03-04 10:00")
    there.do(lambda s, c: booking.book(s, c, asked))
    assert starts(here) == starts(there) == ["08", "09"]


def test_hours_that_are_rolled_back_are_remembered_by_nobody(here: Clinic, there: Clinic) -> None:
    """What people are is kept by their revision, and a revision that was rolled back comes again."""
    assert starts(here) == starts(there) == ["08", "09", "10"]

    def from_on(hour: int) -> Callable[[Session, Call], None]:
        def change(session: Session, _: Call) -> None:
            therapist = session.scalars(select(Resource).where(Resource.kind == "practitioner")).one()
            therapist.hours = [{**each, "start": f"{hour:02}:00"} for each in therapist.hours]
            session.flush()

        return change

    def in_vain(session: Session, call: Call) -> None:
        from_on(9)(session, call)
        assert starts(here, session) == ["09", "10"], "its own look sees it"
        raise Stop

    with pytest.raises(Stop):
        here.do(in_vain)
    there.do(from_on(10))
    assert starts(here) == starts(there) == ["10"]


def test_a_rehearsal_is_remembered_by_nobody(here: Clinic, there: Clinic) -> None:
    asked = wanted(here, here.patient(), "talk", NINE)
    assert starts(here) == ["08", "09", "10"]
    here.do(lambda s, c: booking.book(s, c, asked), dry_run=True)
    assert starts(here) == starts(there) == ["08", "09", "10"]


def test_who_stands_in_by_a_repair_is_taken_for_everybody_at_once(here: Clinic, there: Clinic) -> None:
    """It is the stand-in's calendar that has changed, of which the absence says nothing."""
    here.staff("therapist")
    here.room("consult")
    made = book(here, here.patient(), "talk", NINE)
    away = next(each.resource_id for each in made.participants if each.role == "therapist")
    day = (here.at("2030-03-04 00:00"), here.at("2030-03-05 00:00"))
    found = here.do(lambda s, c: disruptions.offer(s, c, away, *day, "ill"))
    assert [line.outcome for line in found.lines] == ["kept"]
    assert starts(there) == ["08", "09", "10"]
    here.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
    assert starts(there) == ["08", "10"]
    with pytest.raises(Refused):
        book(there, there.patient(), "talk", NINE)
