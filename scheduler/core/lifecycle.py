"""Which moves the life of an appointment allows. Statuses are FHIR R4's; what a move does is decided in services."""

from __future__ import annotations

from scheduler.core.errors import IllegalTransition

#: No move leads to `proposed` and `waitlist`: who waits has an entry of the waitlist, and what is proposed is a plan.
STATUSES = (
    "proposed", "pending", "booked", "arrived", "checked-in", "fulfilled", "cancelled", "noshow", "waitlist",
    "entered-in-error",
)  # fmt: skip

#: Action to (statuses it may start from, status it ends in).
MOVES: dict[str, tuple[frozenset[str], str]] = {
    "confirm": (frozenset({"proposed", "pending", "booked"}), "booked"),
    "reschedule": (frozenset({"proposed", "pending", "booked"}), "same"),
    "cancel": (frozenset({"proposed", "pending", "booked", "arrived", "waitlist"}), "cancelled"),
    "arrive": (frozenset({"booked"}), "arrived"),
    "check-in": (frozenset({"booked", "arrived"}), "checked-in"),
    "start": (frozenset({"checked-in"}), "checked-in"),
    "fulfill": (frozenset({"checked-in"}), "fulfilled"),
    "not-dosed": (frozenset({"booked", "arrived", "checked-in"}), "fulfilled"),
    "no-show": (frozenset({"booked", "pending"}), "noshow"),
    "entered-in-error": (
        frozenset({"proposed", "pending", "booked", "arrived", "checked-in", "noshow"}), "entered-in-error",
    ),
}  # fmt: skip

#: Statuses in which an appointment takes up its resources.
LIVE = frozenset({"proposed", "pending", "booked", "arrived", "checked-in", "fulfilled"})

#: Statuses of visits that did not take place and take up nothing.
GONE = frozenset({"cancelled", "noshow", "entered-in-error", "waitlist"})

#: Statuses in which a visit may still change its people and rooms.
OPEN = frozenset({"proposed", "pending", "booked"})

#: The outcome of a visit that took place without a dose: it does not count toward its series.
NOT_DOSED = "not_dosed"

#: Statuses of a course that is over: nothing of it is booked or given any more.
ENDED = frozenset({"revoked", "completed"})

#: What really happened, and until when a visit is pencilled: columns that only moves set.
REAL_TIMES = (
    "pencilled_until", "confirmed_at", "arrived_at", "checked_in_at", "dosed_at", "last_device_at", "fulfilled_at",
)  # fmt: skip


def after(action: str, status: str) -> str:
    """The status that `action` leads to. Raises IllegalTransition when it may not start from `status`."""
    allowed, result = MOVES[action]
    if status not in allowed:
        detail = f"'{action}' is not possible from status '{status}'; it starts from {', '.join(sorted(allowed))}."
        raise IllegalTransition(detail)
    return status if result == "same" else result
