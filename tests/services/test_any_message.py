"""Whatever becomes of visits and patients: each message leaves once, or ends with a reason, and as a task if by nobody.

A walk at random over bookings, moves, cancellations, holds, opt-outs, addresses, wishes, rules, faults and time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.civil import to_local
from scheduler.core.errors import SchedulingError
from scheduler.core.policies import Messaging
from scheduler.core.reminders import LAW_FROM, LAW_TO, Recipient, next_open, resting
from scheduler.core.reminders.budget import COUNTED, below
from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.gsm7 import LIMIT, septets
from scheduler.models import Appointment, ClinicalHold, Message, Patient, Task
from scheduler.services import booking, clinical_holds, message_rules, outbox, patients, shipped, two_way, visit_day
from scheduler.services.outbox import Letter, composing
from scheduler.services.outbox.people import basis_of
from scheduler.services.outbox.scene import FASTING, NEWS, SAID_BY_NEWS
from scheduler.services.two_way import Incoming
from tests.clinic import Clinic
from tests.desk import wanted
from tests.plumbing.effort import at_length
from tests.postroom import begin, claim, messages, open_postroom, set_state, settle

SMS, MAIL = {"channel": "sms", "value": "+12025550123"}, {"channel": "email", "value": "pat@example.org"}
REACH: list[list[dict[str, str]]] = [[SMS, MAIL], [SMS, MAIL], [SMS], [MAIL], []]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Reasons that somebody has given: by a change, a word, a rule, or in time for another message.
DECIDED = {
    "cancelled", "rescheduled", "released", "noshow", "fulfilled", "confirmed", "integration_booked", "undone", "past",
    "quiet_hours", "superseded", "exemption", "reachable",
}  # fmt: skip


@dataclass
class Walk:
    """A clinic, its patients, and all that left: when, what, and in which words."""

    clinic: Clinic
    manners: Messaging
    random: Random
    people: list[UUID]
    now: datetime
    left: list[tuple[datetime, Letter, str]] = field(default_factory=list)
    visits: list[UUID] = field(default_factory=list)
    texted: dict[UUID, list[date]] = field(default_factory=lambda: defaultdict(list))
    reviewed: datetime | None = None

    def rows(self, table: Any, *conditions: Any) -> list[Any]:
        with Session(self.clinic.engine, expire_on_commit=False) as session:
            mine = table.organization_id == self.clinic.call.organization_id
            return list(session.scalars(select(table).where(mine, *conditions).order_by(table.id)))

    def row(self, visit: UUID) -> Appointment:
        return self.rows(Appointment, Appointment.id == visit)[0]

    def act(self) -> None:
        """One of all that may happen, if it may."""
        person = (self.confirm, self.text, self.wish, self.reach)
        clinic = (self.book, self.book, self.move, self.cancel, self.hold, self.rule)
        try:
            self.random.choice(person + clinic)()
        except SchedulingError:
            return

    def some_time(self) -> datetime:
        """In clinic hours, from soon to days ahead."""
        some = self.random.randrange(300) * MINUTE
        ahead = self.now + self.random.choice([30 * MINUTE, 90 * MINUTE, 3 * HOUR + some, DAY + some, 3 * DAY + some])
        local = to_local(ahead, self.clinic.time_zone).replace(second=0, microsecond=0)
        while local.weekday() > 4:
            local += DAY
        hour = self.random.randrange(9, 15) if not 9 <= local.hour < 15 else local.hour
        return self.clinic.at(f"{local:%Y-%m-%d} {hour:02}:{local.minute // 5 * 5:02}")

    def book(self) -> None:
        start = f"{to_local(self.some_time(), self.clinic.time_zone):%Y-%m-%d %H:%M}"
        asked = wanted(self.clinic, self.random.choice(self.people), self.random.choice(["fasted", "session"]), start)
        self.visits.append(self.clinic.do(lambda s, c: booking.book(s, c, asked), now=self.now).id)

    def any_visit(self) -> UUID:
        ahead = [one for one in self.visits if (row := self.row(one)).status == "booked" and row.starts_at > self.now]
        if not ahead:
            raise SchedulingError("There is none.")
        return self.random.choice(ahead)

    def move(self) -> None:
        visit, start = self.any_visit(), self.some_time()
        self.clinic.do(lambda s, c: booking.reschedule(s, c, visit, start), now=self.now)

    def cancel(self) -> None:
        visit = self.any_visit()
        self.clinic.do(lambda s, c: booking.cancel(s, c, visit, reason="ill", by="patient"), now=self.now)

    def confirm(self) -> None:
        visit = self.any_visit()
        self.clinic.do(lambda s, c: visit_day.confirm(s, c, visit), now=self.now)

    def hold(self) -> None:
        """Or its release."""
        patient, until = self.random.choice(self.people), self.now + 30 * DAY
        held = self.rows(ClinicalHold, ClinicalHold.patient_id == patient, ClinicalHold.released_at.is_(None))
        if held:
            end = {"by": "Dr. Lee", "note": "Well."}
            self.clinic.do(lambda s, c: clinical_holds.release(s, c, patient, held[0].id, **end), now=self.now)
        else:
            self.clinic.do(
                lambda s, c: clinical_holds.place(s, c, patient, reason="illness", deadline=until), now=self.now
            )

    def text(self) -> None:
        said = Incoming("http", f"{self.now}", SMS["value"], self.random.choice(["STOP", "START", "START", "YES"]))
        self.clinic.do(lambda s, c: two_way.receive(s, c, said), now=self.now)

    def change(self, **values: Any) -> None:
        patient = self.random.choice(self.people)
        revision = self.rows(Patient, Patient.id == patient)[0].revision
        self.clinic.do(lambda s, c: patients.change(s, c, patient, revision, values), now=self.now)

    def wish(self) -> None:
        self.change(preferences=self.random.choice([{}, {"channel": "email"}, {"channel": "sms"}]))

    def reach(self) -> None:
        self.change(contacts=self.random.choice(REACH))

    def rule(self) -> None:
        """A new version: all as shipped, or a few switched off, taken out, at other times, over other channels."""
        rules = shipped.message_rules()
        for one in self.random.sample(rules, self.random.choice([0, 2, 4])):
            match self.random.randrange(5):
                case 0:
                    one["enabled"] = False
                case 1:
                    rules.remove(one)
                case 2 if "channels" in one:
                    one["channels"] = self.random.choice([["sms"], ["email"], ["sms", "email"], ["email", "sms"]])
                case 3 if one["side"] == "before" and one["at"].get("days"):
                    one["at"] = {"anchor": one["at"]["anchor"], "days": self.random.choice([-2, -5])}
                case 4 if "escalate" in one:
                    one["escalate"] = {"minutes": 240}
        self.clinic.do(lambda s, c: message_rules.change(s, c, rules), now=self.now)

    def review(self) -> None:
        """The chore, which workers do within the hour."""
        if self.reviewed is None or self.now >= self.reviewed + HOUR:
            self.reviewed = self.now
            while self.clinic.do(outbox.review, now=self.now):
                pass

    def until(self, end: datetime) -> None:
        """Let the time pass, with a worker at hand, and people who mostly write down what happened."""
        while self.now < end:
            self.review()
            self.deliver()
            with Session(self.clinic.engine) as session:
                due = outbox.next_due(session, self.now)
            self.now = min(end, max(due or end, self.now + self.random.choice([3, 3, 20]) * MINUTE))
            self.record()

    def record(self) -> None:
        over = Appointment.status == "booked", Appointment.ends_at <= self.now, Appointment.ends_at > self.now - HOUR
        for row in self.rows(Appointment, *over):
            match self.random.randrange(6):
                case 0:
                    self.clinic.do(lambda s, c, key=row.id: visit_day.no_show(s, c, key), now=self.now)
                case 1 | 2 | 3:
                    set_state(self.clinic, row.id, status="fulfilled", fulfilled_at=row.ends_at)

    def deliver(self) -> None:
        """All that is due, and what goes beside that."""
        while letters := claim(self.clinic, self.now):
            for letter in letters:
                self.send(letter)

    def send(self, letter: Letter) -> None:
        if not begin(self.clinic, letter, self.now):
            return
        fault = self.random.choices(["", "busy", "no such address"], [18, 1, 1])[0]
        settle(self.clinic, letter, self.now, fault, permanent=fault.startswith("no"))
        if not fault:
            self.left.append((self.now, letter, outbox.in_words(letter, self.now).body))
            self.look(letter)

    def look(self, letter: Letter) -> None:
        """What must hold of whatever leaves, at that moment."""
        (message,) = messages(self.clinic, Message.id == letter.id)
        self.within_caps(letter, message)
        here = Recipient(letter.recipient_zone, frozenset())
        if resting(here, self.now):
            recently = not resting(here, self.now - 15 * MINUTE) and not law(letter, self.now)
            visit = None if message.appointment_id is None else self.row(message.appointment_id)
            ends = [letter.previous, letter.about, letter.expires_at, arrive_by(message), visit and fast_of(letter)]
            needed = any(end is not None and self.now <= end <= next_open(here, self.now) for end in ends)
            assert recently or (message.context["urgent"] and needed), (self.now, letter.kind)
        if message.appointment_id is not None and "visits" not in message.context:
            visit = self.row(message.appointment_id)
            assert letter.kind in {"cancelled", "correction"} or letter.about == visit.starts_at
            is_after = message.context["side"] == "after"
            allowed = {"fulfilled"} if is_after else {"cancelled", "booked", "noshow", "fulfilled"}
            assert visit.status in allowed if letter.kind in {"cancelled", "correction"} or is_after else "booked"
            held = self.rows(
                ClinicalHold, ClinicalHold.patient_id == visit.patient_id, ClinicalHold.released_at.is_(None)
            )
            classes = {"reminder", "instruction", "check_in"}
            assert not (held and visit.visit_type == "fasted" and message.context["class"] in classes)

    def within_caps(self, letter: Letter, message: Message) -> None:
        """The law's bind always; a clinic's own all but what must be known."""
        if letter.channel not in COUNTED:
            return
        (patient,) = self.rows(Patient, Patient.id == message.patient_id)
        basis, caps = self.manners.of_patient(basis_of(patient, self.now))
        today, days = to_local(self.now, letter.recipient_zone).date(), self.texted[message.patient_id]
        must = message.context["urgent"] or message.context["instructs"]
        assert below(caps, days, today) or (basis == "consent" and must), (self.now, letter.kind, days)
        days.append(today)


def law(letter: Letter, now: datetime) -> bool:
    return resting(Recipient(letter.recipient_zone, frozenset(), LAW_FROM, LAW_TO), now)


def arrive_by(message: Message) -> datetime | None:
    said = message.context.get("arrive_by")
    return datetime.fromisoformat(said) if said else None


def fast_of(letter: Letter) -> datetime | None:
    minutes = letter.told.solids_minutes
    return letter.about - timedelta(minutes=minutes) if minutes else None


def begun(engine: Engine, seed: int) -> Walk:
    random = Random(seed)
    basis = random.choice(["consent", "exemption"])
    caps = random.choice([{}, {"per_day": 1}, {"per_day": 2, "per_week": 4}])
    clinic = open_postroom(engine, basis=basis, caps=caps)
    people = [clinic.patient(contacts=random.choice(REACH)) for _ in range(3)]
    return Walk(clinic, Messaging.from_document({"basis": basis, "caps": caps}), random, people, clinic.call.now)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400 if at_length() else 3))
def test_each_leaves_once_or_ends_for_a_reason_and_as_a_task_if_by_nobody(engine: Engine, seed: int) -> None:
    walk = begun(engine, seed)
    for _ in range(18):
        walk.act()
        walk.until(walk.now + walk.random.choice([0 * MINUTE, MINUTE, 10 * MINUTE, 5 * HOUR, 20 * HOUR]))
    walk.until(walk.now + 9 * DAY)
    said_once(walk)
    assert told_twice(walk) == []
    assert [each for _, letter, body in walk.left for each in disclosures(body)] == []
    assert [body for _, letter, body in walk.left if letter.channel == "sms" and septets(body) > LIMIT] == []
    owed = messages(walk.clinic)
    tasks = walk.rows(Task)
    assert [describe(one, walk) for one in owed if not accounted(one, owed, tasks)] == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_ends_for_no_reason_of_anybodys_and_as_no_task_is_seen(engine: Engine) -> None:
    walk = begun(engine, 0)
    asked = wanted(walk.clinic, walk.clinic.patient(contacts=[]), "fasted", "2030-03-04 09:00")
    walk.clinic.do(lambda s, c: booking.book(s, c, asked))
    walk.until(walk.now + 3 * DAY)
    owed = [one for one in messages(walk.clinic) if one.reason == "no_channel"]
    assert owed != []
    assert all(accounted(one, owed, walk.rows(Task)) for one in owed)
    assert not any(accounted(one, owed, []) for one in owed)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("merges", [True, False])
def test_a_word_on_eating_that_only_repeats_the_news_is_seen(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, merges: bool
) -> None:
    if not merges:
        monkeypatch.setattr(composing, "_is_of_the_news", lambda *_: False)
    walk = begun(engine, 2)
    walk.now = walk.clinic.at("2030-03-04 18:30")
    asked = wanted(walk.clinic, walk.clinic.patient(contacts=[MAIL]), "fasted", "2030-03-05 09:00")
    walk.clinic.do(lambda s, c: booking.book(s, c, asked), now=walk.now)
    walk.until(walk.now + HOUR)
    assert (told_twice(walk) == []) is merges


def said_once(walk: Walk) -> None:
    assert [key for key, times in Counter(letter.id for _, letter, _ in walk.left).items() if times > 1] == []
    told = Counter(
        (message.appointment_id, message.rule, message.sequence)
        for message in messages(walk.clinic, Message.status == "sent", Message.appointment_id.is_not(None))
    )
    assert max([*told.values(), 0]) <= 1


def told_twice(walk: Walk) -> list[str]:
    """Texts on when to stop eating that followed the news of that very time within minutes, over the same channel."""
    rows = {row.id: row for row in messages(walk.clinic)}
    news: dict[tuple[Any, ...], datetime] = {}
    found = []
    for now, letter, _ in walk.left:
        row = rows[letter.id]
        place = row.appointment_id, row.sequence, letter.channel
        if row.kind in NEWS:
            news[place] = now
        elif row.kind in FASTING and place in news and row.due_at <= news[place] + SAID_BY_NEWS:
            found.append(describe(row, walk))
    return found


def describe(one: Message, walk: Walk) -> str:
    return f"{one.rule} {one.status} {one.reason} due {to_local(one.due_at, walk.clinic.time_zone)} {one.context}"


def accounted(one: Message, owed: list[Message], tasks: list[Task]) -> bool:
    """Whether it was sent, or nobody needs it for a reason that somebody gave, or somebody was asked to see to it.

    What goes beside another is accounted for with that.
    """
    if "copies" in one.context and one.status == "failed":
        beside = one.appointment_id, one.sequence, one.context["copies"]
        one = next(each for each in owed if (each.appointment_id, each.sequence, each.rule) == beside)
    if one.status in {"sent", "pending", "sending"}:
        return one.status == "sent"
    if one.reason in DECIDED or one.called_off_at is not None:
        return True
    mine = [task for task in tasks if task.patient_id == one.patient_id]
    if one.reason == "merged":
        hosts = [each for each in owed if each.id == one.merged_into or one.context["note"] == f"said by {each.rule}"]
        return any(accounted(each, owed, tasks) for each in hosts)
    if one.reason == "on_hold":
        return any(task.kind == "clinical_hold" for task in mine)
    if one.reason == "too_late" and one.status == "suppressed":
        return not _is_lost(one, owed)
    # Reminders are left out under a cap, but the last one before a visit.
    is_left_out = one.reason == "over_cap" and one.context["class"] == "reminder" and not one.context["exempt"]
    return is_left_out or any(task.appointment_id in {None, one.appointment_id} for task in mine)


def _is_lost(one: Message, owed: list[Message]) -> bool:
    """Whether it should have been known, and nobody is asked to say it in its place."""
    if not one.context["instructs"] or one.context["side"] != "before" or one.rule.endswith("+call"):
        return False
    base = one.rule.partition("+")[0]
    place = one.appointment_id, one.sequence, f"{base}+call"
    calls = [each for each in owed if (each.appointment_id, each.sequence, each.rule) == place]
    assert one.appointment_id is not None
    return not any(each.status == "sent" or each.called_off_at or each.reason in DECIDED for each in calls)
