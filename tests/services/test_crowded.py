"""What has to begin anew when a calendar changes: so often, however busy others are, and never refused for it.

Overrides, the first of a group and doses hang on more than free hours, so that another hour of the same person is a
reason to look again from the beginning. The last try holds everybody who could serve: nobody is faster then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from scheduler.config import Settings
from scheduler.core.overriding import override_of
from scheduler.database import TRIES, engine_options
from scheduler.services import booking
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import TALK, open_clinic, overlaps, wanted

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)

DAY = "2030-03-04"
CIRCLE = visit_type("circle", *TALK["segments"], kind="group", group={"minimum": 1, "maximum": 3, "decide_hours": 1})
DOSE = visit_type("dose", *TALK["segments"], kind="dosing")
CHECK = visit_type("check", segment("check", 30, need("room:bay")))


@pytest.fixture
def here(engine: Engine) -> Clinic:
    made = open_clinic(engine)
    for document in (CIRCLE, DOSE, CHECK):
        made.visit(document)
    made.staff("therapist")
    for kind in ("consult", "bay"):
        made.room(kind)
    return made


@pytest.fixture
def there(here: Clinic, settings: Settings) -> Iterator[Engine]:
    """Another process."""
    other = create_engine(settings.database_url, **engine_options(settings.database_url))
    yield other
    other.dispose()


@pytest.mark.parametrize("kind", ["override", "group", "dose"])
def test_somebody_is_faster_each_time_but_the_last(
    here: Clinic, there: Engine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    patient = here.patient()
    asked, other = {
        "override": (("talk", "07:00", {"override": override_of(["outside_hours"], "no other way")}), "talk"),
        "group": (("circle", "08:00", {}), "talk"),
        "dose": (("dose", "08:00", {}), "check"),
    }[kind]
    code, clock, more = asked
    mine = wanted(here, patient, code, f"{DAY} {clock}", **more)
    faster: list[bool] = []
    real = booking.settle

    def late(session: Session, *args: Any, **named: Any) -> Any:
        if session.get_bind() is here.engine:
            start = here.at(f"{DAY} 09:00") + timedelta(hours=len(faster))
            faster.append(squeezed_in(here, there, patient if kind == "dose" else here.patient(), other, start))
        return real(session, *args, **named)

    monkeypatch.setattr(booking, "settle", late)
    made = here.do(lambda s, c: booking.book(s, c, mine))
    assert made.row.starts_at == mine.start
    assert faster == [True] * (TRIES - 1) + [False]
    assert overlaps(here.engine) == 0


def squeezed_in(clinic: Clinic, there: Engine, patient: Any, code: str, start: datetime) -> bool:
    """Whether another process can book another hour at this moment, without waiting for anybody."""
    with Session(there) as session:
        session.execute(text("SET LOCAL lock_timeout = '150ms'"))
        try:
            booking.book(session, clinic.call, Wanted(patient, code, clinic.location_id, start))
        except OperationalError:
            return False
        session.commit()
        return True
