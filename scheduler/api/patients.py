"""/v1/patients and their clearances. Each look at them is written to the audit trail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import marshmallow as ma

from scheduler.api.fields import Choice, Day, Dict, Id, Instant, List, Nested, Text, Whole, ZoneName
from scheduler.api.http import Agree, Blueprint, Page, PageQuery, Schema, Session, endpoint, patch_schema
from scheduler.api.kept import Code, InstantText, Locale, Phone, raise_each
from scheduler.api.schema import Coded
from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, Fault, NotFound
from scheduler.services import clearances, contacts, patients

blp = Blueprint("patients", __name__, url_prefix="/v1", description="Patients and what clears them for treatment")


class ExternalIdSchema(Schema):
    """What another system calls the patient."""

    system = Text(100, required=True)
    value = Text(150, required=True)


class ContactSchema(Schema):
    """A way to reach the patient. Numbers come out in E.164, addresses in one spelling."""

    channel = Choice("email", "sms", "voice", required=True)
    value = Text(320, required=True)
    purpose = Text(60)

    @ma.validates_schema(skip_on_field_errors=False)
    def _can_be_reached(self, data: dict[str, Any], **_: Any) -> None:
        faults: list[Fault] = []
        if data.keys() >= {"channel", "value"}:
            contacts.normalized([data], faults)
        raise_each(faults)


class ConsentSchema(Schema):
    """Why the patient may be written to over a channel, and since or until when."""

    channel = Choice("email", "sms", "voice", required=True)
    basis = Choice("consent", "exemption", required=True)
    source = Text(200, required=True, metadata={"description": "Where it was given: a form, a call"})
    given_at = InstantText(allow_none=True)
    revoked_at = InstantText(allow_none=True)


class PatientSchema(Schema):
    """A patient."""

    id = Id(dump_only=True)
    name = Text(200, required=True)
    birth_date = Day(allow_none=True)
    time_zone = ZoneName(allow_none=True, metadata={"description": "Where the patient lives; the location's if absent"})
    locale = Locale(allow_none=True)
    external_ids = List(Nested(ExternalIdSchema), max=20)
    contacts = List(Nested(ContactSchema), max=20)
    consents = List(Nested(ConsentSchema), max=50)
    preferences = Dict(
        keys=Text(60),
        metadata={
            "description": "`channel` (`email`, `sms`, `voice` or null): by which channel of a rule the patient "
            "is told first; opt-outs and caps have their say as ever. The rest is free, and nothing is decided by it"
        },
    )
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)

    @ma.validates_schema(skip_on_field_errors=False)
    def _prefers_a_channel(self, data: dict[str, Any], **_: Any) -> None:
        wished = (data.get("preferences") or {}).get("channel")
        if wished is not None and wished not in {"email", "sms", "voice"}:
            said = Coded("This is none of email, sms, voice.", "unknown_channel")
            raise ma.ValidationError({"preferences": {"channel": [said]}})


class PatientsQuery(PageQuery):
    """Whom to look for; all that is given must hold."""

    query = Text(200, metadata={"description": "Beginnings of parts of the name, in any order, case and accents"})
    birth_date = Day()
    phone = Phone(40, metadata={"description": "In any spelling"})
    external_id = Text(260, metadata={"description": "`system|value`, or a value under any system"})


class ClearanceSchema(Schema):
    """A dated statement: a medical evaluation, consent, enrolment or review. A later one of its kind overrules it."""

    id = Id(dump_only=True)
    patient_id = Id(dump_only=True)
    kind = Code(required=True)
    modality = Text(40, allow_none=True, metadata={"description": "For this modality only; for all if absent"})
    outcome = Text(40, required=True)
    valid_from = Day(required=True)
    valid_to = Day(allow_none=True, metadata={"description": "The last day, inclusive"})
    by = Text(200, required=True, metadata={"description": "The clinician who says so"})
    note = Text(2000, min=0, lines=True)
    created_at = Instant(dump_only=True)


_AGREE = (
    Agree(patients.check_birth_date, ("birth_date",)),
    Agree(patients.check_external_ids, ("external_ids",)),
    Agree(patients.check_contacts, ("contacts",)),
)


@blp.post("/patients")
@endpoint(
    scope="patients:write", takes=PatientSchema, gives=PatientSchema, status=201, refuses=(AlreadyExists,), agree=_AGREE
)
def create_patient(session: Session, call: Call, body: dict[str, Any]) -> Any:
    """Register a patient."""
    return patients.create(session, call, body)


@blp.get("/patients")
@endpoint(scope="patients:read", query=PatientsQuery, gives=PatientSchema, many=True, reads="patient")
def list_patients(session: Session, call: Call, query: dict[str, Any]) -> Page[Any]:
    """Look patients up."""
    return patients.listing(session, call, **query)


@blp.get("/patients/<uuid:patient_id>")
@endpoint(scope="patients:read", gives=PatientSchema, refuses=(NotFound,), reads="patient")
def get_patient(session: Session, call: Call, *, patient_id: UUID) -> Any:
    """Show one patient."""
    return patients.get(session, call, patient_id)


@blp.patch("/patients/<uuid:patient_id>")
@endpoint(
    scope="patients:write",
    takes=patch_schema(PatientSchema, "PatientPatch"),
    agree=_AGREE,
    gives=PatientSchema,
    refuses=(NotFound, AlreadyExists),
    if_match=True,
)
def patch_patient(session: Session, call: Call, body: dict[str, Any], *, patient_id: UUID, revision: int) -> Any:
    """Change a patient. Lists and preferences are replaced."""
    return patients.change(session, call, patient_id, revision, body)


@blp.post("/patients/<uuid:patient_id>/clearances")
@endpoint(
    scope="patients:write",
    takes=ClearanceSchema,
    gives=ClearanceSchema,
    status=201,
    refuses=(NotFound,),
    agree=(Agree(clearances.check_days, ("valid_from", "valid_to")),),
)
def create_clearance(session: Session, call: Call, body: dict[str, Any], *, patient_id: UUID) -> Any:
    """Write down a clearance. None is ever changed: the next one overrules it."""
    return clearances.create(session, call, patient_id, **body)


@blp.get("/patients/<uuid:patient_id>/clearances")
@endpoint(
    scope="patients:read",
    query=PageQuery,
    gives=ClearanceSchema,
    many=True,
    refuses=(NotFound,),
    reads="patient",
)
def list_clearances(session: Session, call: Call, query: dict[str, Any], *, patient_id: UUID) -> Page[Any]:
    """List the patient's clearances, oldest first."""
    return clearances.listing(session, call, patient_id, **query)
