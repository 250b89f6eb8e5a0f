"""Somebody who asks for anything over HTTP, remembers every id they were told, and mixes some of them up.

No answer is a fault of the server, every refusal is a whole problem, and what was refused or rehearsed wrote nothing.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from tests.api.conftest import Person, make_key
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from datetime import datetime

    from flask import Flask

    from tests.clinic import Clinic
    from tests.plumbing.clock import Clock

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: What is done to a visit, with a body that fits.
ACTS: dict[str, dict[str, Any]] = {
    "cancel": {"reason": "ill", "by": "patient"},
    "confirm": {},
    "arrive": {},
    "check-in": {},
    "start": {},
    "fulfill": {},
    "not-dosed": {"reason": "unwell"},
    "no-show": {},
    "entered-in-error": {"reason": "the wrong patient"},
    "undo": {},
}


class Attacker:
    """With an administrator's key of the clinic. On SQLite: it says how often somebody has committed."""

    def __init__(self, app: Flask, clinic: Clinic, clock: Clock, rng: random.Random) -> None:
        self.rng = rng
        self.clock = clock
        organization = clinic.call.organization_id
        self.person = Person(app, organization, make_key(clinic.engine, clock, organization, "admin")[1])
        self.ids = [str(clinic.location_id)]
        self.said: Counter[str] = Counter()
        self._watch = clinic.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()

    def ask(self, path: str, body: Any = None, method: str = "POST", **options: Any) -> Any:
        """The answer's body, or None if it was refused or only rehearsed."""
        rehearsed = self.rng.random() < 0.1
        before = self._commits()
        query = {"dry_run": "true"} if rehearsed else {}
        answer = self.person.call(method, f"/v1/{path}", json=body, query_string=query, **options)
        name = f"{method} {_ID.sub('#', path)}"
        self.said[name if answer.status_code < 400 else f"{name} {self.refused(answer, body)}"] += 1
        if answer.status_code >= 400 or rehearsed:
            assert self._commits() == before, (path, body, answer.text)
            return None
        return answer.json

    def refused(self, answer: Any, asked: Any) -> str:
        """The code of a refusal, which must be a fair one."""
        assert answer.status_code < 500, (answer.request.path, asked, answer.text)
        code: str = assert_problem(answer, answer.status_code, answer.json["code"])["code"]
        assert code != "lost_race", "nobody else was there"
        return code

    def some(self, keys: list[str]) -> str:
        """One of these, or seldom an id of quite another thing."""
        mixed = self.rng.random() < 0.05
        return self.rng.choice(self.ids if mixed or not keys else keys)

    def move_on(self, now: datetime) -> None:
        """It is now then."""
        self.clock.set(now)

    def _commits(self) -> Any:
        """A number that changes whenever another connection commits anything."""
        return self._watch.exec_driver_sql("PRAGMA data_version").scalar()
