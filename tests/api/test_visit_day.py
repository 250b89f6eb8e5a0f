"""A visit's day at the front desk, through the client: what is sent, what comes back, what a refusal shows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.attacker import ACTS
from tests.api.conftest import Person, make_key
from tests.api.examples import made, patient
from tests.core.test_lifecycle import TABLE

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

    from tests.plumbing.clock import Clock

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DOSING: dict[str, Any] = {
    "code": "dosing",
    "kind": "dosing",
    "modality": "im",
    "segments": [
        {"name": "prep", "minutes": 20, "needs": [{"role": "nurse", "mode": "exclusive"}]},
        {"name": "dose", "minutes": 10, "needs": [{"role": "nurse", "mode": "exclusive"}]},
        {"name": "monitor", "minutes": 120, "needs": [{"role": "nurse", "mode": "shared"}]},
    ],
    "observation": {"minutes": 120, "anchor": "last_device"},
    "checklist": [
        {"key": "ride", "label": "Ride home", "effect": "blocks", "at": "check_in", "value": "text"},
        {"key": "mood", "label": "Questionnaire", "effect": "warns", "at": "check_in", "same_day": True},
        {"key": "pulse", "label": "Pulse", "effect": "blocks", "at": "start", "value": "number", "min": 50, "max": 110},
    ],
    "tasks": [
        {"key": "pressure", "label": "Pressure", "anchor": "last_device", "offset_minutes": 40},
        {"key": "form", "label": "Form", "anchor": "discharge", "offset_days": 7},
    ],
}
RIDE = {"ride": {"ok": True, "value": "Ann"}}


class Desk:
    """Alice's site with a nurse, and one visit that begins when the story's clock says 15:00 UTC."""

    def __init__(self, alice: Person, clock: Clock) -> None:
        self.alice, self.clock = alice, clock
        self.start = clock().replace(hour=15, minute=0, second=0, microsecond=0) + timedelta(days=1)
        made(alice, "/v1/visit-types", name="Dosing", public_name="Visit", **DOSING)
        self.site = made(alice, "/v1/locations", name="Main", time_zone="America/New_York", hours=_hours())
        shifts = [{**day, "location_id": self.site} for day in _hours()]
        made(alice, "/v1/practitioners", name="Fern", roles=[{"code": "nurse"}], units=2, hours=shifts)
        body = {"visit_type": "dosing", "location_id": self.site, "start": self.start.isoformat()}
        self.visit = made(alice, "/v1/appointments", **body | {"patient_id": patient(alice)})

    def do(self, action: str, minutes: float | None = None, **options: Any) -> TestResponse:
        """Act so many minutes after the visit's start."""
        if minutes is not None:
            self.at(minutes)
        return self.alice.post(f"/v1/appointments/{self.visit}/{action}", **options)

    def at(self, minutes: float) -> None:
        self.clock.move(self.start + timedelta(minutes=minutes) - self.clock())

    def get(self, rest: str = "") -> TestResponse:
        return self.alice.get(f"/v1/appointments/{self.visit}{rest}")


def _hours() -> list[dict[str, str]]:
    return [{"weekday": day, "start": "00:00", "end": "24:00"} for day in WEEK]


@pytest.fixture
def desk(alice: Person, clock: Clock) -> Desk:
    return Desk(alice, clock)


def test_a_day_at_the_desk(desk: Desk) -> None:
    shown = desk.get().json
    assert (shown["status"], shown["flags"], shown["observation_over_at"]) == ("booked", [], None)
    assert [(item["key"], item["answer"]) for item in shown["checklist"]] == [
        ("ride", None), ("mood", None), ("pulse", None),
    ]  # fmt: skip
    assert [(task["key"], task["planned"], task["done_at"]) for task in shown["tasks"]] == [
        ("pressure", True, None), ("form", True, None),
    ]  # fmt: skip
    assert desk.do("arrive", -20).json["status"] == "arrived"
    answer = desk.do("check-in", -10, json={"checklist": RIDE}, headers={"X-Actor": "Bob"})
    assert (answer.status_code, answer.json["status"]) == (200, "checked-in")
    assert answer.json["checked_in_at"].endswith(("-05:00", "-04:00")), "the clinic's own offset"
    assert [(flag["code"], flag["item"]) for flag in answer.json["flags"]] == [("checklist_warning", "mood")]
    assert answer.json["checklist"][0]["answer"]["by"] == "Bob"
    last = (desk.start + timedelta(minutes=29)).isoformat()
    begun = desk.do("start", 30, json={"checklist": {"pulse": {"ok": True, "value": 72}}, "last_device_at": last,
                                       "at": (desk.start + timedelta(minutes=20)).isoformat()})  # fmt: skip
    assert (begun.status_code, begun.json["status"]) == (200, "checked-in")
    over = datetime.fromisoformat(begun.json["observation_over_at"])
    early = desk.do("fulfill", 148)
    assert (early.status_code, early.json["code"]) == (409, "observation_not_over")
    assert early.json["reasons"][0]["segment"] == "monitor"
    assert datetime.fromisoformat(early.json["reasons"][0]["to"]) == over == desk.start + timedelta(minutes=149)
    ticked = desk.do("tasks/pressure/done", json={"by": "Fern", "note": "128/82"})
    assert (ticked.status_code, ticked.json["tasks"][0]["done_by"]) == (200, "Fern")
    left = desk.do("fulfill", 149)
    assert (left.json["status"], left.json["outcome"]) == ("fulfilled", "dosed")
    actions = [step["action"] for step in desk.get("/history").json["items"]]
    assert actions == ["book", "arrive", "check-in", "start", "task", "fulfill"]


def test_a_refused_check_in_names_every_item(desk: Desk) -> None:
    answer = desk.do("check-in", -10)
    assert (answer.status_code, answer.json["code"]) == (409, "checklist_incomplete")
    assert [(reason["code"], reason["item"]) for reason in answer.json["reasons"]] == [("checklist_incomplete", "ride")]
    assert desk.get().json["status"] == "booked"


def test_an_override_names_a_person_and_takes_its_scope(
    desk: Desk, app: Flask, engine: Engine, clock: Clock, alice: Person
) -> None:
    waiver = {"items": ["ride"], "by": "Dr. Lee", "reason": "stays next door"}
    _, token = make_key(engine, clock, alice.organization_id, "scheduling:write")
    bob = Person(app, alice.organization_id, token)
    refused = bob.post(f"/v1/appointments/{desk.visit}/check-in", json={"override": waiver})
    assert (refused.status_code, refused.json["code"]) == (403, "insufficient_scope")
    nameless = desk.do("check-in", json={"override": {"items": ["ride"]}})
    assert {fault["pointer"] for fault in nameless.json["errors"]} == {"/override/by", "/override/reason"}
    unknown = desk.do("check-in", json={"override": waiver | {"items": ["ride", "nothing"]}})
    assert [fault["pointer"] for fault in unknown.json["errors"]] == ["/override/items/1"]
    early = desk.do("check-in", json={"override": waiver})
    assert [(reason["code"], reason["item"]) for reason in early.json["reasons"]] == [
        ("checklist_incomplete", "visit_day")
    ], "the visit is tomorrow, which is answered for like anything else"
    taken = desk.do("check-in", json={"override": waiver | {"items": ["ride", "visit_day"]}})
    assert taken.status_code == 200, taken.text
    assert taken.json["checklist"][0]["answer"]["waived"]["by"] == "Dr. Lee"
    (*_, step) = alice.get(f"/v1/appointments/{desk.visit}/history").json["items"]
    assert step["after"]["checklist"]["visit_day"]["waived"]["by"] == "Dr. Lee"


@pytest.mark.parametrize(
    ("answers", "pointer", "code"),
    [
        ({"nothing": {"ok": True}}, "/checklist/nothing", "unknown_item"),
        ({"ride": {"ok": "yes"}}, "/checklist/ride/ok", "invalid_type"),
        ({"ride": {}}, "/checklist/ride/ok", "required"),
        ({"ride": {"ok": True, "value": 5}}, "/checklist/ride/value", "wrong_type"),
        ({"ride": {"ok": True, "value": ["a"]}}, "/checklist/ride/value", "invalid_type"),
        ({"ride": {"ok": True, "value": "x" * 501}}, "/checklist/ride/value", "too_long"),
        ({"ride": {"ok": True, "who": "x"}}, "/checklist/ride/who", "unknown_field"),
        ({"ride": None}, "/checklist/ride", "required"),
        ({"ride": "yes"}, "/checklist/ride", "invalid_type"),
        ([RIDE], "/checklist", "invalid_type"),
        ({f"item{number}": {"ok": True} for number in range(101)}, "/checklist", "too_long"),
    ],
)
def test_an_answer_out_of_form_is_pointed_at(desk: Desk, answers: Any, pointer: str, code: str) -> None:
    for action in ("checklist", "check-in"):
        answer = desk.do(action, json={"checklist": answers})
        assert answer.status_code == 422
        assert [(fault["pointer"], fault["code"]) for fault in answer.json["errors"]] == [(pointer, code)], action


def test_answers_taken_early_are_there_at_check_in(desk: Desk) -> None:
    answer = desk.do("checklist", json={"checklist": RIDE})
    assert (answer.status_code, answer.json["status"]) == (200, "booked")
    assert desk.do("check-in", -5).status_code == 200


def test_what_lies_ahead_has_not_happened(desk: Desk) -> None:
    desk.do("checklist", json={"checklist": RIDE})
    answer = desk.do("check-in", 0, json={"at": (desk.start + timedelta(hours=1)).isoformat()})
    assert [(fault["pointer"], fault["code"]) for fault in answer.json["errors"]] == [("/at", "in_future")]


def test_a_no_show_frees_the_time_and_can_be_undone(desk: Desk) -> None:
    early = desk.do("no-show", -1)
    assert (early.status_code, early.json["code"]) == (409, "illegal_transition")
    gone = desk.do("no-show", 15)
    assert (gone.json["status"], gone.json["participants"]) == ("noshow", [])
    back = desk.do("undo", 20, json={"reason": "sat outside"})
    assert (back.json["status"], len(back.json["participants"])) == ("booked", 3)
    again = desk.do("undo")
    assert (again.status_code, again.json["code"]) == (409, "illegal_transition")
    steps = desk.get("/history").json["items"]
    assert [(step["action"], step["reason"]) for step in steps[1:]] == [("no-show", None), ("undo", "sat outside")]
    assert steps[1]["before"]["status"] == "booked"


def test_undoing_says_why_it_cannot(desk: Desk) -> None:
    desk.do("no-show", 15)
    other = desk.alice.post("/v1/appointments", json={
        "visit_type": "dosing", "location_id": desk.site, "patient_id": patient(desk.alice),
        "start": (desk.start + timedelta(minutes=15)).isoformat(),
    })  # fmt: skip
    assert other.status_code == 201, other.text
    answer = desk.do("undo")
    assert (answer.status_code, answer.json["code"]) == (409, "resource_busy")
    assert answer.json["reasons"][0]["role"] == "nurse"


def test_a_visit_without_a_dose_ends_with_its_reason(desk: Desk) -> None:
    desk.do("check-in", -5, json={"checklist": RIDE})
    answer = desk.do("not-dosed", 5, json={"reason": "fever"})
    assert (answer.json["status"], answer.json["outcome"], answer.json["outcome_reason"]) == (
        "fulfilled", "not_dosed", "fever",
    )  # fmt: skip
    assert desk.do("not-dosed", json={}).status_code == 422


def test_a_move_is_repeated_tried_and_based_like_any_change(desk: Desk) -> None:
    tried = desk.do("arrive", -20, query_string={"dry_run": "true"})
    assert (tried.json["status"], tried.headers["Dry-Run"], desk.get().json["status"]) == ("arrived", "true", "booked")
    stale = desk.do("arrive", headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json["code"]) == (412, "precondition_failed")
    key = {"Idempotency-Key": "once", "If-Match": desk.get().headers["ETag"]}
    first, second = desk.do("arrive", headers=key), desk.do("arrive", headers=key)
    assert (first.status_code, second.data, second.headers["Idempotency-Replayed"]) == (200, first.data, "true")
    assert first.headers["ETag"] == desk.get().headers["ETag"]


def test_the_board_shows_the_day_in_the_clinics_time(desk: Desk) -> None:
    desk.do("check-in", -10, json={"checklist": RIDE})
    day = desk.get().json["local_start"][:10]
    board = desk.alice.get(f"/v1/locations/{desk.site}/day", query_string={"date": day})
    assert board.status_code == 200, board.text
    (visit,) = board.json["visits"]
    assert (visit["id"], visit["status"], visit["next_task"]["key"]) == (desk.visit, "checked-in", "pressure")
    assert visit["segments"][0]["name"] == "prep"
    assert [flag["code"] for flag in visit["flags"]] == ["checklist_warning"]
    (nurse,) = board.json["resources"]
    assert (nurse["name"], nurse["types"], nurse["units"]) == ("Fern", ["nurse"], 2)
    assert [span["units"] for span in nurse["taken"]] == [2, 2, 1]
    assert nurse["taken"][0]["local_start"] == visit["local_start"]
    other = desk.alice.get(f"/v1/locations/{desk.site}/day", query_string={"date": "2001-01-01"})
    assert (other.json["visits"], [lane["taken"] for lane in other.json["resources"]]) == ([], [[]])
    assert desk.alice.get(f"/v1/locations/{desk.site}/day").json["errors"][0]["pointer"] == "/date"


def test_a_visit_that_is_booked_is_confirmed_and_one_that_is_off_is_not(desk: Desk) -> None:
    confirmed = desk.do("confirm")
    assert (confirmed.status_code, confirmed.json["status"]) == (200, "booked")
    assert confirmed.json["confirmed_at"] is not None
    desk.do("cancel", json={"reason": "ill", "by": "patient"})
    refused = desk.do("confirm")
    assert (refused.status_code, refused.json["code"]) == (409, "illegal_transition")
    assert "'confirm' is not possible from status 'cancelled'" in refused.json["detail"]


#: How a visit comes to each status that the desk can give it.
PATHS = {
    "booked": [],
    "arrived": ["arrive"],
    "checked-in": ["check-in"],
    "fulfilled": ["check-in", "start", "fulfill"],
    "cancelled": ["cancel"],
    "noshow": ["no-show"],
    "entered-in-error": ["entered-in-error"],
}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_every_move_that_a_status_does_not_allow_is_a_409(alice: Person, clock: Clock) -> None:
    """The table of moves, asked for by address: no route forgets to look into it."""
    segments = [{"name": "chat", "minutes": 60, "needs": []}]
    made(alice, "/v1/visit-types", code="chat", name="Chat", public_name="Visit", kind="follow_up", segments=segments)
    where = made(alice, "/v1/locations", name="Main", time_zone="America/New_York", hours=_hours())
    start = clock().replace(hour=15)
    body = {"visit_type": "chat", "location_id": where, "start": start.isoformat()}
    visits = {status: made(alice, "/v1/appointments", **body | {"patient_id": patient(alice)}) for status in PATHS}
    clock.set(start)
    acts = ACTS | {"reschedule": {"start": (start + timedelta(days=1)).isoformat()}}
    del acts["undo"]
    for status, visit in visits.items():
        for action in PATHS[status]:
            assert alice.post(f"/v1/appointments/{visit}/{action}", json=acts[action] or None).status_code == 200
        for action, body in acts.items():
            told = alice.post(f"/v1/appointments/{visit}/{action}?dry_run=true", json=body or None)
            wanted = (200, None) if action in TABLE[status] else (409, "illegal_transition")
            assert (told.status_code, told.json.get("code")) == wanted, (status, action, told.text)
