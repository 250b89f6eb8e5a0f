"""The nights on which clocks change, zone by zone: gaps, folds, and what must come through them unmoved.

Everything runs on a machine that lives in Kolkata, and again on one that lives in UTC: the host's own zone is nobody's
business. Everywhere else in the suite it is the machine's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.civil import to_instant, to_local, zone
from scheduler.core.errors import LocalTimeFault, Refused
from scheduler.core.localgrid import Wish
from scheduler.models import Appointment, Message
from scheduler.services import availability, booking, holds, series
from scheduler.services.availability import Question
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import TALK

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
QUICK = visit_type("quick", segment("quick", 10, need("role:nurse")))
LONG = visit_type("long", segment("dose", 15, need("role:therapist")), segment("monitor", 120, need("role:therapist")))


@dataclass(frozen=True)
class Change:
    """The first wall time that is skipped (`longer` False) or comes twice, and for how many minutes."""

    zone: str
    wall: datetime
    minutes: int
    back: bool

    @property
    def day(self) -> datetime:
        """Midnight of the first day that is all on the new time, or on which the change falls early."""
        late = self.wall.hour >= 20
        return datetime.combine(self.wall.date() + timedelta(days=late), datetime.min.time())

    @property
    def instant(self) -> datetime:
        """When the clocks are changed."""
        if self.back:
            return to_instant(self.wall, self.zone, "earlier") + timedelta(minutes=self.minutes)
        before = self.wall - timedelta(minutes=5)
        return to_instant(before, self.zone) + timedelta(minutes=5)


#: Zone: (first skipped wall time, minutes), (first repeated wall time, minutes).
CHANGES = {
    "America/New_York": (("2030-03-10T02:00", 60), ("2030-11-03T01:00", 60)),
    "America/Chicago": (("2030-03-10T02:00", 60), ("2030-11-03T01:00", 60)),
    "Europe/London": (("2030-03-31T01:00", 60), ("2030-10-27T01:00", 60)),
    "Australia/Lord_Howe": (("2030-10-06T02:00", 30), ("2030-04-07T01:30", 30)),
    "Africa/Cairo": (("2030-04-26T00:00", 60), ("2030-10-31T23:00", 60)),
    "Asia/Beirut": (("2030-03-31T00:00", 60), ("2030-10-26T23:00", 60)),
    "Antarctica/Troll": (("2030-03-31T01:00", 120), ("2030-10-27T01:00", 120)),
    "America/Santiago": (("2030-09-08T00:00", 60), ("2030-04-06T23:00", 60)),
}
#: Odd offsets, no change: the pinned rules have ended Casablanca's.
STEADY = ("Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca")
#: Where the machine lives, and the offset that it had in 1970.
HOSTS = {"UTC": "+0000", "Asia/Kolkata": "+0530"}


def changes(*, back: bool) -> list[Change]:
    return [Change(name, datetime.fromisoformat(pair[back][0]), pair[back][1], back) for name, pair in CHANGES.items()]


#: PostgreSQL once, in the zone that is not its own either.
pytestmark = pytest.mark.parametrize(
    ("dialect", "host"),
    [("sqlite", "UTC"), ("sqlite", "Asia/Kolkata"), ("postgresql", "Asia/Kolkata")],
    indirect=True,
)


@pytest.fixture(autouse=True)
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine lives there while the test runs, and afterwards where it lived before."""
    before = os.environ.get("TZ"), time.strftime("%z", time.localtime(0))
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    assert time.strftime("%z", time.localtime(0)) == HOSTS[request.param]
    yield
    monkeypatch.undo()
    time.tzset()
    assert (os.environ.get("TZ"), time.strftime("%z", time.localtime(0))) == before


def open_site(engine: Engine, change: Change) -> Clinic:
    """A site that never closes, eight days before the change."""
    hours = [{"weekday": day, "start": "00:00", "end": "24:00"} for day in DAYS]
    made = Clinic(engine, change.zone, hours=hours)
    made.call = replace(made.call, now=change.instant - timedelta(days=8))
    for document in (TALK, LONG):
        made.visit(document)
    made.staff("therapist")
    made.room("consult")
    return made


def at(clinic: Clinic, wall: datetime, code: str = "talk", *, own: bool = False, **more: Any) -> Wanted:
    """A wish for that wall time, written with the offset that is in force hours before, or with its own."""
    known = wall if own else wall - timedelta(hours=3)
    offset = known.replace(tzinfo=zone(clinic.time_zone)).utcoffset()
    assert offset is not None
    return Wanted(clinic.patient(), code, clinic.location_id, wall.replace(tzinfo=timezone(offset)), **more)


def book(clinic: Clinic, wanted: Wanted) -> Appointment:
    return clinic.do(lambda s, c: booking.book(s, c, wanted)).row


def would_start(clinic: Clinic, wanted: Wanted) -> datetime:
    """When it would begin. Nothing is booked, so that only what was read within the transaction is left."""
    return clinic.do(lambda s, c: booking.book(s, c, wanted).row.starts_at, dry_run=True)


def offered(clinic: Clinic, since: datetime, until: datetime, code: str = "talk") -> list[datetime]:
    question = Question(code, clinic.location_id, since, until, wish=Wish(step=5))
    return [offer.start for offer in clinic.do(lambda s, c: availability.search(s, c, question, limit=1000))[0]]


def around(clinic: Clinic, change: Change) -> list[datetime]:
    return offered(clinic, change.instant - timedelta(hours=6), change.instant + timedelta(hours=24))


def doubtful(change: Change, wall: datetime) -> bool:
    return change.wall <= wall < change.wall + timedelta(minutes=change.minutes)


def comes_through(clinic: Clinic, change: Change) -> None:
    """What holds on both kinds of night."""
    walls = [to_local(start, change.zone) for start in around(clinic, change)]
    assert len(walls) == len(set(walls)), "no wall time is offered twice"
    assert not any(doubtful(change, wall) for wall in walls), "nor one that is in doubt"
    one = change.day + timedelta(hours=13)
    assert one in walls
    visit = book(clinic, at(clinic, one, own=True))
    assert (to_local(visit.starts_at, change.zone), visit.ends_at - visit.starts_at) == (one, timedelta(hours=1))
    with Session(clinic.engine) as session:
        reminder = select(Message.due_at).where(Message.appointment_id == visit.id, Message.rule == "remind_24h")
        due = session.scalars(reminder).one()
    assert to_local(due, change.zone) == one - timedelta(days=1), "a day before is a day on the calendar"
    moving = at(clinic, change.wall + timedelta(minutes=5)).start
    with pytest.raises(LocalTimeFault):
        clinic.do(lambda s, c: booking.reschedule(s, c, visit.id, moving))
    instead_of_what_is_taken(clinic, change)
    long = book(clinic, at(clinic, change.wall - timedelta(minutes=5), "long"))
    assert long.ends_at - long.starts_at == timedelta(minutes=135), "two hours of watching are two real hours"
    shift = to_local(long.ends_at, change.zone) - to_local(long.starts_at, change.zone) - timedelta(minutes=135)
    assert shift == timedelta(minutes=-change.minutes if change.back else change.minutes)
    expires(clinic, change)
    stays_weekly(clinic, change)


def instead_of_what_is_taken(clinic: Clinic, change: Change) -> None:
    """What a refusal offers can be sent back as it is written."""
    taken = change.wall - timedelta(minutes=65)
    book(clinic, at(clinic, taken))
    with pytest.raises(Refused) as caught:
        book(clinic, at(clinic, taken))
    assert len(caught.value.alternatives) == 5
    for start in caught.value.alternatives:
        assert would_start(clinic, Wanted(clinic.patient(), "talk", clinic.location_id, start)) == start


def expires(clinic: Clinic, change: Change) -> None:
    """A hold that is made just before the change lasts five real minutes."""
    now = change.instant - timedelta(minutes=3)
    wish = replace(at(clinic, change.day + timedelta(hours=15), own=True), patient_id=None)
    held = clinic.do(lambda s, c: holds.create(s, c, wish), now=now)
    assert held.row.expires_at - now == timedelta(minutes=5)
    question = Question("talk", clinic.location_id, wish.start, wish.start)
    for later, free in ((timedelta(minutes=4), False), (timedelta(minutes=5), True)):
        found = clinic.do(lambda s, c: availability.explain(s, c, question), now=now + later)
        assert found.bookable == free


def stays_weekly(clinic: Clinic, change: Change) -> None:
    """Nine o'clock stays nine o'clock, and an occurrence that the clocks skip or repeat is left out and said so."""
    first = change.day - timedelta(days=7) + timedelta(hours=9)
    weekly = at(clinic, first, own=True)
    made, _ = clinic.do(lambda s, c: series.create(s, c, weekly, "FREQ=WEEKLY;COUNT=3"))
    local = [to_local(each.row.starts_at, change.zone) for each in made.appointments]
    assert local == [first + timedelta(days=7 * week) for week in range(3)]
    night = change.wall + timedelta(minutes=10)
    nightly = at(clinic, night - timedelta(days=2), own=True)
    looks = clinic.do(lambda s, c: series.preview(s, c, nightly, "FREQ=DAILY;COUNT=4"))
    assert [look.key for look in looks if look.starts_at is None] == [night]


@pytest.mark.parametrize("change", changes(back=False), ids=lambda change: change.zone)
def test_through_a_gap(engine: Engine, change: Change) -> None:
    clinic = open_site(engine, change)
    inside = change.wall + timedelta(minutes=5)
    with pytest.raises(LocalTimeFault) as caught:
        book(clinic, at(clinic, inside))
    assert caught.value.code == "nonexistent_time"
    late = would_start(clinic, at(clinic, inside, disambiguation="later"))
    assert to_local(late, change.zone) == inside + timedelta(minutes=change.minutes)
    closes_in_the_gap(clinic, change)
    comes_through(clinic, change)


def closes_in_the_gap(clinic: Clinic, change: Change) -> None:
    """A shift that ends at a wall time which is skipped ends when the clocks are changed."""
    begins = change.wall - timedelta(hours=1)
    hours = {"weekday": DAYS[begins.weekday()], "start": f"{begins:%H:%M}", "end": f"{change.wall:%H}:10"}
    clinic.visit(QUICK)
    clinic.staff("nurse", hours=[hours])
    span = change.instant - timedelta(hours=2), change.instant + timedelta(hours=2)
    ends = [start + timedelta(minutes=10) for start in offered(clinic, *span, code="quick")]
    assert max(ends) == change.instant


@pytest.mark.parametrize("change", changes(back=True), ids=lambda change: change.zone)
def test_through_a_fold(engine: Engine, change: Change) -> None:
    clinic = open_site(engine, change)
    inside = change.wall + timedelta(minutes=5)
    with pytest.raises(LocalTimeFault) as caught:
        book(clinic, at(clinic, inside))
    assert caught.value.code == "ambiguous_time"
    pair = [would_start(clinic, at(clinic, inside, disambiguation=which)) for which in ("earlier", "later")]
    assert pair[1] - pair[0] == timedelta(minutes=change.minutes)
    assert {to_local(each, change.zone) for each in pair} == {inside}
    comes_through(clinic, change)


@pytest.mark.parametrize("name", STEADY)
def test_where_no_clock_changes(engine: Engine, name: str) -> None:
    change = Change(name, datetime.fromisoformat("2030-03-31T02:00"), 60, back=False)
    clinic = open_site(engine, change)
    assert len(around(clinic, change)) == 30 * 12
    visit = book(clinic, at(clinic, datetime.fromisoformat("2030-03-31T13:00"), own=True))
    assert visit.local_start == "2030-03-31T13:00"
