"""The reference for booking: the same rows under the same locks, by bare SQL that checks nothing and answers nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from bench.crowd import OK, Client
from scheduler.core.civil import TZDATA_VERSION
from scheduler.models import new_id

_APPOINTMENT = """
    INSERT INTO appointments (organization_id, id, patient_id, visit_type_id, visit_type, location_id, status,
        local_start, time_zone, starts_at, ends_at, tzdata, segments, pins, sequence, note, revision, created_at,
        {further})
    VALUES (%(org)s, %(id)s, %(patient)s, %(kind_id)s, %(kind)s, %(location)s, 'booked', %(local)s, %(zone)s, %(start)s,
        %(end)s, %(tzdata)s, %(segments)s, '[]', 0, '', 1, %(now)s, {values})"""
_OCCUPANCY = """
    INSERT INTO occupancies (organization_id, id, resource_id, unit, starts_at, ends_at, kind, blocking, role, fixed,
        appointment_id)
    VALUES (%s, %s, %s, 0, %s, %s, 'visit', true, %s, false, %s)"""
_MESSAGE = """
    INSERT INTO messages (organization_id, id, patient_id, appointment_id, rule, kind, recipient, channel, sequence,
        due_at, expires_at, status, attempts, context, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, 'patient', 'sms', 0, %s, %s, 'pending', 0, %s, %s)"""
_AUDIT = """
    INSERT INTO audit_events (organization_id, id, at, actor, request_id, action, subject_type, subject_id, after)
    VALUES (%s, %s, %s, 'bench', '', 'appointment.book', 'appointment', %s, %s)"""
_LOCATION = "SELECT id FROM locations WHERE organization_id = %s AND id = %s FOR SHARE"
_RESOURCES = """
    SELECT id FROM resources WHERE organization_id = %s AND id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"""
_BUMP = """
    UPDATE resources SET calendar_revision = calendar_revision + 1 WHERE organization_id = %s AND id = ANY(%s)"""
#: What the product's context of a message holds, by size.
_CONTEXT = {"about": "x" * 25, "class": "reminder", "side": "before", "urgent": False, "channels": ["sms", "email"]}


def bare_client(shared: dict[str, Any]) -> Client:
    """A connection that writes one booking after the other, each in a transaction of its own."""
    connection = psycopg.connect(shared["conninfo"])
    organization, location = UUID(shared["organization"]), UUID(shared["location"])
    appointment = _APPOINTMENT.format(
        further=", ".join(shared["further"]), values=", ".join(shared["further"].values())
    )

    def write(wish: dict[str, Any]) -> str:
        start = datetime.fromisoformat(wish["start"])
        end, now, key = start + timedelta(minutes=shared["minutes"]), datetime.now(UTC), new_id()
        patient = UUID(wish["patient_id"])
        takings = sorted([(UUID(who), role) for who, role in wish["takings"]] + [(patient, "patient")])
        ids = [who for who, _ in takings]
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(_LOCATION, (organization, location))
            cursor.execute(_RESOURCES, (organization, ids))
            cursor.execute(
                appointment,
                {
                    "org": organization, "id": key, "patient": patient, "kind_id": UUID(shared["kind_id"]),
                    "kind": shared["kind"], "location": location, "local": wish["start"][:16],
                    "zone": shared["zone"], "start": start, "end": end, "tzdata": TZDATA_VERSION,
                    "segments": Jsonb([{"name": "talk", "start": 0, "end": shared["minutes"]}]), "now": now,
                },
            )  # fmt: skip
            rows = [(organization, new_id(), who, start, end, role, key) for who, role in takings]
            cursor.executemany(_OCCUPANCY, rows)
            cursor.executemany(
                _MESSAGE,
                [
                    (organization, new_id(), patient, key, rule, rule, start, end, Jsonb(_CONTEXT), now)
                    for rule in shared["rules"]
                ],
            )
            after = {"status": "booked", "start": wish["start"], "location_id": shared["location"]}
            cursor.execute(_AUDIT, (organization, new_id(), now, key, Jsonb(after)))
            cursor.execute(_BUMP, (organization, ids))
        return OK

    return write
