"""/v1/organization: the clinic's own name, policies and manners toward patients."""

from __future__ import annotations

from typing import Any

from scheduler.api.fields import Choice, Flag, Id, Instant, List, Nested, Text, TimeOfDay, Weekday, Whole
from scheduler.api.http import Blueprint, Schema, Session, endpoint, patch_schema
from scheduler.api.kept import Code, IdText, Locale, Phone
from scheduler.core.call import Call
from scheduler.services import organizations

blp = Blueprint("organization", __name__, url_prefix="/v1", description="The organization that the key belongs to")

_MOST_MINUTES = 60 * 24 * 60
_HEAVIEST = 1000


class CutoffsSchema(Schema):
    """Minutes before the visit at which a change is last accepted; 0 is no cut-off. The clinic itself has none."""

    patient = Whole(min=0, max=_MOST_MINUTES)
    staff = Whole(min=0, max=_MOST_MINUTES)


class MostMovesSchema(Schema):
    """How often one visit may be moved; null is no limit."""

    patient = Whole(min=0, max=1000, allow_none=True)
    staff = Whole(min=0, max=1000, allow_none=True)


class AllowedSchema(Schema):
    """Starts that the clinic means to have in each quarter of an hour that begins in [start, end), by local time."""

    minutes = Whole(min=5, max=24 * 60, required=True, metadata={"description": "Of visits up to that length"})
    starts = Whole(min=0, max=1000, required=True)
    start = TimeOfDay(required=True)
    end = TimeOfDay(required=True, midnight_ends=True)
    weekdays = List(Weekday(), max=7, metadata={"description": "Every day when there is none"})
    location_id = IdText(allow_none=True, metadata={"description": "All locations when there is none"})


class PlanningWeightsSchema(Schema):
    """What each wish is worth when a course is planned, in points; ten points end the course one day later."""

    finish = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per day of the last session; 10"})
    begin = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per day of the first session; 1"})
    gap = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per day between a gap and its target; 30"})
    time_of_day = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per quarter of an hour between doses; 4"})
    time_of_day_cap = Whole(min=0, max=_HEAVIEST, metadata={"description": "The most of that for one step; 64"})
    weekday = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per session on a weekday not liked; 25"})
    hours = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per session at an hour not liked; 20"})
    prescriber = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per session with another prescriber; 60"})
    therapist = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per session with another therapist; 80"})
    other_role = Whole(min=0, max=_HEAVIEST, metadata={"description": "The same for any other role; 60"})
    leaf_delay = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per day between a talk and its target; 3"})
    leaf_hours = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per talk at an hour not liked; 10"})
    moved = Whole(
        min=0, max=_HEAVIEST, metadata={"description": "Per booked session that is moved, 5000 at the least; 300"}
    )
    moved_day = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per day by which it is; 8"})
    moved_days_cap = Whole(min=0, max=_HEAVIEST, metadata={"description": "The most days that count; 60"})
    moved_quarter = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per quarter of an hour; 2"})
    start_profile = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per level of simultaneous starts; 2"})
    nurse_peak = Whole(min=0, max=_HEAVIEST, metadata={"description": "Per level of nurses at work; 2"})
    room_remainders = Whole(
        min=0, max=_HEAVIEST, metadata={"description": "Per piece of a room's day beside a dose that is of no use; 0"}
    )
    therapist_remainders = Whole(
        min=0, max=_HEAVIEST, metadata={"description": "Per piece of a therapist's day beside an integration talk; 0"}
    )
    dropped = Whole(
        min=0, max=_HEAVIEST, metadata={"description": "Per promise by name that a visit loses when it is moved; 1000"}
    )


class PoliciesSchema(Schema):
    """When visits may be booked and changed. What a patient may is what staff may, where it is null."""

    lead_minutes = Whole(min=0, max=_MOST_MINUTES, metadata={"description": "From now to the soonest start"})
    horizon_days = Whole(min=1, max=731, metadata={"description": "From now to the latest start"})
    patient_lead_minutes = Whole(min=0, max=_MOST_MINUTES, allow_none=True)
    patient_horizon_days = Whole(min=1, max=731, allow_none=True)
    cancel_cutoff_minutes = Nested(CutoffsSchema)
    reschedule_cutoff_minutes = Nested(CutoffsSchema)
    max_moves = Nested(MostMovesSchema)
    reasons = List(Code(), max=100, metadata={"description": "The classes of reasons for a cancellation or a move"})
    max_holds = Whole(min=1, max=1000, metadata={"description": "Holds that one key has at once"})
    offer_minutes = Whole(min=5, max=24 * 60, metadata={"description": "How long time is kept for the waitlist"})
    no_show_after_minutes = Whole(
        min=1, max=24 * 60, allow_none=True, metadata={"description": "From the start of a visit nobody came to"}
    )
    check_in_minutes = Whole(
        min=0,
        max=_MOST_MINUTES,
        allow_none=True,
        metadata={"description": "How long before its start a visit may be checked in; on its local day when null"},
    )
    release_pending_minutes = Whole(
        min=0, max=_MOST_MINUTES, allow_none=True, metadata={"description": "Before the start of an unconfirmed visit"}
    )
    planning_weights = Nested(PlanningWeightsSchema)
    starts_template = List(
        Nested(AllowedSchema), max=200, metadata={"description": "Shown beside the load; it forbids nothing"}
    )
    release_ungated = Flag(metadata={"description": "Let visits go at `release_hours` of a gate that is not passed"})


class QuietSchema(Schema):
    """When patients are left in peace, by their own clock: from 21:00 to 08:00 at the least, which is the law's."""

    from_ = TimeOfDay(data_key="from", attribute="from")
    to = TimeOfDay()


class CapsSchema(Schema):
    """How many texts one patient gets at most; null is no cap."""

    per_day = Whole(min=1, max=100, allow_none=True)
    per_week = Whole(min=1, max=100, allow_none=True)


class MessagingSchema(Schema):
    """How patients may be written to. Under `exemption` the law's own caps hold in any case: 1 a day, 3 a week."""

    quiet = Nested(QuietSchema)
    basis = Choice("consent", "exemption")
    caps = Nested(CapsSchema)
    opt_out = Choice(
        "all", "class", metadata={"description": "What a STOP ends: every text, or those of the class it answers"}
    )


class OrganizationSchema(Schema):
    """The organization. `sender_name` and `phone` are what patients see of it: the name should give nothing away."""

    id = Id(dump_only=True)
    name = Text(200)
    sender_name = Text(60)
    phone = Phone(40, min=0)
    default_locale = Locale()
    policies = Nested(PoliciesSchema)
    messaging = Nested(MessagingSchema)
    demonstration = Flag(dump_only=True)
    revision = Whole(dump_only=True)
    created_at = Instant(dump_only=True)


@blp.get("/organization")
@endpoint(scope="organization:read", gives=OrganizationSchema)
def get_organization(session: Session, call: Call) -> Any:
    """Show the organization, with every policy, set or not."""
    return organizations.get(session, call)


@blp.patch("/organization")
@endpoint(
    scope="organization:write",
    takes=patch_schema(OrganizationSchema, "OrganizationPatch"),
    gives=OrganizationSchema,
    if_match=True,
)
def patch_organization(session: Session, call: Call, body: dict[str, Any], *, revision: int) -> Any:
    """Change the organization. Within `policies` and `messaging` only what is named changes."""
    return organizations.change(session, call, revision, body)
