"""Protocols: versions, drafts, and what publishing one does to the others."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import IllegalTransition, Invalid, NotFound, StaleRevision
from scheduler.models import ProtocolRow
from scheduler.services import protocols, shipped, visit_types
from tests.plumbing.clock import NOON
from tests.plumbing.scene import Scene

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
    "phases": [{"key": "talks", "steps": [{"key": "talk", "visit_type": "talk"}]}],
}


@pytest.fixture
def scene(engine: Engine) -> Scene:
    made = Scene.begin(engine)
    made.do(visit_types.create, TALK)
    return made


def test_a_protocol_begins_as_a_draft_and_counts_its_versions(scene: Scene) -> None:
    first, second = scene.do(protocols.create, COURSE), scene.do(protocols.create, COURSE | {"name": "More talks"})
    assert (first.code, first.version, first.status, first.definition) == ("talks", 1, "draft", COURSE)
    assert (second.version, second.name) == (2, "More talks")
    assert scene.do(protocols.create, COURSE | {"code": "other"}).version == 1
    assert scene.do(protocols.get, first.id) == first


def test_nobody_approves_by_saying_so_in_the_document(scene: Scene) -> None:
    made = scene.do(protocols.create, COURSE | {"status": "active", "approved_by": "A clinician"})
    assert (made.status, made.approved_by, made.definition) == ("draft", None, COURSE)
    changed = scene.do(protocols.change, made.id, 1, {"status": "active", "name": "Chats"})
    assert (changed.status, changed.name) == ("draft", "Chats")


def test_all_that_is_shipped_is_taken(scene: Scene) -> None:
    for document in shipped.visit_types():
        scene.do(visit_types.create, document)
    for document in shipped.protocols():
        scene.do(protocols.create, document)
    assert len(scene.all(ProtocolRow)) == len(shipped.protocols())


def test_all_faults_are_named_at_once(scene: Scene) -> None:
    faulty = {
        "code": "x" * 61,
        "name": "",
        "phases": [{"key": "a", "steps": [{"key": "b", "visit_type": "dance"}]}],
        "gates": [{"key": "g", "after": {"step": "nowhere", "count": 1}, "kind": "hard"}],
    }
    with pytest.raises(Invalid) as caught:
        scene.do(protocols.create, faulty)
    pointers = {fault.pointer for fault in caught.value.faults}
    assert {"/code", "/name", "/phases/0/steps/0/visit_type", "/gates/0/after/step"} <= pointers
    assert scene.all(ProtocolRow) == []


def test_a_draft_changes(scene: Scene) -> None:
    made = scene.do(protocols.create, COURSE | {"note": "Try it"})
    changed = scene.do(protocols.change, made.id, 1, {"name": "Chats", "note": None})
    assert (changed.name, changed.definition, changed.revision) == ("Chats", COURSE | {"name": "Chats"}, 2)
    with pytest.raises(StaleRevision):
        scene.do(protocols.change, made.id, 1, {"name": "Talks"})
    with pytest.raises(Invalid) as caught:
        scene.do(protocols.change, made.id, 2, {"code": "chats", "name": None})
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [
        ("/code", "immutable"),
        ("/name", "required"),
    ]


def test_a_published_version_stays_as_it_is(scene: Scene) -> None:
    made = scene.do(protocols.create, COURSE)
    active = scene.do(protocols.publish, made.id, 1, approved_by="A clinician", note="Fine")
    assert (active.status, active.approved_by, active.approved_at, active.approval_note) == (
        "active", "A clinician", NOON, "Fine",
    )  # fmt: skip
    for work, arguments, named in (
        (protocols.change, (active.revision, {"name": "Chats"}), {}),
        (protocols.publish, (None,), {"approved_by": "Another"}),
    ):
        with pytest.raises(IllegalTransition) as caught:
            scene.do(work, made.id, *arguments, **named)
        assert caught.value.code == "protocol_published"
    assert scene.do(protocols.get, made.id) == active
    assert scene.actions(made.id) == ["protocol.create", "protocol.update", "protocol.publish"]


def test_the_new_version_retires_the_old_one_and_no_other(scene: Scene) -> None:
    old, new, draft = (scene.do(protocols.create, COURSE) for _ in range(3))
    other = scene.do(protocols.create, COURSE | {"code": "other"})
    for each in (old, other, new):
        scene.do(protocols.publish, each.id, None, approved_by="A clinician")

    def ids(**wanted: Any) -> list[Any]:
        return [view.id for view in scene.do(protocols.listing, **wanted).items]

    assert ids(status="active") == [new.id, other.id]
    assert ids(status="retired") == [old.id]
    assert ids(code="talks", status="draft") == [draft.id]
    assert ids(code="talks") == [old.id, new.id, draft.id]
    assert scene.do(protocols.get, old.id).approved_by == "A clinician"


def test_a_draft_that_makes_no_sense_any_more_is_not_published(scene: Scene) -> None:
    dosing = {"key": "talk", "visit_type": "talk", "dosing": False}
    draft = scene.do(protocols.create, COURSE | {"phases": [{"key": "talks", "steps": [dosing]}]})
    (talk,) = scene.do(visit_types.listing).items
    scene.do(visit_types.change, talk.id, 1, {"kind": "dosing"})
    with pytest.raises(Invalid):
        scene.do(protocols.publish, draft.id, None, approved_by="A clinician")
    with pytest.raises(StaleRevision):
        scene.do(protocols.publish, draft.id, 5, approved_by="A clinician")


def test_another_organization_sees_nothing(scene: Scene, engine: Engine) -> None:
    made, stranger = scene.do(protocols.create, COURSE), Scene.begin(engine, "Other")
    for work, arguments, named in (
        (protocols.get, (), {}),
        (protocols.change, (1, {"name": "Mine"}), {}),
        (protocols.publish, (None,), {"approved_by": "A stranger"}),
    ):
        with pytest.raises(NotFound):
            stranger.do(work, made.id, *arguments, **named)
    assert stranger.do(protocols.listing).items == []
