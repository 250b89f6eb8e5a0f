"""What patients read: every template, in every language, with ordinary and with the hardest values."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from scheduler.core.reminders import KINDS
from scheduler.messaging import render as render_module
from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.facts import Line, Moved
from scheduler.messaging.gsm7 import LIMIT, septets, to_gsm7
from scheduler.messaging.phrases import Phrases
from scheduler.messaging.render import (
    LINKED,
    TEMPLATES,
    Text,
    _Saying,
    locale_chain,
    render,
    shipped_locales,
    speak,
)
from scheduler.messaging.values import Values
from tests.messaging.sample_facts import START, facts, hard_cases

LOCALES = sorted(shipped_locales())
#: What is said in a call has its words beside these, and is tried in test_locked_screen.
WRITTEN = ("email", "sms")
#: After a visit the day is enough, and the zone of no use.
ABOUT_THE_DAY = {"d_instructions", "evening_check", "next_day_scale", "integration_prompt", "gap_nudge"}
#: A link of the length that they have, under an ordinary name.
LINK = "https://visits.example.org/p/" + "Ab3dE7kLmN" * 2 + "x9"
MANNERS = [*LOCALES, "en-US", "en-GB", "es-MX", "es-US"]


@cache
def tells_of_changes(kind: str) -> bool:
    """Whether a template of that kind, in any language, names what was made of the changed visits."""
    found = (path for locale in LOCALES for path in (TEMPLATES / locale / kind).iterdir())
    return any("changes" in path.read_text() or "first_new" in path.read_text() for path in found)


@cache
def hard_texts(locale: str, kind: str, channel: str) -> tuple[Text, ...]:
    """With the long list of changes only where it is told: to phrase it costs more than all the rest."""
    cases = [facts(), *hard_cases()]
    told = cases if tells_of_changes(kind) else [case._replace(moved=()) for case in cases]
    return tuple(render(kind, channel, case, [locale]) for case in told)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_kind_has_its_folder_and_every_folder_its_kind(locale: str) -> None:
    folders = {entry.name for entry in (TEMPLATES / locale).iterdir() if entry.is_dir()}
    assert folders == set(KINDS)
    for kind in KINDS:
        assert {entry.name for entry in (TEMPLATES / locale / kind).iterdir()} == {"subject.txt", "body.txt", "sms.txt"}


@pytest.mark.parametrize("channel", WRITTEN)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", MANNERS)
def test_nothing_gives_the_patient_away(locale: str, kind: str, channel: str) -> None:
    for text in hard_texts(locale, kind, channel):
        assert disclosures(f"{text.subject}\n{text.body}") == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", MANNERS)
def test_an_sms_is_one_sms(locale: str, kind: str) -> None:
    for body in (text.body for text in hard_texts(locale, kind, "sms")):
        assert septets(body) <= LIMIT, body
        assert to_gsm7(body) == body
        assert "STOP" in body, "every SMS says how to end them"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", MANNERS)
def test_an_sms_from_an_ordinary_clinic_names_the_zone_and_its_page_or_its_phone(locale: str, kind: str) -> None:
    said = {
        name: render(kind, "sms", facts()._replace(link=link), [locale], one_sms=exempt).body
        for name, link, exempt in (("linked", LINK, False), ("plain", "", False), ("exempt", LINK, True))
    }
    if locale in LOCALES:  # a clock with AM and PM may take the room
        assert (LINK in said["linked"]) is (kind in LINKED["sms"])
    assert "+1 212-555-0142" in said["linked"] or LINK in said["linked"]
    assert "+1 212-555-0142" in said["plain"]
    assert "+1 212-555-0142" in said["exempt"], "the law wants a way to reach the clinic"
    assert kind in ABOUT_THE_DAY or all("EST" in body for body in said.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_mail_leads_to_the_page_where_there_is_something_to_do(locale: str, kind: str) -> None:
    assert (LINK in render(kind, "email", facts()._replace(link=LINK), [locale]).body) is (kind in LINKED["email"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("locale", MANNERS)
def test_an_email_is_tidy(locale: str, kind: str) -> None:
    for text in hard_texts(locale, kind, "email"):
        assert text.subject
        assert "\n" not in text.subject
        assert len(text.subject) <= 100
        assert "\n\n\n" not in text.body
        assert "None" not in text.body
        assert "{" not in text.subject + text.body


@pytest.mark.parametrize("kind", ["booked", "remind_24h", "night_before", "rescheduled"])
@pytest.mark.parametrize("channel", WRITTEN)
def test_who_must_fast_is_told_the_very_time(kind: str, channel: str) -> None:
    for link in ("", LINK):
        body = render(kind, channel, facts()._replace(link=link), ["en"]).body
        assert ("From 03:00 clear liquids only" if channel == "sms" else "No food from 03:00") in body
        assert "07:00" in body, "when the liquids stop"
        assert "ride home" in body or "take you home" in body or (channel == "sms" and link in body)
        assert "3:00 AM" in render(kind, channel, facts()._replace(link=link), ["en-US"]).body


@pytest.mark.parametrize(("locale", "drive"), [("en", "not drive for 24 hours"), ("es", "conducir durante 24 horas")])
def test_how_long_not_to_drive_is_what_the_visit_says(locale: str, drive: str) -> None:
    assert drive in render("remind_24h", "email", facts(no_driving="24_hours"), [locale]).body
    free = render("remind_24h", "email", facts(no_driving=None), [locale]).body
    assert "driv" not in free
    assert "conduc" not in free


def test_a_fast_from_the_day_before_names_the_day() -> None:
    case = facts(food_until=START - timedelta(hours=12))
    assert "From Tue 21:00 clear liquids only" in render("night_before", "sms", case, ["en"]).body
    assert "No food from Tuesday 21:00" in render("night_before", "email", case, ["en"]).body
    assert "desde el martes a las 21:00" in render("night_before", "email", case, ["es"]).body, "not from the sea"
    assert "desde el martes a las 21:00" in speak("night_before", case, ["es"]).words


def test_a_fast_across_a_change_of_clocks_names_the_zone() -> None:
    start = datetime(2027, 11, 7, 7, 0, tzinfo=START.tzinfo)
    food = (start.astimezone(UTC) - timedelta(hours=7)).astimezone(START.tzinfo)
    case = facts(start, food_until=food, liquids_until=None)
    assert "No food from 01:00 EDT" in render("night_before", "sms", case, ["en"]).body


#: What in the reader's language stands before the hour at which the fast begins, in writing and in a call.
FASTING = {"en": r"(From|(No food|eat nothing) from) {}", "es": r"([Nn]o coma( nada)? d|D)esde (las )?{}"}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", ["booked", "remind_24h", "night_before", "rescheduled"])
def test_a_reader_elsewhere_is_told_by_whose_clock_to_fast(kind: str, locale: str) -> None:
    """At home in Chicago 03:00 would come an hour too late."""
    for zone, said in (("America/Chicago", "03:00 EST"), ("America/Detroit", "03:00(?! EST)")):
        case = facts(recipient_zone=zone)
        texts = [render(kind, channel, case, [locale]).body for channel in WRITTEN]
        texts += [render(kind, "sms", case._replace(link=link), [locale], one_sms=True).body for link in ("", LINK)]
        texts += [render(kind, "sms", case._replace(link=LINK), [locale]).body, speak(kind, case, [locale]).words]
        for text in texts:
            assert re.search(FASTING[locale].format(said), text), text
    in_words = render(kind, "email", facts(recipient_zone="America/Chicago"), [locale]).body
    assert re.search(r"(at|a las) 08:45 EST", in_words), "nor is anybody to arrive by another clock"


def test_in_spanish_an_hour_has_its_article() -> None:
    told = {hours: facts(food_until=START - timedelta(hours=hours), liquids_until=None) for hours in (6, 7.5, 12, 20)}
    said = {hours: render("remind_24h", "email", case, ["es"]).body for hours, case in told.items()}
    assert "No coma nada desde las 03:00." in said[6]
    assert "No coma nada desde la 01:30." in said[7.5]
    assert "No coma nada desde el martes a las 21:00." in said[12]
    assert "Si ha comido desde el martes a las 13:00, llámenos" in said[20]
    afternoon = facts(food_until=START - timedelta(hours=20), now=START - timedelta(days=1))
    assert "desde el martes a la 1:00" in render("remind_24h", "email", afternoon, ["es-US"]).body


def test_who_may_eat_is_not_kept_from_anything_but_drinking() -> None:
    body = render("remind_24h", "email", facts(food_until=None), ["en"]).body
    assert "No drinks from 07:00 on." in body
    assert "clear liquids" not in body


@pytest.mark.parametrize("kind", ["booked", "remind_24h", "night_before", "eske_nasal", "rescheduled"])
@pytest.mark.parametrize("locale", MANNERS)
def test_between_the_last_food_and_the_last_drink_only_clear_liquids_are_said_to_be_allowed(
    locale: str, kind: str
) -> None:
    """Who is told of food and of drinks alone has milk with no bad conscience."""
    clear = "solo l[ií]quidos claros" if locale.startswith("es") else "clear liquids only"
    for case in (facts(), *hard_cases()):
        if case.food_until is None:
            continue
        for now, link in product((case.food_until - timedelta(hours=9), case.food_until), ("", LINK)):
            said = case._replace(now=now, link=link)
            texts = [render(kind, channel, said, [locale]).body for channel in WRITTEN]
            texts += [render(kind, "sms", said, [locale], one_sms=True).body, speak(kind, said, [locale]).words]
            assert [text for text in texts if not re.search(clear, text)] == []
    for minutes in (0, 30):  # nobody is told to drink after the last drink
        same = facts(liquids_until=START - timedelta(hours=6, minutes=minutes))
        texts = [
            *(render(kind, channel, same, [locale]).body for channel in WRITTEN),
            speak(kind, same, [locale]).words,
        ]
        assert [text for text in texts if re.search(clear, text)] == []


@pytest.mark.parametrize(("locale", "also"), [("en", "Also: 15:00."), ("es", "También: 15:00.")])
def test_another_visit_is_told_with_its_time_as_short_as_can_be(locale: str, also: str) -> None:
    other, later = (Line(START + timedelta(hours=hours), "Clinic visit") for hours in (6, 7 * 24 + 6))
    body = render("remind_24h", "sms", facts(also=(other,), phone="", liquids_until=None), [locale]).body
    assert ("15:00" in body, septets(body) <= LIMIT) == (True, True)
    assert also in render("remind_24h", "sms", facts(also=(other,), link=""), [locale]).body
    both = render("remind_24h", "sms", facts(also=(other, later), liquids_until=None, phone="", link=""), [locale]).body
    assert re.search(r"15:00; \w+, (Jan 20|20 ene) 15:00", both), "no weekday without its date: it may be any week's"


def test_who_need_not_fast_or_ride_hears_nothing_of_it() -> None:
    case = facts(food_until=None, liquids_until=None, ride=False)
    for kind in set(KINDS) - {"night_before"}:  # which is owed for a fast only
        for channel in WRITTEN:
            body = render(kind, channel, case, ["en"]).body
            assert "food" not in body
            assert "drink" not in body
            assert "home" not in body


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(days=3), "in 3 days"),
        (timedelta(days=10), "in 10 days"),
        (timedelta(hours=24), "tomorrow"),
        (timedelta(hours=10), "tomorrow"),  # said at 23:00 of the day before
        (timedelta(hours=8), "today"),
        (timedelta(hours=5, minutes=59), "in 5 hours"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(minutes=59, seconds=59), "in 59 minutes"),
        (timedelta(minutes=1), "in 1 minute"),
        (timedelta(), "now"),
        (timedelta(hours=-3), "now"),
    ],
)
def test_how_far_ahead_is_said_truthfully(ahead: timedelta, said: str) -> None:
    body = render("remind_24h", "email", facts(now=START - ahead), ["en"]).body
    assert f"your appointment is {said}." in body


def test_hours_ahead_are_elapsed_over_a_change_of_clocks() -> None:
    start = datetime(2027, 3, 14, 5, 0, tzinfo=START.tzinfo)  # 01:00 EST is three hours before, not four
    late = facts(start, now=datetime(2027, 3, 14, 1, 0, tzinfo=START.tzinfo))
    assert "in 3 hours" in render("remind_24h", "email", late, ["en"]).body


def test_a_reader_elsewhere_is_told_whose_clock_it_is() -> None:
    near = render("booked", "email", facts(), ["en"]).body
    far = render("booked", "email", facts(recipient_zone="Pacific/Honolulu"), ["en"]).body
    assert "09:00 (Eastern Standard Time)" in near
    assert "09:00 (Eastern Standard Time, New York)" in far


@pytest.mark.parametrize(
    ("locales", "found", "word"),
    [
        (["es-MX", "en"], "es", "cita"),
        (["es_MX", "en"], "es", "cita"),
        (["fr", "es"], "es", "cita"),
        (["fr", "de"], "en", "appointment"),
        (["", "en"], "en", "appointment"),
        (["x" * 300], "en", "appointment"),
        (["../../../etc", "es"], "es", "cita"),
    ],
)
def test_the_language_falls_back(locales: list[str], found: str, word: str) -> None:
    text = render("remind_72h", "sms", facts(link=""), locales)
    assert text.locale.startswith(found)
    assert word in text.body


def test_the_chain_of_locales() -> None:
    assert locale_chain(["es_MX", "en-GB"]) == ("es-MX", "es", "en-GB", "en")


def test_a_language_is_written_as_the_reader_writes_it() -> None:
    assert "9:00 am (" in render("remind_24h", "email", facts(), ["es-MX"]).body
    assert "13 January 2027" in render("remind_24h", "email", facts(), ["en-GB"]).body


@pytest.mark.parametrize(("locale", "sender"), [("en", "Your clinic"), ("es", "Su clínica"), ("fr", "Your clinic")])
def test_names_that_would_give_the_patient_away_are_replaced(locale: str, sender: str) -> None:
    telling = facts(
        sender_name="Manhattan Ketamine Infusions",
        visit="IV ketamine induction",
        location="Depression Center",
        link="https://ketamineclinic.example.org/p/abc",
    )
    for kind in KINDS:
        for channel in WRITTEN:
            text = render(kind, channel, telling, [locale])
            assert disclosures(text.subject + text.body) == []
            said = to_gsm7(sender) if channel == "sms" else sender
            assert said in text.body
            assert text.sender == said
    assert "12 Main Street" in render("booked", "email", telling, [locale]).body


def test_values_are_values_and_no_templates() -> None:
    sly = facts(sender_name="{{ 7 * 7 }} {% include 'x' %}", visit="{{ phone }}")
    body = render("booked", "email", sly, ["en"]).body
    assert "{{ 7 * 7 }} {% include 'x' %}" in body
    assert "{{ phone }}" in body


def test_a_value_cannot_add_a_line() -> None:
    text = render("booked", "email", facts(sender_name="A\nBcc: b@example.org", phone="1\r\n2"), ["en"])
    assert "A Bcc: b@example.org" in text.body
    assert "Call us: 1 2" in text.body


def test_a_shipped_template_that_names_what_is_not_there_fails_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outer.txt").write_text('{% include "inner.txt" %}')
    (tmp_path / "inner.txt").write_text("{{ surprise }}")
    monkeypatch.setattr(render_module, "TEMPLATES", tmp_path)
    with pytest.raises(KeyError, match="surprise"):
        _Saying("booked", facts(), "en", "en", None)._shipped("outer.txt", Values(facts(), Phrases("en", {}), {}))


def test_what_a_template_includes_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = render("remind_24h", "email", facts(), ["en"])
    monkeypatch.setattr(render_module, "_environment", None)  # what would look for it
    assert render("remind_24h", "email", facts(), ["en"]) == said


def test_the_overview_lists_every_visit() -> None:
    body = render("series_overview", "email", facts(), ["en"]).body
    assert "Wednesday, January 13, 2027, 09:00 (Eastern Standard Time) - Clinic visit" in body
    assert "Saturday, January 16, 2027" in body


def test_news_of_a_move_names_both_times() -> None:
    moved = facts()._replace(previous_starts_at=START - timedelta(days=2))
    body = render("rescheduled", "email", moved, ["en"]).body
    assert "from Monday, January 11, 2027" in body
    assert "Wednesday, January 13, 2027" in body


@pytest.mark.parametrize(("locale", "stays"), [("en", "Your appointment takes place"), ("es", "Su cita tiene lugar")])
def test_a_visit_that_takes_place_after_all_is_not_said_to_have_moved(locale: str, stays: str) -> None:
    moved = facts()._replace(previous_starts_at=START - timedelta(days=2))
    assert render("rescheduled", "email", facts(), [locale]).subject == stays
    assert render("rescheduled", "email", moved, [locale]).subject != stays


@pytest.mark.parametrize(("locale", "asks"), [("en", "Will you come"), ("es", "¿Va a venir")])
def test_a_call_about_several_changes_tells_each_and_asks_for_none(locale: str, asks: str) -> None:
    """Whoever calls reads it aloud, also where nothing takes place any more."""
    changed = (Moved(START, None, "Visit"), Moved(START + timedelta(days=1), START + timedelta(days=2), "Visit"))
    said = speak("course_changed", facts(moved=changed), [locale]).words
    assert (asks in said, disclosures(said)) == (False, [])
    assert all(str(day) in said for day in (13, 14, 15))
    assert asks in speak("rescheduled", facts(), [locale]).words


@pytest.mark.parametrize("locale", MANNERS)
@pytest.mark.parametrize("phone", ["+1 212-555-0142", ""])
@pytest.mark.parametrize("kept", [0, 1, 5])
def test_an_sms_of_many_changes_names_the_first_and_how_many(locale: str, phone: str, kept: int) -> None:
    """Nobody may come to a cancelled visit for being told of a new time only; and where the others are told is said."""
    day = timedelta(days=1)
    gone = tuple(Moved(START + 7 * n * day, None, "Clinic visit") for n in range(6 - kept))
    moved = tuple(Moved(START + (7 * n + 3) * day, START + (7 * n + 2) * day, "Clinic visit") for n in range(kept))
    body = render("course_changed", "sms", facts(moved=(*moved, *gone), phone=phone), [locale]).body
    assert ": 6 " in body
    assert "13" in body, "the first of all that are told, by its old time or its new one"
    assert ("appointments cancelled" in body or "citas canceladas" in body) is (kept == 0)
    assert (phone in body) if phone else ("all us for all" in body or "Todas: llamenos" in body)
