"""What one process remembers of calendars beside what another has just written: right at once, on both databases.

Two engines stand for two processes: what is remembered hangs on the engine, and nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import LostRace, Refused
from scheduler.core.localgrid import Wish
from scheduler.database import engine_options
from scheduler.models import Resource
from scheduler.services import absences, availability, booking, clinical_holds, holds
from scheduler.services.finding import find, premises_of
from scheduler.services.settling import settle
from tests.clinic import Clinic
from tests.desk import book, open_clinic, wanted

NINE = "2030-03-04 09:00"


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
    patient = here.patient()
    asked = wanted(here, patient, "talk", NINE)
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


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("theirs", "lost"), [("2030-03-04 10:00", False), (NINE, True)])
def test_only_who_wants_the_same_time_loses(here: Clinic, there: Clinic, theirs: str, *, lost: bool) -> None:
    """One therapist, whose calendar changes between the look and the locks."""
    patient, other = here.patient(), here.patient()
    asked, foreign = wanted(here, patient, "talk", NINE), wanted(there, other, "talk", theirs)

    def work(session: Session, call: Call) -> None:
        found = find(session, call, asked)
        there.do(lambda s, c: booking.book(s, c, foreign))
        look = partial(find, session, call, asked)
        settle(session, call, [(booking.draft(call, asked, found), found)], look=look)

    with Session(here.engine) as session:
        if lost:
            with pytest.raises(LostRace):
                work(session, here.call)
        else:
            work(session, here.call)
            session.commit()
    assert starts(here) == (["08", "10"] if lost else ["08"])


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("act", ["move", "hold"])
@pytest.mark.parametrize(("theirs", "lost"), [("2030-03-04 10:00", False), (NINE, True)])
def test_who_moves_or_holds_looks_again_under_the_locks(
    here: Clinic, there: Clinic, monkeypatch: pytest.MonkeyPatch, act: str, theirs: str, *, lost: bool
) -> None:
    """It is carried out at the first try, or is refused: nobody begins anew for another hour of the same person."""
    patient, foreign = here.patient(), wanted(there, here.patient(), "talk", theirs)
    visit = book(here, patient, "talk", "2030-03-04 08:00").id if act == "move" else None
    tries: list[int] = []
    where, name = (booking, "settle") if act == "move" else (holds, "take")
    real = getattr(where, name)

    def late(session: Session, *args: Any, **kwargs: Any) -> Any:
        if session.get_bind() is here.engine:
            tries.append(1)
            if len(tries) == 1:
                there.do(lambda s, c: booking.book(s, c, foreign))
        return real(session, *args, **kwargs)

    monkeypatch.setattr(where, name, late)

    def work(session: Session, call: Call) -> object:
        if visit is not None:
            return booking.reschedule(session, call, visit, here.at(NINE))
        return holds.create(session, call, wanted(here, patient, "talk", NINE))

    if lost:
        with pytest.raises(Refused):
            here.do(work)
    else:
        here.do(work)
    assert len(tries) == 1
    assert starts(here) == (["10"] if lost and act == "move" else ["08", "10"] if lost else ["08"])


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


def test_a_rehearsal_is_remembered_by_nobody(here: Clinic, there: Clinic) -> None:
    asked = wanted(here, here.patient(), "talk", NINE)
    assert starts(here) == ["08", "09", "10"]
    here.do(lambda s, c: booking.book(s, c, asked), dry_run=True)
    assert starts(here) == starts(there) == ["08", "09", "10"]
