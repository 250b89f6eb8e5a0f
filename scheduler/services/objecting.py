"""In what a wish for a visit contradicts itself or its clinic, whatever the calendars say. Looks for no place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import Disambiguation, intent, on_grid
from scheduler.core.errors import Fault, Invalid, Reason, Refused, refuse, together
from scheduler.services.appointments import row_of
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import Kind, visit_kind
from scheduler.services.licences import expect_region
from scheduler.services.premises import OwnHold, premises

if TYPE_CHECKING:
    from scheduler.models import Hold
    from scheduler.services.finding import Wanted
    from scheduler.services.pins import Keeper, Pin


def objections(session: Session, call: Call, wanted: Wanted) -> None:
    """Raises Invalid or NotFound for everything in which a wish contradicts itself, wherever it was refused first."""
    code, where, start = wanted.visit_type, wanted.location_id, wanted.start
    together(
        lambda: check_start(session, call, where, start, wanted.disambiguation),
        lambda: check_region(session, call, code, wanted.patient_region),
        lambda: check_pins_at(session, call, code, where, start, wanted.pins, kept_by=wanted.pins_kept_by),
    )


def check_start(
    session: Session, call: Call, location_id: UUID, start: datetime, disambiguation: Disambiguation | None = None
) -> None:
    """Raises NotFound, LocalTimeFault or Invalid for a start that no visit at that location can have."""
    read_start(premises(session, call, location_id).location.time_zone, start, disambiguation)


def read_start(
    time_zone: str, start: datetime, disambiguation: Disambiguation | None = None
) -> tuple[datetime, datetime]:
    """The wall time and the instant of a wanted start. Raises LocalTimeFault, or Invalid off the grid."""
    local, starts_at = intent(start, time_zone, disambiguation)
    if not on_grid(starts_at):
        raise Invalid([Fault("/start", "not_on_grid", "Visits start on the five-minute grid.")])
    return local, starts_at


def refuse_over(call: Call, hold: Hold | OwnHold) -> None:
    """Raises Refused for a hold that keeps nothing any more."""
    if hold.body.get("called_off"):
        raise Refused([Reason("group_called_off", "The group of this hold was called off: ask for another time.")])
    if hold.ended_at is not None or hold.expires_at <= call.now:
        raise Refused([Reason("hold_expired", "The hold is over: ask for the time again.")])


def expect_patient(hold: Hold | OwnHold, patient_id: UUID | None) -> None:
    """Raises Invalid for another patient than the hold is for."""
    if hold.patient_id not in (None, patient_id):
        raise Invalid([Fault("/patient_id", "not_the_holds_patient", "The hold is for another patient.")])


def check_region(session: Session, call: Call, visit_type: str, patient_region: str | None) -> None:
    """Raises Invalid unless it is said of a visit by video, and of no other, where the patient will be."""
    expect_region(visit_kind(session, call, visit_type).visit, patient_region)


def check_new_start(
    session: Session, call: Call, appointment_id: UUID, start: datetime, disambiguation: Disambiguation | None
) -> None:
    """The same for the start to which a visit is moved."""
    check_start(session, call, row_of(session, call, appointment_id).location_id, start, disambiguation)


def check_new_region(session: Session, call: Call, appointment_id: UUID, patient_region: str | None) -> None:
    """The same for a visit that is moved, whose region stays unless another is said."""
    row = row_of(session, call, appointment_id)
    check_region(session, call, row.visit_type, patient_region or row.patient_region)


def check_pins_at(
    session: Session,
    call: Call,
    visit_type: str,
    location_id: UUID,
    when: datetime,
    pins: Sequence[Pin],
    *,
    kept_by: Keeper | None = None,
) -> None:
    """Raises NotFound or Invalid for pins that nobody at that location could keep."""
    kind = visit_kind(session, call, visit_type)

    def there() -> None:
        if pins:
            loaded = load(session, call, location_id=location_id, start=when, end=when)
            check_pins(loaded, kind, pins, kept_by=kept_by)

    together(lambda: _check_needs(kind, pins, kept_by), there)


def check_pins(loaded: Loaded, kind: Kind, pins: Sequence[Pin], *, kept_by: Keeper | None = None) -> None:
    """Raises Invalid for a pin that the visit type has no need for, or whose resource is not at this location.

    `kept_by` says whose pins they are that were not sent.
    """
    faults = [
        Fault(
            kept_by.pointer if kept_by else f"/pins/{index}/resource_id",
            "unknown_resource",
            _said("There is no such resource at this location.", pin, kept_by),
        )
        for index, pin in enumerate(pins)
        if pin.selector in kind.demand.selectors and pin.resource_id not in loaded.site.calendars
    ]
    together(lambda: _check_needs(kind, pins, kept_by), lambda: refuse(faults))


def _check_needs(kind: Kind, pins: Sequence[Pin], kept_by: Keeper | None) -> None:
    """Raises Invalid for a pin that the visit type has no need for, wherever it takes place."""
    refuse(
        [
            Fault(
                kept_by.pointer if kept_by else f"/pins/{index}",
                "no_such_need",
                _said(f"This visit type has no need for {pin.selector.replace(':', ' ')}.", pin, kept_by),
            )
            for index, pin in enumerate(pins)
            if pin.selector not in kind.demand.selectors
        ]
    )


def _said(what: str, pin: Pin, kept_by: Keeper | None) -> str:
    return what if kept_by is None else kept_by.said(what, pin)
