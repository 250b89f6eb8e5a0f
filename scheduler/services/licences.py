"""Visits by video: where the patient is is asked when they are booked and begin. What a license is, core says."""

from __future__ import annotations

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import Fault, Invalid, Reason, Refused
from scheduler.core.licences import holds_license
from scheduler.core.visit import VisitType
from scheduler.models import Appointment, Occupancy, Resource


def expect_region(visit: VisitType, region: str | None) -> None:
    """Raises Invalid unless it is said of a visit by video, and of no other, where the patient will be."""
    if visit.video and region is None:
        detail = "This visit is by video: say where the patient will be, such as US-NY."
        raise Invalid([Fault("/patient_region", "region_required", detail)])
    if not visit.video and region is not None:
        detail = "Only a visit by video asks where the patient will be."
        raise Invalid([Fault("/patient_region", "not_by_video", detail)])


def receive(session: Session, call: Call, row: Appointment, visit: VisitType, region: str | None) -> None:
    """Ask once more, when the visit begins, where the patient is; whoever serves must be licensed there.

    Raises Invalid as `expect_region` does, Refused (`not_qualified`) naming everyone who is not.
    """
    expect_region(visit, region)
    if region is None:
        return
    served = select(Resource.id, Resource.roles, Occupancy.role, Occupancy.starts_at, Occupancy.ends_at).join(
        Occupancy,
        and_(Occupancy.organization_id == Resource.organization_id, Occupancy.resource_id == Resource.id),
    )
    mine = Occupancy.organization_id == call.organization_id, Occupancy.appointment_id == row.id
    reasons = [
        Reason(
            "not_qualified",
            f"The {each.role.partition(':')[2].replace('_', ' ')} holds no license for {region} on that day.",
            role=each.role.partition(":")[2],
            resource_id=each.id,
            start=each.starts_at,
            end=each.ends_at,
        )
        for each in session.execute(served.where(*mine, Occupancy.role.startswith("role:")).order_by(Resource.id))
        if not holds_license(
            each.roles,
            each.role,
            row.location_id,
            region,
            [to_local(each.starts_at, row.time_zone).date()],
        )
    ]
    if reasons:
        raise Refused(reasons)
    row.patient_region = region
