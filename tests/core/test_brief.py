"""What one sentence of a refusal holds: what is alike said once, three reasons at most, the rest counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from scheduler.core.course import expand
from scheduler.core.easing import Rule, Spoken, brief
from scheduler.core.preferences import CoursePreferences
from tests.core.series import VISITS
from tests.core.series import parsed as protocol
from tests.core.test_easing import scene

KIM, LEE, SAM = (UUID(int=number) for number in (1, 2, 3))
NURSE, ROOM = "role:nurse", "room:infusion"
MAY = [(date(2030, 5, day), date(2030, 5, day + 2)) for day in (6, 20)]


def away(who: UUID, place: int = 0) -> Rule:
    return Rule("resource_absent", "manager", NURSE, who, start=MAY[place][0], end=MAY[place][1])


def gap(index: int) -> Rule:
    return Rule("gap_max", "prescriber", index=index)


WEEKDAYS, HOURS = Rule("weekdays", "patient"), Rule("hours", "patient")
BLACKOUTS = [Rule("blackout", "patient", start=first, end=last) for first, last in MAY]
OFF, BUSY = Rule("off_duty", "manager", NURSE), Rule("resource_busy", selector=NURSE)
ROOMS = [Rule("off_duty", "manager", ROOM), Rule("resource_busy", selector=ROOM)]


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([away(KIM)], "Kim is absent 6–8 May"),  # noqa: RUF001 - an en dash
        ([away(KIM), away(LEE)], "Kim and Lee are absent on 8 of the 9 days"),
        ([away(KIM), away(KIM, 1), OFF, BUSY], ("Kim is absent and every other nurse is off duty or taken by other "
                                               "visits on 8 of the 9 days")),
        ([away(KIM), away(LEE), away(SAM)], "Kim, Lee and 1 more are absent on 8 of the 9 days"),
        ([BUSY], "every nurse is taken by other visits on 8 of the 9 days"),
        (ROOMS, "every infusion room is closed or taken by other visits on each of the 9 days"),
        ([WEEKDAYS, HOURS, *BLACKOUTS], ("the patient comes on Mondays and Fridays only, the patient's visits start "
                                        "from 09:00 only and the patient is away 6–8 May and 20–22 May")),  # noqa: RUF001
        ([gap(3), gap(5), gap(7)], "at most 5 days between dose 1 and dose 2 and 2 like it"),
        ([WEEKDAYS, gap(3), OFF, BUSY, *ROOMS], (
            "the patient comes on Mondays and Fridays only ⇄ every nurse is off duty or taken by other visits on 8 of "
            "the 9 days ⇄ every infusion room is closed or taken by other visits on each of the 9 days ⇄ 1 more")),
    ],
)  # fmt: skip
def test_a_sentence(rules: list[Rule], text: str) -> None:
    wish = CoursePreferences(weekdays=frozenset({0, 4}), earliest=9 * 60)
    seen = replace(scene(VISITS["infusion"]), specs=expand(protocol()), preferences=wish)
    spoken = Spoken(seen, {KIM: "Kim", LEE: "Lee", SAM: "Sam"})
    assert brief(rules, spoken, lambda selector: (8 if selector == NURSE else 9, 9)) == text


def test_where_the_pool_alone_leaves_a_start_on_every_day_none_are_counted() -> None:
    seen = replace(scene(VISITS["infusion"]), specs=expand(protocol()))
    assert brief([BUSY], Spoken(seen, {}), lambda _: (0, 9)) == "every nurse is taken by other visits"


@pytest.mark.parametrize(
    ("rules", "before", "text"),
    [
        ([OFF, BUSY], [OFF, BUSY], "every nurse is off duty or taken by other visits at the sessions before it"),
        ([OFF, BUSY], [BUSY], ("every nurse is off duty on 8 of the 9 days and taken by other visits at the sessions "
                               "before it")),
        ([away(KIM), BUSY], [BUSY], ("Kim is absent 6–8 May and every nurse is taken by other visits at the sessions "  # noqa: RUF001
                                     "before it")),
    ],
)  # fmt: skip
def test_what_only_sessions_before_it_want_is_said_of_them(rules: list[Rule], before: list[Rule], text: str) -> None:
    seen = replace(scene(VISITS["infusion"]), specs=expand(protocol()))
    assert brief(rules, Spoken(seen, {KIM: "Kim"}), lambda _: (8, 9), before) == text
