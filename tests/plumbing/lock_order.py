"""Watching in which order transactions take row locks on PostgreSQL: whoever departs from the law is written down.

The law is `services/locks`: whoever takes locks in one order for all can wait, but never for each other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, event

#: What is locked, in the order of all. The waitlist's own rows stand where `offering` says.
ORDER = (
    "waitlist_openings", "locations", "waitlist_entries", "waitlist_offers", "courses", "appointments", "groups",
    "resources",
)  # fmt: skip

_LOCKING = re.compile(r"FROM (\w+)(?:(?!FROM ).)*FOR (?:NO KEY UPDATE|SHARE)", re.DOTALL)
_WRITTEN = re.compile(r"\b[0-9a-f]{32}\b")
_BUMPING = re.compile(r"^UPDATE (resources) SET calendar_revision")


@dataclass
class Watch:
    """What each open transaction holds, by table, and every lock that came out of order."""

    faults: list[str] = field(default_factory=list)
    taken: int = 0
    _saved: dict[int, list[dict[str, set[UUID]]]] = field(default_factory=lambda: defaultdict(list))
    _held: dict[int, dict[str, set[UUID]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))

    def saw(self, connection: Connection, statement: str, parameters: Any) -> None:
        """One statement is about to be sent."""
        found = _LOCKING.search(statement) or _BUMPING.search(statement)
        if found is None or found[1] not in ORDER:
            return
        table, held = found[1], self._held[id(connection)]
        new = set(_ids(parameters, table)) - held[table]
        later = [name for name in ORDER[ORDER.index(table) + 1 :] if held[name]]
        self.taken += len(new)
        if new and later:
            self.faults.append(f"{table} after {', '.join(later)}: {statement}")
        if new and held[table] and min(new) < max(held[table]):
            self.faults.append(f"{table} out of the order of its ids: {statement}")
        held[table] |= new

    def saved(self, connection: Connection, _name: str) -> None:
        """A savepoint was set."""
        held = {table: set(ids) for table, ids in self._held[id(connection)].items()}
        self._saved[id(connection)].append(held)

    def undone(self, connection: Connection, _name: str, _context: Any) -> None:
        """The locks since the savepoint are gone with it."""
        self._held[id(connection)] = defaultdict(set, self._saved[id(connection)].pop())

    def kept(self, connection: Connection, _name: str, _context: Any) -> None:
        """The savepoint is gone, and what was locked since is not."""
        self._saved[id(connection)].pop()

    def over(self, connection: Connection) -> None:
        """The transaction is over: it holds nothing any more."""
        self._held.pop(id(connection), None)
        self._saved.pop(id(connection), None)


def _ids(parameters: Any, table: str) -> Iterator[UUID]:
    """The ids among the parameters; of a statement that reads more than it locks, those of the table."""
    own = parameters.get(table.removesuffix("s"))
    for name, value in parameters.items() if own is None else [("", own)]:
        if name.startswith("organization"):
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, UUID):
                yield each
            elif isinstance(each, str):  # as a ready statement writes ids down, one or an array of them
                yield from map(UUID, _WRITTEN.findall(each))


@contextmanager
def watching(engine: Engine) -> Iterator[Watch]:
    """Watch every transaction of the engine. Refused rows and other tables are not looked at."""
    watch = Watch()

    def saw(connection: Connection, _c: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> None:  # noqa: FBT001
        watch.saw(connection, statement, parameters)

    hooks: list[tuple[str, Any]] = [("savepoint", watch.saved), ("rollback_savepoint", watch.undone)]
    hooks += [("release_savepoint", watch.kept)]
    hooks += [("before_cursor_execute", saw), ("commit", watch.over), ("rollback", watch.over)]
    for name, hook in hooks:
        event.listen(engine, name, hook)
    try:
        yield watch
    finally:
        for name, hook in hooks:
            event.remove(engine, name, hook)
