"""Webhooks: what changes is told to addresses of the organization's choice, at least once, signed, and in numbers.

What is owed is written with the change, by `services/events`; `endpoints` keeps the addresses, `parcels` is what a
worker carries.
"""

from __future__ import annotations

from scheduler.services.webhooks.endpoints import WebhookView, change, create, get, listed, remove, rotate
from scheduler.services.webhooks.parcels import Arrival, Parcel, claim, due, forget, settle
from scheduler.services.webhooks.telling import deliveries, delivery, replay

__all__ = [
    "Arrival",
    "Parcel",
    "WebhookView",
    "change",
    "claim",
    "create",
    "deliveries",
    "delivery",
    "due",
    "forget",
    "get",
    "listed",
    "remove",
    "replay",
    "rotate",
    "settle",
]
