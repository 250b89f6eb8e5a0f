"""/v1/patients and clearances over HTTP: one spelling, all faults, and a trace of every look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

ROBIN: dict[str, Any] = {
    "name": "Robin Sample",
    "birth_date": "1980-02-29",
    "time_zone": "America/Chicago",
    "locale": "en-US",
    "external_ids": [{"system": "ehr", "value": "A-17"}],
    "contacts": [
        {"channel": "sms", "value": "+12125550100", "purpose": "reminders"},
        {"channel": "email", "value": "robin@example.com"},
    ],
    "consents": [
        {"channel": "sms", "basis": "consent", "source": "Form 2", "given_at": "2030-03-01T10:00:00+00:00"},
    ],
    "preferences": {"chair": "window", "music": ["none"]},
}


def test_a_patient_comes_back_as_sent(bob: Person) -> None:
    made = bob.post("/v1/patients", json=ROBIN)
    assert made.status_code == 201
    assert made.json == ROBIN | {key: made.json[key] for key in ("id", "revision", "created_at")}
    shown = bob.get(made.headers["Location"])
    assert (shown.json, shown.headers["ETag"]) == (made.json, '"1"')


def test_what_was_said_otherwise_comes_back_in_one_spelling(bob: Person) -> None:
    contacts = [{"channel": "voice", "value": "(212) 555-0100"}, {"channel": "email", "value": "Robin@EXAMPLE.com"}]
    consents = [{"channel": "sms", "basis": "consent", "source": "x", "given_at": "2030-03-01T10:00:00-05:00"}]
    made = bob.post("/v1/patients", json={"name": "Robin", "contacts": contacts, "consents": consents}).json
    assert [contact["value"] for contact in made["contacts"]] == ["+12125550100", "Robin@example.com"]
    assert made["consents"][0]["given_at"] == "2030-03-01T15:00:00+00:00"
    assert (made["birth_date"], made["time_zone"], made["external_ids"], made["preferences"]) == (None, None, [], {})


def test_all_faults_are_named_at_once(bob: Person) -> None:
    answer = bob.post(
        "/v1/patients",
        json={
            "name": "",
            "birth_date": "1980-02-30",
            "time_zone": "Mars/Olympus",
            "locale": "english",
            "external_ids": [{"system": "ehr"}],
            "contacts": [
                {"channel": "fax", "value": "1"},
                {"channel": "email", "value": "a@b@c"},
                {"channel": "sms", "value": "12"},
            ],
            "consents": [{"channel": "sms", "basis": "wish", "source": "x", "given_at": "2030-03-01T10:00:00"}],
            "preferences": [],
            "mrn": "1",
        },
    )
    assert faults(answer) == {
        ("/name", "blank"),
        ("/birth_date", "invalid_type"),
        ("/time_zone", "unknown_time_zone"),
        ("/locale", "invalid_format"),
        ("/external_ids/0/value", "required"),
        ("/contacts/0/channel", "not_a_choice"),
        ("/contacts/1/value", "invalid_email"),
        ("/contacts/2/value", "invalid_phone"),
        ("/consents/0/basis", "not_a_choice"),
        ("/consents/0/given_at", "naive_time"),
        ("/preferences", "invalid_type"),
        ("/mrn", "unknown_field"),
    }
    unheard_of = bob.post("/v1/patients", json={"name": "Robin", "preferences": {"channel": "pigeon"}})
    assert faults(unheard_of) == {("/preferences/channel", "unknown_channel")}


def test_patients_are_looked_up(bob: Person) -> None:
    robin = bob.post("/v1/patients", json=ROBIN).json
    bob.post("/v1/patients", json={"name": "Casey Other"})

    def found(**query: str) -> list[Any]:
        return list(bob.get("/v1/patients", query_string=query).json["items"])

    for query in (
        {"query": "sampl"}, {"birth_date": "1980-02-29"}, {"phone": "212-555-0100"}, {"external_id": "ehr|A-17"},
        {"query": "ROBIN", "phone": "+1 212 555 0100"},
    ):  # fmt: skip
        assert found(**query) == [robin], query
    assert found(query="casey", birth_date="1980-02-29") == []
    assert len(found()) == 2
    assert faults(bob.get("/v1/patients", query_string={"phone": "x", "birth_date": "now"})) == {
        ("/birth_date", "invalid_type"), ("/phone", "invalid_phone"),
    }  # fmt: skip


def test_an_external_id_is_taken_once(bob: Person) -> None:
    bob.post("/v1/patients", json=ROBIN)
    refused = bob.post("/v1/patients", json=ROBIN)
    assert_problem(refused, 409, "already_exists")
    assert "Robin" not in refused.text


def test_a_change_takes_its_revision(bob: Person) -> None:
    path = bob.post("/v1/patients", json=ROBIN).headers["Location"]
    assert_problem(bob.patch(path, json={"name": "Robin Other"}), 428, "precondition_required")
    changed = bob.patch(path, json={"name": "Robin Other", "contacts": []}, headers={"If-Match": '"1"'})
    assert (changed.json["name"], changed.json["contacts"], changed.json["birth_date"]) == (
        "Robin Other", [], "1980-02-29",
    )  # fmt: skip
    assert_problem(bob.patch(path, json={}, headers={"If-Match": '"1"'}), 412, "precondition_failed")


def test_clearances_pile_up(bob: Person) -> None:
    path = f"{bob.post('/v1/patients', json=ROBIN).headers['Location']}/clearances"
    body = {"kind": "medical_evaluation", "outcome": "passed", "valid_from": "2030-03-04", "by": "A clinician"}
    first = bob.post(path, json=body | {"valid_to": "2031-03-04", "modality": "iv"})
    second = bob.post(path, json=body | {"outcome": "revoked", "note": "New facts"})
    assert (first.status_code, second.status_code) == (201, 201)
    items = bob.get(path).json["items"]
    assert items == [first.json, second.json]
    assert (items[0]["valid_to"], items[0]["modality"], items[1]["valid_to"]) == ("2031-03-04", "iv", None)
    assert faults(bob.post(path, json=body | {"valid_to": "2030-03-03"})) == {("/valid_to", "ends_before_start")}
    assert faults(bob.post(path, json={"kind": "a b"})) == {
        ("/kind", "invalid_format"), ("/outcome", "required"), ("/valid_from", "required"), ("/by", "required"),
    }  # fmt: skip


def test_every_look_leaves_a_trace(alice: Person, bob: Person) -> None:
    path = bob.post("/v1/patients", json=ROBIN).headers["Location"]
    bob.get(path)
    bob.get(f"{path}/clearances")
    bob.get("/v1/patients", query_string={"query": "robin"})
    events = alice.get("/v1/audit-events").json["items"]
    looks = [(event["actor"], event["subject_id"]) for event in events if event["action"] == "patient.read"]
    assert sorted(looks) == sorted([("bob", path.rpartition("/")[2])] * 2 + [("bob", str(bob.organization_id))])
