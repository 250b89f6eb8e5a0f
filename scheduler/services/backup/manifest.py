"""What a backup says of itself: when it was made, at which migration, and the rows and digest of each table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

FORMAT = 1
NAME = "manifest.json"


class Faulty(ValueError):
    """The file is no backup, or not the one that was written. Its text says why."""


@dataclass(frozen=True)
class Saved:
    """One table: the names of its columns with the kinds of their values, how many rows, the SHA-256 of its text."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    sha256: str

    @property
    def member(self) -> str:
        """Its name inside the file."""
        return f"tables/{self.name}.copy"


@dataclass(frozen=True)
class Manifest:
    """The backup as a whole; `tables` in the order in which they can be filled."""

    made_at: datetime
    revision: str
    tables: tuple[Saved, ...]

    def document(self) -> dict[str, Any]:
        """As it stands in the file."""
        tables = [asdict(table) for table in self.tables]
        return {"format": FORMAT, "made_at": self.made_at.isoformat(), "revision": self.revision, "tables": tables}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Manifest:
        """Raises Faulty."""
        if document.get("format") != FORMAT:
            raise Faulty("This version does not know the format of that backup.")
        try:
            tables = tuple(
                Saved(each["name"], tuple((name, kind) for name, kind in each["columns"]), each["rows"], each["sha256"])
                for each in document["tables"]
            )
            return cls(datetime.fromisoformat(document["made_at"]), document["revision"], tables)
        except (KeyError, TypeError, ValueError) as error:
            raise Faulty("The backup's manifest cannot be read.") from error
