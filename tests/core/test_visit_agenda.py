"""Checklist and tasks of a visit type: what a document may say, and every fault in them at once."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.errors import Invalid
from scheduler.core.visit import CheckItem, VisitTask, VisitType, parse_visit_type

RIDE: dict[str, Any] = {"key": "ride", "label": "Ride home named", "effect": "blocks", "at": "check_in"}
PULSE: dict[str, Any] = {
    "key": "pulse", "label": "Pulse", "effect": "warns", "at": "start", "value": "number", "min": 50, "max": 110,
    "unit": "/min", "same_day": True, "grade": {"min": "N", "max": "N"},
}  # fmt: skip
FORM: dict[str, Any] = {"key": "form", "label": "Form", "anchor": "discharge", "offset_days": 7}
AGAIN: dict[str, Any] = {"key": "again", "label": "Again", "anchor": "dose", "offset_minutes": 40}


def document(checklist: Any = (), tasks: Any = ()) -> dict[str, Any]:
    return {
        "code": "talk",
        "name": "Talk",
        "public_name": "Visit",
        "kind": "follow_up",
        "modality": "none",
        "segments": [{"name": "talk", "minutes": 30, "needs": []}],
        "checklist": list(checklist),
        "tasks": list(tasks),
    }


def parsed(checklist: Any = (), tasks: Any = ()) -> VisitType:
    return parse_visit_type(document(checklist, tasks), {})


def test_a_sound_document_becomes_values() -> None:
    visit = parsed([RIDE, PULSE], [AGAIN, FORM])
    assert visit.checklist == (
        CheckItem("ride", "Ride home named", "blocks", "check_in"),
        CheckItem("pulse", "Pulse", "warns", "start", "number", 50, 110, "/min", same_day=True),
    )
    assert visit.tasks == (
        VisitTask("again", "Again", "dose", offset_minutes=40),
        VisitTask("form", "Form", "discharge", offset_days=7),
    )


def test_nothing_is_asked_where_nothing_stands() -> None:
    bare = {key: value for key, value in document().items() if key not in {"checklist", "tasks"}}
    assert (parse_visit_type(bare, {}).checklist, parse_visit_type(bare, {}).tasks) == ((), ())


@pytest.mark.parametrize(
    ("checklist", "pointer", "code"),
    [
        ([RIDE | {"effect": "shouts"}], "/checklist/0/effect", "unknown_effect"),
        ([RIDE | {"at": "noon"}], "/checklist/0/at", "unknown_at"),
        ([RIDE | {"value": "colour"}], "/checklist/0/value", "unknown_value"),
        ([RIDE | {"colour": "red"}], "/checklist/0/colour", "unknown_field"),
        ([RIDE, RIDE], "/checklist/1/key", "duplicate_item"),
        ([RIDE | {"max": 3}], "/checklist/0/value", "range_without_number"),
        ([PULSE | {"min": 111}], "/checklist/0/max", "empty_range"),
        ([PULSE | {"min": 50.5}], "/checklist/0/min", "wrong_type"),
        ([RIDE | {"label": " "}], "/checklist/0/label", "empty"),
        (["ride"], "/checklist/0", "wrong_type"),
    ],
)
def test_a_fault_of_the_checklist_is_named_where_it_stands(checklist: Any, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed(checklist)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]


@pytest.mark.parametrize(
    ("tasks", "pointer", "code"),
    [
        ([FORM | {"anchor": "noon"}], "/tasks/0/anchor", "unknown_anchor"),
        ([FORM | {"offset_minutes": 5}], "/tasks/0", "needs_one_offset"),
        ([{key: FORM[key] for key in ("key", "label", "anchor")}], "/tasks/0", "needs_one_offset"),
        ([FORM, FORM], "/tasks/1/key", "duplicate_task"),
        ([FORM | {"offset_days": 400}], "/tasks/0/offset_days", "out_of_range"),
        ([FORM | {"key": "no spaces"}], "/tasks/0/key", "not_a_code"),
    ],
)
def test_a_fault_of_the_tasks_is_named_where_it_stands(tasks: Any, pointer: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed((), tasks)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [(pointer, code)]


def test_all_faults_come_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        parsed([RIDE | {"effect": "x"}, RIDE], [FORM | {"offset_minutes": 1}])
    assert [fault.pointer for fault in refused.value.faults] == ["/checklist/0/effect", "/checklist/1/key", "/tasks/0"]
