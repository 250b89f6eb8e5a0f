"""What a visit would owe, shown before it does; rules in versions; the clinic's own texts. On both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid, NotFound, StaleRevision
from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.gsm7 import septets
from scheduler.models import AuditEvent, Message, MessageRules, MessageTemplate, Organization, Task
from scheduler.services import locations, message_preview, message_rules, message_texts, shipped
from scheduler.services.message_preview import Foreseen
from scheduler.services.outbox import in_words
from tests.clinic import Clinic, need, segment, visit_type
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol
from tests.desk import book
from tests.postroom import begin, cancel, claim, messages, only, open_postroom, set_state, settle

MONDAY = "2030-03-11 09:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


def foreseen(clinic: Clinic, visit: UUID, rules: Any = None) -> dict[str, Foreseen]:
    found = clinic.do(lambda s, c: message_preview.preview(s, c, appointment_id=visit, rules=rules))
    return {each.rule: each for each in found}


def counts(clinic: Clinic) -> list[int]:
    with Session(clinic.engine) as session:
        tables = (Message, MessageRules, MessageTemplate, AuditEvent, Task)
        return [session.scalars(select(func.count()).select_from(table)).one() for table in tables]


class TestPreview:
    def test_shows_every_message_with_its_moment_and_its_words_and_writes_nothing(self, clinic: Clinic) -> None:
        visit = book(clinic, clinic.patient(time_zone="America/Chicago"), "fasted", MONDAY).id
        before = counts(clinic)
        found = foreseen(clinic, visit)
        assert counts(clinic) == before
        night = found["night_before"]
        assert (night.due_at, night.channel) == (clinic.at("2030-03-10 18:00"), "sms")
        assert (night.septets, night.segments) == (septets(night.body or ""), 1)
        assert (night.recipient_zone, night.segments) == ("America/Chicago", 1)
        assert night.body is not None
        assert "Mon, Mar 11 09:00 EDT. From 03:00 EDT clear liquids only" in night.body
        assert found["booked"].subject == "Your appointment on Monday, March 11, 2030"
        assert (found["day_of"].status, found["day_of"].reason) == ("suppressed", "quiet_hours")
        assert (found["arrival_no_show"].channel, found["arrival_no_show"].body) == ("task", None)
        stored = {row.rule: (row.due_at, row.channel) for row in messages(clinic)}
        assert {rule: (each.due_at, each.channel) for rule, each in found.items()} == stored

    def test_says_what_is_said_by_another(self, clinic: Clinic) -> None:
        patient = clinic.patient()
        book(clinic, patient, "session", "2030-03-11 09:00")
        visit = book(clinic, patient, "session", "2030-03-11 11:00").id
        named = {rule["key"]: rule for rule in shipped.message_rules()}
        rules = [named["remind_24h"], named["rescheduled"]]
        near = rules[0] | {"key": "again", "at": {"anchor": "start", "minutes": -1320}}
        found = foreseen(clinic, visit, [*rules, near])
        assert (found["again"].reason, found["again"].note) == ("merged", "said by remind_24h")

    def test_carries_out_rules_that_are_not_stored(self, clinic: Clinic) -> None:
        visit = book(clinic, clinic.patient(), "fasted", MONDAY).id
        rule = {
            "key": "late", "kind": "remind_72h", "class": "reminder", "channels": ["sms"], "side": "before",
            "at": {"anchor": "start", "minutes": -660}, "expires": {"anchor": "start"},
        }  # fmt: skip
        (only_one,) = foreseen(clinic, visit, [rule]).values()
        assert only_one.due_at == clinic.at("2030-03-10 19:51")
        assert "moved out of quiet hours" in only_one.note
        with pytest.raises(Invalid) as caught:
            foreseen(clinic, visit, [rule | {"kind": "x"}, rule | {"only": {"visit_types": ["nope"]}, "side": "up"}])
        assert {fault.pointer for fault in caught.value.faults} >= {"/rules/0/kind", "/rules/1/side"}

    def test_is_what_then_leaves_when_the_last_text_of_a_day_is_kept_for_an_instruction(self, engine: Engine) -> None:
        clinic = open_postroom(engine, caps={"per_day": 1})
        named = {rule["key"]: rule for rule in shipped.message_rules()}
        plain = {name: value for name, value in named["remind_24h"].items() if name != "escalate"}  # no word on eating
        morning = plain | {"only": {}, "yields": {"to": ["rescheduled"], "minutes": 60}}
        clinic.do(lambda s, c: message_rules.change(s, c, [morning, named["night_before"], named["rescheduled"]]))
        visit = book(clinic, clinic.patient(), "fasted", MONDAY).id
        found = [each for each in foreseen(clinic, visit).values() if each.status == "pending" and each.body]
        left = []
        for each in found:
            for letter in claim(clinic, each.due_at):
                assert begin(clinic, letter, each.due_at)
                assert settle(clinic, letter, each.due_at)
                left.append((letter.kind, letter.channel, in_words(letter, each.due_at).body))
        assert [(each.kind, each.channel, each.body) for each in found] == left
        assert [(kind, channel) for kind, channel, _ in left] == [
            ("remind_24h", "email"), ("night_before", "sms"), ("night_before", "email"),
        ]  # fmt: skip

    def test_takes_the_visit_to_have_been(self, clinic: Clinic) -> None:
        visit = book(clinic, clinic.patient(), "fasted", MONDAY).id
        found = foreseen(clinic, visit)
        for rule, when in (("d_instructions", "2030-03-11 11:00"), ("next_day_scale", "2030-03-12 11:00")):
            assert (found[rule].due_at, bool(found[rule].body)) == (clinic.at(when), True)

    def test_asks_for_one_thing(self, clinic: Clinic) -> None:
        with pytest.raises(Invalid):
            clinic.do(message_preview.preview)
        with pytest.raises(NotFound):
            foreseen(clinic, clinic.call.organization_id)


class TestRules:
    def test_are_versions_of_which_the_newest_is_in_force(self, clinic: Clinic) -> None:
        held = clinic.do(message_rules.current)
        fewer = [rule for rule in held.items if rule["key"] != "day_of"]
        new = clinic.do(lambda s, c: message_rules.change(s, c, fewer, held.revision))
        assert (new.revision, new.items) == (2, fewer)
        assert clinic.do(lambda s, c: message_rules.change(s, c, fewer)).revision == 2, "the same is no version"
        with pytest.raises(StaleRevision):
            clinic.do(lambda s, c: message_rules.change(s, c, held.items, 1))
        book(clinic, clinic.patient(), "session", "2030-03-11 14:00")
        assert "day_of" not in {row.rule for row in messages(clinic)}

    def test_every_fault_is_named(self, clinic: Clinic) -> None:
        rule = shipped.message_rules()[0]
        with pytest.raises(Invalid) as caught:
            clinic.do(lambda s, c: message_rules.change(s, c, [rule | {"kind": 7, "x": 1}, "no", rule, rule]))
        places = {fault.pointer for fault in caught.value.faults}
        assert places >= {"/rules/0/kind", "/rules/0/x", "/rules/1", "/rules/3/key"}
        unknown = [rule | {"only": {"visit_types": ["nowhere"]}}]
        with pytest.raises(Invalid) as caught:
            clinic.do(lambda s, c: message_rules.change(s, c, unknown))
        assert [fault.code for fault in caught.value.faults] == ["unknown_visit_type"]


class TestOwnTexts:
    def put(self, clinic: Clinic, kind: str = "remind_24h", **parts: str | None) -> message_texts.TextView:
        return clinic.do(lambda s, c: message_texts.change(s, c, kind, "en", parts))

    def test_are_said_in_place_of_the_shipped(self, clinic: Clinic) -> None:
        view = self.put(clinic, sms="{{sender}}: see you {{when_short}}\u2019")
        assert (view.revision, view.preview["sms"].segments) == (1, 1)
        assert self.put(clinic, sms=None).revision == 2
        assert self.put(clinic, sms="{{sender}}: see you {{when_short}}.").revision == 3
        book(clinic, clinic.patient(), "session", "2030-03-11 14:00")
        (letter,) = [each for each in claim(clinic, only(clinic, "remind_24h").due_at) if each.kind == "remind_24h"]
        assert letter.own == {"en": {"sms": "{{sender}}: see you {{when_short}}."}}

    def test_are_seen_with_the_longest_values_of_the_clinic(self, clinic: Clinic) -> None:
        """Where they are longer than a common one: the site, the visit in that language, the clock, the link."""
        parts = {
            "subject": "{{day}}",
            "body": "{{when}} {{visit}} {{place}}",
            "sms": "{{when_short}} {{phone}} {{link}}",
        }
        said = self.put(clinic, "remind_72h", **parts).preview
        assert "Northgate and Riverside Valley, 1200 Long Avenue" in said["body"].text
        before = said["sms"].septets
        place = {"name": "The Eastern Harbor House of the Long Name", "address": "12 " + "Very " * 9 + "Long Street"}
        zoned = {"time_zone": "America/North_Dakota/New_Salem", "hours": clinic.hours}
        phone = "+44 (0)20 7946 0958 extension 12"
        with Session(clinic.engine) as session, session.begin():
            session.get_one(Organization, clinic.call.organization_id).phone = phone
        clinic.do(lambda s, c: locations.create(s, c, place | zoned))
        name = "A visit whose public name is longer than common ones are"
        clinic.visit(
            visit_type("long", segment("talk", 50, need("role:therapist")), public_names={"es": f"{name} (es)"})
        )
        clinic.visit(visit_type("longer", segment("talk", 50, need("role:therapist"))) | {"public_name": name})
        own = clinic.do(lambda s, c: message_texts.get(s, c, "remind_72h", "en", public_url="https://a." + "b" * 40))
        assert f"{name} {place['name']}, {place['address']}" in own.preview["body"].text
        assert "New Salem" in own.preview["body"].text
        assert (own.preview["sms"].septets or 0) > (before or 0)
        assert own.preview["sms"].segments == 1
        assert phone in own.preview["sms"].text
        spanish = clinic.do(lambda s, c: message_texts.change(s, c, "remind_72h", "es", parts))
        assert f"{name} (es)" in spanish.preview["body"].text

    def test_are_refused_with_every_fault(self, clinic: Clinic) -> None:
        with pytest.raises(Invalid) as caught:
            self.put(clinic, sms="Your infusion, {{birth_date}}", subject="{{visit}}")
        found = {(fault.pointer, fault.code) for fault in caught.value.faults}
        assert found >= {
            ("/sms", "unknown_placeholder"), ("/sms", "discloses"), ("/sms", "missing_placeholder"),
            ("/subject", "placeholder_not_here"), ("/body", "required"),
        }  # fmt: skip
        with pytest.raises(NotFound):
            clinic.do(lambda s, c: message_texts.get(s, c, "horoscope", "en"))
        with pytest.raises(NotFound):
            clinic.do(lambda s, c: message_texts.get(s, c, "remind_24h", "english"))


class TestCourses:
    def test_a_course_is_shown_whole_and_a_nudge_goes_only_where_the_next_dose_is_missing(self, engine: Engine) -> None:
        clinic = open_course_clinic(engine)
        clinic.call = replace(clinic.call, now=clinic.at("2030-03-01 10:00"))
        approve(clinic, protocol(2, gap=(14, 14, 21)))
        made = course(clinic)
        booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)
        before = counts(clinic)
        found = clinic.do(lambda s, c: message_preview.preview(s, c, course_id=made.id))
        assert counts(clinic) == before
        assert {each.appointment_id for each in found if each.appointment_id} == {each.id for each in booked}
        overview = next(each for each in found if each.kind == "series_overview" and each.status == "pending")
        assert (overview.course_id, overview.appointment_id) == (made.id, None)
        assert overview.body is not None
        assert [each.due_at for each in found] == sorted(each.due_at for each in found)
        (nudge,) = [each for each in found if each.kind == "gap_nudge"]
        assert (nudge.status, nudge.reason) == ("suppressed", "dose_booked")
        doses = [each.row for each in booked if each.row.visit_type == "dose"]
        first, second = sorted(doses, key=lambda each: each.starts_at)
        assert nudge.appointment_id == first.id
        cancel(clinic, second.id)
        set_state(clinic, first.id, status="fulfilled", fulfilled_at=first.ends_at)
        letters = [each for each in claim(clinic, nudge.due_at) if each.kind == "gap_nudge"]
        assert [each.channel for each in letters] == ["sms"]
        text = in_words(letters[0], nudge.due_at).body
        assert disclosures(text) == []

    @pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
    def test_a_rule_for_some_steps_is_owed_for_these_and_for_no_other(self, engine: Engine) -> None:
        clinic = open_course_clinic(engine)
        held = clinic.do(message_rules.current)
        base = next(rule for rule in held.items if rule["key"] == "remind_24h")
        base = {key: value for key, value in base.items() if key != "yields"}
        few = [base | {"key": key, "only": {"steps": [key]}} for key in ("dose", "talk", "elsewhere")]
        clinic.do(lambda s, c: message_rules.change(s, c, few, held.revision))
        approve(clinic, protocol(2))
        made = course(clinic)
        booked = accept(clinic, made.id, offer(clinic, made.id)[0].token)
        steps = {each.id: each.step for each in made.sessions}
        owed = {(row.rule.partition("+")[0], row.appointment_id) for row in messages(clinic)}
        wanted = {(steps[view.row.course_session_id or view.id], view.id) for view in booked}
        assert owed == {each for each in wanted if each[0] != "evaluation"}
        assert len(owed) == 4
