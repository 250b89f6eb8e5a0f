"""Plain records: found, listed, made, changed and removed in one manner, each change with its audit row.

What a record means, and what may not be changed about it, lives in the module of its noun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from scheduler.core.call import Call
from scheduler.core.errors import AlreadyExists, NotFound, StaleRevision
from scheduler.models.base import Digested, Owned, Revised
from scheduler.services import audit
from scheduler.services.paging import Page, page

Row = TypeVar("Row", bound=Owned)
View = TypeVar("View")
#: What an ETag says: how often a row was changed, or a digest of what it says.
Revision = int | str

_UNIQUE_VIOLATION = "23505"


@dataclass(frozen=True)
class Kind(Generic[Row, View]):
    """What the manner needs to know of one noun.

    `view` makes a frozen dataclass of a row; `where` narrows a table that several nouns share or that keeps what was
    deleted; `taken` is said when a natural key is in use.
    """

    noun: str
    model: type[Row]
    view: Callable[[Row], View]
    where: tuple[ColumnElement[bool], ...] = ()
    taken: str = "This already exists."


def find(session: Session, call: Call, kind: Kind[Row, View], record_id: UUID) -> Row:
    """The row of that id, fresh from the database. Raises NotFound, also for another organization's id."""
    mine = kind.model.organization_id == call.organization_id, kind.model.id == record_id
    wanted = select(kind.model).where(*mine, *kind.where).execution_options(populate_existing=True)
    row = session.scalars(wanted).one_or_none()
    if row is None:
        detail = f"There is no such {kind.noun.replace('_', ' ')}."
        raise NotFound(detail)
    return row


def require(session: Session, call: Call, model: Any, key: UUID, noun: str) -> None:
    """Raises NotFound unless the organization has such a row, and it was not deleted."""
    row = session.get(model, (call.organization_id, key))
    if row is None or getattr(row, "deleted_at", None) is not None:
        raise NotFound(f"No {noun} {key}.")


def get(session: Session, call: Call, kind: Kind[Row, View], record_id: UUID) -> View:
    """The view of that id. Raises NotFound."""
    return kind.view(find(session, call, kind, record_id))


def listing(
    session: Session,
    call: Call,
    kind: Kind[Row, View],
    *conditions: ColumnElement[bool],
    limit: int,
    cursor: str | None = None,
) -> Page[View]:
    """One page of views, in the order in which they were made."""
    mine = kind.model.organization_id == call.organization_id
    wanted = select(kind.model).where(mine, *kind.where, *conditions)
    rows = page(session, call, wanted, [kind.model.id], limit=limit, cursor=cursor)
    return Page([kind.view(row) for row in rows.items], rows.next_cursor)


class Dated(Protocol):
    """Whatever has a revision."""

    @property
    def revision(self) -> Revision:
        """What its ETag says."""


def expect(row: Revised | Digested | Dated, revision: Revision | None) -> None:
    """Raises StaleRevision unless the row is still at that revision; None expects nothing.

    It is asked once the row is locked, or where the row's own UPDATE asks again.
    """
    if revision is not None and row.revision != revision:
        detail = f"It is at revision {row.revision} by now, not {revision}: read it again."
        raise StaleRevision(detail)


def hold(session: Session, row: Row) -> Row:
    """The row as it is under its lock, which lasts until the transaction ends."""
    session.refresh(row, with_for_update={"key_share": True})
    return row


def add(session: Session, call: Call, kind: Kind[Row, View], row: Row) -> View:
    """Insert the row and note it. Raises AlreadyExists when a natural key is taken."""
    session.add(row)
    with written(kind.taken):
        session.flush()
    view = kind.view(row)
    audit.note(session, call, f"{kind.noun}.create", kind.noun, row.id, after=vars(view))
    return view


def change(session: Session, call: Call, kind: Kind[Row, View], row: Row, values: Mapping[str, Any]) -> View:
    """Give the row these values and note what came out differently; nothing different is no change at all.

    Raises AlreadyExists when a natural key is taken, StaleRevision when somebody else was faster.
    """
    before = vars(kind.view(row))
    for key, value in values.items():
        if getattr(row, key) != value:
            setattr(row, key, value)
    with written(kind.taken):
        session.flush()
    view = kind.view(row)
    changed = [key for key, value in vars(view).items() if before[key] != value and key != "revision"]
    if changed:
        old, new = ({key: side[key] for key in changed} for side in (before, vars(view)))
        audit.note(session, call, f"{kind.noun}.update", kind.noun, row.id, before=old, after=new)
    return view


def note_removal(session: Session, call: Call, kind: Kind[Row, View], row: Row) -> None:
    """Write what the removal took away that the caller has just made, by deletion or by `deleted_at`."""
    gone = vars(kind.view(row))
    with written(kind.taken):
        session.flush()
    audit.note(session, call, f"{kind.noun}.delete", kind.noun, row.id, before=gone)


@contextmanager
def written(taken: str) -> Iterator[None]:
    """Around a flush: a lost race over the revision or a natural key becomes the refusal that it is."""
    try:
        yield
    except StaleDataError as error:
        raise StaleRevision("Somebody else changed it a moment ago: read it again.") from error
    except IntegrityError as error:
        if _is_duplicate(error):
            raise AlreadyExists(taken) from error
        raise


def _is_duplicate(error: IntegrityError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION or "UNIQUE constraint failed" in str(error.orig)
