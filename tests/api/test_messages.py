"""Messages over HTTP: finding those that need somebody, and trying again, calling off, hurrying one. Both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import KINDS, TASK_KINDS
from scheduler.database import transact
from scheduler.models import AuditEvent, Message
from scheduler.services import outbox, tasks
from scheduler.services.outbox import Outcome
from tests.api.examples import course, message

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

HOUR = timedelta(hours=1)


def put(engine: Engine, key: str, **values: Any) -> None:
    with Session(engine) as session, session.begin():
        session.execute(update(Message).where(Message.id == UUID(key)).values(**values))


def acts(engine: Engine, key: str) -> list[str]:
    with Session(engine) as session:
        wanted = select(AuditEvent.action).where(
            AuditEvent.subject_id == UUID(key), AuditEvent.action != "message.read"
        )
        return list(session.scalars(wanted.order_by(AuditEvent.id)))


STATES: dict[str, dict[str, Any]] = {
    "pending": {"status": "pending"},
    "held": {"status": "sending", "token": uuid4(), "lease": HOUR},
    "silent": {"status": "sending", "token": uuid4(), "lease": -HOUR},
    "failed": {"status": "failed", "reason": "No such number."},
    "failed too long ago": {"status": "failed", "until": -HOUR},
    "called off": {"status": "failed", "called_off": True},
    "pending too long": {"status": "pending", "until": -HOUR},
    **{status: {"status": status} for status in ("sent", "delivered", "suppressed", "expired_unsent")},
}
LEGAL = {
    "retry": {"failed"},
    "cancel": {"pending", "silent", "pending too long"},
    "send-now": {"pending", "silent"},
}


def test_only_legal_moves_are_made_and_each_leaves_its_trace(alice: Person, engine: Engine, clock: Clock) -> None:
    key = message(alice)
    for act, legal in LEGAL.items():
        body = {"json": {"reason": "The patient called."}} if act == "cancel" else {}
        for name, state in STATES.items():
            told = {"status": state["status"], "reason": state.get("reason"), "token": state.get("token")}
            put(
                engine,
                key,
                **told,
                due_at=clock() + HOUR,
                expires_at=clock() + state.get("until", 2 * HOUR),
                lease_until=clock() + state["lease"] if "lease" in state else None,
                called_off_at=clock() if state.get("called_off") else None,
            )
            before, traces = alice.get(f"/v1/messages/{key}").json, acts(engine, key)
            path = f"/v1/messages/{key}/{act}"
            tried = alice.post(path, query_string={"dry_run": "true"}, **body)
            assert (alice.get(f"/v1/messages/{key}").json, acts(engine, key)) == (before, traces), (
                "a dry run keeps none"
            )
            done = alice.post(path, **body)
            assert done.status_code == tried.status_code, (act, name)
            after = alice.get(f"/v1/messages/{key}").json
            if name in legal:
                assert (done.status_code, after) == (200, done.json), (act, name)
                assert acts(engine, key) == [*traces, f"message.{act}"]
                assert after["status"] == (
                    "suppressed" if act == "cancel" else state["status"].replace("failed", "pending")
                )
                assert after["due_at"] == (before["due_at"] if act == "cancel" else clock().isoformat())
            else:
                assert (done.status_code, done.json["code"]) == (409, "illegal_transition"), (act, name)
                assert (after, acts(engine, key)) == (before, traces)


def test_dead_letters_are_found_by_kind_and_channel_too(alice: Person, engine: Engine) -> None:
    failed, expired, waiting = (message(alice) for _ in range(3))
    put(engine, failed, status="failed", channel="email")
    put(engine, expired, status="expired_unsent", kind="booked")

    def found(**query: str) -> set[str]:
        return {item["id"] for item in alice.get("/v1/messages", query_string=query).json["items"]}

    assert found() == {failed, expired, waiting}
    assert found(dead="true") == {failed, expired}
    assert found(dead="true", channel="email") == {failed}
    assert found(kind="booked") == {expired}
    assert found(status="pending", dead="false") == {waiting}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        ("/v1/messages", "kind", (*KINDS, *TASK_KINDS)),
        ("/v1/messages", "channel", ("email", "sms", "voice", "webhook", "task")),
        ("/v1/messages", "status", ("pending",)),
        ("/v1/tasks", "kind", tasks.KINDS),
        ("/v1/tasks", "status", ("open",)),
    ],
)
def test_a_list_asked_for_by_a_word_that_is_none_says_so(
    alice: Person, path: str, name: str, known: tuple[str, ...]
) -> None:
    """An empty page would read as if nothing were owed."""
    refused = alice.get(path, query_string={name: "remind_24"})
    assert (refused.status_code, [fault["pointer"] for fault in refused.json["errors"]]) == (422, [f"/{name}"])
    assert {alice.get(path, query_string={name: word, "limit": 1}).status_code for word in known} == {200}


def test_messages_are_found_by_whom_they_are_about_and_by_when_they_are_due(
    alice: Person, engine: Engine, clock: Clock
) -> None:
    mine, other, whole = (message(alice) for _ in range(3))
    due, planned = clock() + HOUR, alice.get(f"/v1/courses/{course(alice)}").json
    put(engine, mine, due_at=due)
    about = {"appointment_id": None, "course_id": UUID(planned["id"]), "patient_id": UUID(planned["patient_id"])}
    put(engine, whole, due_at=due + HOUR, **about)
    shown = alice.get(f"/v1/messages/{mine}").json

    def found(**query: str) -> set[str]:
        return {item["id"] for item in alice.get("/v1/messages", query_string=query).json["items"]}

    assert found() == {mine, other, whole}
    assert found(patient_id=shown["patient_id"]) == {mine}
    assert found(appointment_id=shown["appointment_id"]) == {mine}
    assert found(course_id=planned["id"]) == found(patient_id=planned["patient_id"]) == {whole}
    assert found(**{"from": due.isoformat()}) == {mine, whole}
    assert found(to=due.isoformat()) == {other}, "half-open"
    assert found(**{"from": due.isoformat(), "to": (due + HOUR).isoformat()}) == {mine}


@pytest.mark.parametrize("begun", [False, True])
def test_a_worker_that_was_silent_cannot_send_what_was_called_off(
    alice: Person, engine: Engine, clock: Clock, *, begun: bool
) -> None:
    from tests.worker.letters import letter

    key, token, call = message(alice), uuid4(), Call(clock(), alice.organization_id, "worker")
    held = letter(UUID(key), alice.organization_id, token, clock())
    put(engine, key, status="sending", token=token, lease_until=clock() + HOUR)

    def begin() -> bool:
        with Session(engine) as session:
            return bool(transact(session, call, lambda s, c: outbox.turn(s, c, (), (), [held], HOUR)))

    if begun:
        assert begin()
    clock.move(2 * HOUR)
    assert alice.post(f"/v1/messages/{key}/cancel", json={"reason": "Wrong person."}).status_code == 200
    assert not begin()
    with Session(engine) as session:
        wrote = transact(session, call, lambda s, c: outbox.settle(s, c, [Outcome(held, provider_id="p-1")]))
    assert wrote == 0
    seen = alice.get(f"/v1/messages/{key}").json
    assert (seen["status"], seen["reason"], seen["text"]) == ("suppressed", "cancelled_by_staff", None)
    tried = [(each["number"], each["outcome"], each["provider_id"]) for each in seen["tried"]]
    assert tried == ([(1, "accepted", "p-1")] if begun else []), "what did leave is told all the same"
