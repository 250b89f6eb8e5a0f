"""The declarative base, the column types that keep time and identity true, and the naming of constraints."""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, ForeignKeyConstraint, MetaData, Uuid, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ALPHABET = string.ascii_letters + string.digits
#: What a digest leaves out: who works on the row in this moment is no change of it, and a secret is nobody's concern.
_UNTOLD = frozenset({"token", "lease_until", "secret_hash"})


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in, UTC at rest, aware out.

    PostgreSQL: timestamptz. SQLite has no such type: there it is whole microseconds since 1970 as INTEGER, the one form
    in which any two values compare as the instants do.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """An integer on SQLite, timestamptz elsewhere."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuses naive values with ValueError."""
        if value is None:
            return None
        if value.utcoffset() is None:
            msg = "naive datetime"
            raise ValueError(msg)
        return (value - _EPOCH) // _MICROSECOND if dialect.name == "sqlite" else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """Aware UTC. Chosen once for a column and not for each of its values, of which a batch has thousands."""
        return _since_1970 if dialect.name == "sqlite" else _in_utc

    def column_processor(self, dialect: Dialect) -> Callable[[Iterable[Any]], list[datetime | None]]:
        """The same for a whole column at once, where a call for each value would cost as much as its work."""
        return _all_since_1970 if dialect.name == "sqlite" else _all_in_utc


def _since_1970(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(0, 0, value)


def _in_utc(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


def _all_since_1970(values: Iterable[int | None]) -> list[datetime | None]:
    return [None if value is None else _EPOCH + timedelta(0, 0, value) for value in values]


def _all_in_utc(values: Iterable[datetime | None]) -> list[datetime | None]:
    return [value if value is None or value.tzinfo is UTC else value.astimezone(UTC) for value in values]


def there_on(dialect: str) -> Callable[..., bool]:
    """For comparing models and databases: whether that database is to have an item of the models at all."""

    def is_there(item: Any, *_: Any) -> bool:
        only = getattr(item, "_ddl_if", None)  # what `ddl_if` leaves
        return only is None or only.dialect == dialect

    return is_there


#: A JSON document; JSONB on PostgreSQL. Rows assign a new value, they never mutate the old one in place.
Document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Base(DeclarativeBase):
    """Parent of every table."""

    type_annotation_map = {datetime: UtcDateTime, UUID: Uuid}  # noqa: RUF012 - SQLAlchemy's own protocol
    # Every constraint has a name, so that a migration can drop on every backend what it made.
    metadata = MetaData(
        naming_convention={
            "ix": "ix__%(table_name)s__%(column_0_N_name)s",
            "uq": "uq__%(table_name)s__%(column_0_N_name)s",
            "ck": "ck__%(table_name)s__%(constraint_name)s",
            "fk": "fk__%(table_name)s__%(column_0_N_name)s",
            "pk": "pk__%(table_name)s",
        }
    )


def new_id() -> UUID:
    """A fresh UUIDv7: unguessable enough for a name, sorted by birth, never a secret."""
    return uuid_utils.compat.uuid7()


def new_code() -> str:
    """Five letters and digits at random: a short name, no secret."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


class Owned:
    """Mixin: the row belongs to an organization, which leads its primary key."""

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)


class Revised:
    """Mixin: `revision` counts the changes clients make; it is the ETag, and the UPDATE itself checks it."""

    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - declared_attr hands in the class
        """Let every ORM UPDATE carry `WHERE revision = <the one read>`."""
        return {"version_id_col": cls.revision}


class Digested:
    """Mixin: nobody counts the changes of such a row; its `revision`, and so its ETag, is a digest of what it holds."""

    @property
    def revision(self) -> str:
        """The same for as long as the row says the same."""
        held = [column.key for column in inspect(type(self)).column_attrs if column.key not in _UNTOLD]
        return digest_of([getattr(self, key) for key in held])


def digest_of(*told: Any) -> str:
    """32 hexadecimal digits that stand for these values."""
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def within(table: str, column: str, *, name: str | None = None) -> ForeignKeyConstraint:
    """A foreign key that cannot leave its organization: (organization_id, column) to (organization_id, id)."""
    return ForeignKeyConstraint(["organization_id", column], [f"{table}.organization_id", f"{table}.id"], name=name)
