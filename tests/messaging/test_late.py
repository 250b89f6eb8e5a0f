"""What is read late: no time that has passed is told as if it were to come, and it is said what to do now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product

import pytest

from scheduler.core.reminders import KINDS
from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.facts import Facts
from scheduler.messaging.gsm7 import LIMIT, septets, to_gsm7
from scheduler.messaging.render import render, shipped_locales, speak
from tests.messaging.sample_facts import START, facts, hard_cases

LINK = "https://visits.example.org/p/" + "Ab3dE7kLmN" * 2 + "x9"
PHONE = "+1 212-555-0142"
FASTING = ["booked", "remind_24h", "night_before", "eske_nasal", "rescheduled"]
MANNERS = [*sorted(shipped_locales()), "en-US", "es-MX", "es-US"]
#: At 05:00 the last food (03:00) is over, at 08:00 the last drink (07:00) as well.
FIVE, EIGHT = START - timedelta(hours=4), START - timedelta(hours=1)


@pytest.mark.parametrize("kind", FASTING)
@pytest.mark.parametrize(
    ("locale", "now", "said"),
    [
        ("en", FIVE, "Now clear liquids only, from 07:00 nothing. Ate after 03:00? Call {}."),
        ("en", EIGHT, "No food or drink from now. Ate after 03:00 or drank after 07:00? Call {}."),
        ("es", FIVE, "Ya solo liquidos claros, desde 07:00 nada. ¿Comio desde 03:00? {}."),
        ("es", EIGHT, "Ya no coma ni beba. ¿Comio desde 03:00 o bebio desde 07:00? {}."),
    ],
)
def test_a_late_text_says_what_to_do_now_and_whom_to_call(kind: str, locale: str, now: datetime, said: str) -> None:
    """Of an ordinary clinic; where there is much room it says more."""
    number, nobody = (f"Llame al {PHONE}", "Llamenos") if locale == "es" else (PHONE, "us")
    for case in (facts(now=now, link=""), facts(now=now, link=LINK)):
        body = render(kind, "sms", case, [locale], one_sms=True).body
        assert said.format(number) in body or (said.format(nobody) in body and LINK in body), body


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en", "No food from now; clear liquids only until 07:00, then nothing. Ate after 03:00? Call us."),
        ("es", "Ya no coma; solo liquidos claros hasta 07:00, luego nada. ¿Comio desde 03:00? Llamenos."),
    ],
)
def test_where_there_is_room_a_late_text_says_it_in_full(locale: str, said: str) -> None:
    case = facts(now=FIVE, link="", phone="", sender_name="Harbor", ride=False)
    assert said in render("night_before", "sms", case, [locale]).body


@pytest.mark.parametrize(
    ("locale", "now", "written", "spoken"),
    [
        (
            "en",
            FIVE,
            ["No food from now on. If you have eaten, or drunk anything but clear liquids, after 03:00, call us before",
             "No drinks from 07:00 on; until then clear liquids only."],
            ["Please eat nothing from now on. If you have eaten, or drunk anything but clear liquids, after 03:00,",
             "Please drink nothing from 07:00 on; until then clear liquids only."],
        ),
        (
            "en",
            EIGHT,
            ["after 03:00, call us", "No drinks from now on. If you have drunk anything after 07:00, call us before"],
            ["after 03:00, tell us", "drink nothing from now on. If you have drunk anything after 07:00, tell us"],
        ),
        (
            "es",
            FIVE,
            ["No coma nada desde ahora. Si ha comido, o bebido algo que no sean líquidos claros, desde las 03:00, llám",
             "No beba nada desde las 07:00; hasta entonces, solo líquidos claros."],
            ["no coma nada desde ahora. Si ha comido, o bebido algo que no sean líquidos claros, desde las 03:00, díga",
             "no beba nada desde las 07:00; hasta entonces, solo líquidos claros."],
        ),
        (
            "es",
            EIGHT,
            ["desde las 03:00, llámenos", "No beba nada desde ahora. Si ha bebido algo desde las 07:00, llámenos"],
            ["desde las 03:00, díganoslo", "no beba nada desde ahora. Si ha bebido algo desde las 07:00, díganoslo"],
        ),
    ],
)  # fmt: skip
def test_so_do_a_late_mail_and_a_late_call(locale: str, now: datetime, written: list[str], spoken: list[str]) -> None:
    case = facts(now=now)
    for kind in FASTING:
        mail, call = render(kind, "email", case, [locale]).body, speak(kind, case, [locale]).words
        assert [part for part in written if part not in mail] == []
        assert [part for part in spoken if part not in call] == []


def lates() -> Iterator[Facts]:
    """Every order of last food and last drink, one of them or both over, with the hardest values that are real."""
    for case in (facts(), *hard_cases()):
        food, liquids = case.food_until, case.liquids_until
        if food is None or liquids is None:
            continue
        pairs = [(food, liquids), (food, None), (None, liquids), (food, food), (liquids, food)]
        for (solid, liquid), now, link in product(pairs, (food, liquids, case.starts_at), ("", LINK)):
            yield case._replace(food_until=solid, liquids_until=liquid, now=now, link=link)


@pytest.mark.parametrize("locale", MANNERS)
def test_a_late_text_is_one_sms_and_gives_nobody_away(locale: str) -> None:
    for kind, case in product(FASTING, lates()):
        body = render(kind, "sms", case, [locale]).body
        assert (septets(body) <= LIMIT, to_gsm7(body) == body, "STOP" in body, disclosures(body)) == (
            True, True, True, [],
        ), body  # fmt: skip


#: How a time that is still to come is told, of this day or another.
AHEAD = re.compile(
    r"(?:[Ff]rom|until|to|[Aa]rrive at|[Hh]asta|[Ll]legue a|Desde|(?:[Nn]o|ni) (?:com|beb)a(?: nada)? desde|hol desde)"
    r" (?:(?:[A-Z]\w+|el \w+ a) )?(?:las? )?(\d\d:\d\d)|desde (\d\d:\d\d) nada"
)


@pytest.mark.parametrize(
    "said",
    [
        "From 03:00 clear liquids", "no food from Tue 03:00", "Please arrive at 03:00.", "No coma nada desde las 03:00",
        "beba; hasta las 03:00", "Nada de alcohol desde el martes a las 03:00", "desde 03:00 nada",
        "Llegue a las 03:00",
    ],
)  # fmt: skip
def test_a_time_to_come_is_known_by_the_word_before_it(said: str) -> None:
    assert ["".join(found) for found in AHEAD.findall(said)] == ["03:00"]


@pytest.mark.parametrize("locale", sorted(shipped_locales()))
def test_no_time_that_has_passed_is_told_as_one_to_come(locale: str) -> None:
    alcohol = START - timedelta(hours=5)
    for kind, minutes in product(KINDS, (-1, 0, 14, 16, 59, 61, 119, 121, 299, 301, 359, 361)):
        now = START - timedelta(minutes=minutes)
        case = facts(now=now, alcohol_until=alcohol, visits=(), moved=(), link="")
        said = [render(kind, channel, case, [locale]).body for channel in ("sms", "email")]
        for text in (*said, speak(kind, case, [locale]).words):
            clocks = map("".join, AHEAD.findall(text))
            told = [START.replace(hour=int(clock[:2]), minute=int(clock[3:])) for clock in clocks]
            assert [moment for moment in told if moment <= now] == [], (now, text)


@pytest.mark.parametrize(
    ("locale", "alcohol", "arrive", "sheet"),
    [
        (
            "en",
            "No alcohol from now on. If you have had any after Tuesday 09:00, call us",
            "Please come now",
            "From now",
        ),
        (
            "es",
            "Nada de alcohol desde ahora. Si ha tomado algo desde el martes a las 09:00, llámenos",
            "Venga ya",
            "Desde ahora",
        ),
    ],
)
def test_the_other_times_are_told_so_too(locale: str, alcohol: str, arrive: str, sheet: str) -> None:
    """Coming early, nose sprays, and what one must not drink the day before."""
    case = facts(now=START - timedelta(minutes=10), alcohol_until=START - timedelta(days=1))
    assert alcohol in render("remind_24h", "email", case, [locale]).body
    assert arrive in render("remind_24h", "email", case, [locale]).body
    assert arrive in render("day_of", "sms", case, [locale]).body
    assert [sheet in render("eske_nasal", channel, case, [locale]).body for channel in ("sms", "email")] == [
        False,
        True,
    ]


@pytest.mark.parametrize(("locale", "late"), [("en", "No food from now; clear"), ("es", "Ya no coma; solo")])
@pytest.mark.parametrize("kind", ["night_before", "remind_72h"])
def test_to_a_clinics_own_text_that_names_a_time_is_added_what_to_do_once_it_has_passed(
    kind: str, locale: str, late: str
) -> None:
    own = {locale: {"sms": "{{when_short}} {{food_until}}", "subject": "s", "body": "{{when}} {{food_until}}"}}
    nine = START - timedelta(hours=9)
    in_time, at_five = (render(kind, "sms", facts(now=now), [locale], own).body for now in (nine, FIVE))
    assert (late in in_time, late in at_five, PHONE in at_five) == (False, True, True)
    mail = render(kind, "email", facts(now=FIVE), [locale], own).body
    assert ("No food from now on." if locale == "en" else "No coma nada desde ahora.") in mail
