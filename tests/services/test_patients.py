"""Patients: one spelling, every fault, and who is found by what."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import AlreadyExists, Invalid, NotFound, StaleRevision
from scheduler.models import PatientKey, Resource, ResourceUnit
from scheduler.services import clearances, patients
from tests.plumbing.scene import Scene

SMS = {"channel": "sms", "value": "(212) 555-0100", "purpose": "reminders"}
EMAIL = {"channel": "email", "value": "Robin@Example.COM"}
ANA = "Ana-María O\u2019Neil"
RECORD = {"system": "ehr", "value": "A-17"}


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene.begin(engine)


def found(scene: Scene, **wanted: Any) -> list[str]:
    return [view.name for view in scene.do(patients.listing, **wanted).items]


def test_a_patient_is_kept_in_one_spelling(scene: Scene) -> None:
    made = scene.patient(
        birth_date=date(1980, 2, 29), time_zone="America/Chicago", locale="en-US", external_ids=[RECORD],
        contacts=[SMS, EMAIL], preferences={"chair": "window"},
    )  # fmt: skip
    assert [contact["value"] for contact in made.contacts] == ["+12125550100", "Robin@example.com"]
    assert made.contacts[0]["purpose"] == "reminders"
    assert (made.consents, made.external_ids, made.preferences) == ([], [RECORD], {"chair": "window"})
    assert scene.do(patients.get, made.id) == made
    assert scene.actions(made.id) == ["patient.create"]


def test_the_calendar_knows_nothing_about_a_patient(scene: Scene) -> None:
    made = scene.patient(name="Robin Sample")
    (row,) = scene.all(Resource)
    assert (row.id, row.kind, row.name, row.units) == (made.id, "patient", "", 1)
    assert [(unit.resource_id, unit.unit) for unit in scene.all(ResourceUnit)] == [(made.id, 0)]


def test_all_faults_are_named_at_once(scene: Scene) -> None:
    with pytest.raises(Invalid) as caught:
        scene.patient(
            birth_date=date(2030, 3, 6),
            time_zone="Mars/Olympus",
            external_ids=[RECORD, RECORD, {"system": "a|b", "value": "1"}],
            contacts=[
                SMS,
                {"channel": "email", "value": "a@example.org, b@example.org"},
                {"channel": "voice", "value": "555"},
                {"channel": "sms", "value": "212-555-0100 x12"},
                SMS | {"value": "+1 212 555 0100"},
            ],
        )
    assert sorted((fault.pointer, fault.code) for fault in caught.value.faults) == [
        ("/birth_date", "out_of_range"),
        ("/contacts/1/value", "invalid_email"),
        ("/contacts/2/value", "invalid_phone"),
        ("/contacts/3/value", "invalid_phone"),
        ("/contacts/4/value", "duplicate"),
        ("/external_ids/1", "duplicate"),
        ("/external_ids/2/system", "invalid_format"),
        ("/time_zone", "unknown_time_zone"),
    ]
    assert scene.all(Resource) == []


@pytest.mark.parametrize(("born", "possible"), [("2030-03-05", True), ("2030-03-06", False), ("1899-12-31", False)])
def test_a_birth_date_may_be_today_somewhere(scene: Scene, born: str, possible: bool) -> None:  # noqa: FBT001
    if possible:
        assert scene.patient(birth_date=date.fromisoformat(born)).birth_date == date.fromisoformat(born)
    else:
        with pytest.raises(Invalid):
            scene.patient(birth_date=date.fromisoformat(born))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, [ANA, "Robin Sample", "Robin Other"]),
        ({"query": "robin"}, ["Robin Sample", "Robin Other"]),
        ({"query": "SAMP rob"}, ["Robin Sample"]),
        ({"query": "maria"}, [ANA]),
        ({"query": "ana-m"}, [ANA]),
        ({"query": "O'n"}, [ANA]),
        ({"query": "bin"}, []),
        ({"query": "%"}, []),
        ({"query": "_obin"}, []),
        ({"birth_date": date(1980, 2, 29)}, ["Robin Sample"]),
        ({"query": "robin", "birth_date": date(1990, 1, 1)}, ["Robin Other"]),
        ({"phone": "212 555 0100"}, ["Robin Sample", "Robin Other"]),
        ({"phone": "+1 (212) 555-0100", "query": "other"}, ["Robin Other"]),
        ({"phone": "+44 20 7946 0958"}, []),
        ({"external_id": "ehr|A-17"}, ["Robin Sample"]),
        ({"external_id": "A-17"}, ["Robin Sample", "Robin Other"]),
        ({"external_id": "lab|A-17"}, ["Robin Other"]),
        ({"external_id": "a-17"}, []),
        ({"external_id": "17"}, []),
        ({"external_id": "ehr|%"}, []),
    ],
)
def test_who_is_found_by_what(scene: Scene, engine: Engine, wanted: dict[str, Any], names: list[str]) -> None:
    scene.patient(name=ANA)
    scene.patient(birth_date=date(1980, 2, 29), contacts=[SMS], external_ids=[RECORD])
    scene.patient(
        name="Robin Other", birth_date=date(1990, 1, 1), contacts=[SMS | {"channel": "voice"}],
        external_ids=[RECORD | {"system": "lab"}],
    )  # fmt: skip
    Scene.begin(engine, "Elsewhere").patient(contacts=[SMS], external_ids=[RECORD])
    assert found(scene, **wanted) == names


def test_a_phone_that_is_none_finds_nobody_and_says_so(scene: Scene) -> None:
    with pytest.raises(Invalid) as caught:
        found(scene, phone="call me")
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/phone", "invalid_phone")]


def test_an_external_id_belongs_to_one_patient(scene: Scene, engine: Engine) -> None:
    first = scene.patient(external_ids=[RECORD])
    with pytest.raises(AlreadyExists):
        scene.patient(external_ids=[RECORD])
    second = scene.patient(external_ids=[RECORD | {"value": "A-18"}])
    with pytest.raises(AlreadyExists):
        scene.do(patients.change, second.id, 1, {"external_ids": [RECORD]})
    assert Scene.begin(engine, "Other").patient(external_ids=[RECORD]).external_ids == [RECORD]
    scene.do(patients.change, first.id, 1, {"external_ids": []})
    assert scene.do(patients.change, second.id, 1, {"external_ids": [RECORD]}).external_ids == [RECORD]


def test_a_change_is_found_by_what_is_new(scene: Scene) -> None:
    made = scene.patient(contacts=[SMS, EMAIL])
    changed = scene.do(patients.change, made.id, 1, {"name": "Robin Newname", "contacts": [EMAIL]})
    assert (changed.revision, changed.name, len(changed.contacts)) == (2, "Robin Newname", 1)
    assert found(scene, query="sample") == found(scene, phone=SMS["value"]) == []
    assert found(scene, query="newname") == ["Robin Newname"]
    keys = {(key.kind, key.value) for key in scene.all(PatientKey)}
    assert keys == {("name", "robin"), ("name", "newname"), ("email", "robin@example.com")}
    with pytest.raises(StaleRevision):
        scene.do(patients.change, made.id, 1, {"name": "Robin Sample"})


def test_another_organization_sees_nobody(scene: Scene, engine: Engine) -> None:
    made, stranger = scene.patient(), Scene.begin(engine, "Other")
    for work, arguments, named in (
        (patients.get, (), {}),
        (patients.change, (1, {"name": "Mine"}), {}),
        (clearances.listing, (), {}),
        (clearances.create, (), CONSENT),
    ):
        with pytest.raises(NotFound):
            stranger.do(work, made.id, *arguments, **named)
    assert found(stranger) == []


CONSENT: dict[str, Any] = {
    "kind": "consent", "outcome": "given", "valid_from": date(2030, 3, 4), "by": "A clinician",
}  # fmt: skip


def test_clearances_are_added_one_after_the_other(scene: Scene) -> None:
    made, other = scene.patient(), scene.patient(name="Other")
    first = scene.do(clearances.create, made.id, **CONSENT, modality="iv", valid_to=date(2030, 3, 4))
    second = scene.do(clearances.create, made.id, **CONSENT | {"outcome": "revoked"}, note="By telephone")
    scene.do(clearances.create, other.id, **CONSENT)
    assert scene.do(clearances.listing, made.id).items == [first, second]
    assert (first.modality, first.valid_to, second.modality, second.note) == (
        "iv", date(2030, 3, 4), None, "By telephone",
    )  # fmt: skip
    assert scene.actions(first.id) == ["clearance.create"]
    with pytest.raises(Invalid) as caught:
        scene.do(clearances.create, made.id, **CONSENT, valid_to=date(2030, 3, 3))
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/valid_to", "ends_before_start")]
