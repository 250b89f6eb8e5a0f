"""Use cases: functions (session, call, ...) that read facts, ask the core and write rows. They never commit.

The edges take the session's type from here; what they know of SQLAlchemy ends with it.
"""

from sqlalchemy.orm import Session

__all__ = ["Session"]
