"""Who asks, when, and for which organization: the only ambient value, handed to every service explicitly."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Call:
    """One use of a service. `now` is aware UTC; `actor` is a person's or key's name as the audit shows it."""

    now: datetime
    organization_id: UUID
    actor: str
    key_id: UUID | None = None
    request_id: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    #: The transaction will not be tried again: lock every candidate first, so that none can be lost.
    last_try: bool = False

    def __post_init__(self) -> None:
        if self.now.utcoffset() is None:
            msg = "Call.now must be aware"
            raise ValueError(msg)
