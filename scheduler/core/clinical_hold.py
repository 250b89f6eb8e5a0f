"""Why a patient may not be dosed for the time being. Whose dosing is held, and until when, lives in services."""

from __future__ import annotations

from scheduler.core.visit import VisitType

#: What a clinical hold may be put down to.
REASONS = (
    "bp_out_of_range", "no_escort", "fasting_not_met", "intoxicated", "new_medication", "illness", "pregnancy_possible",
    "suicidality_escalation", "missing_consent", "clearance_expired", "rems_not_enrolled", "drug_unavailable",
    "no_prescriber_onsite", "adverse_event_review", "payment_or_auth",
)  # fmt: skip


def freezes(visit: VisitType) -> bool:
    """Whether a hold of the patient stops such a visit: doses stop, talking goes on."""
    return visit.kind == "dosing"
