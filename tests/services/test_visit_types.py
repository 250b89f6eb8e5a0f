"""Visit types: what is refused, and what a change may not do."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import AlreadyExists, InUse, Invalid, NotFound, StaleRevision
from scheduler.models import VisitTypeRow
from scheduler.services import protocols, shipped, visit_types
from tests.plumbing.scene import Scene
from tests.ward import cancel, open_ward, row, spray

TALK: dict[str, Any] = {
    "code": "talk",
    "name": "Talk",
    "public_name": "Visit",
    "kind": "integration",
    "segments": [{"name": "talk", "minutes": 50, "needs": [{"role": "therapist", "mode": "exclusive"}]}],
}
COURSE: dict[str, Any] = {
    "code": "talks",
    "name": "Talks",
    "phases": [{"key": "talks", "steps": [{"key": "talk", "visit_type": "talk", "dosing": False}]}],
}


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


def faults(caught: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


def test_a_visit_type_is_kept_as_it_was_said(scene: Scene) -> None:
    made = scene.do(visit_types.create, TALK)
    assert (made.code, made.definition, made.revision) == ("talk", TALK, 1)
    assert scene.do(visit_types.get, made.id) == made
    assert scene.do(visit_types.listing).items == [made]


def test_all_that_is_shipped_is_taken(scene: Scene) -> None:
    for document in shipped.visit_types():
        scene.do(visit_types.create, document)
    assert len(scene.all(VisitTypeRow)) == len(shipped.visit_types())


def test_all_faults_are_named_at_once_the_floors_too(scene: Scene) -> None:
    (esketamine,) = (each for each in shipped.visit_types() if each["code"] == "esketamine_56mg")
    faulty = esketamine | {"name": "", "code": "x" * 61, "colour": "red", "observation": None}
    with pytest.raises(Invalid) as caught:
        scene.do(visit_types.create, faulty)
    found = faults(caught)
    for fault in (
        ("/name", "empty"), ("/code", "too_long"), ("/colour", "unknown_field"), ("/observation", "below_floor"),
    ):  # fmt: skip
        assert fault in found
    assert scene.all(VisitTypeRow) == []


def test_a_code_is_taken_once_per_organization(scene: Scene, engine: Engine) -> None:
    scene.do(visit_types.create, TALK)
    with pytest.raises(AlreadyExists):
        scene.do(visit_types.create, TALK)
    Scene.begin(engine, "Other").do(visit_types.create, TALK)


def test_a_change_replaces_keys_and_takes_away_nulls(scene: Scene) -> None:
    made = scene.do(visit_types.create, TALK | {"modality": "iv", "note": "Try it"})
    changed = scene.do(visit_types.change, made.id, 1, {"name": "Long talk", "note": None})
    expected = TALK | {"modality": "iv", "name": "Long talk"}
    assert (changed.definition, changed.revision) == (expected, 2)
    with pytest.raises(StaleRevision):
        scene.do(visit_types.change, made.id, 1, {"name": "Talk"})


def test_a_change_names_all_faults_and_leaves_the_code(scene: Scene, engine: Engine) -> None:
    made = scene.do(visit_types.create, TALK)
    with pytest.raises(Invalid) as caught:
        scene.do(visit_types.change, made.id, 1, {"code": "chat", "name": None, "kind": "party"})
    assert faults(caught) == [("/code", "immutable"), ("/name", "required"), ("/kind", "unknown_kind")]
    assert scene.do(visit_types.get, made.id) == made
    with pytest.raises(NotFound):
        Scene.begin(engine, "Other").do(visit_types.change, made.id, 1, {"name": "Mine"})


def test_a_published_protocol_keeps_its_sense(scene: Scene) -> None:
    made = scene.do(visit_types.create, TALK)
    draft = scene.do(protocols.create, COURSE)
    scene.do(visit_types.change, made.id, 1, {"kind": "dosing", "modality": "oral"})
    scene.do(visit_types.change, made.id, 2, {"kind": "integration"})
    scene.do(protocols.publish, draft.id, None, approved_by="A clinician")
    with pytest.raises(InUse, match="Version 1 of the protocol 'talks'"):
        scene.do(visit_types.change, made.id, 3, {"kind": "dosing"})
    with pytest.raises(InUse, match="rests on what the visit type is"):
        scene.do(visit_types.change, made.id, 3, {"modality": "iv"})
    assert scene.do(visit_types.change, made.id, 3, {"name": "Chat"}).revision == 4


@pytest.mark.parametrize("other", [{"modality": "iv"}, {"kind": "follow_up"}])
def test_a_visit_type_in_use_never_becomes_one_to_which_its_floors_do_not_apply(
    engine: Engine, other: dict[str, str]
) -> None:
    clinic = open_ward(engine)
    kind = row(clinic, visit := spray(clinic)).visit_type_id
    with pytest.raises(InUse, match="Visits ahead"):
        clinic.do(lambda s, c: visit_types.change(s, c, kind, 1, other))
    cancel(clinic, visit)
    clinic.do(lambda s, c: visit_types.change(s, c, kind, 1, other))
