"""The day of a visit: the watch, tasks, delays, collisions, and what time alone decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.core.civil import to_instant
from scheduler.core.policies import Policies
from scheduler.core.visit import VisitType, parse_visit_type
from scheduler.core.visit_day import Stay, Times, collisions, delay, lateness, overdue, stage, tasks_of, watch

ZONE = "America/New_York"
START = datetime(2030, 3, 4, 14, tzinfo=UTC)
SPRAY: dict[str, Any] = {
    "code": "spray",
    "name": "Spray",
    "public_name": "Visit",
    "kind": "dosing",
    "modality": "esketamine",
    "segments": [
        {"name": "prep", "minutes": 20},
        {"name": "dose", "minutes": 15},
        {"name": "monitor", "minutes": 120},
        {"name": "discharge", "minutes": 10},
        {"name": "turnover", "minutes": 15, "patient": False},
    ],
    "observation": {"minutes": 120, "anchor": "last_device"},
    "tasks": [
        {"key": "form", "label": "Form", "anchor": "discharge", "offset_days": 7},
        {"key": "pressure", "label": "Pressure", "anchor": "last_device", "offset_minutes": 40},
        {"key": "call", "label": "Call", "anchor": "start", "offset_minutes": -60},
        {"key": "look", "label": "Look", "anchor": "dose", "offset_minutes": 10},
    ],
}


def spray(**changes: Any) -> VisitType:
    return parse_visit_type(SPRAY | changes, {})


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


PLAN = Times(START, at(165))


class TestWatch:
    def test_there_is_none_before_the_dose_and_none_that_nobody_demands(self) -> None:
        assert watch(spray(), PLAN) is None
        talk = parse_visit_type({key: SPRAY[key] for key in SPRAY if key not in {"observation", "tasks"}}, {})
        assert watch(talk, replace(PLAN, dosed_at=at(20))) is None

    def test_it_runs_from_the_last_device(self) -> None:
        found = watch(spray(), replace(PLAN, dosed_at=at(21), last_device_at=at(33)))
        assert found is not None
        assert (found.since, found.over_at, found.certain) == (at(33), at(153), True)

    def test_an_unknown_last_device_is_reckoned_from_the_plan(self) -> None:
        found = watch(spray(), replace(PLAN, dosed_at=at(21)))
        assert found is not None
        assert (found.since, found.over_at, found.certain) == (at(36), at(156), False)

    def test_it_runs_from_the_first_device_where_the_clinic_says_so(self) -> None:
        first = spray(observation={"minutes": 120, "anchor": "first_device"})
        found = watch(first, replace(PLAN, dosed_at=at(21), last_device_at=at(33)))
        assert found is not None
        assert (found.since, found.over_at, found.certain) == (at(21), at(141), True)

    @pytest.mark.parametrize("night", ["2030-03-10", "2030-11-03"])
    def test_its_minutes_are_elapsed_whatever_the_clocks_do(self, night: str) -> None:
        given = to_instant(datetime.fromisoformat(f"{night}T00:45"), ZONE)
        found = watch(spray(), Times(given, given + timedelta(hours=3), dosed_at=given, last_device_at=given))
        assert found is not None
        assert found.over_at - given == timedelta(minutes=120)


class TestTasks:
    def due(self, times: Times, **more: Any) -> dict[str, tuple[datetime, bool]]:
        said = {"status": "checked-in", "done": {}} | more
        return {each.key: (each.due_at, each.planned) for each in tasks_of(spray(), times, ZONE, **said)}

    def test_they_go_by_the_plan_until_something_happens(self) -> None:
        week = to_instant(datetime(2030, 3, 11, 11, 45), ZONE)  # noqa: DTZ001 - a wall time
        assert list(self.due(PLAN)) == ["call", "look", "pressure", "form"], "by due time"
        assert self.due(PLAN) == {
            "call": (at(-60), False),
            "look": (at(30), True),
            "pressure": (at(75), True),
            "form": (week, True),
        }
        assert week - at(165) == timedelta(days=7, hours=-1), "calendar days, and the clocks went forward in between"

    def test_they_go_by_what_happened_once_it_has(self) -> None:
        real = replace(PLAN, dosed_at=at(25), last_device_at=at(37), fulfilled_at=at(170))
        found = self.due(real)
        assert (found["look"], found["pressure"]) == ((at(35), False), (at(77), False))
        assert found["form"][1] is False
        assert self.due(replace(PLAN, dosed_at=at(25)))["pressure"] == (at(80), False), "reckoned, but no mere plan"

    @pytest.mark.parametrize("night", ["2030-03-09", "2030-11-02"])
    def test_minutes_are_elapsed_and_days_keep_the_time_of_day(self, night: str) -> None:
        given = to_instant(datetime.fromisoformat(f"{night}T23:45"), ZONE)
        home = given + timedelta(hours=1)
        found = self.due(Times(given, given, dosed_at=given, last_device_at=given, fulfilled_at=home))
        assert found["pressure"][0] - given == timedelta(minutes=40)
        assert found["form"][0] == to_instant(
            datetime.fromisoformat(f"{night}T23:45") + timedelta(days=7, hours=1), ZONE
        )

    def test_a_visit_without_a_dose_owes_no_readings(self) -> None:
        assert list(self.due(PLAN, status="fulfilled", outcome="not_dosed")) == ["call"]
        assert list(self.due(PLAN, status="noshow")) == []
        done = {"form": {"at": at(200).isoformat(), "by": "Ann", "note": None}}
        (form,) = tasks_of(spray(), PLAN, ZONE, status="cancelled", done=done)
        assert (form.key, form.done_at, form.done_by) == ("form", at(200), "Ann")

    def test_after_the_discharge_what_was_due_stays_and_what_was_not_goes(self) -> None:
        """A reading that nobody wrote down is to be written down; one for which the patient had gone never was."""
        real = replace(PLAN, dosed_at=at(25), last_device_at=at(37), fulfilled_at=at(50))
        gone = tasks_of(spray(), real, ZONE, status="fulfilled", outcome="dosed", done={})
        assert [(each.key, each.is_late(at(60))) for each in gone] == [("call", True), ("look", True), ("form", False)]
        home = replace(real, fulfilled_at=at(170))
        assert "pressure" in self.due(home, status="fulfilled", outcome="dosed")
        done = {"pressure": {"at": at(48).isoformat(), "by": "Ann", "note": None}}
        assert "pressure" in self.due(real, status="fulfilled", outcome="dosed", done=done), "done early is done"

    def test_one_is_late_when_its_time_is_over_and_nobody_did_it(self) -> None:
        (_, look, pressure, _) = tasks_of(spray(), replace(PLAN, dosed_at=at(20)), ZONE, status="checked-in", done={})
        assert (look.is_late(at(31)), look.is_late(at(30)), pressure.is_late(at(31))) == (True, False, False)
        planned = tasks_of(spray(), PLAN, ZONE, status="checked-in", done={})[1]
        assert not planned.is_late(at(500)), "what was only planned cannot be late"


class TestDelay:
    @pytest.mark.parametrize(
        ("status", "real", "now", "minutes"),
        [
            ("booked", {}, 7, 7),
            ("booked", {}, -30, 0),
            ("pending", {}, 30, 0),
            ("noshow", {}, 30, 0),
            ("arrived", {"arrived_at": at(12)}, 15, 12),
            ("checked-in", {"checked_in_at": at(-10)}, 15, 0),
            ("checked-in", {"checked_in_at": at(-10)}, 45, 25),
            ("checked-in", {"checked_in_at": at(2), "dosed_at": at(40), "last_device_at": at(52)}, 60, 17),
            ("checked-in", {"checked_in_at": at(2), "dosed_at": at(20), "last_device_at": at(30)}, 60, 0),
            ("checked-in", {"checked_in_at": at(2), "dosed_at": at(20), "last_device_at": at(30)}, 200, 35),
            ("fulfilled", {"fulfilled_at": at(180)}, 600, 15),
            ("fulfilled", {"fulfilled_at": at(150)}, 600, 0),
        ],
    )
    def test_of_a_dosing_visit(self, status: str, real: dict[str, Any], now: int, minutes: int) -> None:
        assert delay(spray(), replace(PLAN, **real), status, at(now)) == timedelta(minutes=minutes)

    def test_of_a_visit_without_a_dose(self) -> None:
        talk = spray(kind="integration", observation=None, segments=[{"name": "talk", "minutes": 165}])
        assert delay(talk, replace(PLAN, checked_in_at=at(8)), "checked-in", at(100)) == timedelta(minutes=8)
        assert delay(talk, replace(PLAN, checked_in_at=at(0), dosed_at=at(6)), "checked-in", at(9)) == timedelta(
            minutes=6
        )

    def test_a_few_minutes_are_no_news(self) -> None:
        assert list(lateness(spray(), PLAN, "booked", at(4))) == []
        assert [(flag.code, flag.minutes) for flag in lateness(spray(), PLAN, "booked", at(5))] == [("late", 5)]
        came = replace(PLAN, arrived_at=at(30))
        assert [flag.code for flag in lateness(spray(), came, "arrived", at(31))] == ["behind"]


NURSE, CHAIR, MINE, NEXT, THIRD = (UUID(int=number) for number in range(1, 6))


class TestCollisions:
    def found(
        self, mine: list[Stay], others: list[Stay], minutes: int, *, units: int = 1, since: int = 0
    ) -> list[tuple[UUID, UUID, datetime]]:
        met = collisions(mine, others, {NURSE: units, CHAIR: 1}, timedelta(minutes=minutes), at(since))
        return [(each.resource_id, each.owner, each.start) for each in met]

    def test_running_over_takes_what_the_next_was_promised(self) -> None:
        mine, following = Stay(CHAIR, MINE, at(0), at(180)), Stay(CHAIR, NEXT, at(185), at(300))
        assert self.found([mine], [following], 5) == []
        assert self.found([mine], [following], 6) == [(CHAIR, NEXT, at(185))]
        assert self.found([mine], [replace(following, start=at(180))], 1) == [(CHAIR, NEXT, at(180))]
        assert self.found([mine], [following], 0) == []

    def test_a_nurse_with_a_unit_to_spare_is_no_collision(self) -> None:
        mine, following = Stay(NURSE, MINE, at(0), at(60)), Stay(NURSE, NEXT, at(60), at(90))
        assert self.found([mine], [following], 30) == [(NURSE, NEXT, at(60))]
        assert self.found([mine], [following], 30, units=2) == []
        third = Stay(NURSE, THIRD, at(70), at(90))
        assert self.found([mine], [following, third], 30, units=2) == [(NURSE, THIRD, at(70))]
        assert self.found([replace(mine, units=2)], [following], 30, units=2) == [(NURSE, NEXT, at(60))]

    def test_what_is_behind_does_not_run_on(self) -> None:
        prep, following = Stay(NURSE, MINE, at(0), at(20)), Stay(NURSE, NEXT, at(20), at(40))
        assert self.found([prep], [following], 30, since=21) == []
        assert self.found([prep], [following], 30, since=20) == [(NURSE, NEXT, at(20))]

    def test_the_stage_follows_what_happened(self) -> None:
        assert stage(spray(), PLAN, "checked-in") == START
        assert stage(spray(), replace(PLAN, dosed_at=at(30)), "checked-in") == at(20)
        assert stage(spray(), replace(PLAN, fulfilled_at=at(170)), "fulfilled") == at(165)


class TestSweep:
    GRACE = Policies(no_show_after_minutes=15, release_pending_minutes=60)

    @pytest.mark.parametrize(
        ("status", "pencilled", "now", "wanted"),
        [
            ("booked", None, 14.9, None),
            ("booked", None, 15, "no_show"),
            ("booked", None, 24 * 60, "no_show"),
            ("booked", None, 24 * 60 + 1, None),
            ("arrived", None, 300, None),
            ("checked-in", None, 300, None),
            ("cancelled", None, 300, None),
            ("pending", None, -61, None),
            ("pending", None, -60, "release"),
            ("pending", -500, -501, None),
            ("pending", -500, -500, "expire"),
            ("pending", 500, -60, "release"),
        ],
    )
    def test_by_the_organizations_policy(
        self, status: str, pencilled: int | None, now: float, wanted: str | None
    ) -> None:
        until = None if pencilled is None else at(pencilled)
        assert overdue(status, START, until, self.GRACE, at(now)) == wanted

    def test_without_a_policy_only_the_pencil_fades(self) -> None:
        assert overdue("booked", START, None, Policies(), at(60)) is None
        assert overdue("pending", START, None, Policies(), at(60)) is None
        assert overdue("pending", START, at(-1), Policies(), at(0)) == "expire"

    def test_what_is_long_over_is_left_to_people_but_a_pencil_fades_a_month_later_too(self) -> None:
        day = 24 * 60
        assert overdue("booked", START, None, self.GRACE, at(2 * day)) is None
        assert overdue("pending", START, None, self.GRACE, at(2 * day)) is None
        assert overdue("pending", START, START, self.GRACE, at(31 * day)) == "expire"
        assert overdue("pending", START, START, self.GRACE, at(32 * day)) is None

    def test_a_grace_of_nothing_still_lets_the_visit_begin(self) -> None:
        policies = Policies(no_show_after_minutes=0)
        assert overdue("booked", START, None, policies, START) is None
        assert overdue("booked", START, None, policies, at(1)) == "no_show"
