"""The house: every table, and the guards that no statement gets past.

Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_records",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", Document, nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "key_id", "key", name=op.f("pk__idempotency_records")),
    )
    with op.batch_alter_table("idempotency_records", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__idempotency_records__organization_id_expires_at"),
            ["organization_id", "expires_at"],
            unique=False,
        )

    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sender_name", sa.String(length=60), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("default_locale", sa.String(length=20), nullable=False),
        sa.Column("policies", Document, nullable=False),
        sa.Column("messaging", Document, nullable=False),
        sa.Column("demonstration", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk__organizations")),
    )
    op.create_table(
        "worker_heartbeats",
        sa.Column("worker", sa.String(length=100), nullable=False),
        sa.Column("ticked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk__worker_heartbeats")),
    )
    op.create_table(
        "api_keys",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", Document, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__api_keys__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__api_keys")),
    )
    op.create_table(
        "audit_events",
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("before", Document, nullable=True),
        sa.Column("after", Document, nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__audit_events__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__audit_events")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__audit_events__organization_id_at_id"), ["organization_id", "at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix__audit_events__organization_id_subject_id_id"),
            ["organization_id", "subject_id", "id"],
            unique=False,
        )

    op.create_table(
        "locations",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("hours", Document, nullable=False),
        sa.Column("closures", Document, nullable=False),
        sa.Column("certifications", Document, nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__locations__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__locations")),
    )
    op.create_table(
        "message_rules",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("definition", Document, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__message_rules__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__message_rules")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq__message_rules__organization_id_key")),
    )
    op.create_table(
        "protocols",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("definition", Document, nullable=False),
        sa.Column("approved_by", sa.String(length=200), nullable=True),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("approval_note", sa.String(length=2000), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status = 'draft' OR approved_by IS NOT NULL", name=op.f("ck__protocols__approved_by_a_named_clinician")
        ),
        sa.CheckConstraint("status IN ('draft', 'active', 'retired')", name=op.f("ck__protocols__status")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__protocols__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__protocols")),
        sa.UniqueConstraint(
            "organization_id", "code", "version", name=op.f("uq__protocols__organization_id_code_version")
        ),
    )
    op.create_table(
        "visit_types",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("definition", Document, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__visit_types__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__visit_types")),
        sa.UniqueConstraint("organization_id", "code", name=op.f("uq__visit_types__organization_id_code")),
    )
    op.create_table(
        "resources",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=True),
        sa.Column("type_code", sa.String(length=60), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("roles", Document, nullable=False),
        sa.Column("hours", Document, nullable=True),
        sa.Column("calendar_revision", sa.Integer(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('practitioner', 'room', 'device', 'patient')", name=op.f("ck__resources__kind")),
        sa.CheckConstraint("units BETWEEN 1 AND 100", name=op.f("ck__resources__units")),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__resources__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__resources__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__resources")),
    )
    with op.batch_alter_table("resources", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__resources__organization_id_kind"), ["organization_id", "kind"], unique=False
        )

    op.create_table(
        "absences",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__absences__starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id"],
            ["resources.organization_id", "resources.id"],
            name=op.f("fk__absences__organization_id_resource_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__absences__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__absences")),
    )
    with op.batch_alter_table("absences", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__absences__organization_id_resource_id_ends_at"),
            ["organization_id", "resource_id", "ends_at"],
            unique=False,
        )

    op.create_table(
        "extra_hours",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__extra_hours__starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__extra_hours__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id"],
            ["resources.organization_id", "resources.id"],
            name=op.f("fk__extra_hours__organization_id_resource_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__extra_hours__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__extra_hours")),
    )
    with op.batch_alter_table("extra_hours", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__extra_hours__organization_id_resource_id_ends_at"),
            ["organization_id", "resource_id", "ends_at"],
            unique=False,
        )

    op.create_table(
        "patients",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("locale", sa.String(length=20), nullable=True),
        sa.Column("external_ids", Document, nullable=False),
        sa.Column("contacts", Document, nullable=False),
        sa.Column("consents", Document, nullable=False),
        sa.Column("preferences", Document, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "id"],
            ["resources.organization_id", "resources.id"],
            name=op.f("fk__patients__organization_id_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__patients__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__patients")),
    )
    op.create_table(
        "resource_units",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("extra", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id"],
            ["resources.organization_id", "resources.id"],
            name=op.f("fk__resource_units__organization_id_resource_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "resource_id", "unit", name=op.f("pk__resource_units")),
    )
    op.create_table(
        "clearances",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("modality", sa.String(length=40), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__clearances__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__clearances__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__clearances")),
    )
    with op.batch_alter_table("clearances", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__clearances__organization_id_patient_id"), ["organization_id", "patient_id"], unique=False
        )

    op.create_table(
        "holds",
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type", sa.String(length=60), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("body", Document, nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__holds__starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__holds__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__holds__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "visit_type_id"],
            ["visit_types.organization_id", "visit_types.id"],
            name=op.f("fk__holds__organization_id_visit_type_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__holds__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__holds")),
    )
    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__holds__organization_id_key_id_expires_at"),
            ["organization_id", "key_id", "expires_at"],
            unique=False,
        )

    op.create_table(
        "courses",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("protocol_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("cadence", sa.String(length=60), nullable=True),
        sa.Column("start_after", sa.Date(), nullable=False),
        sa.Column("preferences", Document, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'on-hold', 'revoked', 'completed')", name=op.f("ck__courses__status")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__courses__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__courses__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "protocol_id"],
            ["protocols.organization_id", "protocols.id"],
            name=op.f("fk__courses__organization_id_protocol_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__courses__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__courses")),
    )
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__courses__organization_id_patient_id"), ["organization_id", "patient_id"], unique=False
        )

    op.create_table(
        "patient_keys",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("value", sa.String(length=300), nullable=False),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__patient_keys__organization_id_patient_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "kind", "value", "patient_id", name=op.f("pk__patient_keys")),
    )
    with op.batch_alter_table("patient_keys", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__patient_keys__organization_id_patient_id"), ["organization_id", "patient_id"], unique=False
        )
        batch_op.create_index(
            "uq__patient_keys__external_id",
            ["organization_id", "value"],
            unique=True,
            postgresql_where=sa.text("kind = 'external_id'"),
            sqlite_where=sa.text("kind = 'external_id'"),
        )

    op.create_table(
        "course_sessions",
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=60), nullable=False),
        sa.Column("step", sa.String(length=60), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("visit_type", sa.String(length=60), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("earliest", sa.Date(), nullable=False),
        sa.Column("target", sa.Date(), nullable=False),
        sa.Column("latest", sa.Date(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_id"],
            ["courses.organization_id", "courses.id"],
            name=op.f("fk__course_sessions__organization_id_course_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__course_sessions__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__course_sessions")),
        sa.UniqueConstraint(
            "organization_id",
            "course_id",
            "position",
            name=op.f("uq__course_sessions__organization_id_course_id_position"),
        ),
    )
    op.create_table(
        "gates",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("after_position", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=True),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("deadline", sa.Date(), nullable=True),
        sa.CheckConstraint("kind IN ('hard', 'soft')", name=op.f("ck__gates__kind")),
        sa.CheckConstraint("outcome IN ('pending', 'passed', 'failed', 'waived')", name=op.f("ck__gates__outcome")),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_id"],
            ["courses.organization_id", "courses.id"],
            name=op.f("fk__gates__organization_id_course_id"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "course_id", "key", name=op.f("pk__gates")),
    )
    op.create_table(
        "plans",
        sa.Column("course_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", Document, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_id"],
            ["courses.organization_id", "courses.id"],
            name=op.f("fk__plans__organization_id_course_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__plans__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__plans")),
    )
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__plans__organization_id_expires_at"), ["organization_id", "expires_at"], unique=False
        )

    op.create_table(
        "series",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type", sa.String(length=60), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.String(length=500), nullable=False),
        sa.Column("local_start", sa.String(length=16), nullable=False),
        sa.Column("dropped", Document, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__series__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__series__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__series__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__series")),
    )
    op.create_table(
        "appointments",
        sa.Column("series_id", sa.Uuid(), nullable=True),
        sa.Column("occurrence", sa.String(length=16), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type", sa.String(length=60), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Uuid(), nullable=True),
        sa.Column("course_session_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("outcome_reason", sa.String(length=500), nullable=True),
        sa.Column("local_start", sa.String(length=16), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("tzdata", sa.String(length=20), nullable=False),
        sa.Column("segments", Document, nullable=False),
        sa.Column("pins", Document, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("moves", Document, nullable=False),
        sa.Column("override", Document, nullable=True),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("pencilled_until", UtcDateTime(), nullable=True),
        sa.Column("cancelled_by", sa.String(length=20), nullable=True),
        sa.Column("cancel_reason", sa.String(length=500), nullable=True),
        sa.Column("cancel_category", sa.String(length=60), nullable=True),
        sa.Column("arrived_at", UtcDateTime(), nullable=True),
        sa.Column("checked_in_at", UtcDateTime(), nullable=True),
        sa.Column("dosed_at", UtcDateTime(), nullable=True),
        sa.Column("last_device_at", UtcDateTime(), nullable=True),
        sa.Column("fulfilled_at", UtcDateTime(), nullable=True),
        sa.Column("checklist", Document, nullable=False),
        sa.Column("tasks_done", Document, nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status IN ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled', 'cancelled', 'noshow', 'waitlist', 'entered-in-error')",
            name=op.f("ck__appointments__status"),
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__appointments__starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_id"],
            ["courses.organization_id", "courses.id"],
            name=op.f("fk__appointments__organization_id_course_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_session_id"],
            ["course_sessions.organization_id", "course_sessions.id"],
            name=op.f("fk__appointments__organization_id_course_session_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__appointments__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__appointments__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "series_id"],
            ["series.organization_id", "series.id"],
            name=op.f("fk__appointments__organization_id_series_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "visit_type_id"],
            ["visit_types.organization_id", "visit_types.id"],
            name=op.f("fk__appointments__organization_id_visit_type_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__appointments__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__appointments")),
        sa.UniqueConstraint(
            "organization_id",
            "series_id",
            "occurrence",
            name=op.f("uq__appointments__organization_id_series_id_occurrence"),
        ),
    )
    with op.batch_alter_table("appointments", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__appointments__organization_id_course_id"), ["organization_id", "course_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix__appointments__organization_id_location_id_starts_at"),
            ["organization_id", "location_id", "starts_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix__appointments__organization_id_patient_id_starts_at"),
            ["organization_id", "patient_id", "starts_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix__appointments__organization_id_starts_at_id"),
            ["organization_id", "starts_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix__appointments__waiting",
            ["organization_id", "starts_at", "pencilled_until"],
            unique=False,
            postgresql_where=sa.text("status IN ('pending', 'booked')"),
            sqlite_where=sa.text("status IN ('pending', 'booked')"),
        )
        batch_op.create_index(
            "uq__appointments__live_session",
            ["organization_id", "course_session_id"],
            unique=True,
            postgresql_where=sa.text(
                "course_session_id IS NOT NULL AND status NOT IN ('cancelled', 'noshow', 'entered-in-error') AND (outcome IS NULL OR outcome <> 'not_dosed')"
            ),
            sqlite_where=sa.text(
                "course_session_id IS NOT NULL AND status NOT IN ('cancelled', 'noshow', 'entered-in-error') AND (outcome IS NULL OR outcome <> 'not_dosed')"
            ),
        )

    op.create_table(
        "messages",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("course_id", sa.Uuid(), nullable=True),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("recipient", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("called_off_at", UtcDateTime(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("sent_to", sa.String(length=320), nullable=True),
        sa.Column("body", Document, nullable=True),
        sa.Column("context", Document, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'delivered', 'failed', 'suppressed', 'expired_unsent')",
            name=op.f("ck__messages__status"),
        ),
        sa.CheckConstraint(
            "appointment_id IS NOT NULL OR course_id IS NOT NULL", name=op.f("ck__messages__about_something")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "appointment_id"],
            ["appointments.organization_id", "appointments.id"],
            name=op.f("fk__messages__organization_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_id"],
            ["courses.organization_id", "courses.id"],
            name=op.f("fk__messages__organization_id_course_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__messages__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__messages__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__messages")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "ix__messages__due",
            ["organization_id", "due_at"],
            unique=False,
            postgresql_where=sa.text("status IN ('pending', 'sending')"),
            sqlite_where=sa.text("status IN ('pending', 'sending')"),
        )
        batch_op.create_index(
            batch_op.f("ix__messages__organization_id_due_at_id"), ["organization_id", "due_at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix__messages__organization_id_patient_id_due_at"),
            ["organization_id", "patient_id", "due_at"],
            unique=False,
        )
        batch_op.create_index(
            "uq__messages__appointment",
            ["organization_id", "appointment_id", "rule", "recipient", "channel", "sequence"],
            unique=True,
            postgresql_where=sa.text("appointment_id IS NOT NULL"),
            sqlite_where=sa.text("appointment_id IS NOT NULL"),
        )
        batch_op.create_index(
            "uq__messages__course",
            ["organization_id", "course_id", "rule", "recipient", "channel", "sequence"],
            unique=True,
            postgresql_where=sa.text("appointment_id IS NULL"),
            sqlite_where=sa.text("appointment_id IS NULL"),
        )

    op.create_table(
        "occupancies",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("blocking", sa.Boolean(), nullable=False),
        sa.Column("role", sa.String(length=80), nullable=False),
        sa.Column("fixed", sa.Boolean(), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("hold_id", sa.Uuid(), nullable=True),
        sa.Column("absence_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("kind IN ('visit', 'present', 'hold', 'absence')", name=op.f("ck__occupancies__kind")),
        sa.CheckConstraint(
            "(CASE WHEN appointment_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN hold_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN absence_id IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck__occupancies__one_owner"),
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__occupancies__starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "absence_id"],
            ["absences.organization_id", "absences.id"],
            name=op.f("fk__occupancies__organization_id_absence_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "appointment_id"],
            ["appointments.organization_id", "appointments.id"],
            name=op.f("fk__occupancies__organization_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "hold_id"],
            ["holds.organization_id", "holds.id"],
            name=op.f("fk__occupancies__organization_id_hold_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id", "unit"],
            ["resource_units.organization_id", "resource_units.resource_id", "resource_units.unit"],
            name="fk__occupancies__resource_unit",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__occupancies__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__occupancies")),
    )
    with op.batch_alter_table("occupancies", schema=None) as batch_op:
        batch_op.create_index(
            "ix__occupancies__hold",
            ["organization_id", "hold_id"],
            unique=False,
            postgresql_where=sa.text("hold_id IS NOT NULL"),
            sqlite_where=sa.text("hold_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix__occupancies__calendar", ["organization_id", "resource_id", "starts_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix__occupancies__organization_id_appointment_id"),
            ["organization_id", "appointment_id"],
            unique=False,
        )
        batch_op.create_index(
            "ix__occupancies__unit", ["organization_id", "resource_id", "unit", "starts_at"], unique=False
        )

    op.create_table(
        "waitlist_openings",
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__waitlist_openings__starts_before_it_ends")),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck__waitlist_openings__status")),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__waitlist_openings__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__waitlist_openings__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__waitlist_openings")),
    )
    with op.batch_alter_table("waitlist_openings", schema=None) as batch_op:
        batch_op.create_index(
            "ix__waitlist_openings__open",
            ["organization_id", "id"],
            unique=False,
            postgresql_where=sa.text("status = 'open'"),
            sqlite_where=sa.text("status = 'open'"),
        )

    op.create_table(
        "waitlist_entries",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type", sa.String(length=60), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("course_session_id", sa.Uuid(), nullable=True),
        sa.Column("windows", Document, nullable=False),
        sa.Column("pins", Document, nullable=False),
        sa.Column("notice_minutes", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status IN ('waiting', 'offered', 'booked', 'closed')", name=op.f("ck__waitlist_entries__status")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "appointment_id"],
            ["appointments.organization_id", "appointments.id"],
            name=op.f("fk__waitlist_entries__organization_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_session_id"],
            ["course_sessions.organization_id", "course_sessions.id"],
            name=op.f("fk__waitlist_entries__organization_id_course_session_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__waitlist_entries__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__waitlist_entries__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "visit_type_id"],
            ["visit_types.organization_id", "visit_types.id"],
            name=op.f("fk__waitlist_entries__organization_id_visit_type_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__waitlist_entries__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__waitlist_entries")),
    )
    with op.batch_alter_table("waitlist_entries", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__waitlist_entries__organization_id_patient_id"),
            ["organization_id", "patient_id"],
            unique=False,
        )
        batch_op.create_index(
            "ix__waitlist_entries__waiting",
            ["organization_id", "location_id"],
            unique=False,
            postgresql_where=sa.text("status = 'waiting'"),
            sqlite_where=sa.text("status = 'waiting'"),
        )

    op.create_table(
        "waitlist_offers",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("opening_id", sa.Uuid(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('offered', 'accepted', 'declined', 'expired', 'withdrawn')",
            name=op.f("ck__waitlist_offers__status"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "entry_id"],
            ["waitlist_entries.organization_id", "waitlist_entries.id"],
            name=op.f("fk__waitlist_offers__organization_id_entry_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "hold_id"],
            ["holds.organization_id", "holds.id"],
            name=op.f("fk__waitlist_offers__organization_id_hold_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "opening_id"],
            ["waitlist_openings.organization_id", "waitlist_openings.id"],
            name=op.f("fk__waitlist_offers__organization_id_opening_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__waitlist_offers__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__waitlist_offers")),
        sa.UniqueConstraint(
            "organization_id",
            "opening_id",
            "entry_id",
            name=op.f("uq__waitlist_offers__organization_id_opening_id_entry_id"),
        ),
    )
    with op.batch_alter_table("waitlist_offers", schema=None) as batch_op:
        batch_op.create_index(
            "ix__waitlist_offers__due",
            ["organization_id", "expires_at"],
            unique=False,
            postgresql_where=sa.text("status = 'offered'"),
            sqlite_where=sa.text("status = 'offered'"),
        )
        batch_op.create_index(
            batch_op.f("ix__waitlist_offers__organization_id_entry_id_id"),
            ["organization_id", "entry_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            "uq__waitlist_offers__live",
            ["organization_id", "entry_id"],
            unique=True,
            postgresql_where=sa.text("status = 'offered'"),
            sqlite_where=sa.text("status = 'offered'"),
        )

    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_postgresql() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute(
        "ALTER TABLE occupancies ADD CONSTRAINT ck__occupancies__bounded "
        "CHECK (NOT blocking OR ends_at - starts_at <= interval '24 hours')"
    )
    op.execute(
        "ALTER TABLE occupancies ADD CONSTRAINT no_double_booking EXCLUDE USING gist "
        "(organization_id WITH =, resource_id WITH =, unit WITH =, tstzrange(starts_at, ends_at, '[)') WITH &&) "
        "WHERE (blocking)"
    )


def _guard_sqlite() -> None:
    """The same law in triggers. Time is whole microseconds; anything else would not compare, so it is refused.

    A blocking row is at most 24 hours long, so that the search looks back no further than that: an indexed range,
    whatever the number of rows.
    """
    malformed = (
        "typeof(NEW.starts_at) <> 'integer' OR typeof(NEW.ends_at) <> 'integer' OR NEW.blocking NOT IN (0, 1) "
        "OR typeof(NEW.unit) <> 'integer' OR (NEW.blocking AND NEW.ends_at - NEW.starts_at > 86400000000)"
    )
    overlap = (
        "EXISTS (SELECT 1 FROM occupancies AS o WHERE o.organization_id = NEW.organization_id "
        "AND o.resource_id = NEW.resource_id AND o.unit = NEW.unit AND o.blocking AND o.id <> {me} "
        "AND o.starts_at < NEW.ends_at AND o.starts_at > NEW.starts_at - 86400000000 AND o.ends_at > NEW.starts_at)"
    )
    for when, me in (("INSERT", "NEW.id"), ("UPDATE", "OLD.id")):
        op.execute(
            f"CREATE TRIGGER bounded_{when.lower()} BEFORE {when} ON occupancies WHEN {malformed} "
            "BEGIN SELECT RAISE(ABORT, 'ck__occupancies__bounded'); END"
        )
        op.execute(
            f"CREATE TRIGGER no_double_booking_{when.lower()} BEFORE {when} ON occupancies "
            f"WHEN NEW.blocking AND {overlap.format(me=me)} "
            "BEGIN SELECT RAISE(ABORT, 'no_double_booking'); END"
        )


def downgrade() -> None:
    with op.batch_alter_table("waitlist_offers", schema=None) as batch_op:
        batch_op.drop_index(
            "uq__waitlist_offers__live",
            postgresql_where=sa.text("status = 'offered'"),
            sqlite_where=sa.text("status = 'offered'"),
        )
        batch_op.drop_index(batch_op.f("ix__waitlist_offers__organization_id_entry_id_id"))
        batch_op.drop_index(
            "ix__waitlist_offers__due",
            postgresql_where=sa.text("status = 'offered'"),
            sqlite_where=sa.text("status = 'offered'"),
        )

    op.drop_table("waitlist_offers")
    with op.batch_alter_table("waitlist_entries", schema=None) as batch_op:
        batch_op.drop_index(
            "ix__waitlist_entries__waiting",
            postgresql_where=sa.text("status = 'waiting'"),
            sqlite_where=sa.text("status = 'waiting'"),
        )
        batch_op.drop_index(batch_op.f("ix__waitlist_entries__organization_id_patient_id"))

    op.drop_table("waitlist_entries")
    with op.batch_alter_table("waitlist_openings", schema=None) as batch_op:
        batch_op.drop_index(
            "ix__waitlist_openings__open",
            postgresql_where=sa.text("status = 'open'"),
            sqlite_where=sa.text("status = 'open'"),
        )

    op.drop_table("waitlist_openings")
    with op.batch_alter_table("occupancies", schema=None) as batch_op:
        batch_op.drop_index("ix__occupancies__unit")
        batch_op.drop_index(batch_op.f("ix__occupancies__organization_id_appointment_id"))
        batch_op.drop_index("ix__occupancies__calendar")
        batch_op.drop_index(
            "ix__occupancies__hold",
            postgresql_where=sa.text("hold_id IS NOT NULL"),
            sqlite_where=sa.text("hold_id IS NOT NULL"),
        )

    op.drop_table("occupancies")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(
            "uq__messages__course",
            postgresql_where=sa.text("appointment_id IS NULL"),
            sqlite_where=sa.text("appointment_id IS NULL"),
        )
        batch_op.drop_index(
            "uq__messages__appointment",
            postgresql_where=sa.text("appointment_id IS NOT NULL"),
            sqlite_where=sa.text("appointment_id IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix__messages__organization_id_patient_id_due_at"))
        batch_op.drop_index(batch_op.f("ix__messages__organization_id_due_at_id"))
        batch_op.drop_index(
            "ix__messages__due",
            postgresql_where=sa.text("status IN ('pending', 'sending')"),
            sqlite_where=sa.text("status IN ('pending', 'sending')"),
        )

    op.drop_table("messages")
    with op.batch_alter_table("appointments", schema=None) as batch_op:
        batch_op.drop_index(
            "uq__appointments__live_session",
            postgresql_where=sa.text(
                "course_session_id IS NOT NULL AND status NOT IN ('cancelled', 'noshow', 'entered-in-error') AND (outcome IS NULL OR outcome <> 'not_dosed')"
            ),
            sqlite_where=sa.text(
                "course_session_id IS NOT NULL AND status NOT IN ('cancelled', 'noshow', 'entered-in-error') AND (outcome IS NULL OR outcome <> 'not_dosed')"
            ),
        )
        batch_op.drop_index(
            "ix__appointments__waiting",
            postgresql_where=sa.text("status IN ('pending', 'booked')"),
            sqlite_where=sa.text("status IN ('pending', 'booked')"),
        )
        batch_op.drop_index(batch_op.f("ix__appointments__organization_id_starts_at_id"))
        batch_op.drop_index(batch_op.f("ix__appointments__organization_id_patient_id_starts_at"))
        batch_op.drop_index(batch_op.f("ix__appointments__organization_id_location_id_starts_at"))
        batch_op.drop_index(batch_op.f("ix__appointments__organization_id_course_id"))

    op.drop_table("appointments")
    op.drop_table("series")
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__plans__organization_id_expires_at"))

    op.drop_table("plans")
    op.drop_table("gates")
    op.drop_table("course_sessions")
    with op.batch_alter_table("patient_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "uq__patient_keys__external_id",
            postgresql_where=sa.text("kind = 'external_id'"),
            sqlite_where=sa.text("kind = 'external_id'"),
        )
        batch_op.drop_index(batch_op.f("ix__patient_keys__organization_id_patient_id"))

    op.drop_table("patient_keys")
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__courses__organization_id_patient_id"))

    op.drop_table("courses")
    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__holds__organization_id_key_id_expires_at"))

    op.drop_table("holds")
    with op.batch_alter_table("clearances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__clearances__organization_id_patient_id"))

    op.drop_table("clearances")
    op.drop_table("resource_units")
    op.drop_table("patients")
    with op.batch_alter_table("extra_hours", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__extra_hours__organization_id_resource_id_ends_at"))

    op.drop_table("extra_hours")
    with op.batch_alter_table("absences", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__absences__organization_id_resource_id_ends_at"))

    op.drop_table("absences")
    with op.batch_alter_table("resources", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__resources__organization_id_kind"))

    op.drop_table("resources")
    op.drop_table("visit_types")
    op.drop_table("protocols")
    op.drop_table("message_rules")
    op.drop_table("locations")
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__audit_events__organization_id_subject_id_id"))
        batch_op.drop_index(batch_op.f("ix__audit_events__organization_id_at_id"))

    op.drop_table("audit_events")
    op.drop_table("api_keys")
    op.drop_table("worker_heartbeats")
    op.drop_table("organizations")
    with op.batch_alter_table("idempotency_records", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__idempotency_records__organization_id_expires_at"))

    op.drop_table("idempotency_records")
