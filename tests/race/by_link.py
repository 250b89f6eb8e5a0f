"""The contests over what patients do themselves, on the pages of their links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment
from scheduler.services import patient_links
from tests.race.contests import TEN, Ask, Contest, Ring


def page(ring: Ring, visit: str, name: str, form: dict[str, Any]) -> Ask:
    """What a patient sends from a page of the visit, by a link that opens everything."""

    def issue(session: Session, call: Call) -> str:
        row = session.get_one(Appointment, (call.organization_id, UUID(visit)))
        return patient_links.issue(session, call, row, [*patient_links.SCOPES, "stop:reminder"])

    return "POST", f"/p/{ring.clinic.do(issue)}/{name}", form


def moving(ring: Ring) -> Contest:
    """One of them asks twice: who did has the time once, and is told so twice."""
    form = {"start": ring.at(TEN).isoformat()}
    moves = [page(ring, ring.visit(clock), "times", form) for clock in ("12:00", "14:00")]
    return Contest([*moves, *ring.bookings()], [moves[0]])


def moving_away(ring: Ring) -> Contest:
    """What the patient leaves is wanted by others, and the patient gives the visit up in another window."""
    key = ring.visit()
    moved = page(ring, key, "times", {"start": ring.at("14:00").isoformat()})
    return Contest(ring.bookings(3), [moved, page(ring, key, "cancel", {})], least=0)


def cancelling(ring: Ring) -> Contest:
    gone = page(ring, ring.visit(), "cancel", {})
    return Contest(ring.bookings(3), [gone, gone], least=0)


BY_LINK: dict[str, list[Callable[[Ring], Contest]]] = {
    "POST /p/<token>/times": [moving, moving_away],
    "POST /p/<token>/cancel": [cancelling],
}
