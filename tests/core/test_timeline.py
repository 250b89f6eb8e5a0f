"""The picture of a course: well formed, all in words too, readable without color, and safe whatever text comes in."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from xml.etree import ElementTree as ET

import pytest

from scheduler.core.timeline import Bar, Gate, Lost, Mark, State, Timeline, described, draw
from scheduler.core.timeline.values import WORDS

MONDAY = date(2030, 3, 4)
SVG = "{http://www.w3.org/2000/svg}"


def _read(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own drawing


def bar(place: int, state: State | None, **more: object) -> Bar:
    day = MONDAY + timedelta(days=3 * place)
    mark = None if state is None else Mark(datetime.combine(day, time(9)), state)
    values = {"label": "dose", "phase": "induction", "kind": "dosing", "latest": day + timedelta(days=2)} | more
    return Bar(place + 1, earliest=day, target=day, mark=mark, **values)  # type: ignore[arg-type]


STATES: tuple[State | None, ...] = ("done", "booked", "pencilled", "planned", "broken", None)
COURSE = Timeline(
    "Ketamine IV, course",
    "America/New_York",
    MONDAY + timedelta(days=4),
    tuple(bar(place, state) for place, state in enumerate(STATES)),
    (
        Gate(2, "response review", hard=True, outcome="pending"),
        Gate(6, "last look", hard=False, outcome="pending"),
    ),
)


def test_every_session_and_gate_is_in_the_picture_and_in_words() -> None:
    root = _read(draw(COURSE))
    titles = [each.text or "" for each in root.iter(f"{SVG}title")]
    words = list(described(COURSE))
    assert titles[0] == COURSE.title
    assert [each for each in titles if re.match(r"\d+\. ", each)] == [each for each in words if "gate" not in each]
    assert root.findtext(f"{SVG}desc") == " ".join(words)
    assert words[2] == "Hard gate, response review: pending."
    assert words[0] == "1. dose (induction): done on Mon 04 Mar 2030 at 09:00; window 04 Mar 2030 to 06 Mar 2030."
    assert words[-1] == "Soft gate, last look: pending.", "behind the last session too"
    assert root.get("role") == "img"


def test_a_visit_that_nobody_closed_is_not_said_to_be_outside_its_window() -> None:
    """Gaps, supplies, visits of yesterday: of what is out of order a picture says only that somebody has to look."""
    picture = draw(Timeline("one", "UTC", MONDAY, (bar(0, "broken"),)))
    assert "1. dose (induction): booked, to be looked at on Mon 04 Mar 2030" in picture
    assert "outside" not in picture


def test_nothing_is_written_over_anything_else() -> None:
    """A time stands beside its window, a gate's line behind its words, and the legend below the last gate."""
    name = "a review with rather a long name"
    long = [bar(place, "booked", latest=MONDAY + timedelta(days=3 * place + 4)) for place in range(6)]
    root = _read(draw(Timeline("one", "UTC", MONDAY, tuple(long), (Gate(6, name, hard=True, outcome="pending"),))))
    groups = [each for each in root.iter(f"{SVG}g") if each.find(f"{SVG}title") is not None]
    for group in groups:
        window = next((each for each in group.iter(f"{SVG}rect") if each.get("class") == "window"), None)
        said = next((each for each in group.iter(f"{SVG}text") if each.get("class") == "when"), None)
        if window is not None and said is not None:
            left = float(window.get("x", ""))
            inside = left < float(said.get("x", "")) < left + float(window.get("width", ""))
            assert not inside, said.text
    [gate] = [each for each in groups if name in (each.findtext(f"{SVG}title") or "")]
    words, line = gate.find(f"{SVG}text"), gate.find(f"{SVG}line")
    assert words is not None
    assert line is not None
    assert float(line.get("x1", "")) > 22 + 6 * len(words.text or "")
    legend = next(each for each in root.iter(f"{SVG}text") if each.text == "done")
    assert float(legend.get("y", "")) - float(words.get("y", "")) > 20


def test_what_did_not_count_and_when_a_supply_ends_is_drawn_and_told() -> None:
    lost = (
        Lost(datetime.combine(MONDAY, time(9)), "missed"),
        Lost(datetime.combine(MONDAY, time(15)), "no dose given"),
    )
    said = Timeline("one", "UTC", MONDAY, (bar(0, "booked", lost=lost, use_by=MONDAY + timedelta(days=45)),))
    assert said.days[1] == MONDAY + timedelta(days=45)
    [words] = described(said)
    assert words.endswith(
        "; missed on Mon 04 Mar 2030 at 09:00; no dose given on Mon 04 Mar 2030 at 15:00; to be given by 18 Apr 2030."
    )
    plain = Timeline("one", "UTC", MONDAY, (bar(0, "booked"),))

    def drawn(timeline: Timeline, style: str) -> int:
        return sum(each.get("class") == style for each in _read(draw(timeline)).iter(f"{SVG}line"))

    assert [drawn(said, style) - drawn(plain, style) for style in ("lost", "use")] == [4, 3]


def test_states_differ_by_shape_or_hatching_not_by_color_alone() -> None:
    style = re.search(r"<style>(.*?)</style>", draw(COURSE))
    assert style is not None
    colors = set(re.findall(r"#([0-9a-f]{3,6})\b", draw(COURSE)))
    assert all(each[: len(each) // 3] * 3 == each for each in colors), "greys only"
    rules = dict(re.findall(r"\.(\w+)\{([^}]*)\}", style[1]))
    looks = {state: re.sub(r"stroke-width:[\d.]+;?", "", rules[state]) for state in WORDS if state in rules}
    marks = {"planned": looks["planned"] + "thick", "broken": looks["broken"] + "cross"}
    assert len({*(looks | marks).values()}) == len(looks)


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '"><image href="x"/>', "a & b", "]]>", "\u202e"])
def test_text_that_comes_in_stays_text(nasty: str) -> None:
    evil = Timeline(
        nasty, nasty, MONDAY, (bar(0, "booked", label=nasty, phase=nasty),), (Gate(0, nasty, hard=True, outcome=nasty),)
    )
    root = _read(draw(evil))
    allowed = "svg title desc style defs pattern rect line circle path text g"
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= set(allowed.split())
    assert not [key for each in root.iter() for key in dict(each.items()) if key.startswith("on") or "href" in key]


def test_a_course_of_one_open_session_and_one_of_a_year_both_fit() -> None:
    for timeline in (
        Timeline("one", "UTC", MONDAY, (bar(0, None, latest=None),)),
        Timeline("long", "UTC", MONDAY, tuple(bar(place, "booked") for place in range(110))),
    ):
        root = _read(draw(timeline))
        numbers = [float(each.get("x", "0")) for each in root.iter(f"{SVG}text")]
        assert all(0 <= number <= 1000 for number in numbers)


def test_however_long_names_are_they_end_within_the_picture_and_are_whole_in_words() -> None:
    long = "un nombre bastante largo " * 9
    gate = Gate(1, long, hard=True, outcome="pending")
    picture = Timeline(long, "UTC", MONDAY, (bar(0, "booked", label=long, phase=long),), (gate,))
    root = _read(draw(picture))
    for text in root.iter(f"{SVG}text"):
        letter = {"title": 9.6, "small": 6.0}.get(text.get("class") or "", 6.4)
        assert float(text.get("x") or 0) + letter * len(text.text or "") <= 1000, text.text
    for line in (each for each in root.iter(f"{SVG}line") if "gate" in (each.get("class") or "")):
        assert float(line.get("x1") or 0) <= float(line.get("x2") or 0)
    assert root.findtext(f"{SVG}title") == long
    assert long in (root.findtext(f"{SVG}desc") or "")
