"""New zone rules: visits that were booked under the old ones keep their wall time, and nothing moves in silence.

Canada's west has ended its clock changes: what was UTC-8 in a Vancouver winter is UTC-7 by the pinned release. Booked
here under the rules of 2025b, and then the pinned ones come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from scheduler.core import civil
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.reminders import quiet
from scheduler.core.scopes import SCOPES
from scheduler.models import Appointment, Message, Occupancy, WebhookDelivery, new_id
from scheduler.services import absences, audit, booking, rosters, tasks, webhooks, zone_rules
from scheduler.services.tasks import Filter
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import TALK, book, overlaps
from tests.plumbing.zones import in_force, tzif
from tests.services.test_groups import CIRCLE

#: The zone and its time in winter by 2025b.
CANADA = {
    "America/Vancouver": (-8, "PST8PDT"),
    "America/Edmonton": (-7, "MST7MDT"),
    "America/Winnipeg": (-6, "CST6CDT"),
}
WINTER = "2030-01-15"
NOW = datetime.fromisoformat("2030-01-01T20:00+00:00")
HOUR = timedelta(hours=1)
Rules = Callable[[], AbstractContextManager[None]]
SITTING = visit_type(
    "sitting", segment("sit", 60, need("role:nurse", "shared"), need("role:prescriber", "present"), need("room:bay"))
)


@contextmanager
def old_rules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As an installation of last year computed."""
    files = {key: tzif(f"{rules},M3.2.0,M11.1.0", hours, rules[:3]) for key, (hours, rules) in CANADA.items()}
    with in_force(folder, files), monkeypatch.context() as patch:
        for module in (civil, booking):
            patch.setattr(module, "TZDATA_VERSION", "2025b")
        forget_the_rules()
        yield
    forget_the_rules()


def forget_the_rules() -> None:
    """A new release comes with a new process, which remembers nothing."""
    for each in (*vars(rosters).values(), *vars(quiet).values()):
        if hasattr(each, "cache_clear"):
            each.cache_clear()


@pytest.fixture
def under_old_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rules:
    return lambda: old_rules(tmp_path / "zones", monkeypatch)


def open_site(engine: Engine, zone: str) -> Clinic:
    made = Clinic(engine, zone, call=Call(NOW, new_id(), "test", scopes=frozenset(SCOPES)))
    for document in (TALK, SITTING):
        made.visit(document)
    made.staff("therapist")
    made.room("consult")
    made.staff("nurse", units=2)
    made.staff("prescriber")
    for _ in range(2):
        made.room("bay")
    return made


def rows(clinic: Clinic, *ids: UUID) -> list[Appointment]:
    with Session(clinic.engine, expire_on_commit=False) as session:
        return [session.get_one(Appointment, (clinic.call.organization_id, key)) for key in ids]


def occupied(clinic: Clinic, key: UUID) -> set[tuple[str, UUID, datetime, datetime, bool]]:
    with Session(clinic.engine) as session:
        found = session.scalars(select(Occupancy).where(Occupancy.appointment_id == key))
        return {(each.role, each.resource_id, each.starts_at, each.ends_at, each.blocking) for each in found}


def due(clinic: Clinic, key: UUID) -> dict[str, list[datetime]]:
    with Session(clinic.engine) as session:
        wanted = select(Message).where(Message.appointment_id == key, Message.status == "pending")
        found: dict[str, list[datetime]] = {}
        for message in session.scalars(wanted):
            found.setdefault(message.rule, []).append(message.due_at)
        return found


def follow(clinic: Clinic) -> None:
    while clinic.do(zone_rules.follow, actor="worker"):
        pass


def events(clinic: Clinic, key: UUID) -> list[str]:
    found = clinic.do(lambda s, c: audit.list_events(s, c, subject_id=key))
    return [event.action for event in found.items if event.action == "appointment.zone-rules"]


def listen(clinic: Clinic) -> None:
    """Somebody else's program wants to be told everything."""
    address = {"url": "http://127.0.0.1:9/told", "events": []}
    clinic.do(lambda s, c: webhooks.create(s, c, address, private=True))


def told(clinic: Clinic, event: str) -> list[UUID]:
    """Of which visits it is told that, as often as it is."""
    with Session(clinic.engine) as session:
        return sorted(session.scalars(select(WebhookDelivery.subject_id).where(WebhookDelivery.event == event)))


def owed(clinic: Clinic, status: str = "open") -> list[tasks.TaskView]:
    return list(clinic.do(lambda s, c: tasks.listed(s, c, Filter(kind=zone_rules.TASK, status=status))).items)


def test_the_pinned_rules_are_the_new_ones() -> None:
    offsets = {key: civil.to_instant(datetime.fromisoformat(f"{WINTER}T09:00"), key) for key in CANADA}
    assert [f"{instant:%H:%M}" for instant in offsets.values()] == ["16:00", "15:00", "14:00"]


@pytest.mark.parametrize("zone", CANADA)
def test_nine_in_winter_stays_nine(engine: Engine, under_old_rules: Rules, zone: str) -> None:
    with under_old_rules():
        clinic = open_site(engine, zone)
        winter = [book(clinic, clinic.patient(), "sitting", f"{WINTER} {clock}").id for clock in ("09:00", "10:00")]
        winter.append(book(clinic, clinic.patient(), "sitting", f"{WINTER} 09:00").id)
        summer = book(clinic, clinic.patient(), "sitting", "2030-07-15 09:00").id
        before = {row.id: row for row in rows(clinic, *winter, summer)}
        held = {key: occupied(clinic, key) for key in before}
        messages = {key: due(clinic, key) for key in before}
    assert {row.tzdata for row in before.values()} == {"2025b"}
    assert clinic.do(zone_rules.lags) == [zone_rules.Lag(clinic.call.organization_id, "2025b", 4)]
    listen(clinic)
    follow(clinic)
    for row in rows(clinic, *winter):
        old = before[row.id]
        assert (row.local_start, to_local(row.starts_at, zone)) == (
            old.local_start, datetime.fromisoformat(old.local_start),
        )  # fmt: skip
        assert (row.starts_at, row.ends_at) == (old.starts_at - HOUR, old.ends_at - HOUR)
        assert (row.sequence, row.tzdata) == (1, civil.TZDATA_VERSION)
        assert {each[0] for each in occupied(clinic, row.id)} == {each[0] for each in held[row.id]}
        assert {(role, who, start + HOUR, end + HOUR, b) for role, who, start, end, b in occupied(clinic, row.id)} == (
            held[row.id]
        )
        moved = due(clinic, row.id)
        assert moved.keys() == messages[row.id].keys()
        assert all(len(times) == 1 for times in moved.values()), "once each"
        for rule in ("remind_24h", "remind_72h"):
            assert moved[rule] == [at - HOUR for at in messages[row.id][rule]]
        assert events(clinic, row.id) == ["appointment.zone-rules"]
    [stayed] = rows(clinic, summer)
    assert (stayed.starts_at, stayed.sequence, stayed.revision) == (before[summer].starts_at, 0, stayed.revision)
    assert (stayed.tzdata, events(clinic, summer)) == (civil.TZDATA_VERSION, [])
    assert (owed(clinic), overlaps(engine), clinic.do(zone_rules.lags)) == ([], 0, [])
    again = [(row.revision, row.sequence) for row in rows(clinic, *winter)]
    follow(clinic)
    assert [(row.revision, row.sequence) for row in rows(clinic, *winter)] == again, "once and for all"
    assert told(clinic, "appointment.utc_changed") == sorted(winter), "each told of once, the summer's never"


def test_a_full_day_moves_into_itself_in_more_than_one_transaction(
    engine: Engine,
    under_old_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zone_rules, "BATCH", 2)
    with under_old_rules():
        clinic = open_site(engine, "America/Vancouver")
        day = [book(clinic, clinic.patient(), "talk", f"{WINTER} {hour:02}:00").id for hour in range(9, 14)]
    follow(clinic)
    assert [to_local(row.starts_at, "America/Vancouver").hour for row in rows(clinic, *day)] == list(range(9, 14))
    assert (owed(clinic), overlaps(engine)) == ([], 0)


def test_forward_too(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way round: what the pinned rules booked, under a law that brings the winter hour back."""
    clinic = open_site(engine, "America/Vancouver")
    day = [book(clinic, clinic.patient(), "talk", f"{WINTER} {hour:02}:00").id for hour in range(9, 12)]
    with in_force(tmp_path, {"America/Vancouver": tzif("PST8", -8, "PST")}):
        monkeypatch.setattr(civil, "TZDATA_VERSION", "2031a")
        follow(clinic)
        assert [to_local(row.starts_at, "America/Vancouver").hour for row in rows(clinic, *day)] == [9, 10, 11]
        assert (owed(clinic), overlaps(engine)) == ([], 0)


def test_who_cannot_follow_stays_and_is_owed_to_the_staff(engine: Engine, under_old_rules: Rules) -> None:
    with under_old_rules():
        clinic = open_site(engine, "America/Vancouver")
        visit = book(clinic, clinic.patient(), "talk", f"{WINTER} 10:00").id
        [before] = rows(clinic, visit)
        held = occupied(clinic, visit)
    # Somebody booked by the new rules, before the chore came by, what is ten o'clock now.
    other = book(clinic, clinic.patient(), "talk", f"{WINTER} 10:00").id
    follow(clinic)
    [row] = rows(clinic, visit)
    assert (row.starts_at, row.sequence, row.revision) == (before.starts_at, 0, before.revision)
    assert occupied(clinic, visit) == held, "nothing is half moved"
    assert (events(clinic, visit), overlaps(engine)) == ([], 0)
    [task] = owed(clinic)
    assert task.appointment_id == visit
    assert "taken at its new time" in task.detail
    follow(clinic)
    assert len(owed(clinic)) == 1
    clinic.do(lambda s, c: booking.cancel(s, c, other, reason="x", by="clinic"))
    follow(clinic)
    [row] = rows(clinic, visit)
    assert (to_local(row.starts_at, "America/Vancouver").hour, row.sequence) == (10, 1)
    follow(clinic)
    assert owed(clinic) == [], "it is not behind any more"


def test_nobody_is_moved_into_an_absence(engine: Engine, under_old_rules: Rules) -> None:
    with under_old_rules():
        clinic = open_site(engine, "America/Vancouver")
        visit = book(clinic, clinic.patient(), "sitting", f"{WINTER} 10:00").id
    prescriber = next(who for role, who, *_ in occupied(clinic, visit) if role == "role:prescriber")
    away = {"start": clinic.at(f"{WINTER} 10:00"), "end": clinic.at(f"{WINTER} 10:30")}
    clinic.do(lambda s, c: absences.create(s, c, resource_id=prescriber, **away))
    follow(clinic)
    [task] = owed(clinic)
    assert "is away" in task.detail


def test_an_older_worker_turns_nothing_back(engine: Engine, under_old_rules: Rules) -> None:
    clinic = open_site(engine, "America/Vancouver")
    visit = book(clinic, clinic.patient(), "talk", f"{WINTER} 10:00").id
    with under_old_rules():
        follow(clinic)
    assert rows(clinic, visit)[0].sequence == 0


def test_what_is_over_or_called_off_is_let_be(engine: Engine, under_old_rules: Rules) -> None:
    with under_old_rules():
        clinic = open_site(engine, "America/Vancouver")
        gone, past = (book(clinic, clinic.patient(), "talk", f"{WINTER} {hour}:00").id for hour in (10, 12))
        clinic.do(lambda s, c: booking.cancel(s, c, gone, reason="x", by="clinic"))
    with Session(engine) as session, session.begin():
        session.execute(update(Appointment).where(Appointment.id == past).values(status="checked-in"))
    follow(clinic)
    assert {row.tzdata for row in rows(clinic, gone, past)} == {"2025b"}


def test_a_group_comes_with_its_visits(engine: Engine, under_old_rules: Rules) -> None:
    """Whoever books nine o'clock afterwards comes to those who have booked nine o'clock before."""
    with under_old_rules():
        clinic = open_site(engine, "America/Vancouver")
        clinic.visit(CIRCLE)
        clinic.room("group")
        clinic.staff("therapist")
        before = [book(clinic, clinic.patient(), "circle", f"{WINTER} 09:00") for _ in range(2)]
    follow(clinic)
    after = book(clinic, clinic.patient(), "circle", f"{WINTER} 09:00")
    assert {row.starts_at for row in rows(clinic, *(each.id for each in before))} == {after.row.starts_at}
    assert after.row.group_id == before[0].row.group_id
