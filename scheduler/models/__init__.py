"""Tables. Each class says what a row is; what may happen to it is decided elsewhere."""

from scheduler.models.appointment import NO_DOUBLE_BOOKING, Appointment, Hold, Occupancy
from scheduler.models.attempt import MessageAttempt
from scheduler.models.audit import AuditEvent, IdempotencyRecord
from scheduler.models.base import Base, new_id
from scheduler.models.clinical_hold import ClinicalHold
from scheduler.models.course import Course, CourseSession, Gate, StoredPlan
from scheduler.models.feed import CalendarFeed
from scheduler.models.group import Group, GroupPlace
from scheduler.models.inbound import EarlyReceipt, InboundText, OptOut
from scheduler.models.job import Disruption, Job
from scheduler.models.message import Message, MessageReview, MessageRules, MessageTemplate
from scheduler.models.organization import ApiKey, Organization, WorkerHeartbeat
from scheduler.models.patient_link import PatientLink
from scheduler.models.place import (
    Absence,
    Clearance,
    ExtraHours,
    Location,
    Patient,
    PatientKey,
    ProtocolRow,
    Resource,
    ResourceUnit,
    VisitTypeRow,
)
from scheduler.models.series import Series
from scheduler.models.staff_address import StaffAddress
from scheduler.models.task import Task
from scheduler.models.waitlist import WaitlistEntry, WaitlistOffer, WaitlistOpening
from scheduler.models.webhook import Webhook, WebhookDelivery

__all__ = [
    "NO_DOUBLE_BOOKING",
    "Absence",
    "ApiKey",
    "Appointment",
    "AuditEvent",
    "Base",
    "CalendarFeed",
    "Clearance",
    "ClinicalHold",
    "Course",
    "CourseSession",
    "Disruption",
    "EarlyReceipt",
    "ExtraHours",
    "Gate",
    "Group",
    "GroupPlace",
    "Hold",
    "IdempotencyRecord",
    "InboundText",
    "Job",
    "Location",
    "Message",
    "MessageAttempt",
    "MessageReview",
    "MessageRules",
    "MessageTemplate",
    "Occupancy",
    "OptOut",
    "Organization",
    "Patient",
    "PatientKey",
    "PatientLink",
    "ProtocolRow",
    "Resource",
    "ResourceUnit",
    "Series",
    "StaffAddress",
    "StoredPlan",
    "Task",
    "VisitTypeRow",
    "WaitlistEntry",
    "WaitlistOffer",
    "WaitlistOpening",
    "Webhook",
    "WebhookDelivery",
    "WorkerHeartbeat",
    "new_id",
]
