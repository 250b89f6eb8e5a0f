"""How Alembic reaches the database: one migrator at a time, never waiting long for a lock."""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from scheduler.models.base import Document, UtcDateTime, there_on

#: Any number will do, as long as every migrator of this product uses the same.
_ADVISORY_LOCK = 7_304_217_001


def _render(kind: str, value: Any, _context: Any) -> str | bool:
    if kind == "type" and isinstance(value, UtcDateTime):
        return "UtcDateTime()"
    if kind == "type" and value is Document:
        return "Document"
    return False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=current_app.extensions["migrate"].db.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=_render,
        compare_type=True,
        include_object=there_on(connection.dialect.name),
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL lock_timeout = '4s'")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        context.run_migrations()


engine = current_app.extensions["migrate"].db.engine
with engine.connect() as opened:
    # SQLite's writer lock at BEGIN is what the advisory lock is on PostgreSQL.
    _run(opened.execution_options(sqlite_begin="BEGIN IMMEDIATE"))
