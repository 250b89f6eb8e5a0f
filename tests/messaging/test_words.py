"""Forbidden words, the SMS alphabet, and the texts that clinics write themselves."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.messaging.custom import LONGEST, PLACEHOLDERS, faults_in, fill
from scheduler.messaging.disclosure import disclosures
from scheduler.messaging.gsm7 import LIMIT, segments, septets, to_gsm7
from scheduler.messaging.render import TEMPLATES, render
from tests.messaging.ordinary_words import ENGLISH, FIGURED, SPANISH
from tests.messaging.sample_facts import facts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Your Ketamine infusion", ["ketamine", "infusion"]),
        ("ESKETAMINE", ["esketamine"]),
        ("ketamineclinic.example.org", ["ketamineclinic"]),
        ("Su dosis de esketamina", ["dosis", "esketamina"]),
        ("infusión intravenosa", ["infusion", "intravenosa"]),
        ("Psychiatry, psychotherapy and Psychology", ["psychiatry", "psychotherapy", "psychology"]),
        ("Hypnotherapy", ["hypnotherapy"]),
        ("depression", ["depression"]),
        ("IV at nine", ["iv"]),
        ("give, live, private, Ivy", []),
        ("1 Elm St, Suite IV, Floor IV Room #IV\nBuilding IV", []),
        ("Edificio IV, Piso iv", []),
        ("IV Suite", ["iv"]),
        ("Suite IV infusion", ["iv", "infusion"]),
        ("Suite IV lounge, Unit\nIV", ["iv"]),
        ("Sala IV", ["iv"]),
        ("a dose, doses, dosage", ["dose", "doses", "dosage"]),
        ("Dr. Dosemite-Overdosen", ["dosemite"]),
        ("tratamiento", ["tratamiento"]),
        ("Your appointment on Tuesday. No food from 03:00.", []),
        ("", []),
    ],
)
def test_what_gives_a_patient_away(text: str, found: list[str]) -> None:
    assert disclosures(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "ket\u200bamine", "ket\u00adamine", "ket\u2060amine", "ket\U000e0061amine", "ket\ufe0famine", "ket\u3164amine",
        "k\u0435t\u0430min\u0435", "\u039a\u0395\u03a4\u0391\u039c\u0399\u039d\u0395", "KET\u039bMINE", "ketam\u0131ne",
        "\u1d0b\u1d07\u1d1b\u1d00\u1d0d\u026a\u0274\u1d07", "\U0001f1f0etamine", "\uff4b\uff45tamine",
        "ket-amine", "ket_amine", "k.e.t.a.m.i.n.e", "k e t a m i n e", "your I.V. visit", "e.g. i.v.",
        "https://example.org/%6Betamine", "ket{{link}}amine", "k3tamine", "KET4M1N3", "spr@vato", "1nfu$ion", "d0se",
        "tr4tamiento", "p5icoterapi4", "ket-\namine", "ket-  \n  amine", "ket\u2010amine", "in-\nfusion",
        "depre-\nsi\u00f3n", "ket amine", "keta\nmine", "ke ta mine", "esketa mine", "Spra vato", "medi cations",
        "trata - mientos",
    ],
)  # fmt: skip
@pytest.mark.parametrize("part", ["subject", "body", "sms"])
def test_no_guise_of_a_word_is_taken_for_another(text: str, part: str) -> None:
    assert "discloses" in dict(faults_in(part, f"{{{{when}}}}: {text}"))


def test_what_no_telephone_shows_does_not_part_a_word_of_an_sms() -> None:
    assert "discloses" in dict(faults_in("sms", "ket\U0001f48aamine {{when}}"))
    text = render("cancelled", "sms", facts(sender_name="Ket\U0001f48aamine Center"), ["en"])
    assert text.body.startswith("Your clinic:")


@pytest.mark.parametrize(
    "text",
    [
        "a las 8:00 a. m. o p. m.; y/o ll\u00e1menos", "Plan A, B, C", "e-mail, o.k., U.S.A., follow-up", "Re-read it.",
        "https://visits.example.org/p/qjzikBiVWqsDzyCjeWP8ry", "\u0141\u00f3d\u017a, \u0414\u043d\u0435\u043f\u0440",
        "100 %",
    ],
)  # fmt: skip
def test_what_is_written_with_marks_is_not_telling_for_that(text: str) -> None:
    assert disclosures(text) == []


@pytest.mark.parametrize("words", [ENGLISH, SPANISH, FIGURED], ids=["English", "Spanish", "figured"])
def test_ordinary_words_tell_nothing_whatever_stands_beside_them(words: str) -> None:
    """Alone, in the order of the list, and each beside each."""
    assert len(words.split()) > 50
    assert disclosures(words) == []
    assert disclosures("\n".join(words.split())) == []
    for word in words.split():
        assert disclosures(" ".join(f"{word} {other}." for other in words.split())) == []


def test_shipped_texts_tell_nothing_as_they_stand() -> None:
    paths = sorted(path for path in TEMPLATES.rglob("*") if path.is_file())
    assert len(paths) > 100
    assert {path.name: found for path in paths if (found := disclosures(path.read_text()))} == {}


def test_an_organization_adds_words_of_its_own() -> None:
    assert disclosures("The Riverbend team of Riverbend", ["riverbend"]) == ["riverbend"]
    assert disclosures("Riverbends", ["riverbend"]) == []
    assert disclosures("Riverbends", ["river*"]) == ["riverbends"]
    assert disclosures("Upriver", ["*river"]) == ["upriver"]


class TestSmsAlphabet:
    @pytest.mark.parametrize(
        ("text", "sent"),
        [
            ("it\u2019s \u201cfine\u201d \u2013 really\u2026", 'it\'s "fine" - really...'),
            ("miércoles, mañana, sábado", "miércoles, mañana, sabado"),
            ("¿Quién? ¡Así!", "¿Quién? ¡Asi!"),
            ("a\u00a0b\u202fc\td\n\ne", "a b c d e"),
            ("\U0001f600 hi \u533b", "hi"),
            ("\ufb01ne", "fine"),
            ("10 €", "10 €"),
        ],
    )
    def test_is_kept(self, text: str, sent: str) -> None:
        assert to_gsm7(text) == sent

    def test_characters_of_the_extension_count_twice(self) -> None:
        assert septets("a€[") == 5

    @pytest.mark.parametrize(("length", "needed"), [(160, 1), (161, 2), (306, 2), (307, 3)])
    def test_one_sms_holds_160_and_joined_ones_153_each(self, length: int, needed: int) -> None:
        assert segments("a" * length) == needed

    @given(st.text())
    def test_holds_whatever_comes(self, text: str) -> None:
        once = to_gsm7(text)
        assert to_gsm7(once) == once
        assert "\n" not in once


class TestClinicsOwnTexts:
    def test_placeholders_are_filled(self) -> None:
        assert fill("See you {{when}}, {{ sender }}!", {"when": "soon", "sender": "Us"}) == "See you soon, Us!"

    def test_what_a_value_says_is_not_read_again(self) -> None:
        assert fill("{{sender}}", {"sender": "{{phone}}", "phone": "1"}) == "{{phone}}"

    @pytest.mark.parametrize(
        ("part", "text", "codes"),
        [
            ("sms", "{{sender}}: {{when_short}}", []),
            ("body", "{{visit}} {{place}} {{ visits }}", []),
            ("sms", "{{visit}}", ["placeholder_not_here"]),
            ("subject", "{{place}}", ["placeholder_not_here"]),
            ("body", "{{birth_date}} {{birth_date}} {{x}}", ["unknown_placeholder", "unknown_placeholder"]),
            ("body", "{{ sender.__class__ }}", ["unknown_placeholder"]),
            ("body", "{% for a in b %}x{% endfor %}", ["stray_braces"]),
            ("body", "{{ {{sender}} }}", ["stray_braces"]),
            ("body", "{{", ["stray_braces"]),
            ("body", "Your ketamine infusion", ["discloses", "discloses"]),
            ("sms", "Dr. Riverbend", ["discloses"]),
            ("subject", "x" * 151, ["too_long"]),
            ("sms", "{{sender}}: ждём вас {{when_short}}", ["not_in_an_sms"]),
            ("sms", "\u00bfMañana? \u2018Sí\u2019 \u2013 \ufb01ne 10 €", []),
            ("body", "Ждём вас {{when}}", []),
            ("body", "  ", ["empty"]),
            ("sms", "{{psychosis}} dose" + "!" * 500, ["unknown_placeholder", "discloses", "too_long"]),
        ],
    )
    def test_every_fault_is_named(self, part: str, text: str, codes: list[str]) -> None:
        assert [code for code, _ in faults_in(part, text, ["riverbend"])] == codes

    @given(st.text(alphabet=string.ascii_letters + "{}% ", max_size=60))
    def test_a_text_without_faults_can_be_filled(self, text: str) -> None:
        if not list(faults_in("body", text)):
            assert "{{" not in fill(text, dict.fromkeys(PLACEHOLDERS, "v"))

    def test_a_clinics_text_goes_before_the_shipped_one(self) -> None:
        own = {"es": {"sms": "{{sender}}: le esperamos {{when_short}}"}}
        text = render("remind_24h", "sms", facts(), ["es-MX", "en"], own)
        assert text.body.startswith("Northgate Clinic: le esperamos mié 13 de ene 9:00 am EST")
        assert "reminder" in render("remind_24h", "email", facts(), ["en"], own).body

    @pytest.mark.parametrize("kind", ["remind_24h", "rescheduled"])
    def test_the_last_word_before_a_fast_says_so_whatever_a_clinic_wrote(self, kind: str) -> None:
        """Where the fast begins by day no other text speaks of it."""
        own = {"es": {"sms": "{{sender}}: le esperamos {{when_short}}.", "subject": "s", "body": "Venga el {{when}}."}}
        short, long = (render(kind, channel, facts(), ["es"], own).body for channel in ("sms", "email"))
        assert "EST. Desde 03:00 solo liquidos claros, desde 07:00 nada." in short
        assert long.endswith("hasta entonces, solo líquidos claros.\n")
        assert "No coma nada desde las 03:00." in long
        none = facts(food_until=None, liquids_until=None)
        assert [way for way in ("sms", "email") if "desde" in render(kind, way, none, ["es"], own).body.lower()] == []
        says = {"es": {part: f"{text} {{{{food_until}}}}" for part, text in own["es"].items()}}
        assert "liquidos" not in render(kind, "sms", facts(), ["es"], says).body
        assert "No food from 03:00" in render(kind, "email", facts(), ["fr"], {"fr": own["es"]}).body, (
            "in some language"
        )

    def test_what_a_clinic_did_not_write_is_shipped(self) -> None:
        own = {"es": {"sms": "x"}, "en": {"subject": "only a subject"}}
        assert "Le recordamos" in render("remind_24h", "email", facts(), ["es"], own).body
        assert render("remind_24h", "email", facts(), ["en"], own).subject != "only a subject"

    def test_a_language_that_is_not_shipped_may_be_written(self) -> None:
        own = {"fr": {"subject": "Rendez-vous", "body": "Le {{when}} ({{in_words}})"}}
        text = render("remind_24h", "email", facts(), ["fr"], own)
        assert text.subject == "Rendez-vous"
        assert "mercredi 13 janvier 2027" in text.body

    def test_every_placeholder_has_a_value(self) -> None:
        everything = " ".join(f"{{{{{name}}}}}" for name in sorted(PLACEHOLDERS))
        text = render("booked", "email", facts(), ["en"], {"en": {"subject": "s", "body": everything}})
        assert "{{" not in text.body

    def test_a_long_sms_of_a_clinic_is_still_sent(self) -> None:
        text = render("booked", "sms", facts(), ["en"], {"en": {"sms": "x" * LONGEST["sms"]}})
        assert LIMIT < LONGEST["sms"] < septets(text.body)
        assert segments(text.body) == 3
        assert text.body.endswith("STOP to opt out"), "whatever a clinic writes"

    def test_under_the_exemption_the_shipped_text_stands_in_for_a_long_one(self) -> None:
        long = {"en": {"sms": "{{when_short}}" + "x" * 200}}
        assert septets(render("booked", "sms", facts(), ["en"], long, one_sms=True).body) <= LIMIT
        assert "xxx" in render("booked", "sms", facts(), ["en"], long).body
