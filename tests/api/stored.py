"""Examples that are written straight into the tables: to make them is no matter of a walk over the routes."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from scheduler.database import db
from scheduler.models import Course, Job, StoredPlan, Webhook, WebhookDelivery, new_id

if TYPE_CHECKING:
    from tests.api.conftest import Person


def plan_of(person: Person, course_id: str) -> str:
    """Put a plan of that course on offer; its id again."""
    now = person.app.extensions["clock"]()
    with person.app.app_context():
        row = StoredPlan(
            organization_id=person.organization_id,
            id=new_id(),
            course_id=UUID(course_id),
            digest="00" * 32,
            body={"sessions": []},
            created_at=now,
            expires_at=now + timedelta(days=1),
        )
        db.session.add(row)
        db.session.commit()
    return course_id


def relaxed(person: Person, course_id: str) -> str:
    """Grant that course something; its id again."""
    with person.app.app_context():
        row = db.session.get_one(Course, (person.organization_id, UUID(course_id)))
        told = {"change": "let it begin later", "who": "front_desk", "by": "Somebody", "reason": "Asked for"}
        made = {"id": str(new_id()), "at": "2030-03-04T12:00:00+00:00", "rules": []}
        row.relaxations = [told | made]
        db.session.commit()
    return course_id


def relaxation(person: Person) -> str:
    """What was granted last."""
    with person.app.app_context():
        wanted = select(Course).where(Course.organization_id == person.organization_id, Course.relaxations.is_not(None))
        row = db.session.scalars(wanted.order_by(Course.id.desc())).first()
        assert row is not None, "the course comes before it in the path"
        assert row.relaxations is not None
        return str(row.relaxations[0]["id"])


def plan_token(person: Person) -> str:
    """The token of that plan."""
    with person.app.app_context():
        wanted = select(StoredPlan).where(StoredPlan.organization_id == person.organization_id)
        row = db.session.scalars(wanted.order_by(StoredPlan.id.desc())).first()
        assert row is not None, "the course comes before it in the path"
        return base64.urlsafe_b64encode(row.id.bytes + bytes.fromhex(row.digest)).decode().rstrip("=")


def job(person: Person) -> str:
    """Written straight into the table: what it asks for need not exist."""
    row = Job(
        organization_id=person.organization_id,
        id=new_id(),
        kind="plan_batch",
        seconds=1,
        request={},
        actor="example",
        created_at=person.app.extensions["clock"](),
    )
    with person.app.app_context():
        db.session.add(row)
        db.session.commit()
        return str(row.id)


def delivery(person: Person) -> str:
    """Something that the person's last webhook was told."""
    now = person.app.extensions["clock"]()
    with person.app.app_context():
        mine = select(Webhook.id).where(Webhook.organization_id == person.organization_id)
        webhook_id = db.session.scalars(mine.order_by(Webhook.id.desc())).first()
        assert webhook_id is not None, "the webhook comes before it in the path"
        row = WebhookDelivery(
            organization_id=person.organization_id,
            id=new_id(),
            webhook_id=webhook_id,
            event="appointment.booked",
            subject_id=new_id(),
            number=1,
            payload={},
            due_at=now,
            created_at=now,
        )
        db.session.add(row)
        db.session.commit()
        return str(row.id)
